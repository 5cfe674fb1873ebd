"""Every command and every Python block of the README and of docs/, run as printed.

Models are a script (tests/desk.py) and all runs have one step; everything else is as on the page:
the verbs, their options, the files that the page names, the order. What is not run is in NOT_RUN
and ELSEWHERE, with the reason.
"""

from __future__ import annotations

import re
import shlex
import sys
import types
from pathlib import Path

import desk
import pytest
import typer
from documented import BLOCK, NAMED
from running import ROOT, SMOL, embedded_model
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading

PAGES = {
    str(file.relative_to(ROOT)): file.read_text("utf-8")
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
SHELL = ("sh", "bash", "console")
# Commands that are no `opro-local`: how they begin, and why they are not run here.
NOT_RUN = {
    "scripts/": "the two commands; test_readme.py runs demo.sh",
    "pip ": "installs",
    "source .venv/bin/activate": "the shell's own",
    "python scripts/": "a benchmark, up to hours; its file and its options are looked for",
    "lm_eval ": "another program; tests/exports/test_formats.py builds what it asks",
    "sh bundle-pieces/install.sh": "installs; tests/bundle/test_air_gap_page.py",
    "python3 bundle/verify.py": "of a bundle; tests/bundle/test_air_gap_page.py",
    "opro/opro-local ": "what was installed; tests/bundle/test_air_gap_page.py",
    "docker ": "another program; tests/scripts/test_image.py runs what it can of the image",
    "vllm ": "another program, on several GPUs",
    "mlflow ui": "another program, a server",
    "TRACKIO_DIR=": "another program, a server",
}
# Pages whose blocks need more than a desk: the test that runs them.
ELSEWHERE = {
    "docs/paper.md": "tests/recipes/test_recipes.py",  # days on a GPU; what it plans is compared
    "docs/agent-files.md": "tests/problems/test_agent_file.py",
    "docs/air-gap.md": "tests/bundle/test_air_gap_page.py",
    "docs/feedback.md": "tests/e2e/test_feedback_cli.py",
    "docs/python.md": "tests/test_from_python.py",
    "docs/tracking.md": "tests/tracking/test_trackers.py",  # packages of extras
    "docs/slurm.md": "tests/sweeps/test_slurm.py",
    "docs/ray.md": "tests/sweeps/test_ray.py",
    "docs/plugins.md": "tests/plugins/test_gepa_plugin.py",
}
# Models that the pages name and that are not here: one that is takes their place.
STANDS_IN = {"qwen2.5-7b-instruct": str(SMOL), "llama-3.1-8b-instruct": str(SMOL)}
# Modules that a page's Python imports, where they are not installed.
FOREIGN = ("openai", "mlflow", "dspy")


def shell_lines(text: str) -> list[str]:
    """The commands of a page, each whole on one line, without prompts and comments."""
    blocks = [block for named, kind, block in BLOCK.findall(text) if kind in SHELL and not named]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [desk.without_comment(line.removeprefix("$ ")) for line in lines if line.strip()]


def python_blocks(text: str) -> list[str]:
    return [block for named, kind, block in BLOCK.findall(text) if kind == "python" and not named]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, no_users_cache):
    """The desk, with the run of the README finished on it."""
    place = desk.furnish(tmp_path_factory.mktemp("desk"))
    with desk.scripted_models(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("NO_COLOR", "1")
        (command,) = [line for line in shell_lines(PAGES["README.md"]) if " optimize " in line]
        run(command)
        yield place


def run(command: str) -> str:
    """Run one `opro-local` line in this process; gives what it printed."""
    words = [STANDS_IN.get(word, word) for word in shlex.split(command)[1:]]
    with pytest.MonkeyPatch.context() as patch:
        if words[:2] == ["models", "plan"]:
            embedded_model()
            patch.setattr(reading, "build", desk.BUILD)  # a plan is for engines that load models
        came = CliRunner().invoke(app, words)
    assert came.exit_code == 0, f"{command}\n{came.output}\n{came.exception!r}"
    return came.output


def runnable(line: str) -> bool:
    return line.startswith("opro-local ")


@pytest.mark.parametrize("page", [page for page in PAGES if shell_lines(PAGES[page])])
def test_every_command_works_as_printed(page, folder):
    for name, content in NAMED.findall(PAGES[page]):
        (folder / name).write_text(content)
    for line in shell_lines(PAGES[page]):
        if runnable(line) and page not in ELSEWHERE:
            run(line)


def is_excused(line: str) -> bool:
    return any(line.startswith(beginning) for beginning in NOT_RUN)


def test_what_is_not_run_is_excused_by_name():
    lines = [line for text in PAGES.values() for line in shell_lines(text)]
    others = [line for line in lines if not runnable(line)]
    assert [line for line in others if not is_excused(line)] == []
    for beginning in NOT_RUN:
        assert any(line.startswith(beginning) for line in others), f"nobody needs {beginning!r}"
    assert len(lines) - len(others) > 50


@pytest.mark.parametrize("page", ELSEWHERE)
def test_what_another_test_runs_is_named_there(page):
    assert Path(page).name in (ROOT / ELSEWHERE[page]).read_text("utf-8")


def test_the_scripts_that_pages_name_are_there_with_their_options():
    for text in PAGES.values():
        for script, rest in re.findall(r"(?<!/)\b(scripts/\w+\.(?:py|sh))([^`\n]*)", text):
            source = (ROOT / script).read_text("utf-8")
            for option in re.findall(r"--[a-z-]+", rest) if script.endswith(".py") else []:
                assert f'"{option}"' in source, f"{script} {option}"


def stand_ins(patch: pytest.MonkeyPatch) -> list:
    """Modules in place of those that pages import from elsewhere; gives what they were asked."""
    asked: list = []

    def note(*words, **named):
        asked.append((words, named))

    chat = types.SimpleNamespace(completions=types.SimpleNamespace(create=note))
    genai = types.SimpleNamespace(register_prompt=note)
    found = {
        "openai": {"OpenAI": lambda **_: types.SimpleNamespace(chat=chat)},
        "mlflow": {"genai": genai},
        "dspy": {"Predict": lambda _: types.SimpleNamespace(load=note)},
    }
    for name in FOREIGN:
        module = types.ModuleType(name)
        vars(module).update(found[name])
        patch.setitem(sys.modules, name, module)
    return asked


@pytest.mark.parametrize(
    "page", [page for page in PAGES if python_blocks(PAGES[page]) and page not in ELSEWHERE]
)
def test_every_python_block_works_as_printed(page, folder, monkeypatch, capsys):
    asked = stand_ins(monkeypatch)
    for name in ("openai", "mlflow", "dspy"):
        run(f"opro-local export runs/mails --format {name} --output {name}.json")
    run("opro-local export runs/mails --format openai --output prompt.json")
    for name, content in NAMED.findall(PAGES[page]):
        (folder / name).write_text(content)
    for number, block in enumerate(python_blocks(PAGES[page]), start=1):
        exec(compile(block, f"{page}, block {number}", "exec"), {})
    if page == "docs/exports.md":
        request = asked[0][1]
        assert "Please call me back." in request["messages"][-1]["content"]


def verbs(command: typer.main.click.Command) -> dict:
    return getattr(command, "commands", {})


def test_every_command_within_a_line_is_one():
    """Verbs and options of `opro-local ...` in running text."""
    top = typer.main.get_command(app)
    for page, text in PAGES.items():
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for code in re.findall(r"`opro-local ([^`\n]+)`", prose):
            command = top
            words = code.split()
            while words and words[0] in verbs(command):
                command = verbs(command)[words.pop(0)]
            params = command.params
            known = {option for one in params for option in (*one.opts, *one.secondary_opts)}
            used = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert command is not top or used <= known, f"{page}: {code}"
            assert used <= known, f"{page}: {code}: {used - known}"


def test_every_toml_block_is_a_config():
    for page, text in PAGES.items():
        for named, kind, block in BLOCK.findall(text):
            if kind != "toml" or named:
                continue
            tables = reading.tomllib.loads(block)
            if set(tables) <= set(reading.SECTIONS) | {"models"}:
                assert desk.BUILD(tables), page
