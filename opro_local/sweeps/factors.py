"""What varies over a sweep: factors, their levels, and which cells differ in one factor alone.

For: taking settings that vary together for one factor. Not for: figures (summary.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opro_local.sweeps.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Factor:
    """Settings that vary together.

    Attributes:
        keys: the settings. Of several, as those of a zip, each is told by the first one: no cell
            shows which of them a difference is due to.
        levels: their values, in the order of the cells.
    """

    keys: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """The settings, joined."""
        return " + ".join(self.keys)

    def level_of(self, cell: Outcome) -> tuple[str, ...]:
        """A cell's values."""
        return tuple(cell.settings[key] for key in self.keys)

    def others_of(self, cell: Outcome) -> tuple[str, ...]:
        """What else is set in a cell, but for the seed."""
        return tuple(value for key, value in cell.settings.items() if key not in self.keys)


def factors_of(cells: Sequence[Outcome]) -> list[Factor]:
    """The factors of a sweep, in the order of its settings. The seed is none: it repeats a cell."""
    if not cells:
        return []
    columns = {key: [cell.settings[key] for cell in cells] for key in cells[0].settings}
    varying = {key: values for key, values in columns.items() if len(set(values)) > 1}
    # The finest first: what it tells joins it.
    ordered = sorted(varying, key=lambda key: -len(set(varying[key])))
    groups: dict[str, list[str]] = {}
    for key in ordered:
        leader = next((own for own in groups if _tells(varying[own], varying[key])), key)
        groups.setdefault(leader, []).append(key)
    places = list(varying)
    factors = [_factor(tuple(group), cells) for group in groups.values()]
    return sorted(factors, key=lambda factor: min(places.index(key) for key in factor.keys))


def _tells(finer: Sequence[str], values: Sequence[str]) -> bool:
    """Whether the value of one setting is known from that of another one."""
    return len(set(zip(finer, values, strict=True))) == len(set(finer))


def _factor(keys: tuple[str, ...], cells: Sequence[Outcome]) -> Factor:
    levels = dict.fromkeys(tuple(cell.settings[key] for key in keys) for cell in cells)
    return Factor(keys, tuple(levels))
