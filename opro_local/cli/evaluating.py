"""The verb that scores given instructions, evaluate, and what check --headroom shares with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import ConfigOptions, RunOptions
from opro_local.cli.visible import say, say_json

if TYPE_CHECKING:
    from opro_local.config.settings import Config
    from opro_local.runs.plans.plan import Plan
    from opro_local.runs.run_result import RunResult

PromptOption = Annotated[
    list[str] | None, typer.Option("--prompt", help="An instruction. Repeatable.")
]
PromptsOption = Annotated[
    Path | None, typer.Option("--prompts", help="A file: an instruction a line, or .json.")
]
SplitOption = Annotated[
    str | None, typer.Option("--split", help="train, validation or test (default: test).")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", help="Every answer, as .jsonl or .parquet.")
]
TrustOption = Annotated[
    bool, typer.Option("--trust-code", help="Code that a run's config names may be run.")
]
CompareOption = Annotated[
    tuple[int, int] | None,
    typer.Option("--compare", help="Two prompts by number: the rows on which they differ."),
]


@grouped
def evaluate(
    *,
    asked: ConfigOptions,
    prompt: PromptOption = None,
    prompts: PromptsOption = None,
    split: SplitOption = None,
    output: OutputOption = None,
    compare: CompareOption = None,
    trust_code: TrustOption = False,
    options: RunOptions,
) -> None:
    """Score given instructions on a split, all in one batch. Without --prompt: the config's seeds.
    A run's folder in the place of a config file stands for the config of that run.

    Example: opro-local evaluate --data mails.csv --input text --target label --model
    ./Qwen2.5-7B-Instruct --prompt "Is this urgent?" --prompt "Urgent or not?" --compare 1 2
    """
    from opro_local.runs import evaluated_rows
    from opro_local.runs.prompt_file import read_prompts

    seeds = [*(prompt or ()), *(read_prompts(prompts) if prompts else ())]
    changes = [f"evaluation.split={json.dumps(split)}"] if split else []
    settings = asked.read(options.overrides(changes), trust_code)
    settings = settings.starting_from(seeds) if seeds else settings
    if output:
        evaluated_rows.check_output(output, settings, [asked.config, asked.data, prompts])
    ready, folder, result = evaluated(settings, options.run, "evaluate")
    rows = evaluated_rows.read_rows(ready.config, folder) if output or compare else []
    if output:
        evaluated_rows.write_rows(output, rows)
    flipped = evaluated_rows.find_flipped(rows, compare[0], compare[1]) if compare else None
    more = {} if flipped is None else {"flipped": flipped}
    if options.as_json:
        say_json({**result.to_json(), **more})
        return
    print_evaluation(result, folder, output)
    if flipped is not None and compare:
        _print_flipped(flipped, compare[0], compare[1])


def evaluated(settings: Config, run: Path | None, verb: str) -> tuple[Plan, Path, RunResult]:
    """Run an evaluation with progress; gives its plan, folder and result."""
    from opro_local.cli.progress import watched
    from opro_local.runs.continued import as_begun
    from opro_local.runs.naming import run_folder
    from opro_local.runs.plans.evaluation import evaluation_plan

    folder = run_folder(settings, run, verb)
    ready = evaluation_plan(as_begun(settings, folder))
    return ready, folder, watched(ready, folder)


def print_evaluation(result: RunResult, folder: Path, output: Path | None) -> None:
    from opro_local.cli.printing import print_result

    print_result(result)
    say(f"Saved in {folder}: result.json" + (f"; every answer in {output}" if output else ""))


def _print_flipped(flipped: Sequence[Mapping[str, Any]], a: int, b: int) -> None:
    gained = sum(row["b"]["correct"] > row["a"]["correct"] for row in flipped)
    say(
        f"\n{len(flipped)} rows differ: prompt {b} gains {gained} and loses {len(flipped) - gained}"
    )
    for row in flipped:
        better, worse = (b, a) if row["b"]["correct"] > row["a"]["correct"] else (a, b)
        say(f"{row['where']}: {better} right, {worse} wrong; target {row['target'][:60]!r}")
        say(f"  {row['input'][:200]!r}")
        for name, number in (("a", a), ("b", b)):
            say(f"  {number}: {row[name]['answer'].strip()[:200]!r} (read: {row[name]['parsed']})")
