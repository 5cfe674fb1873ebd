"""A feedback store as one HTML file: outcomes by day and version, experiments, decisions, versions.

For: reading a store of production outcomes for a page. Not for: what its figures mean or how they
are computed (feedback/), or runs (gathering.py, page.py).

The same store gives the same bytes: where a figure depends on the day it is looked at, the page
takes the time of the last thing that was stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from opro_local.feedback import Feedback
from opro_local.feedback.outcomes import stamp
from opro_local.feedback.standing import standings
from opro_local.files import place_of_output, write_whole
from opro_local.report.charts import Point, ProgressChart, progress_chart
from opro_local.report.html import environment, interval_text, policy, score_text, source
from opro_local.report.lineage import Piece, word_diff
from opro_local.report.page import Served
from opro_local.stats import share_interval

MOST_DAYS = 1_000  # lines of a version on a day, the newest
MOST_VERSIONS = 100
MOST_DECISIONS = 500  # the newest
LONGEST = 20_000  # characters of a prompt

_DAYS = (
    "SELECT substr(time, 1, 10) AS day, prompt, count(*) AS n, sum(score) AS total "
    "FROM outcome GROUP BY day, prompt ORDER BY day, prompt"
)
_LAST = (
    "SELECT max(time) AS last FROM (SELECT max(time) AS time FROM decision "
    "UNION ALL SELECT max(time) FROM outcome WHERE time <= ?)"
)
_VERSIONS = "SELECT id, added_at FROM prompt ORDER BY added_at, id"
_SEAL = "SELECT epoch, lower(hex(digest)) AS digest FROM seal"


@dataclass(frozen=True, slots=True)
class Day:
    """What a version earned on a day (UTC): outcomes, mean score, interval at 95 %."""

    day: str
    prompt: str
    n: int
    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Version:
    """A registered prompt.

    Attributes:
        standing: how it stands, see feedback.standing.
        source: where it comes from: "by hand", or the name of the run that it won.
        against: the id of the champion when it was registered; "" where there was none.
        pieces: its text against that champion's.
    """

    standing: Mapping[str, Any]
    source: str
    against: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class StoreContents:
    """What the page of a store says.

    Attributes:
        name: the file's, without its folder.
        as_of: the time of the last thing that was stored, UTC.
        champion: the id of the present one.
        days: the newest lines, in order of day.
        days_left_out: how many older lines there are.
        running: the experiment that runs, see feedback.standing; None where none does.
        decisions: the newest, in order; see Feedback.history.
        decisions_left_out: how many older ones there are.
        versions: champion and challenger first.
        versions_left_out: how many more there are.
        transactions, digest: of the store's seal.
    """

    name: str
    as_of: str
    champion: str
    days: tuple[Day, ...]
    days_left_out: int
    running: Mapping[str, Any] | None
    decisions: tuple[Mapping[str, Any], ...]
    decisions_left_out: int
    versions: tuple[Version, ...]
    versions_left_out: int
    transactions: int
    digest: str

    @property
    def ended(self) -> list[Mapping[str, Any]]:
        """The decisions that ended an experiment, with what it showed."""
        return [one for one in self.decisions if "interval" in one["numbers"]]


def write_feedback_report(store: str | Path, output: str | Path | None = None) -> Path:
    """Write one HTML file about a feedback store; see docs/report.md.

    Args:
        store: the SQLite file.
        output: the file; the store's name with .html where None.

    Returns:
        the file.

    Raises:
        StoreError: there is no store, it is damaged or something else, or the page can't be
            written.
        UsageError: no prompt is registered, or the output is a store.
    """
    store = Path(store)
    place = place_of_output(Path(output) if output else store.with_suffix(".html"), [store])
    write_whole(place, feedback_page(gather_feedback(store)))
    return place


def gather_feedback(path: Path) -> StoreContents:
    """What the page of a store says. Raises StoreError and UsageError."""
    with Feedback(path, new=False) as feedback:
        (last,) = feedback.rows(_LAST, (stamp(),))
        as_of = datetime.fromisoformat(last["last"]) if last["last"] else datetime.now(UTC)
        # The week before the last thing stored, that outcome included.
        standing = standings(feedback, now=as_of)
        history = feedback.history()
        days = [_day(row) for row in feedback.rows(_DAYS)]
        added = {row["id"]: row["added_at"] for row in feedback.rows(_VERSIONS)}
        (seal,) = feedback.rows(_SEAL)
    prompts = standing["prompts"]
    sources = {row["id"]: row["source"] for row in prompts}
    return StoreContents(
        name=path.name,
        as_of=stamp(as_of),
        champion=history[-1]["champion"],
        days=tuple(days[-MOST_DAYS:]),
        days_left_out=max(0, len(days) - MOST_DAYS),
        running=standing["experiment"],
        decisions=tuple(_decision(row, sources) for row in history[-MOST_DECISIONS:]),
        decisions_left_out=max(0, len(history) - MOST_DECISIONS),
        versions=tuple(_versions(prompts, added, history)),
        versions_left_out=max(0, len(prompts) - MOST_VERSIONS),
        transactions=seal["epoch"],
        digest=seal["digest"],
    )


def _day(row: Mapping[str, Any]) -> Day:
    low, high = share_interval(row["total"], row["n"], 0.05)
    return Day(row["day"], row["prompt"], row["n"], row["total"] / row["n"], (low, high))


def _decision(row: Mapping[str, Any], sources: Mapping[str, str]) -> Mapping[str, Any]:
    """A decision whose reason names a run by its name alone: its folders are this machine's."""
    run = sources.get(row["challenger"] or "", "")
    reason = row["reason"]
    if "/" in run:
        reason = reason.replace(run, _without_folders(run))
    return {**row, "reason": reason, "is_searched": bool(run) and run != "by hand"}


