"""The first page: every run of the folder, to be sorted and filtered.

For: filling its template, and the page that stands where a run can't be shown. Not for: knowing
the runs (listing.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote_from_bytes

from opro_local.report.html import environment, policy, score_text, source
from opro_local.report.page import Served
from opro_local.report.view.line import Line
from opro_local.report.view.listing import is_read


@dataclass(frozen=True, slots=True)
class Row:
    """A line as it is shown; see Line."""

    line: Line
    link: str
    test: str
    baseline: str
    gain: str
    interval: str
    train: str
    date: str


def version_of(lines: Sequence[Line]) -> str:
    """Differs when the list has more to show."""
    said = "\n".join(f"{line.name}/{line.version}/{line.error}" for line in lines)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def list_page(folder: str, lines: Sequence[Line]) -> str:
    """The page.

    Args:
        folder: as it is called.
        lines: in the order in which they are shown.
    """
    values = {
        "folder": folder,
        "rows": [_row(line) for line in lines],
        "counted": _counted(lines),
        "unread": sum(not is_read(line) for line in lines),
        "choices": _choices(lines),
        "served": Served("/version", version_of(lines), back=False),
    }
    return _filled("list.html.j2", values)


def refused_page(name: str, why: str) -> str:
    """What stands where a run can't be shown."""
    return _filled("refused.html.j2", {"name": name, "why": why, "served": Served("", "")})


def link_to(name: str) -> str:
    """Where a run's page is."""
    # The slash is the one before a cell's name.
    return "/run/" + quote_from_bytes(name.encode("utf-8", "surrogateescape"), safe="/")


def _filled(template: str, values: dict[str, object]) -> str:
    style, script = source("report.css"), source("report.js") + source("follow.js")
    values |= {"style": style, "script": script, "policy": policy(style, script, is_served=True)}
    return environment(shares=True).get_template(template).render(values)


def _counted(lines: Sequence[Line]) -> str:
    """How many there are of each kind."""
    kinds = [line.kind for line in lines]
    named = ("run", "sweep", "feedback store")
    counts = [(kinds.count(kind), kind) for kind in named if kind == "run" or kind in kinds]
    return ", ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for count, kind in counts)


def _choices(lines: Sequence[Line]) -> list[tuple[str, int, list[str]]]:
    """What can be chosen from: what it is, its column in the table, and the values there."""
    columns = [
        ("Task", 1, {line.task for line in lines}),
        ("Model", 2, {line.model for line in lines}),
        ("State", 3, {line.state for line in lines}),
        ("Verdict", 4, {line.verdict for line in lines}),
    ]
    named = ((name, place, sorted(values - {""})) for name, place, values in columns)
    return [choice for choice in named if len(choice[2]) > 1]


def _row(line: Line) -> Row:
    gain = interval = ""
    if line.gain is not None:
        value, low, high = line.gain
        gain = _difference(value, line.shares)
        interval = f"{_difference(low, line.shares)} to {_difference(high, line.shares)}"
    return Row(
        line=line,
        link=link_to(line.name),
        test=score_text(line.test, line.shares),
        baseline=score_text(line.baseline, line.shares),
        gain=gain,
        interval=interval,
        train=score_text(line.train, line.shares),
        date=datetime.fromtimestamp(line.changed).strftime("%Y-%m-%d %H:%M")
        if line.changed
        else "",
    )


def _difference(value: float, shares: bool) -> str:
    return f"{100 * value:+.1f}" if shares else f"{value:+.4g}"
