"""Agent instruction files: sections byte for byte, suites, edits, scores, and replacing only what
was confirmed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from documented import commands, python, write_files
from hypothesis import given
from hypothesis import strategies as st
from running import SMOL, program, real

from opro_local.api import apply
from opro_local.config import reading
from opro_local.errors import DataError, UsageError
from opro_local.problems.agent.agent_file import AgentFileProblem, diff
from opro_local.problems.agent.sections import rewrite, sections
from opro_local.problems.agent.suite import read_suite, read_text
from opro_local.report.gathering import gather
from opro_local.report.page import page
from opro_local.runs.plans import make_plan
from opro_local.runs.run import run
from opro_local.runs.store import open_store
from opro_local.search.metaprompts import metaprompt
from opro_local.types import Batch, BatchResult, Completion, Prompt, Sampling, Solution

AGENTS = (
    "---\ntitle: rules\n# not: a heading\n---\nRead this first.\n\n"
    "# Build\n\nRun make.\n\n```sh\n# not a heading\nmake\n```\n\n## Style  ##\nBe brief.\n\n"
    "Tests\n-----\n\n- run them\n  # inside a list\n\n# Empty\n# Last\nNo newline at the end"
)
FRAGMENTS = (
    *(
        "# A\n",
        "## B\r\n",
        "```\n# no\n```\n",
        "text\n",
        "\n",
        "\r\n",
        "\r",
        "Set\n===\n",
        "- li\n  # x\n",
        "> # q\n",
    ),
    *(
        "<div>\n",
        "</div>\n",
        "    code\n",
        "~~~\n",
        "---\n",
        "---",
        "...\n",
        "[a]: b\n",
        "\ufeff",
        "\x0b",
        "\u2028",
    ),
    *("end", "`", "* * *\n", "\t", "a\\\n", "<!--", "-->\n", "\x00", "#", " "),
)
DOCUMENTS = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)


def test_sections_are_what_commonmark_calls_headings():
    found = [(s.title, s.level, AGENTS[s.start : s.end]) for s in sections(AGENTS)]
    assert found == [
        ("", 0, "Read this first."),
        ("Build", 1, "Run make.\n\n```sh\n# not a heading\nmake\n```"),
        ("Style", 2, "Be brief."),
        ("Tests", 2, "- run them\n  # inside a list"),
        ("Empty", 1, ""),
        ("Last", 1, "No newline at the end"),
    ]


def test_a_rewritten_section_leaves_every_other_byte():
    assert rewrite(AGENTS, 2, "\nBe very brief.\n") == AGENTS.replace("Be brief.", "Be very brief.")
    assert rewrite(AGENTS, 5, "Done") == AGENTS.replace("No newline at the end", "Done")
    windows = "# A\r\none\r\n\r\n# B\r\ntwo"
    assert rewrite(windows, 0, "1\n2") == "# A\r\n1\r\n2\r\n\r\n# B\r\ntwo"


@pytest.mark.parametrize(
    "body",
    ["", " \n", "# Another", "text\n\n## Another\n", "```\nnever closed", "<!-- open", "x\n==="],
)
def test_a_body_that_would_change_other_sections_is_refused(body):
    assert rewrite(AGENTS, 2, body) is None


@given(DOCUMENTS, DOCUMENTS, st.integers(0, 9))
def test_no_rewrite_touches_a_byte_outside_its_section(document, body, number):
    listed = sections(document)
    if not listed:
        return
    chosen = listed[number % len(listed)]
    changed = rewrite(document, number % len(listed), body)
    if changed is not None:
        assert changed.startswith(document[: chosen.start]) and changed.endswith(
            document[chosen.end :]
        )
        assert [(s.title, s.level) for s in sections(changed)] == [
            (s.title, s.level) for s in listed
        ]


@given(DOCUMENTS)
def test_sections_do_not_overlap_and_cover_all_text_but_headings(document):
    listed = sections(document)
    assert all(a.end <= b.start for a, b in pairwise(listed))
    assert all(document[s.start : s.end] == document[s.start : s.end].strip() for s in listed)


PROMPT_TASKS = "\n".join(
    f'[[task]]\nname = "t{n}"\nsplit = "{split}"\nprompt = "Say {word}"\nrule = "contains"\ntarget = "{word}"'
    for n, (split, word) in enumerate(
        [
            ("train", "red"),
            ("train", "blue"),
            ("validation", "green"),
            ("test", "pink"),
            ("test", "gold"),
            ("test", "grey"),
        ]
    )
)


def desk(
    folder: Path, suite: str = PROMPT_TASKS, file: str = AGENTS, name: str = "suite.toml", **problem
) -> dict:
    (folder / "AGENTS.md").write_bytes(file.encode())
    (folder / name).write_text(suite)
    script = folder / "models.py"
    if not script.exists():
        script.write_text(MODELS)
    scripted = {"engine": "scripted", "script": f"{script}:answer"}
    return {
        "problem": {
            "kind": "agent_file",
            "file": str(folder / "AGENTS.md"),
            "suite": str(folder / name),
            **problem,
        },
        "optimizer": scripted,
        "scorer": scripted,
        "search": {"steps": 3, "candidates": 2},
    }


# The agent says what it is told only if its file says "obey"; the optimizer adds a word that
# depends on the seed.
MODELS = """
def answer(request):
    if request.sampling.seed is not None:
        word = ("obey", "rest", "sing")[request.sampling.seed % 3]
        return f"Please {word} number {request.sampling.seed % 7}."
    return request.prompt.text if "obey" in (request.prompt.system or "") else "no"
