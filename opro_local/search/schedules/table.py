"""The schedules there are, by the names that `evaluation.mode` knows them by.

For: the one list; config and its messages read it, so nothing is imported here. A new schedule is a
file in this folder and a line in SCHEDULES. Not for: how any of them scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScheduleKind:
    """What is known of a schedule before its code is imported.

    Attributes:
        location: "module:Class"; the class takes no arguments and is like schedule.Schedule.
        needs_rows: whether it scores parts of a split, which only a RowProblem can.
    """

    location: str
    needs_rows: bool = True


_HERE = "opro_local.search.schedules"

# Messages name the schedules in this order.
SCHEDULES: Mapping[str, ScheduleKind] = {
    "full": ScheduleKind(f"{_HERE}.full:Full", needs_rows=False),
    "race": ScheduleKind(f"{_HERE}.race:Race"),
    "halve": ScheduleKind(f"{_HERE}.halve:Halve"),
    "subset": ScheduleKind(f"{_HERE}.subset:Subset"),
}
