"""The verb that scores answers which exist already: score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.visible import say, say_json

RULE_HELP = (
    "The scoring rule: auto, opro (the paper's), number, choice, exact, ..., or file.py:function."
)
KIND_HELP = "Kind of the rows that name none; for opro number, boolean, choice, text or auto."
PATTERN_HELP = "What the rule needs besides its name, such as regex's expression."
BY_HELP = (
    "Columns that divide the rows, with commas between, each group with a figure of its own: task, "
    "model, prompt and filter unless you name others; none for one figure over all rows."
)


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """How answers are scored."""

    rule: Annotated[str, typer.Option("--rule", help=RULE_HELP)] = "auto"
    kind: Annotated[str | None, typer.Option("--kind", help=KIND_HELP)] = None
    labels: Annotated[
        str | None, typer.Option("--labels", help="The label set, with commas between.")
    ] = None
    pattern: Annotated[str | None, typer.Option("--pattern", help=PATTERN_HELP)] = None
    marks: Annotated[
        str | None,
        typer.Option("--marks", help="Your own words for Answer:, with commas between."),
    ] = None


@grouped
def score(
    *,
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines with target and answer, and kind and prompt for opro."),
    ],
    asked: RuleOptions,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the rows with parsed and correct.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help=BY_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Score answers you already have.

    Example: opro-local score answers.jsonl --rule opro --output scored.jsonl
    """
    from opro_local.scoring.answers import score_file

    figures = score_file(
        file,
        asked.rule,
        output,
        asked.kind,
        _listed(asked.labels),
        asked.pattern,
        _listed(asked.marks),
        None if by is None else _listed(by),
    )
    if as_json:
        say_json(figures)
        return
    _say_figures(figures)
    if absent := figures.get("not_given_rows"):
        say(f"Answers that were not given (null) count as unread, first {', '.join(absent[:3])}")
    if output is not None:
        say(f"Saved in {output}")


def _say_figures(figures: Mapping[str, Any]) -> None:
    """One line for each part of the file that has a figure."""
    groups = figures["groups"]
    if not groups:
        _say_group(f"rule {figures['rule']}", figures, "")
        return
    columns = ", ".join(groups[0]["group"])
    say(f"{figures['n']:,} answers in {len(groups)} groups by {columns}:")
    for group in groups:
        name = ", ".join(f"{column} {value}" for column, value in group["group"].items())
        _say_group(f"  {name}: rule {group['rule']}", group, "  ")


def _say_group(title: str, figures: Mapping[str, Any], indent: str) -> None:
    say(f"{title}: {_said(figures)}")
    if len(figures["by_kind"]) > 1:
        for name, part in figures["by_kind"].items():
            say(f"{indent}  {name}: {_said(part)}")
    if figures["unreadable_targets"]:
        say(
            f"{indent}{figures['unreadable_targets']:,} targets say nothing under this rule; no "
            f"answer to them is right"
        )
    for metric, value in figures.get("recorded", {}).items():
        say(f"{indent}  recorded by lm-eval: {metric} {value:.4g}")


def _listed(text: str | None) -> list[str]:
    """The names in a text with commas between."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _said(part: Mapping[str, Any]) -> str:
    low, high = (f"{100 * end:.1f}" for end in part["interval"])
    strict = (
        f", {100 * part['strict']:.1f} % counting only marked answers" if "strict" in part else ""
    )
    cut = f", {part['truncated']:,} of them unfinished thoughts" if "truncated" in part else ""
    cut += f", {part['not_given']:,} of them not given" if "not_given" in part else ""
    return (
        f"{100 * part['accuracy']:.1f} % of {part['n']:,} answers are right "
        f"(95 % interval {low} to {high}){strict}, {part['extraction_failures']:,} "
        f"extraction failures{cut}"
    )
