"""A result on the terminal: a small table, the best solution and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from opro_local.runs.result import level


def print_result(result: Mapping[str, Any]) -> None:
    """Print a result (docs/result.md), or that of an evaluation (docs/evaluate.md), to stdout."""
    console = Console(highlight=False, soft_wrap=True)
    if result.get("kind") == "evaluation":
        console.print(_evaluation_heading(result), markup=False)
        console.print(_prompts_table(result))
        for prompt in result["prompts"]:
            console.print(f"{prompt['prompt']}: {prompt['text']!r}{examples(prompt)}", markup=False)
        if shown := _telling(result["pairs"], result.get("alpha", 0.05)):
            console.print(_pairs_table(shown, level(result)))
    else:
        console.print(_heading(result), markup=False)
        console.print(f"Baseline: {_short(result['baseline']['text'])!r}", markup=False)
        best = result["best"]
        console.print(
            f"Best:     {_short(best['text'])!r}{examples(best)}", markup=False, style="bold"
        )
        for row in best.get("demonstrations", ()):
            if isinstance(row, dict):
                console.print(
                    f"          {_short(row['input'], 60)!r} -> {_short(row['answer'], 40)!r}",
                    markup=False,
                )
        if "description" in result:
            console.print(
                f"The task, as the optimizer reads it: {result['description']}", markup=False
            )
            console.print("  (if that is wrong, say it in task.description)", markup=False)
        console.print(_table(result))
        if "ways" in result:
            console.print(_ways_table(result["ways"]))
    for line in result.get("summary", ()):
        console.print(line, markup=False)


def examples(found: Mapping[str, Any]) -> str:
    """ ", with 4 worked examples" where there are some."""
    count = len(found.get("demonstrations", ()))
    return f", with {worked_examples(count)}" if count else ""


def worked_examples(count: int) -> str:
    """ "4 worked examples"."""
    return f"{count} worked example{'s' * (count > 1)}"


def _ways_table(ways: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("proposed by", "proposals", "usable", "scored", "mean gain", "best on train"):
        table.add_column(name, justify="left" if name == "proposed by" else "right")
    for way, own in sorted(ways.items(), key=lambda pair: -(pair[1]["best"] or 0)):
        gain = "" if own["mean_gain"] is None else f"{100 * own['mean_gain']:+.1f}"
        best = "" if own["best"] is None else f"{100 * own['best']:.1f} %"
        counts = (
            str(own.get(name, "")) for name in ("proposed", "usable", "scored")
        )  # older runs have no "scored"
        table.add_row(way, *counts, gain, best)
    return table


def _short(text: str, most: int = 500) -> str:
    """The text, or its beginning: an agent file is no line to print."""
    return text if len(text) <= most else text[:most] + " ..."


def _evaluation_heading(result: Mapping[str, Any]) -> str:
    return (
        f"{result['name']}: {len(result['prompts'])} prompts on {result['prompts'][0]['n']} "
        f"{result['split']} rows, "
        f"rule {result['rule']}; {_costs(result)}"
    )


def _costs(result: Mapping[str, Any]) -> str:
    calls, tokens = result["calls"], result["tokens"]
    made = " and ".join(f"{count} {role}" for role, count in calls.items() if count) or "no"
    kept = result.get("from_cache", {}).get("completions", 0)
    cached = f", {kept:,} answers from the cache" if kept else ""
    return (
        f"{made} calls{cached}; {tokens['prompt']:,} prompt tokens ({tokens['cached']:,} cached), "
        f"{tokens['completion']:,} written; {result['seconds']:.0f} s"
    )


def _prompts_table(result: Mapping[str, Any]) -> Table:
    beside = [name for name in ("strict", "agreement") if name in result["prompts"][0]]
    table = Table(box=None, pad_edge=False)
    for name in (
        "",
        "accuracy",
        level(result),
        *beside,
        "extraction failures",
        "truncated",
        "tokens",
    ):
        table.add_column(name, justify="right")
    for prompt in result["prompts"]:
        table.add_row(
            str(prompt["prompt"]),
            *_accuracy(prompt),
            *(f"{100 * prompt[name]:.1f} %" for name in beside),
            *(
                str(prompt["extraction_failures"]),
                str(prompt["truncated"]),
                f"{prompt['tokens']:,}",
            ),
        )
    return table


def _telling(
    pairs: Sequence[Mapping[str, Any]], alpha: float, few: int = 6, most: int = 20
) -> list[Mapping[str, Any]]:
    """The pairs worth a line: all where they are few, else those under alpha, surest first."""
    ordered = sorted(pairs, key=lambda pair: pair["p_value"])
    return (
        ordered
        if len(ordered) <= few
        else [pair for pair in ordered if pair["p_value"] < alpha][:most]
    )


def _pairs_table(pairs: Sequence[Mapping[str, Any]], interval: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("pair", "difference", interval, "p", "p (Holm)"):
        table.add_column(name, justify="right")
    for pair in pairs:
        low, high = pair["interval"]
        table.add_row(
            f"{pair['b']} - {pair['a']}",
            f"{100 * pair['value']:+.1f}",
            f"{100 * low:+.1f} to {100 * high:+.1f}",
            f"{pair['p_value']:.2g}",
            f"{pair['p_holm']:.2g}",
        )
    return table


def _accuracy(figures: Mapping[str, Any]) -> tuple[str, str]:
    low, high = figures["interval"]
    return f"{100 * figures['accuracy']:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}"


def _heading(result: Mapping[str, Any]) -> str:
    return (
        f"{result['name']}: {result['state']} after {result['steps']} steps ({result['reason']}); "
        f"{result['solutions']} solutions, {sum(result['rejections'].values())} replies "
        f"rejected; {_costs(result)}"
    )


def _table(result: Mapping[str, Any]) -> Table:
    sides = [
        (split, role, result[split][role])
        for split in ("train", "validation", "test")
        for role in ("baseline", "best")
        if split in result
    ]
    if not result.get("shares", True):
        return _values_table(sides)
    beside = [
        name for name in ("strict", "agreement") if any(name in figures for _, _, figures in sides)
    ]
    table = Table(box=None, pad_edge=False)
    for name in (
        "split",
        "solution",
        "accuracy",
        level(result),
        *beside,
        "rows",
        "extraction failures",
        "truncated",
    ):
        table.add_column(name, justify="left" if name in ("split", "solution") else "right")
    for split, role, figures in sides:
        table.add_row(
            *(Text(split), Text(role), *_accuracy(figures)),
            *(f"{100 * figures[name]:.1f} %" for name in beside),
            *(str(figures["n"]), str(figures["extraction_failures"]), str(figures["truncated"])),
        )
    return table


def _values_table(sides: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table:
    """Objectives of their own scale: the value as it is, without an interval where there is one
    measurement.
    """
    table = Table("split", "solution", "score", box=None, pad_edge=False)
    for split, role, figures in sides:
        table.add_row(Text(split), Text(role), f"{figures['accuracy']:.6g}")
    return table
