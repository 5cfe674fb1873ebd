"""The verb that scores answers which exist already: score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from opro_local.cli.visible import say

RULE_HELP = (
    "The scoring rule: auto, opro (the paper's), number, choice, exact, ..., or file.py:function."
)
KIND_HELP = "Kind of the rows that name none; for opro number, boolean, choice, text or auto."
PATTERN_HELP = "What the rule needs besides its name, such as regex's expression."


def score(
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines with target and answer, and kind and prompt for opro."),
    ],
    rule: Annotated[str, typer.Option("--rule", help=RULE_HELP)] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the rows with parsed and correct.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help=KIND_HELP)] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="The label set, with commas between.")
    ] = None,
    pattern: Annotated[str | None, typer.Option("--pattern", help=PATTERN_HELP)] = None,
    marks: Annotated[
        str | None,
        typer.Option("--marks", help="Your own words for Answer:, with commas between."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Score answers you already have.

    Example: opro-local score answers.jsonl --rule opro --output scored.jsonl
    """
    from opro_local.scoring.answers import score_file

    found = score_file(file, rule, output, kind, _listed(labels), pattern, _listed(marks))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    say(f"rule {found['rule']}: {_said(found)}")
    if len(found["by_kind"]) > 1:
        for name, part in found["by_kind"].items():
            say(f"  {name}: {_said(part)}")
    if found["unreadable_targets"]:
        say(
            f"{found['unreadable_targets']:,} targets say nothing under this rule; no answer "
            f"to them is right"
        )
    if output is not None:
        say(f"Saved in {output}")


def _listed(text: str | None) -> list[str]:
    """The names in a text with commas between."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _said(part: Mapping[str, Any]) -> str:
    low, high = (f"{100 * end:.1f}" for end in part["interval"])
    strict = (
        f", {100 * part['strict']:.1f} % counting only marked answers" if "strict" in part else ""
    )
    cut = f", {part['truncated']:,} of them unfinished thoughts" if "truncated" in part else ""
    return (
        f"{100 * part['accuracy']:.1f} % of {part['n']:,} answers are right "
        f"(95 % interval {low} to {high}){strict}, {part['extraction_failures']:,} "
        f"extraction failures{cut}"
    )
