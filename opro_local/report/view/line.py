"""One run, sweep or feedback store as a line of the first page.

For: which figures of it are listed, as plain data that goes through a pipe. Not for: reading a
run (runs/reading.py), or HTML (list_page.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from opro_local.runs.reading import RunRow
from opro_local.sweeps.records import SweepRecord

UNREAD = "unread"  # the state of a run that was not read yet
LONGEST = 300  # characters of an error


@dataclass(frozen=True, slots=True)
class Line:
    """A run, a sweep or a feedback store in the list.

    Attributes:
        name: its folder's, or its file's.
        kind: "run", "sweep" or "feedback store".
        note: what stands in the place of figures; "" of a run.
        title: what the config calls it.
        state: see RunRow; or "unread".
        task, model: see RunRow.
        steps: the last step.
        test, baseline: scores of chosen and first solution on test.
        gain: their difference, with its interval.
        train: the best train score.
        shares: whether scores are shares of rows.
        verdict: of a search.
        error: why it can't be read; "" where it can.
        changed: when its store was last written, in seconds since 1970.
        version: differs when there is more to see.
    """

    name: str
    kind: str = "run"
    note: str = ""
    title: str = ""
    state: str = UNREAD
    task: str = ""
    model: str = ""
    steps: int = 0
    test: float | None = None
    baseline: float | None = None
    gain: tuple[float, float, float] | None = None
    train: float | None = None
    shares: bool = True
    verdict: str = ""
    error: str = ""
    changed: float = 0.0
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it goes through a pipe."""
        return asdict(self)


def of_json(said: dict[str, Any]) -> Line:
    """A line that came through a pipe, from a process of ours."""
    gain = said["gain"]
    return Line(**{**said, "gain": None if gain is None else tuple(gain)})


def of_row(row: RunRow) -> Line:
    """What the list says of a run."""
    line = Line(
        name="",
        title=row.name,
        state=row.state,
        task=row.task,
        model=row.model,
        steps=row.steps,
        train=row.best,
        shares=row.shares,
        error=row.error[:LONGEST],
        changed=row.changed,
        version=version(row.state, row.steps, row.solutions),
    )
    if row.result is None:
        return line
    line = replace(line, verdict=row.result.verdict or "")
    if sides := row.on_test():
        line = replace(line, test=sides[1].value, baseline=sides[0].value)
    test = row.result.test
    if test is None or test.difference is None:
        return line
    return replace(line, gain=(test.difference.value, *test.difference.interval))


def of_sweep(sweep: SweepRecord, is_running: bool) -> Line:
    """What the list says of a sweep."""
    states = [str(cell["state"]) for cell in sweep.cells]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    note = f"sweep of {len(states)} cells: {counts}"
    return Line(
        name="",
        kind="sweep",
        note=note,
        title=sweep.name,
        state="running" if is_running else _state_of(states),
        task=_only({str(cell.get("task", "")) for cell in sweep.cells}),
        model=_only({str(cell.get("model", "")) for cell in sweep.cells}),
        version=note,
    )


def _state_of(states: list[str]) -> str:
    """The state of a sweep that nobody runs, by those of its cells."""
    if all(state == "finished" for state in states):
        return "finished"
    return "failed" if "failed" in states else "interrupted"


def _only(values: set[str]) -> str:
    """The one value that there is; "" where there are several."""
    return next(iter(values)) if len(values) == 1 else ""


def version(state: str, steps: int, solutions: int) -> str:
    """What differs when a run's page has more to show."""
    return f"{state}-{steps}-{solutions}"
