"""Commands as objectives: every way a program can end, and what a run keeps of it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from documented import commands, write_files
from documented import python as python_blocks
from hypothesis import given
from hypothesis import strategies as st
from running import SCRIPT, SMOL, program, real

from opro_local.config import reading
from opro_local.errors import DataError, UsageError
from opro_local.problems.command import printed
from opro_local.problems.function import request
from opro_local.programs.program import Program, ProgramEngine
from opro_local.runs.run import run
from opro_local.types import Completion

PYTHON = sys.executable
MARK = f"7{os.getpid()}"  # how long our sleepers sleep, told from those of another test run


def outcome(*command: str, text: str = "hello", **limits) -> dict:
    """One run's outcome, with its score or the reason."""
    (completion,) = ProgramEngine({"": Program(command, **limits)}).generate([request(text)])
    found = printed(completion)
    assert completion.finish_reason == (
        "stop" if json.loads(completion.text)["exit"] == 0 else "failed"
    )
    return {**json.loads(completion.text), "score": found}


def python(source: str, *arguments: str, **limits) -> dict:
    return outcome(PYTHON, "-c", source, *arguments, **limits)


def processes(mark: str) -> list[int]:
    """The processes that have this text in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("source", "score"),
    [
        ("print(0.5)", 0.5),
        ("print('hello'); print(-3)", -3),
        ("print('7\\n\\n  ')", 7),
        ('print(\'{"score": 1.5, "note": "x"}\')', 1.5),
        ("print('noise' * 100000); print(2)", 2),
        ("print('1e3')", 1000),
        ("print('.5')", 0.5),
        ("print(0)", 0),
        ("print('nan')", "not finite: the last line of stdout is 'nan'"),
        (
            "print('{\"score\": Infinity}')",
            "not finite: the last line of stdout is '{\"score\": Infinity}'",
        ),
        ("print('1' + '0' * 400)", "not finite: the last line of stdout is '1000"),
        ("print('{\"points\": 3}')", "no number: the last line of stdout is '{\"points\": 3}'"),
        ("print('true')", "no number: the last line of stdout is 'true'"),
        ("print('good')", "no number: the last line of stdout is 'good'"),
        ("pass", "no number: nothing on stdout"),
        ("raise SystemExit(3)", "exit code 3"),
        ("print(1); raise ValueError('bad text')", "exit code 1: ValueError: bad text"),
        ("import os; os.kill(os.getpid(), 11)", "killed: the program ended by signal 11"),
        ("import os; os.write(1, bytes([128, 255, 10]) + b'1.0')", "not text: stdout is not UTF-8"),
    ],
)
def test_what_a_program_prints_is_its_score_or_the_reason_why_not(source, score):
    found = python(source)["score"]
    assert found == score if isinstance(score, (int, float)) else found.startswith(score)


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_output_is_a_finite_score_or_a_reason(out, err):
    told = {"exit": 0, "ended": "", "stdout": out, "stderr": err, "binary": False}
    found = printed(Completion(json.dumps(told), "stop", 0, 0, 0))
    assert (isinstance(found, float) and found - found == 0) or found.startswith(
        ("no number: ", "not finite: ")
    )


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["{}", '{{"score": {}}}', "x\n{}\n\n"]),
)
def test_every_number_is_read_as_it_was_printed(value, form):
    told = {"exit": 0, "ended": "", "stdout": form.format(value), "stderr": "", "binary": False}
    assert printed(Completion(json.dumps(told), "stop", 0, 0, 0)) == value


def test_the_solution_comes_in_a_file_or_on_stdin_byte_for_byte():
    text = "Grüße\r\n\tzwei\n"
    read = "import sys, pathlib; data = {}; print(len(data), data == {!r}.encode() or data)"
    assert python(read.format("pathlib.Path(sys.argv[1]).read_bytes()", text), "{file}", text=text)[
        "stdout"
    ].endswith("True\n")
    assert python(read.format("sys.stdin.buffer.read()", text), text=text)["stdout"].endswith(
        "True\n"
    )
    closed = python(
        "import sys; print(len(sys.stdin.read()), sys.argv[1].endswith('/solution.txt'))", "{file}"
    )
    assert closed["stdout"] == "0 True\n"


def test_folder_environment_and_no_shell(tmp_path):
    told = python(
        "from os import environ, getcwd; from sys import argv\n"
        "print(getcwd(), environ['MODE'], environ['OPRO_LOCAL_FILE'] == argv[1], argv[2])",
        *("{file}", "$HOME; *"),
        folder=str(tmp_path),
        environment={"MODE": "x"},
    )
    assert told["stdout"] == f"{tmp_path} x True $HOME; *\n"


def test_a_program_that_is_missing():
    assert outcome("/no/such/program")["score"].startswith("not started: [Errno 2]")


def test_one_that_hangs_ends_at_its_timeout():
    started = time.monotonic()
    assert (
        python(f"import time; time.sleep({MARK}.01)", timeout=0.5)["score"]
        == "timeout: the program ran longer than allowed"
    )
    assert time.monotonic() - started < 30 and not processes(f"{MARK}.01")


def test_one_that_forks_fifty_sleepers_is_gone_with_all_of_them():
    source = (
        "import os, time\n"
        "for n in range(50):\n"
        "    if os.fork() == 0:\n"
        "        if n == 7: os.setsid()\n"
        f"        os.execvp('sleep', ['sleep', '{MARK}.02'])\n"
        "while True:\n"
        "    time.sleep(0.1)\n"
    )
    started = time.monotonic()
    assert python(source, timeout=1.0)["score"].startswith("timeout")
    assert time.monotonic() - started < 30 and not processes(f"{MARK}.02")


def test_one_that_breeds_until_it_is_stopped():
    source = (
        f"import os  # {MARK}.03\nfor n in range(6): os.fork()\nwhile True:\n    os.fork() or "
        f"os._exit(0)\n"
    )
    assert python(source, timeout=0.5)["score"].startswith("timeout")
    assert not processes(f"{MARK}.03")


def test_what_a_program_leaves_behind_ends_with_it():
    assert outcome("sh", "-c", f"setsid sleep {MARK}.04 & echo 5")["score"] == 5
    assert not processes(f"{MARK}.04")


@pytest.mark.parametrize("stream", [1, 2])
def test_one_that_prints_for_ever_is_stopped_at_the_limit(stream):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = python(
        f"import os\nwhile True: os.write({stream}, b'x' * 65536)",
        timeout=30,
        output_limit=50_000_000,
    )
    assert (
        told["score"] == "too much output: the program was ended"
        and len(told["stdout"] + told["stderr"]) <= 69632
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB


def test_one_that_kills_what_watches_it_is_lost_and_reported():
    told = outcome("sh", "-c", f"kill -9 $PPID; exec sleep {MARK}.05")
    assert told["score"].startswith("lost: ")
    time.sleep(0.2)
    assert not processes(f"{MARK}.05")


def test_runs_are_parallel_up_to_the_limit_in_order_and_leave_no_files(tmp_path):
    log = tmp_path / "log"
    source = f"import sys, time; say = open({str(log)!r}, 'a', buffering=1).write\n"
    source += "say('+\\n'); time.sleep(0.3); say('-\\n'); print(sys.stdin.read())"
    engine = ProgramEngine({"": Program((PYTHON, "-c", source))}, parallel=3)
    seen = []
    texts = [str(n) for n in (5, 1, 4, 1, 2, 3, 6)]
    done = engine.generate([request(text) for text in texts], lambda *counts: seen.append(counts))
    assert [printed(completion) for completion in done] == [5, 1, 4, 1, 2, 3, 6]
    depth = most = 0
    for line in log.read_text().split():
        depth += 1 if line == "+" else -1
        most = max(most, depth)
    assert most == 3 and log.read_text().count("+") == 6  # the second "1" is the first one's
    assert seen[-1] == (7, 0) and [n for n, _ in seen] == sorted(n for n, _ in seen)
    engine.generate([request("5")])
    assert log.read_text().count("+") == 6


def test_a_run_that_was_ended_is_not_remembered_as_an_answer(tmp_path):
    flag = tmp_path / "flag"
    source = (
        f"import pathlib, time; p = pathlib.Path({str(flag)!r}); p.exists() or (p.touch(), "
        f"time.sleep(30)); print(1)"
    )
    engine = ProgramEngine({"": Program((PYTHON, "-c", source), timeout=1.0)})
    assert printed(engine.generate([request("x")])[0]).startswith("timeout")
    assert printed(engine.generate([request("x")])[0]) == 1


def test_ctrl_c_ends_what_runs():
    engine = ProgramEngine({"": Program(("sleep", f"{MARK}.06"))}, parallel=2)
    runs = engine._run([("", "a"), ("", "b")])
    import signal

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    with pytest.raises(KeyboardInterrupt):
        next(runs)
    signal.signal(signal.SIGALRM, before)
    assert not processes(f"{MARK}.06")


SCORE = """
import sys
text = open(sys.argv[1]).read()
if "the" in text.split(): sys.exit("no articles, please")
print({"score": -abs(len(text.split()) - 6)} if 0 else -abs(len(text.split()) - 6) + ("label" in text))
"""


def tables(folder, **search):
    (folder / "score.py").write_text(SCORE)
    return {
        "problem": {
            "kind": "command",
            "command": [PYTHON, "score.py", "{file}"],
            "folder": str(folder),
        },
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {"seeds": ["go"], "steps": 3, "candidates": 4, **search},
    }


def test_a_search_keeps_outcomes_and_resumes_without_running_again(tmp_path):
    once = run(reading.build(tables(tmp_path)), tmp_path / "once")
    assert once["train"]["best"]["accuracy"] == 0 and once["rejections"]["exit code 1"] >= 1
    run(reading.build(tables(tmp_path, steps=1)), tmp_path / "twice")
    again = run(reading.build(tables(tmp_path)), tmp_path / "twice")
    assert (again["digest"], again["calls"]) == (once["digest"], once["calls"])
    stored = run(reading.build(tables(tmp_path)), tmp_path / "once")
    assert stored["seconds"] == once["seconds"]  # answered from the store alone


def test_a_changed_program_is_another_run(tmp_path):
    config = reading.build(tables(tmp_path, steps=1))
    run(config, tmp_path / "run")
    (tmp_path / "score.py").write_text("print(1)")
    with pytest.raises(UsageError, match="program changed"):
        run(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        (
            {"command": ["no-such-program-here", "x"]},
            UsageError,
            "there is no program 'no-such-program-here'",
        ),
        ({"command": ["echo 1 | cat"]}, UsageError, "no shell is used"),
        ({"command": []}, UsageError, "problem.command: "),
        ({"folder": "/no/such/folder"}, DataError, "problem.folder: there is no folder"),
        ({"timeout": 0}, UsageError, "problem.timeout: "),
        ({"file_name": "../x"}, UsageError, "problem.file_name: "),
        ({"comand": ["x"]}, UsageError, "did you mean problem.command?"),
    ],
)
def test_settings_that_are_wrong_end_in_one_line(tmp_path, settings, error, says):
    asked = tables(tmp_path)
    asked["problem"] |= settings
    with pytest.raises(error, match=r"^[^\n]*$") as caught:
        run(reading.build(asked), tmp_path / "run")
    assert says in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.real
@pytest.mark.long
def test_a_real_model_writes_for_a_command_and_resumes(tmp_path):
    real("transformers")

    def asked(steps):
        changed = tables(tmp_path, steps=steps, seeds=["Label the text"], candidates=4)
        (tmp_path / "score.py").write_text(SCORE.replace('"the"', '"zebra"'))
        return reading.build(
            {
                **changed,
                "optimizer": {"model": str(SMOL), "engine": "transformers", "max_tokens": 16},
            }
        )

    once = run(asked(2), tmp_path / "once")
    run(asked(1), tmp_path / "twice")
    assert run(asked(2), tmp_path / "twice")["digest"] == once["digest"] and once["solutions"] > 1


SCRIPTED = [
    part
    for role in ("optimizer", "scorer")
    for part in ("--set", f'{role}.engine="scripted"', "--set", f"{role}.script={SCRIPT}")
]


def test_the_page_on_anything_does_what_it_says(tmp_path):
    asked = commands(write_files("anything.md", tmp_path))
    assert [words[0] for words in asked] == ["run", "show", "run", "show"]
    for words in asked:
        told = program(*words, *(SCRIPTED if words[0] == "run" else ()), cwd=tmp_path)
        assert told.returncode == 0, told.stderr
    assert (tmp_path / "runs" / "command" / "best.txt").exists()


@pytest.mark.real
def test_the_python_lines_of_that_page(tmp_path, monkeypatch, capsys):
    real("transformers")
    (block,) = python_blocks(write_files("anything.md", tmp_path))
    (tmp_path / "my-model").symlink_to(SMOL)
    monkeypatch.chdir(tmp_path)
    exec(
        compile(
            block.replace("batch_size=4", 'batch_size=2, set=["optimizer.engine=transformers"]'),
            "anything.md",
            "exec",
        ),
        {},
    )
    assert capsys.readouterr().out
