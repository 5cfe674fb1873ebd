"""The verbs that make and show runs: demo, run, optimize, show, apply."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import (
    CONFIG,
    REPORT,
    JsonOption,
    ModelOption,
    ModelOptions,
    RunOptions,
    read_config,
    tables,
)
from opro_local.cli.visible import say, say_json, write
from opro_local.errors import UsageError

if TYPE_CHECKING:
    from opro_local.config.settings import Config
    from opro_local.runs.applying import Replacement

PromptOption = Annotated[
    list[str] | None, typer.Option("--prompt", help="A prompt to start from. Repeatable.")
]
RunArgument = Annotated[Path, typer.Argument(help="The run's folder.")]


@grouped
def demo(*, options: RunOptions) -> None:
    """Improve a prompt for the embedded reviews with the embedded 135M model: a real search, about
    six minutes.
    """
    from opro_local.config import reading

    package = Path(__file__).resolve().parent.parent
    files = {
        split: str(package / "data" / f"reviews_{split}.csv")
        for split in ("train", "validation", "test")
    }
    changes = [f"task.{split}={json.dumps(path)}" for split, path in files.items()]
    recipe = package / "recipes" / "demo.toml"
    _execute(reading.read(recipe, [*changes, *options.overrides()]), options)
    if not options.as_json:
        say(NEXT)


@grouped
def run(
    *,
    config: Annotated[Path, typer.Argument(help=CONFIG)],
    model: ModelOption = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="The folder with a benchmark's files.")
    ] = None,
    prompt: PromptOption = None,
    options: RunOptions,
) -> None:
    """Optimize as a config file or a recipe says. The same command again resumes.

    Example: opro-local run gsm8k --data-dir opro/data --model ./Qwen2.5-7B-Instruct
    """
    from opro_local.config.search import prompts_given

    named: dict[str, Any] = {}
    if model is not None:
        # As optimize takes it: an optimizer without a name of its own has the scorer's model.
        named |= {"scorer.model": model, "optimizer.model": ""}
    if data_dir is not None:
        named["task.data_dir"] = str(data_dir)
    if prompt:
        named["search.seeds"] = prompts_given(prompt)
    changes = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in named.items()]
    _execute(read_config(config, options.overrides(changes)), options)


@grouped
def optimize(
    *,
    data: Annotated[Path, typer.Option("--data", help="CSV, JSONL, Parquet or a datasets folder.")],
    input_: Annotated[str, typer.Option("--input", help="The column that is asked.")],
    target: Annotated[str, typer.Option("--target", help="The column with the right answer.")],
    models: ModelOptions,
    prompt: PromptOption = None,
    options: RunOptions,
) -> None:
    """Improve a prompt for your own data, without a config file. The same command again resumes.

    Example: opro-local optimize --data mails.csv --input text --target label --model
    ./Qwen2.5-7B-Instruct
    """
    from opro_local.config import reading
    from opro_local.config.search import prompts_given

    made = tables(data, input_, target, models.model) | models.optimizer_table
    if prompt:
        made["search"] = {"seeds": prompts_given(prompt)}
    _execute(reading.build(made, options.overrides()), options)


def apply(
    run: RunArgument,
    target: Annotated[
        Path | None,
        typer.Argument(help="The file to replace. Without it you are shown the change and asked."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace the file the run started from, unasked.")
    ] = False,
    suite: Annotated[
        Path | None, typer.Option("--suite", help="The run's suite, where it lies elsewhere.")
    ] = None,
) -> None:
    """Replace an agent file by its run's winner, if held-out tasks confirmed it.

    Example: opro-local apply runs/agents AGENTS.md
    """
    from opro_local.runs.applying import prepare

    replacement = prepare(run, target, suite)
    if target is None and not yes:
        _ask(run, replacement)
    replacement.make()
    say(f"{replacement.file} replaced; undo: patch --reverse -p1 < {run / 'best.diff'}")


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(run: Path, replacement: Replacement) -> None:
    """Show the change and where it goes; only a yes from a terminal lets it happen."""
    if not _can_ask():
        raise UsageError(
            f"{replacement.file} would be replaced, and nobody is here to be asked",
            f"name it: opro-local apply {run} {replacement.file}, or give --yes",
        )
    write(f"{replacement.diff}\nReplace {replacement.file}? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed: nothing was replaced")


def show(
    run: RunArgument,
    rejections: Annotated[
        bool, typer.Option("--rejections", help="Also list the rejected replies.")
    ] = False,
    trajectory: Annotated[
        bool, typer.Option("--trajectory", help="Also list every scored solution.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a run: its result if it is finished, else how far it is."""
    from opro_local.cli.printing import print_result
    from opro_local.runs.reading import describe, rejected, scored

    described = describe(run)
    if as_json:
        record = described.to_json()
        record |= {"rejected": rejected(run)} if rejections else {}
        record |= {"trajectory": scored(run)} if trajectory else {}
        say_json(record)
        return
    print_result(described)
    for row in scored(run) if trajectory else ():
        figures = f"score {row['score']:.6g}  similarity {row['similarity']:.2f}"
        shown = f"  with {', '.join(row['demonstrations'])}" if row["demonstrations"] else ""
        say(f"step {row['step']:>3}  {row['split']:10}  {figures}  {row['text']!r}{shown}")
    for row in rejected(run) if rejections else ():
        say(f"step {row['step']}: {row['reason']} | {row['text'].strip()[:100]!r}")


def _execute(config: Config, options: RunOptions) -> None:
    from opro_local.cli.printing import print_result
    from opro_local.cli.progress import watched
    from opro_local.runs.continued import as_begun
    from opro_local.runs.naming import run_folder
    from opro_local.runs.plans import make_plan

    folder = run_folder(config, options.run)
    ready = make_plan(as_begun(config, folder))
    result = watched(ready, folder, options.verbose)
    if options.as_json:
        say_json(result.to_json())
        return
    print_result(result)
    files = sorted({*ready.files(result), "result.json"})
    say(f"Saved in {folder}: {', '.join(files)}")
    page = folder / REPORT
    if page.is_file():
        say(f"An earlier report of it is {page}; opro-local report {folder} makes it anew")
    else:
        say(f"To look at it: opro-local report {folder}")


NEXT = """
Next, with your own data and model (a CSV with a header, a model folder):
  opro-local optimize --data your.csv --input COLUMN --target COLUMN --model /path/to/model --prompt "Your prompt"
"""  # noqa: E501
