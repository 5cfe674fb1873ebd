"""A run as one HTML file: nothing is fetched, no script but our own runs, and every text of others
is text.

For: filling the templates of a run's page. Not for: what the page says (gathering.py), or how any
page is made safe (html.py).

    path = write_report(Path("runs/mails"))

The same run gives the same bytes: no time, no random number and no path of the machine is in the
page but those that the run's config holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opro_local.errors import UsageError
from opro_local.files import given_path, write_whole
from opro_local.report.charts import (
    IntervalChart,
    Point,
    ProgressChart,
    interval_chart,
    progress_chart,
)
from opro_local.report.confusion import Confusion, confusion
from opro_local.report.gathering import Contents, Scored, gather
from opro_local.report.html import cut, environment, interval_text, policy, score_text, source
from opro_local.runs.figures import Figures, SplitResult
from opro_local.runs.output_place import place_for_run
from opro_local.runs.run_result import RunResult

NAME = "report.html"  # in the run's folder
MOST_SOLUTIONS = 2000  # in the table
LONGEST = 20_000  # characters of a text that stands by itself
LONGEST_IN_TABLE = 1_000  # characters of a text in a table; fewer where there are many
TEXTS = 600_000  # characters of all texts in a table together
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Matrices:
    """The confusion matrices of baseline and best on one split."""

    split: str
    before: Confusion | None
    after: Confusion | None


@dataclass(frozen=True, slots=True)
class Served:
    """What a page of `view` has besides that of a file.

    Attributes:
        at: where to ask for the version; "" of what does not change any more.
        version: what is shown.
        back: whether it links to the list of all runs.
    """

    at: str
    version: str
    back: bool = True


def write_report(
    run: RunResult | str | Path, output: str | Path | None = None, trust_code: bool = False
) -> Path:
    """Write one HTML file about a run, which opens anywhere without a network; see docs/report.md.

    Args:
        run: a result, or the folder of a run, finished or not.
        output: the file; report.html in the run's folder where None.
        trust_code: whether code that the run's config names may run, to go through it again.

    Returns:
        the file.

    Raises:
        UsageError: the result was read without its run, or the output is a file of a run
            or one that the run was made from.
        StoreError: there is no run, it is damaged, or the page can't be written: a folder stands
            at its place.
    """
    folder = run.folder if isinstance(run, RunResult) else given_path(run, "run")
    if folder is None:
        raise UsageError("this result has no run to report on", "name the run's folder")
    contents = gather(folder, trust_code)  # a damaged run is named first
    place = place_for_run(folder, given_path(output, "output") if output else folder / NAME)
    write_whole(place, page(contents))
    return place


def page(contents: Contents, served: Served | None = None) -> str:
    """The page as HTML; `served` is what `view` adds to it."""
    style, script = source("report.css"), source("report.js")
    if served:
        script += source("follow.js")
    values = {
        "c": contents,
        "result": contents.result,
        "search": contents.result.search if isinstance(contents.result, RunResult) else None,
        "evaluation": _evaluation(contents),
        "progress": _progress(contents),
        "operators": _operators(contents),
        "splits": _splits(contents),
        "matrices": _matrices(contents),
        "calibrated": _calibrated(contents),
        "solutions": _Table(contents.solutions),
        "longest": LONGEST,
        "served": served,
        "style": style,
        "script": script,
        "policy": policy(style, script, is_served=served is not None),
    }
    return environment(contents.result.shares).get_template("page.html.j2").render(values)


class _Table:
    """The solutions as the page lists them, and what of them it leaves out.

    Attributes:
        rows: the first of them, and the chosen one whatever its place.
        left_out: how many are not listed.
        longest: characters shown of each text.
    """

    def __init__(self, solutions: Sequence[Scored]) -> None:
        own = [one for one in solutions if one.split == "train"] or list(solutions)
        self.rows = own[:MOST_SOLUTIONS]
        self.rows += [one for one in own[MOST_SOLUTIONS:] if one.is_best]
        self.left_out = len(own) - len(self.rows)
        self.longest = max(120, min(LONGEST_IN_TABLE, TEXTS // max(1, len(self.rows))))


def _progress(contents: Contents) -> ProgressChart | None:
    if contents.kind == "evaluation":
        return None
    operators = _operators(contents)
    points = [
        Point(
            step=one.step,
            value=one.value,
            interval=one.interval,
            says=_says(one, contents.result.shares),
            group=operators.index(one.operator),
            is_best=one.is_best,
        )
        for one in contents.solutions
        if one.split == "train" and not one.partial
    ]
    return progress_chart(points, contents.upward)


def _operators(contents: Contents) -> list[str]:
    """How solutions were made, each way once."""
    return sorted({one.operator for one in contents.solutions})


def _says(one: Scored, shares: bool) -> str:
    """What a mark says of a solution."""
    value = score_text(one.value, shares)
    if one.interval:
        value += f" ({interval_text(one.interval, shares)})"
    made = f", {one.operator}" if one.operator else ""
    return f"step {one.step}{made}: {value}: {cut(' '.join(one.text.split()), 80)}"


def _evaluation(contents: Contents) -> IntervalChart | None:
    """The picture of an evaluation's prompts."""
    result = contents.result
    if not isinstance(result, RunResult) or not result.evaluation:
        return None
    lines = [
        (f"prompt {one.number}", _figures_point(f"prompt {one.number}", one.figures, contents))
        for one in result.evaluation.prompts
    ]
    return interval_chart(lines)


def _splits(contents: Contents) -> IntervalChart | None:
    """The picture of baseline and best on every split."""
    result = contents.result
    if not isinstance(result, RunResult) or not result.search or not contents.upward:
        return None
    sides = {"train": result.train, "validation": result.validation, "test": result.test}
    last = result.search.last_split
    lines = []
    like = last.best if last else None
    for split, own in sides.items():
        if own is None:
            continue
        for side, figures in (("first prompt", own.baseline), ("chosen", own.best)):
            name = f"{split}, {side}"
            lines.append((name, _figures_point(name, figures, contents, side == "chosen", like)))
    return interval_chart(lines)


def _figures_point(
    name: str,
    figures: Figures,
    contents: Contents,
    is_best: bool = False,
    like: Figures | None = None,
) -> Point:
    """`like` says in which measure; the figures' own where there is none."""
    value, interval = figures.measured_as(like or figures)
    shares = contents.result.shares
    says = f"{name}: {score_text(value, shares)}"
    if interval:
        says += f" ({interval_text(interval, shares)})"
    return Point(0, value, interval, says, is_best=is_best)


def _calibrated(contents: Contents) -> tuple[str, SplitResult] | None:
    """The split that says most of labels by probability, with its name; None for answers."""
    result = contents.result
    if not isinstance(result, RunResult) or not result.search:
        return None
    sides = {"test": result.test, "validation": result.validation, "train": result.train}
    calibrated = (
        (name, own) for name, own in sides.items() if own is not None and own.best.calibration
    )
    return next(calibrated, None)


def _matrices(contents: Contents) -> Matrices | None:
    result = contents.result
    classified = None
    if isinstance(result, RunResult) and result.search:
        classified = result.search.classified
    if classified is None:
        return None
    split, sides = classified
    before, after = sides.baseline.classes, sides.best.classes
    return Matrices(
        split,
        confusion(before) if before else None,
        confusion(after) if after else None,
    )
