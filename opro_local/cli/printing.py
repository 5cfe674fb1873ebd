"""A result on the terminal: a small table, the best solution and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_result(result: Mapping[str, Any]) -> None:
    """Print a result (docs/result.md) to stdout."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_heading(result), markup=False)
    console.print(f"Baseline: {result['baseline']['text']!r}", markup=False)
    console.print(f"Best:     {result['best']['text']!r}", markup=False, style="bold")
    console.print(_table(result))
    for line in result.get("summary", ()):
        console.print(line, markup=False)


def _heading(result: Mapping[str, Any]) -> str:
    calls, tokens = result["calls"], result["tokens"]
    return (
        f"{result['name']}: {result['state']} after {result['steps']} steps ({result['reason']}); "
        f"{result['solutions']} solutions, {sum(result['rejections'].values())} replies rejected; "
        f"{calls['optimizer']} optimizer and {calls['scorer']} scorer calls; "
        f"{tokens['prompt']:,} prompt tokens ({tokens['cached']:,} cached), {tokens['completion']:,} written; "
        f"{result['seconds']:.0f} s"
    )


def _table(result: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("split", "solution", "accuracy", "95 % interval", "rows", "extraction failures", "truncated"):
        table.add_column(name, justify="left" if name in ("split", "solution") else "right")
    for split in ("train", "validation", "test"):
        for role in ("baseline", "best"):
            side = result.get(split, {}).get(role)
            if side:
                low, high = side["interval"]
                table.add_row(
                    *(
                        Text(split),
                        Text(role),
                        f"{100 * side['accuracy']:.1f} %",
                        f"{100 * low:.1f} to {100 * high:.1f}",
                    ),
                    *(str(side["n"]), str(side["extraction_failures"]), str(side["truncated"])),
                )
    return table