"""


def read(folder: Path, text: str, name: str = "suite.toml"):
    (folder / name).write_text(text)
    return read_suite(folder / name, (0.4, 0.2, 0.4), 0)


@pytest.mark.parametrize(
    ("suite", "says"),
    [
        ("", "suite.toml: no tasks"),
        ("[[task]]\n", "suite.toml: task 1: neither a command nor a prompt"),
        (
            '[[task]]\ncommand = ["x"]\nprompt = "y"\ntarget = "z"',
            "task 1: both a command and a prompt",
        ),
        ('[[task]]\ncomand = ["x"]', "task 1: unknown key 'comand'; did you mean command?"),
        ('tasks = 1\n[[task]]\ncommand = ["x"]', "unknown key 'tasks'; did you mean task?"),
        ('task = "x"', "task is no array of tables"),
        ('[[task]]\nprompt = "y"', "task 1: no target"),
        (
            '[[task]]\nprompt = "y"\ntarget = "z"\nrule = "same"',
            "task 1: unknown scoring rule 'same'; accepted: ",
        ),
        (
            '[[task]]\nprompt = "y"\ntarget = "z"\nrule = "regex"\npattern = "("',
            "is no regular expression",
        ),
        (
            '[[task]]\nprompt = "y"\ntarget = "many"\nrule = "number"',
            "task 1: the target 'many' fails its own rule number",
        ),
        ('[[task]]\nprompt = "y"\nrule = "check.py:f"', "task 1: "),
        ('[[task]]\ncommand = ["x"]\ntarget = "z"', "task 1: target means nothing to a command"),
        (
            '[[task]]\ncommand = ["x"]\nworkspace = "nowhere"',
            "task 1: there is no folder 'nowhere'",
        ),
        (
            '[[task]]\ncommand = ["x"]\nplace = "../x"',
            "task 1: place '../x' is not inside the workspace",
        ),
        ('[[task]]\ncommand = ["x"]\ntimeout = "soon"', "task 1: timeout: "),
        ('[[task]]\ncommand = ["x"]\nsplit = "dev"', "task 1: split: "),
        (
            '[[task]]\nname = "a"\ncommand = ["x"]\n[[task]]\nname = "a"\ncommand = ["y"]',
            "task 2: the name 'a' is ",
        ),
        ('[[task]]\ncommand = ["x"]\nsplit = "test"', "no task has the split train"),
        (
            '[[task]]\ncommand = ["x"]\nsplit = "train"\n[[task]]\ncommand = ["y"]',
            "task 2: no split, but other tasks",
        ),
        ('[[task]]\ncommand = ["x"]', "are too few for the split"),
        ("[[task", "suite.toml: not TOML"),
    ],
)
def test_suites_that_are_wrong_say_where_and_what(tmp_path, suite, says):
    with pytest.raises(DataError, match=r"^[^\n]*$") as caught:
        read(tmp_path, suite)
    assert says in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [("{", ":2: not JSON"), ("[]", ":2: not a JSON object"), ('{"prompt": "x"}', ":2: no target")],
)
def test_jsonl_suites_name_the_line(tmp_path, line, says):
    with pytest.raises(DataError) as caught:
        read(tmp_path, '{"command": ["true"], "split": "train"}\n' + line, "suite.jsonl")
    assert says in str(caught.value)


def test_suites_are_read_with_defaults_and_divided(tmp_path):
    tasks = "".join(f'[[task]]\nprompt = "p{n}"\ntarget = {n}\n' for n in range(10))
    suite = read(
        tmp_path, f'rule = "number"\nmax_tokens = 9\n{tasks}[[task]]\ncommand = ["true"]\n'
    )
    assert {split: len(own) for split, own in suite.items()} == {
        "train": 4,
        "validation": 3,
        "test": 4,
    }
    every = [task for own in suite.values() for task in own]
    assert len({task.name for task in every}) == 11 and {t.rule.name for t in every if t.rule} == {
        "number"
    }
    assert read(tmp_path, json.dumps({"command": ["true"], "split": "train"}), "s.jsonl")["train"][
        0
    ].command == ("true",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"fine\nb\xe4d\n", "AGENTS.md:2: not UTF-8 (byte 0xe4)"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (None, "can't be read"),
    ],
)
def test_files_that_can_not_be_used(tmp_path, data, says):
    config = reading.build(desk(tmp_path))
    (tmp_path / "AGENTS.md").unlink()
    if data is not None:
        (tmp_path / "AGENTS.md").write_bytes(data)
    with pytest.raises(DataError, match=r"^[^\n]*$") as caught:
        make_plan(config)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (
            {"edit": "section", "sections": ["Stile"]},
            "the file has no section 'Stile'; its sections: Build, Style",
        ),
        ({"max_characters": 100}, "problem.max_characters is 100"),
        ({"agent": ["my-agent", "{file}"]}, "problem.agent has no {prompt}"),
        ({"agent": ["no-such-agent", "{prompt}"]}, "there is no program 'no-such-agent'"),
        ({"split": [0, 0.5, 0.5]}, "problem.split: "),
    ],
)
def test_settings_that_are_wrong(tmp_path, problem, says):
    with pytest.raises(UsageError) as caught:
        make_plan(reading.build(desk(tmp_path, **problem)))
    assert says in str(caught.value)


def problem_of(tmp_path, form="agent_section", **settings) -> AgentFileProblem:
    config = reading.build(desk(tmp_path, **settings))
    suite = read_suite(tmp_path / "suite.toml", (1, 0, 0), 0)
    return AgentFileProblem(AGENTS, suite, config.problem, config.search, metaprompt.load(form))


def answered(asks, *texts: str) -> tuple[Batch, object]:
    """Send a generator its one reply; gives its batch and what it returns."""
    batch = next(asks)
    with pytest.raises(StopIteration) as end:
        asks.send(BatchResult([Completion(text, "stop", 1, 0, 1) for text in texts], 0.0))
    return batch, end.value.value


def test_sections_take_turns_and_each_shows_its_own_versions(tmp_path):
    problem = problem_of(tmp_path, edit="section", sections=["Style", "Last"])
    seed = problem.seeds()
    answered(problem.evaluate(seed, "train", "0/train"), "Red", "no")
    batch, _ = answered(problem.ask_optimizer("1/propose", Prompt("unused"), [Sampling(9)]), "x")
    shown = batch.requests[0].prompt.text
    assert "The section: Style" in shown and "<SECTION>\nBe brief.\n</SECTION>\nscore: 50" in shown
    assert "Task:\nSay blue" in shown and "Say red" not in shown and "# Build\n## Style" in shown
    solution = problem.parse("## Style\nBe kind.")
    assert solution == Solution(AGENTS.replace("Be brief.", "Be kind."))
    answered(problem.evaluate([solution], "train", "1/train"), "red", "blue")
    batch, _ = answered(problem.ask_optimizer("2/propose", Prompt("unused"), [Sampling(9)]), "x")
    assert (
        "The section: Last" in batch.requests[0].prompt.text
        and "score: 100" in batch.requests[0].prompt.text
    )
    better = problem.parse("End.")  # in the best file so far
    assert better == Solution(solution.text.replace("No newline at the end", "End."))
    batch, _ = answered(problem.ask_optimizer("3/propose", Prompt("unused"), [Sampling(9)]), "x")
    shown = batch.requests[0].prompt.text
    assert shown.index("Be brief.\n</SECTION>\nscore: 50") < shown.index(
        "Be kind.\n</SECTION>\nscore: 100"
    )
    assert problem.parse("# A heading of its own").startswith("structure: ")


def test_a_whole_file_keeps_line_endings_and_limits(tmp_path):
    windows = AGENTS.replace("\n", "\r\n")
    config = reading.build(desk(tmp_path, max_growth=1.0))
    suite = read_suite(tmp_path / "suite.toml", (1, 0, 0), 0)
    form = metaprompt.load("agent_file")
    problem = AgentFileProblem(windows + "\r\n", suite, config.problem, config.search, form)
    assert problem.parse("# New\ntext\n") == Solution("# New\r\ntext\r\n")
    assert problem.parse("x" * 400).startswith("too long: the file would have ")
    assert problem.parse(" ") == "empty" and problem.parse("\ud800").startswith("not text: ")


def test_all_files_and_tasks_go_in_one_batch_per_role(tmp_path):
    suite = PROMPT_TASKS + '\n[[task]]\nname = "c"\nsplit = "train"\ncommand = ["true"]\n'
    problem = problem_of(tmp_path, suite=suite)
    asks = problem.evaluate([Solution("one"), Solution("two")], "train", "4/train")
    first = next(asks)
    assert (first.label, first.role) == ("4/train", "scorer")
    assert [(r.prompt.system, r.prompt.text) for r in first.requests] == [
        ("one", "Say red"), ("one", "Say blue"), ("two", "Say red"), ("two", "Say blue")
    ]  # fmt: skip
    second = asks.send(
        BatchResult([Completion(t, "stop", 3, 0, 1) for t in ("Red!", "", "blue", "blue")], 0.0)
    )
    assert (second.label, second.role) == ("4/train/programs", "program")
    assert [(r.prompt.system, r.prompt.text) for r in second.requests] == [
        ("c", "one"),
        ("c", "two"),
    ]
    ran = [json.dumps({"exit": code, "ended": ended}) for code, ended in ((0, ""), (None, "time"))]
    with pytest.raises(StopIteration) as end:
        asks.send(BatchResult([Completion(text, "stop", 0, 0, 0) for text in ran], 0.0))
    one, two = end.value.value
    assert one.values.tolist() == [1, 0, 1] and (one.failures, one.tokens) == (1, 8)
    assert two.values.tolist() == [0, 1, 0] and two.failures == 1


def test_a_run_finds_the_better_file_shows_the_difference_and_resumes(tmp_path):
    tables = desk(tmp_path, edit="section", sections=["Style"])
    once = run(reading.build(tables), tmp_path / "once")
    assert once["train"]["baseline"]["accuracy"] == 0 and once["test"]["best"]["accuracy"] == 1
    assert (
        "obey" in once["best"]["text"]
        and (tmp_path / "once" / "best.txt").read_text() == once["best"]["text"]
    )
    assert (
        once["diff"].startswith("--- a/AGENTS.md\n+++ b/AGENTS.md\n@@ ")
        and "-Be brief.\n+Please obey" in once["diff"]
    )
    assert (tmp_path / "AGENTS.md").read_bytes() == AGENTS.encode()
    tables["search"]["steps"] = 1
    run(reading.build(tables), tmp_path / "twice")
    tables["search"]["steps"] = 3
    assert run(reading.build(tables), tmp_path / "twice")["best"] == once["best"]
    (tmp_path / "AGENTS.md").write_text(AGENTS + ".")
    with pytest.raises(UsageError, match="file changed"):
        run(reading.build(tables), tmp_path / "once")


def test_the_report_of_a_run_shows_the_change_to_the_file(tmp_path):
    tables = desk(tmp_path, edit="section", sections=["Style"])
    result = run(reading.build(tables), tmp_path / "run")
    contents = gather(tmp_path / "run")
    html = page(contents)
    assert contents.kind == "agent_file" and "<h3>Change to the file</h3>" in html
    assert "<del>-Be brief.</del>" in html and "<ins>+Please obey" in html
    assert "--- a/AGENTS.md" in html and "<ins>+++" not in html
    assert result["digest"] in html and result["verdict"] in html


CHECK = """
import os, pathlib, sys
text = pathlib.Path(sys.argv[1]).read_text()
assert pathlib.Path("notes.txt").read_text() == "kept", "the workspace is not fresh"
assert not list(pathlib.Path().rglob("run.sqlite")), "the run was copied"
pathlib.Path("notes.txt").write_text("spoiled")
assert os.path.samefile(sys.argv[1], "docs/RULES.md") and os.getcwd() == os.environ["OPRO_LOCAL_WORKSPACE"]
sys.exit("obey" not in text)
"""


def test_commands_work_in_a_fresh_copy_of_the_workspace(tmp_path):
    (tmp_path / "repo" / "docs").mkdir(parents=True)
    (tmp_path / "repo" / "notes.txt").write_text("kept")
    (tmp_path / "repo" / "docs" / "RULES.md").symlink_to(
        tmp_path / "AGENTS.md"
    )  # must not be written through
    (tmp_path / "check.py").write_text(CHECK)
    rows = "".join(
        f'[[task]]\nsplit = "{split}"\ncommand = ["{sys.executable}", "{tmp_path}/check.py", "{{file}}", "{n}"]\n'
        for n, split in enumerate(("train", "train", "test"))
    )
    tables = desk(tmp_path, suite=f'workspace = "repo"\nplace = "docs/RULES.md"\n{rows}')
    folder = (
        tmp_path / "repo" / "runs" / "own"
    )  # a run in its own workspace is neither copied nor a change of it
    run(reading.build({**tables, "search": {"steps": 1, "candidates": 2}}), folder)
    found = run(reading.build(tables), folder)
    assert found["train"]["baseline"]["accuracy"] == 0 and found["test"]["best"]["accuracy"] == 1
    assert found["calls"]["scorer"] == 0 and found["calls"]["program"] >= 3
    assert (tmp_path / "repo" / "notes.txt").read_text() == "kept"
    assert (tmp_path / "AGENTS.md").read_bytes() == AGENTS.encode()
    (tmp_path / "repo" / "notes.txt").write_text("other")
    with pytest.raises(UsageError, match="workspace repo changed"):
        run(reading.build(tables), folder)


def test_any_command_can_be_the_agent(tmp_path):
    agent = (
        "import sys; rules = open(sys.argv[1]).read(); print(sys.argv[2] if 'obey' in rules "
        "else 'no')"
    )
    (tmp_path / "agent.py").write_text(agent)
    tables = desk(
        tmp_path, agent=[sys.executable, str(tmp_path / "agent.py"), "{file}", "{prompt}"]
    )
    tables["scorer"] = {}
    (tmp_path / "suite.toml").write_text(PROMPT_TASKS.replace("Say red", "Say red, not {file}"))
    found = run(reading.build(tables), tmp_path / "run")
    assert found["train"]["best"]["accuracy"] == 1 and found["calls"]["scorer"] == 0


@given(DOCUMENTS, DOCUMENTS)
def test_a_diff_is_what_patch_reads(before, after):
    whole = diff(before, after, "AGENTS.md")
    added = [line[1:] for line in whole.split("\n")[2:] if line.startswith("+")]
    assert (whole == "") == (before == after) and all(line in after for line in added)


def test_the_difference_turns_one_file_into_the_other(tmp_path):
    pairs = [
        (AGENTS, AGENTS.replace("brief", "kind")),
        ("a\r\nb", "a\r\nc"),
        ("a\n", "a"),
        ("a", "b\n"),
        ("x\x0by\n", "z\n"),
    ]
    for before, after in pairs:
        (tmp_path / "AGENTS.md").write_bytes(before.encode())
        (tmp_path / "best.diff").write_bytes(diff(before, after, "AGENTS.md").encode())
        done = subprocess.run(
            ["git", "apply", "best.diff"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0 and (tmp_path / "AGENTS.md").read_bytes() == after.encode(), (
            done.stderr
        )


def test_only_a_confirmed_gain_is_applied(tmp_path):
    tables = desk(tmp_path)
    folder, file = tmp_path / "run", tmp_path / "AGENTS.md"
    found = run(reading.build(tables), folder)
    assert found["verdict"] == "no reliable gain"  # three test tasks can't tell
    with pytest.raises(UsageError, match="nothing is replaced"):
        apply(folder, file)
    assert file.read_bytes() == AGENTS.encode()
    tests = "".join(
        f'\n[[task]]\nprompt = "Say w{n}"\nsplit = "test"\ntarget = "w{n}"' for n in range(9)
    )
    confirmed = run(reading.build(desk(tmp_path, suite=PROMPT_TASKS + tests)), tmp_path / "more")
    assert confirmed["verdict"] == "reliable gain"
    file.write_text("edited meanwhile")
    with pytest.raises(UsageError, match="changed since the run started"):
        apply(tmp_path / "more", file)
    file.write_bytes(AGENTS.encode())
    file.chmod(0o640)
    assert apply(tmp_path / "more", file) == file
    assert file.read_text() == confirmed["best"]["text"] and file.stat().st_mode & 0o777 == 0o640
    with (
        open_store(tmp_path / "other").folder.joinpath("x").open("w"),
        pytest.raises(UsageError, match="not a run of an"),
    ):
        apply(tmp_path / "other", file)


def test_text_is_read_to_the_byte(tmp_path):
    (tmp_path / "a.md").write_bytes("\ufeffa\r\nb\rc\u2028".encode())
    assert read_text(tmp_path / "a.md") == "\ufeffa\r\nb\rc\u2028"


REAL_TASKS = "\n".join(
    f'{{"prompt": "{question}", "target": "{target}", "rule": "contains", "split": "{split}", "max_tokens": 16}}'
    for split, question, target in [
        ("train", "What is the capital of France?", "Paris"),
        ("train", "What color is the sky on a clear day?", "blue"),
        ("validation", "How many legs does a dog have?", "four"),
        ("validation", "What is the opposite of hot?", "cold"),
        ("test", "What do bees make?", "honey"),
        ("test", "What is frozen water called?", "ice"),
    ]
)


@pytest.mark.real
def test_a_real_model_is_agent_and_optimizer(tmp_path):
    real("transformers")
    file = "# Role\nYou are a poet who speaks in riddles.\n\n# Answers\nNever be direct.\n"
    tables = desk(tmp_path, suite=REAL_TASKS, file=file, name="suite.jsonl", edit="section")
    model = {"model": str(SMOL), "engine": "transformers"}
    tables |= {
        "scorer": model,
        "optimizer": {**model, "max_tokens": 24},
        "search": {"steps": 2, "candidates": 3},
    }
    once = run(reading.build(tables), tmp_path / "once")
    tables["search"] = {"steps": 1, "candidates": 3}
    run(reading.build(tables), tmp_path / "twice")
    tables["search"] = {"steps": 2, "candidates": 3}
    twice = run(reading.build(tables), tmp_path / "twice")
    assert (
        twice["best"] == once["best"] and once["solutions"] > 1 and once["test"]["best"]["n"] == 2
    )


def test_the_page_does_what_it_says(tmp_path, monkeypatch):
    text = write_files("agent-files.md", tmp_path)
    (tmp_path / "models.py").write_text(MODELS)
    scripted = [
        part
        for role in ("optimizer", "scorer")
        for part in (
            "--set",
            f'{role}.engine="scripted"',
            "--set",
            f"{role}.script=models.py:answer",
        )
    ]
    for words in commands(text):
        told = program(*words, *(scripted if words[0] == "run" else ()), cwd=tmp_path)
        assert told.returncode == 0, told.stderr
    assert (tmp_path / "runs" / "agents" / "best.diff").exists()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="nothing is replaced"):
        exec(compile(python(text)[0], "agent-files.md", "exec"), {})


@pytest.mark.parametrize("name", ["command", "agent_file"])
def test_the_recipes_are_configs(name):
    package = Path(reading.__file__).parents[1]
    assert reading.read(package / "recipes" / f"{name}.toml").problem.kind == name


def test_a_changed_rule_of_a_suite_makes_another_run(tmp_path):
    from opro_local.runs.plans.agent_file import agent_identity

    (tmp_path / "rule.py").write_text("def score(answer, target, columns):\n    return 1.0\n")
    tasks = "".join(
        f'[[task]]\nprompt = "p{n}"\ntarget = "t"\nrule = "rule.py:score"\n' for n in range(4)
    )
    (tmp_path / "suite.toml").write_text(f"\ufeff{tasks}", "utf-8")
    (tmp_path / "AGENTS.md").write_text(AGENTS)

    def identity():
        suite = read_suite(tmp_path / "suite.toml", (0.5, 0.25, 0.25), 0)
        return agent_identity(tmp_path / "AGENTS.md", tmp_path / "suite.toml", {}, suite)

    before = identity()
    (tmp_path / "rule.py").write_text("def score(answer, target, columns):\n    return 0.0\n")
    assert {name for name, digest in identity().items() if digest != before[name]} == {
        "rule rule.py"
    }
