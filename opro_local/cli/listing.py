"""The verbs that look at several runs: list, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opro_local.cli.options import REPORT, JsonOption
from opro_local.cli.visible import print_line, say, say_json

if TYPE_CHECKING:
    from opro_local.runs.figures import Figures
    from opro_local.runs.reading import RunRow


class Order(StrEnum):
    """What `list` can be sorted by."""

    PATH = "path"
    TEST = "test"
    GAIN = "gain"
    TRAIN = "train"
    STATE = "state"
    MODEL = "model"
    DATE = "date"


def list_(
    folder: Annotated[Path, typer.Argument(help="Where the runs are.")] = Path("runs"),
    sort: Annotated[
        Order, typer.Option("--sort", help="Figures and dates: the highest first.")
    ] = Order.PATH,
    as_json: JsonOption = False,
) -> None:
    """List the runs in a folder: test before train, the gain with its interval, the verdict."""
    from opro_local.cli.tables import print_table, stdout_console
    from opro_local.runs.reading import overview

    rows = sorted(overview(folder), key=ORDERS[sort])
    if as_json:
        say_json([row.to_json() for row in rows])
        return
    if not rows:
        say(f"no runs in {folder}")
        return
    names = ("run", "state", "test", "baseline", "gain", "verdict", "train", "steps", "model")
    cells = [_cells(row) for row in rows]
    print_table(stdout_console(), (*names, "date"), cells, {"run", "state", "verdict", "model"})
    for page in (Path(row.path) / REPORT for row in rows):
        if page.is_file():
            say(f"report: {page}")


def compare(
    a: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    b: Annotated[Path, typer.Argument(help="Another's.")],
    as_json: JsonOption = False,
) -> None:
    """Show the winners of two runs side by side, and their paired difference where both were tested
    on the same rows.

    Example: opro-local compare runs/mails-3f2a91 runs/mails-77b0c2
    """
    from opro_local.cli.tables import print_table, stdout_console
    from opro_local.runs.difference_words import level
    from opro_local.runs.side_by_side import compare as side_by_side

    both = side_by_side(a, b)
    if as_json:
        say_json(both.to_json())
        return
    console = stdout_console()
    for name, folder, result in (("A", a, both.a), ("B", b, both.b)):
        shown = f" with {len(result.best.demonstrations)} worked examples"
        examples = shown if result.best.demonstrations else ""
        line = f"{name} ({folder}, {result.verdict}){examples}: {result.best.text}"
        print_line(console, line)
    rows = []
    for split, sides in both.splits().items():
        for name, own in zip("AB", sides, strict=True):
            if own is not None:
                rows.append((split, name, *_figures(own.best), str(own.best.n)))
    print_table(console, ("split", "run", "accuracy", "interval", "rows"), rows, {"split", "run"})
    if both.difference is None:
        print_line(console, f"No paired difference: {both.why}.")
        return
    low, high = (100 * bound for bound in both.difference.interval)
    alpha = both.a.search.alpha if both.a.search else 0.05
    print_line(
        console,
        f"On the same {both.a.test.best.n if both.a.test else 0} test rows B - A is "
        f"{100 * both.difference.value:+.1f} points in accuracy, {level(alpha)} {low:+.1f} to "
        f"{high:+.1f}, p = {both.difference.p_value:.2g}.",
    )


def _figures(own: Figures) -> tuple[str, str]:
    """An accuracy and its interval."""
    if own.interval is None:
        return f"{own.accuracy:.6g}", ""
    low, high = (100 * bound for bound in own.interval)
    return f"{100 * own.accuracy:.1f} %", f"{low:.1f} to {high:.1f} %"


def _test(row: RunRow) -> float | None:
    sides = row.on_test()
    return sides[1].value if sides else None


def _gain(row: RunRow) -> float | None:
    test = row.result.test if row.result else None
    return test.difference.value if test and test.difference else None


def _descending(figure: Callable[[RunRow], float | None]) -> Callable[[RunRow], tuple[float, str]]:
    """By a figure, the highest first; runs without one last."""

    def key(row: RunRow) -> tuple[float, str]:
        value = figure(row)
        return (float("inf") if value is None else -value), row.path

    return key


ORDERS: Mapping[Order, Callable[[RunRow], tuple[float, str] | tuple[str, str]]] = {
    Order.PATH: lambda row: (row.path, ""),
    Order.TEST: _descending(_test),
    Order.GAIN: _descending(_gain),
    Order.TRAIN: _descending(lambda row: row.best),
    Order.STATE: lambda row: (row.state, row.path),
    Order.MODEL: lambda row: (row.model, row.path),
    Order.DATE: _descending(lambda row: row.changed),
}


def _verdict(row: RunRow) -> str:
    """A search's verdict; of an evaluation what its best prompt earned, with the interval."""
    evaluation = row.result.evaluation if row.result else None
    if evaluation is None:
        return (row.result.verdict or "") if row.result else ""
    count, figures = len(evaluation.prompts), evaluation.best_prompt.figures
    what = "prompt" if count == 1 else f"best of {count} prompts"
    value, interval = figures.value, figures.interval
    if figures.metric is not None:
        interval = figures.metric.interval
    if interval is None:
        return f"{what} on {evaluation.split}: {value:.6g}"
    low, high = (100 * bound for bound in interval)
    return f"{what} on {evaluation.split}: {100 * value:.1f} ({low:.1f} to {high:.1f})"


def _cells(row: RunRow) -> tuple[str, ...]:
    """A run's line; a run that can't be read says why in the place of its verdict."""
    if row.error:
        return (row.path, row.state, "", "", "", row.error, "", "", "", "")
    test = baseline = gain = ""
    if sides := row.on_test():
        baseline, test = (f"{100 * figures.value:.1f}" for figures in sides)
    searched = row.result.test if row.result else None
    if searched is not None and searched.difference:
        low, high = (100 * bound for bound in searched.difference.interval)
        gain = f"{100 * searched.difference.value:+.1f} ({low:+.1f} to {high:+.1f})"
    train = (
        "" if row.best is None else (f"{100 * row.best:.1f} %" if row.shares else f"{row.best:.6g}")
    )
    date = datetime.fromtimestamp(row.changed).strftime("%Y-%m-%d %H:%M")
    return (
        *(row.path, row.state, test, baseline, gain, _verdict(row), train, str(row.steps)),
        *(row.model, date),
    )
