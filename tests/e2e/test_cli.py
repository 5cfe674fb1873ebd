"""The command line from outside: results, and bad input in one line with nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from running import FEW_ROWS, ROOT, SCRIPT, SMOL, program, real, sets


def scripted(reviews: Path, run: Path, *more: str) -> list[str]:
    return [
        *(
            "optimize",
            "--data",
            str(reviews),
            "--input",
            "text",
            "--target",
            "label",
            "--model",
            "none",
        ),
        *(
            "--engine",
            "scripted",
            "--set",
            f"scorer.script={SCRIPT}",
            "--prompt",
            "What is it?",
            "--seed",
            "4",
        ),
        *(
            "--set",
            "search.steps=2",
            "--set",
            "search.candidates=3",
            "--set",
            'search.metaprompt="continuation"',
        ),
        *("--run", str(run), *more),
    ]


def children_cpu_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def test_help_is_quick_and_loads_nothing_heavy():
    # CPU time, not a clock's: other programs may have the machine.
    spent = []
    for _ in range(3):
        begun = children_cpu_seconds()
        assert program("--help").returncode == 0
        spent.append(children_cpu_seconds() - begun)
    assert min(spent) < 0.5
    heavy = ("torch", "vllm", "transformers", "datasets", "numpy", "scipy", "pydantic")
    for module in ("opro_local", "opro_local.cli.main"):
        asked = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
        loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
        assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "verb",
    [
        "demo",
        "run",
        "optimize",
        "evaluate",
        "check",
        "score",
        "solve",
        "list",
        "show",
        "apply",
        "tasks",
        "models",
        "feedback",
    ],
)
def test_every_verb_has_help(verb):
    assert program(verb, "--help").returncode == 0


def test_the_version_is_the_packages():
    told = program("--version")
    assert told.returncode == 0 and told.stdout == f"opro-local {metadata.version('opro-local')}\n"


def test_a_run_gives_files_json_and_words(reviews, tmp_path):
    run = tmp_path / "run"
    told = program(*scripted(reviews, run))
    assert told.returncode == 0, told.stderr
    assert "Verdict: " in told.stdout and "Best: " in told.stdout
    found = json.loads((run / "result.json").read_text())
    assert (run / "best.txt").read_text() == found["best"]["text"] + "\n"
    shown = json.loads(program("show", str(run), "--json").stdout)
    assert shown == found
    for split in ("train", "validation", "test"):
        for role in ("baseline", "best"):
            assert set(found[split][role]) >= {
                "accuracy",
                "n",
                "interval",
                "extraction_failures",
                "truncated",
            }
    assert set(found["test"]["difference"]) == {"value", "interval", "p_value"}
    assert found["calls"] == {"optimizer": 2, "scorer": 5} and found["test_opened"] == 1
    (row,) = json.loads(program("list", str(tmp_path), "--json").stdout)
    assert (
        row["path"] == str(run)
        and row["state"] == "finished"
        and row["best"] == found["train"]["best"]["accuracy"]
    )


def test_the_same_command_again_changes_nothing_and_starts_no_engine(reviews, tmp_path):
    run = tmp_path / "run"
    first = json.loads(program(*scripted(reviews, run, "--json")).stdout)
    again = program(*scripted(reviews, run, "--json"), env={**os.environ, "OPRO_FAULT": "die:1"})
    assert json.loads(again.stdout) == first


def test_runs_with_one_seed_agree_and_another_seed_differs(reviews, tmp_path):
    digests = [
        json.loads(
            program(
                *scripted(reviews, tmp_path / name, "--json", "--set", f"run.seed={seed}")
            ).stdout
        )["digest"]
        for name, seed in (("a", 4), ("b", 4), ("c", 5))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_config_file_runs_and_overrides_hold(reviews, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(
        f'[task]\ndata = "{reviews.name}"\ninput = "text"\ntarget = "label"\n'
        f'[scorer]\nengine = "scripted"\nscript = "{SCRIPT}"\n[search]\nsteps = 9\nmetaprompt = "continuation"\n'
    )
    told = program(
        "run", str(config), "--set", "search.steps=1", "--run", str(tmp_path / "r"), "--json"
    )
    assert json.loads(told.stdout)["calls"]["optimizer"] == 1, told.stderr


CSV = (
    "--input",
    "text",
    "--target",
    "label",
    "--engine",
    "scripted",
    "--set",
    f"scorer.script={SCRIPT}",
)
MODEL = ("--model", "none")


@pytest.mark.parametrize(
    ("content", "arguments", "code", "says"),
    [
        (None, (*CSV, *MODEL), 2, "no such file"),
        (b"", (*CSV, *MODEL), 2, "empty"),
        (b"text,label\n", (*CSV, *MODEL), 2, "no rows"),
        (b"text,label\na,b,c\n", (*CSV, *MODEL), 2, ":2:"),
        (b"\xff\xfe\x00", (*CSV, *MODEL), 2, "UTF-8"),
        ("good", ("--input", "nope", *CSV[2:], *MODEL), 2, "nope"),
        ("good", (*CSV, *MODEL, "--set", "search.stepz=3"), 2, "did you mean search.steps"),
        ("good", (*CSV, *MODEL, "--set", "search.steps=many"), 2, "a whole number"),
        ("good", (*CSV, *MODEL, "--set", "task.template=nothing"), 2, "no {instruction}"),
        (
            "good",
            (*CSV, *MODEL, "--set", "task.template={instruction} {txt}"),
            2,
            "no column 'txt'",
        ),
        ("good", (*CSV, *MODEL, "--set", "search.metaprompt=nope"), 2, "there is no form 'nope'"),
        (
            "good",
            (*CSV[:4], "--engine", "vlm", *MODEL),
            2,
            "'vllm', 'transformers', 'openai' or 'scripted', got 'vlm'",
        ),
        (
            "good",
            (*CSV[:4], "--model", "Qwen/Qwen2.5-7B-Instruct"),
            3,
            "hf download Qwen/Qwen2.5-7B-Instruct --local-dir",
        ),
        ("good", (*CSV[:4], "--model", "{empty}"), 3, "an empty folder"),
        ("good", (*CSV[:4], "--model", "{hollow}"), 3, "no weights"),
        ("good", (*CSV, *MODEL, "--set", "scorer.script=/nope.py:f"), 3, "nope.py"),
        ("good", (*CSV, *MODEL, "--set", "scorer.max_tokens=9000"), 2, "row too long"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    reviews, tmp_path, content, arguments, code, says
):
    data = tmp_path / "d.csv"
    if content == "good":
        data = reviews
    elif content is not None:
        data.write_bytes(content)
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "config.json").write_text("{}")
    places = {"{empty}": str(tmp_path / "empty"), "{hollow}": str(tmp_path / "hollow")}
    run = tmp_path / "run"
    told = program(
        "optimize", "--data", str(data), *(places.get(a, a) for a in arguments), "--run", str(run)
    )
    assert told.returncode == code, told.stderr
    lines = told.stderr.strip().splitlines()
    assert says in lines[-1] and lines[-1].startswith("opro-local: "), told.stderr
    assert "Traceback" not in told.stderr + told.stdout and not run.exists()


def test_a_folder_of_another_config_is_refused_and_left_as_it_was(reviews, tmp_path):
    run = tmp_path / "run"
    first = json.loads(program(*scripted(reviews, run, "--json")).stdout)
    told = program(*scripted(reviews, run, "--set", "search.history=5"))
    assert told.returncode == 2 and "search.history was 20, now 5" in told.stderr
    with reviews.open("a") as stream:
        stream.write("One more,positive\n")
    told = program(*scripted(reviews, run))
    assert told.returncode == 2 and "data changed" in told.stderr
    assert json.loads(program("show", str(run), "--json").stdout) == first


def test_an_unwritable_place_is_a_storage_error(reviews, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    told = program(*scripted(reviews, blocker / "run"))
    assert (
        told.returncode == 4
        and "can't make the run folder" in told.stderr
        and "Traceback" not in told.stderr
    )


def test_show_without_a_run_says_so(tmp_path):
    told = program("show", str(tmp_path))
    assert told.returncode == 4 and "there is no run here" in told.stderr


def test_a_gold_answer_that_does_not_score_stops_the_run(tmp_path):
    data = tmp_path / "d.csv"
    data.write_text("q,a\n" + "".join(f"What is {i}?,{i}\n" for i in range(20)) + "What?,none\n")
    arguments = ("--input", "q", "--target", "a", *CSV[4:], *MODEL, "--set", "task.rule=number")
    told = program("optimize", "--data", str(data), *arguments, "--run", str(tmp_path / "run"))
    assert told.returncode == 2 and f"{data}:22" in told.stderr and "'none'" in told.stderr


def test_every_setting_is_in_the_reference():
    from opro_local.config.problem import PROBLEMS
    from opro_local.config.settings import Config

    text = (ROOT / "docs" / "config.md").read_text("utf-8")
    for section, field in Config.model_fields.items():
        assert f"## [{section}]" in text
        kinds = PROBLEMS.values() if section == "problem" else [field.annotation]
        for name in (name for kind in kinds for name in kind.model_fields):
            assert f"`{name}`" in text, f"{section}.{name}"


@pytest.mark.real
@pytest.mark.parametrize("kind", ["vllm", "transformers"])
def test_the_main_job_on_a_real_model(reviews, tmp_path, kind):
    real(kind)
    arguments = (
        *(
            "optimize",
            "--data",
            str(reviews),
            "--input",
            "text",
            "--target",
            "label",
            "--model",
            str(SMOL),
        ),
        *("--engine", kind, "--prompt", "What is the sentiment?"),
        *sets(*FEW_ROWS, "search.steps=1", "search.candidates=4", "scorer.max_tokens=6"),
        *("--run", str(tmp_path / "run"), "--json"),
    )
    told = program(*arguments)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    # A starting instruction is written, then one call for the step, and at most two more for what
    # came to nothing.
    assert found["engine"]["scorer"]["engine"] == kind and 1 <= found["calls"]["optimizer"] <= 4
    assert found["test"]["baseline"]["n"] == 6 and found["tokens"]["completion"] > 0
    if kind == "vllm":
        assert found["tokens"]["cached"] > 0
    assert json.loads(program(*arguments).stdout) == found