def _without_folders(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2] or name


def _versions(
    prompts: Sequence[Mapping[str, Any]],
    added: Mapping[str, str],
    history: Sequence[Mapping[str, Any]],
) -> list[Version]:
    texts = {row["id"]: row["text"] for row in prompts}
    versions = []
    for row in prompts[:MOST_VERSIONS]:
        before = [one["champion"] for one in history if one["time"] <= added[row["id"]]]
        against = before[-1] if before and before[-1] != row["id"] else ""
        pieces = word_diff(texts.get(against, ""), row["text"])
        versions.append(Version(row, _without_folders(row["source"]), against, pieces))
    return versions


def feedback_page(contents: StoreContents, served: Served | None = None) -> str:
    """The page as HTML; `served` is what `view` adds to it."""
    style, script = source("report.css"), source("report.js")
    order = [version.standing["id"] for version in contents.versions]
    values = {
        "c": contents,
        "chart": _chart(contents, order),
        "names": order,
        "first_day": _ordinal(contents.days[0].day) if contents.days else 0,
        "date_of": _date_of,
        "longest": LONGEST,
        "style": style,
        "script": script,
        "served": served,
        "policy": policy(style, script, is_served=served is not None),
    }
    return environment(shares=True).get_template("feedback.html.j2").render(values)


def _chart(contents: StoreContents, order: Sequence[str]) -> ProgressChart | None:
    """Means by day, a colour for each version; None where there is no outcome."""
    points = []
    for day in contents.days:
        says = f"{day.day}, {day.prompt}: {score_text(day.mean, True)}"
        says += f" ({interval_text(day.interval, True)}), {day.n:,} outcomes"
        points.append(
            Point(
                step=_ordinal(day.day) - _ordinal(contents.days[0].day),
                value=day.mean,
                interval=day.interval,
                says=says,
                group=order.index(day.prompt) if day.prompt in order else len(order),
                is_best=False,
            )
        )
    return progress_chart(points)


def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def _date_of(ordinal: float) -> str:
    last = date.max.toordinal()
    return date.fromordinal(min(int(ordinal), last)).isoformat()
