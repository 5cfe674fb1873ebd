"""The schedules there are, by the names that `evaluation.mode` knows them by.

For: the one list. Not for: how any of them scores.
"""

from __future__ import annotations

from collections.abc import Mapping

from opro_local.config.settings import Config
from opro_local.search.schedules.full import Full
from opro_local.search.schedules.halve import Halve
from opro_local.search.schedules.race import Race
from opro_local.search.schedules.schedule import Schedule
from opro_local.search.schedules.subset import Subset

SCHEDULES: Mapping[str, Schedule] = {
    "full": Full(),
    "race": Race(),
    "halve": Halve(),
    "subset": Subset(),
}


def schedule_of(config: Config) -> Schedule:
    """The schedule that a config asks for, or that suits its kind of search where it says "auto"."""
    return SCHEDULES[config.scoring]
