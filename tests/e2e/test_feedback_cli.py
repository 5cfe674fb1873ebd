"""`opro-local feedback` from outside: every command and line of docs/feedback.md, results as JSON,
and bad input.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, SCRIPT

from opro_local.feedback import Feedback
from opro_local.feedback.outcomes import Outcome

# The program, with this group of verbs where the tree doesn't list it yet.
PROGRAM = """
from opro_local.cli import feedback, main
if "feedback" not in [group.name for group in main.app.registered_groups]:
    main.app.add_typer(feedback.app, name="feedback")
main.main()
"""
SCRIPTED = (
    "--engine",
    "scripted",
    "--set",
    f"scorer.script={SCRIPT}",
    "--set",
    'search.metaprompt="continuation"',
)
VERBS = ("register", "log", "import", "status", "reoptimize", "challenge", "compare", "assign")
VERBS += ("promote", "keep", "rollback", "history")
PAGE = (ROOT / "docs" / "feedback.md").read_text("utf-8")
BLOCKS = re.findall(r"```(sh|python|cron)\n(.*?)```", PAGE, re.S)


def feedback_cli(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "feedback", *words],
        **{
            "cwd": folder,
            "capture_output": True,
            "text": True,
            "timeout": 120,
            "env": {**os.environ, **environment},
        },
    )


def as_json(folder: Path, *words: str):
    told = feedback_cli(folder, *words, "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def labelled(many: int) -> list[tuple[str, str]]:
    return [
        (f"Number {i} was {('good', 'poor')[i % 2]}", ("positive", "negative")[i % 2])
        for i in range(many)
    ]


@pytest.fixture
def desk(tmp_path) -> Path:
    """A folder with a store, a prompt v1, 200 outcomes with targets in outcomes.jsonl, more.jsonl
    and fresh.csv.
    """
    rows = [
        {"prompt": "v1", "score": i % 3 > 0, "input": text, "target": label, "id": f"o{i}"}
        for i, (text, label) in enumerate(labelled(200))
    ]
    (tmp_path / "outcomes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "more.jsonl").write_text('{"prompt": "v1", "score": 1}\nnot json\n')
    with (tmp_path / "fresh.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *labelled(60)])
    return tmp_path


def registered(desk: Path) -> Path:
    with Feedback(desk / "feedback.sqlite") as feedback:
        feedback.register("What is it?", "v1")
        feedback.register("Read it and think carefully", "v2")
    return desk


def shown_commands() -> list[list[str]]:
    lines = [
        line for kind, block in BLOCKS if kind != "python" for line in block.strip().splitlines()
    ]
    commands = [line.split("&&")[-1].split(">")[0] for line in lines]
    assert all(command.strip().startswith("opro-local feedback ") for command in commands)
    return [shlex.split(command)[2:] for command in commands]


def test_every_command_of_the_page_in_order(desk):
    verbs = set()
    for words in shown_commands():
        if words[0] in ("challenge", "reoptimize") and (desk / "feedback.sqlite").exists():
            feedback_cli(desk, "keep")  # an experiment that the line before it has started
        if words[0] == "reoptimize":
            words = [*words, *SCRIPTED, "--set", "search.steps=1", "--set", "search.candidates=2"]
        told = feedback_cli(desk, *words)
        assert told.returncode == 0, f"{words}\n{told.stderr}"
        verbs.add(words[0])
    assert verbs == set(VERBS)
    with Feedback(desk / "feedback.sqlite") as feedback:
        assert feedback.rows("SELECT count(*) AS n FROM outcome") == [{"n": 202}]


def test_the_python_lines_of_the_page(desk, monkeypatch):
    monkeypatch.chdir(registered(desk))
    (source,) = [block for kind, block in BLOCKS if kind == "python"]
    given = {
        "user": "u7",
        "question": "Win a prize",
        "ask": lambda text, question: "spam",
        "score": lambda _: True,
    }
    exec(compile(source, "feedback.md", "exec"), given)
    with Feedback("feedback.sqlite") as feedback:
        (row,) = feedback.rows("SELECT prompt, user, input, output, score FROM outcome")
    assert row == {
        "prompt": "v1",
        "user": "u7",
        "input": "Win a prize",
        "output": "spam",
        "score": 1.0,
    }


def test_the_line_of_the_page(desk):
    (line,) = re.findall(r"```json\n(.*)\n```", PAGE)
    (registered(desk) / "line.jsonl").write_text(line)
    assert as_json(desk, "import", "line.jsonl")["stored"] == 1


def test_the_table_of_the_page_comes_from_the_script():
    words = [
        sys.executable,
        str(ROOT / "scripts" / "bench_sequential.py"),
        "--experiments",
        "40",
        "--users",
        "500",
    ]
    told = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    for line in told.stdout.splitlines()[2:]:
        assert f"| {line[:24].strip()} |" in PAGE


def test_a_search_on_logged_rows_starts_an_experiment_that_is_decided(desk):
    registered(desk)
    as_json(desk, "import", "outcomes.jsonl")
    search = ("reoptimize", "--model", "none", *SCRIPTED, "--set", "search.steps=2", "--seed", "4")
    found = as_json(desk, *search)
    result = found["result"]
    assert result["baseline"]["text"] == "What is it?" and result["test"]["baseline"]["n"] == 80
    assert result["verdict"] == "reliable gain" and found["challenger"]
    assert as_json(desk, "status")["experiment"]["challenger"]["prompt"] == found["challenger"]
    blocked = feedback_cli(desk, *search)
    assert blocked.returncode == 2 and "still being compared" in blocked.stderr

    with Feedback(desk / "feedback.sqlite") as feedback:
        outcomes = []
        for i in range(400):
            prompt, _ = feedback.assign(f"u{i}")
            outcomes.append(
                Outcome(prompt, i % 10 < (9 if prompt == found["challenger"] else 5), user=f"u{i}")
            )
        feedback.log(*outcomes)
    look = as_json(desk, "compare")
    assert (look["action"], look["applied"], look["champion_now"]) == ("promote", False, "v1")
    assert look["interval"][0] > 0 and look["p_better"] < 0.05 and look["users"] == 400
    assert as_json(desk, "compare", "--apply")["champion_now"] == found["challenger"]
    last = as_json(desk, "history")[-1]
    assert (
        last["automatic"] is True
        and last["action"] == "promote"
        and last["numbers"]["users"] == 400
    )
    assert as_json(desk, "compare")["action"] == "none"
    assert as_json(desk, "assign", "--user", "u1")["text"] == result["best"]["text"]


def test_the_shapes_of_the_page(desk):
    registered(desk)
    assert set(as_json(desk, "assign", "--user", "u")) == {"prompt", "text"}
    assert as_json(desk, "log", "--prompt", "v1", "--score", "1") == {"prompt": "v1", "stored": 1}
    assert set(as_json(desk, "challenge", "v2")) == {"experiment", "champion", "challenger"}
    found, look = as_json(desk, "status"), as_json(desk, "compare")
    trend = found["prompts"][0]["trend"]
    for given in (
        found,
        found["prompts"][0],
        trend,
        look,
        look["champion"],
        as_json(desk, "history")[-1],
    ):
        assert not [key for key in given if f"`{key}`" not in PAGE]
    told = {"action", "reason", "applied", "champion_now"}
    assert set(found["experiment"]) == (set(look) - told) | {
        "id",
        "share",
        "started",
        "action",
        "reason",
    }


def test_the_same_search_again_resumes_and_new_rows_make_a_new_run(desk):
    registered(desk)
    search = (
        "reoptimize",
        "--model",
        "none",
        *SCRIPTED,
        "--data",
        "fresh.csv",
        "--input",
        "text",
        "--target",
        "label",
    )
    search = (*search, "--set", "search.steps=1", "--set", "search.candidates=1")
    first = as_json(desk, *search)
    as_json(desk, "keep") if first["challenger"] else None
    again = feedback_cli(desk, *search, "--json", OPRO_FAULT="die:1")
    assert again.returncode == 0 and json.loads(again.stdout)["result"] == first["result"], (
        again.stderr
    )
    with (desk / "fresh.csv").open("a") as stream:
        stream.write("One more was good,positive\n")
    assert as_json(desk, *search)["run"] != first["run"]


def test_a_bad_line_is_reported_with_its_file_and_line(desk):
    registered(desk)
    told = feedback_cli(desk, "import", "more.jsonl")
    assert told.returncode == 2 and told.stderr.startswith(
        "opro-local: more.jsonl:2: not JSON: expecting value"
    )
    assert (
        len(told.stderr.strip().splitlines()) == 1
        and as_json(desk, "status")["prompts"][0]["n"] == 0
    )
    found = as_json(desk, "import", "more.jsonl", "--skip-bad")
    assert (found["stored"], found["skipped"]) == (1, 1) and found["errors"][0].startswith(
        "more.jsonl:2: "
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            ("log", "--prompt", "v1", "--score", "1.5"),
            2,
            "score is 1.5; accepted: a number in [0, 1]",
        ),
        (("log", "--prompt", "v1", "--score", "nan"), 2, "score is nan"),
        (("log", "--prompt", "v1", "--score", "good"), 2, "score is 'good'"),
        (
            ("log", "--prompt", "v9", "--score", "1"),
            2,
            "unknown prompt id 'v9'; registered: v1, v2",
        ),
        (("log", "--prompt", "v1", "--score", "1", "--record", "{"), 2, "not JSON"),
        (
            ("log", "--prompt", "v1", "--score", "1", "--record", '{"time": "noon"}'),
            2,
            "accepted: ISO 8601",
        ),
        (("import", "none.jsonl"), 2, "none.jsonl: no such file"),
        (("import", "."), 2, "is a directory"),
        (("challenge", "v9"), 2, "unknown prompt id"),
        (("challenge", "v2", "--share", "0"), 2, "share is 0.0; accepted: from 0.01 to 0.99"),
        (("promote",), 2, "no experiment runs"),
        (("keep",), 2, "no experiment runs"),
        (("rollback",), 2, "only champion there was"),
        (("reoptimize", "--model", "none"), 2, "0 different logged inputs carry a target"),
        (
            ("reoptimize", "--model", "none", "--data", "fresh.csv", "--set", "search.stepz=1"),
            2,
            "search.steps",
        ),
        (("status", "--feedback", "none.sqlite"), 4, "there is no feedback store here"),
        (("status", "--feedback", "."), 4, "not a file"),
        (("status", "--feedback", "fresh.csv"), 4, "not a feedback store"),
        (("register", "x", "--feedback", "fresh.csv/f"), 4, "can't make the feedback store"),
        (("register", " "), 2, "an empty prompt"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(desk, words, code, says):
    before = dump(registered(desk))
    told = feedback_cli(desk, *words)
    assert told.returncode == code, told.stderr
    assert (
        says in told.stderr
        and told.stderr.startswith("opro-local: ")
        and "Traceback" not in told.stderr
    )
    assert len(told.stderr.strip().splitlines()) == 1 and dump(desk) == before


def dump(desk: Path) -> list:
    with Feedback(desk / "feedback.sqlite", new=False) as feedback:
        return [
            feedback.rows(f"SELECT * FROM {table}")
            for table in ("prompt", "outcome", "experiment", "decision")
        ]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, tmp_path):
    told = feedback_cli(tmp_path, verb, "--help")
    assert told.returncode == 0 and f"Example: opro-local feedback {verb}" in " ".join(
        told.stdout.split()
    )
    assert "--json" in told.stdout and "--feedback" in told.stdout
