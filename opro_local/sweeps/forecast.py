"""What a sweep will cost, before it runs: pairs, tokens, disk and seconds.

For: `sweep --dry-run`. Not for: what a sweep has cost (records.py), or how long one that runs still
takes (sweep.py). All figures are upper bounds of what is asked: a search may end earlier, and what
several cells ask alike is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from typing import Any

from opro_local.config.settings import Config
from opro_local.errors import OproError
from opro_local.runs.plans import Plan, make_plan
from opro_local.search.schedules.table import SCHEDULES
from opro_local.sweeps.calibration import AnswerCost, Calibration, calibrate
from opro_local.sweeps.cells import Cell, short_digest
from opro_local.sweeps.plan import Group, SweepPlan, divided, engine_key
from opro_local.sweeps.records import CellRecord
from opro_local.types import Role

# Measured on stores of scripted and real runs, in bytes: an empty store with its result, and what
# an answer takes beside its text, packed.
CELL_BYTES, ANSWER_BYTES = 70_000, 50
# Where no answer was measured.
USUAL_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class CellForecast:
    """What a cell will ask.

    Attributes:
        record: the cell, and what there is of it.
        pairs: of a solution and a row that are scored, at most.
        proposals: replies of the optimizer.
        asked: how many answers each model gives.
        has_programs: whether a program or function of the user's answers, which is not timed.
        problem: why it can't be planned, in one line; "" where it can.
    """

    record: CellRecord
    pairs: int
    proposals: int
    asked: Mapping[Role, int] = field(default_factory=dict)
    has_programs: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a sweep will cost.

    Attributes:
        plan: the sweep.
        cells: in order.
        places: how many groups run side by side.
        calibrations: of each group by its name; empty without.
        faults: what a calibration ended with, by the group's name.
    """

    plan: SweepPlan
    cells: tuple[CellForecast, ...]
    places: int
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def pairs(self) -> int:
        """Of all cells."""
        return sum(cell.pairs for cell in self.cells)

    @property
    def missing(self) -> list[CellForecast]:
        """The cells that are not finished, which the rest is about."""
        return [cell for cell in self.cells if cell.record.state != "finished"]

    @property
    def tokens(self) -> int | None:
        """Read and written; None where a group was not calibrated."""
        each = [self._of_cell(cell, _tokens) for cell in self.missing]
        known = [one for one in each if one is not None]
        return round(sum(known)) if len(known) == len(each) else None

    @property
    def seconds(self) -> float | None:
        """Until the last group has ended; None where one was not calibrated."""
        ids = {cell.record.cell.id: cell for cell in self.missing}
        lengths = []
        for group in self._parts(ids):
            each = [self._of_cell(ids[cell.id], _seconds) for cell in group.cells]
            known = [one for one in each if one is not None]
            calibration = self._calibration(group.name)
            if calibration is None or len(known) < len(each):
                return None
            lengths.append(calibration.load_seconds + sum(known))
        return max([sum(lengths) / self.places, *lengths], default=0.0)

    @property
    def disk_bytes(self) -> int:
        """What the stores will take."""
        total = 0.0
        for cell in self.missing:
            costs = self._costs(cell)
            size = costs["scorer"].characters if "scorer" in costs else USUAL_CHARACTERS
            total += CELL_BYTES + (cell.pairs + cell.proposals) * (ANSWER_BYTES + size)
        return round(total)

    def to_json(self) -> dict[str, Any]:
        """As `sweep --dry-run --json` prints it, see docs/sweeps.md."""
        missing = self.missing
        seconds = self.seconds
        return {
            "name": self.plan.name,
            "cells": len(self.cells),
            "pairs": self.pairs,
            "groups": len(self.plan.groups),
            "side_by_side": self.places,
            "missing": {"cells": len(missing), "pairs": sum(cell.pairs for cell in missing)},
            "tokens": self.tokens,
            "disk_bytes": self.disk_bytes,
            "seconds": None if seconds is None else round(seconds, 1),
            "problems": self.problems,
            "keys": list(self.plan.keys),
            "planned": [
                {
                    **cell.record.to_json(),
                    "pairs": cell.pairs,
                    "proposals": cell.proposals,
                }
                for cell in self.cells
            ],
        }

    @property
    def problems(self) -> list[str]:
        """What will go wrong, each line once, with how many cells it concerns."""
        counts: dict[str, int] = {}
        for cell in self.cells:
            if cell.problem:
                counts[cell.problem] = counts.get(cell.problem, 0) + 1
        lines = [f"{count} of {len(self.cells)} cells: {why}" for why, count in counts.items()]
        return [*lines, *(f"{name}: {why}" for name, why in self.faults.items())]

    def _parts(self, ids: Mapping[str, CellForecast]) -> list[Group]:
        groups = []
        for group in self.plan.groups:
            cells = tuple(cell for cell in group.cells if cell.id in ids)
            if cells:
                groups.append(Group(group.name, cells, group.model, group.gpus))
        return divided(groups, self.places) if groups else []

    def _calibration(self, name: str) -> Calibration | None:
        return self.calibrations.get(name.partition(".")[0])

    def _costs(self, cell: CellForecast) -> Mapping[Role, AnswerCost]:
        calibration = self._calibration(cell.record.group)
        return {} if calibration is None else calibration.costs

    def _of_cell(self, cell: CellForecast, measure: Callable[[AnswerCost], float]) -> float | None:
        """What a cell costs; None where that was not measured."""
        costs = self._costs(cell)
        asked = {role: count for role, count in cell.asked.items() if count}
        if cell.has_programs or not asked.keys() <= costs.keys():
            return None
        return sum(count * measure(costs[role]) for role, count in asked.items())


def _tokens(cost: AnswerCost) -> float:
    return cost.prompt_tokens + cost.completion_tokens


def _seconds(cost: AnswerCost) -> float:
    return cost.seconds


def forecast(
    plan: SweepPlan,
    records: Sequence[CellRecord],
    places: int,
    calibrated: bool,
    notify: Callable[[str], None] = lambda line: None,
) -> Forecast:
    """What a sweep will cost.

    Args:
        plan: the sweep.
        records: of its cells, in order.
        places: how many groups run side by side.
        calibrated: whether each group's models are loaded and a few answers timed.
        notify: told what is being measured.

    Raises:
        OproError: no cell can be planned; of several reasons the first.
    """
    planning = _Planning()
    cells = tuple(planning.cell(record) for record in records)
    if planning.errors and all(cell.problem for cell in cells):
        raise planning.errors[0]
    calibrations: dict[str, Calibration] = {}
    faults: dict[str, str] = {}
    told = Forecast(plan, cells, places)
    runnable = {cell.record.cell.id for cell in told.missing if not cell.problem}
    for group in plan.groups if calibrated else ():
        first = next((cell for cell in group.cells if cell.id in runnable), None)
        if first is None:
            continue
        notify(f"calibrating {group.name} ({group.model or 'scripted'}) with {first.name}")
        try:
            calibrations[group.name] = calibrate(make_plan(first.config))
        except OproError as error:
            faults[group.name] = str(error)
    return replace(told, calibrations=calibrations, faults=faults)


class _Planning:
    """Plans of cells, one for all that share task, problem and engines.

    Attributes:
        errors: why some can't be planned.
    """

    def __init__(self) -> None:
        self._plans: dict[str, Plan | OproError] = {}
        self.errors: list[OproError] = []

    def cell(self, record: CellRecord) -> CellForecast:
        """What a cell will ask."""
        plan = self._plan(record.cell)
        if isinstance(plan, OproError):
            return CellForecast(record, 0, 0, problem=" ".join(str(plan).split()))
        config = record.cell.config
        pairs, proposals = pairs_of(config, plan), _proposals(config)
        counts: dict[Role, int] = {"scorer": pairs, "optimizer": proposals}
        asked = {role: count for role, count in counts.items() if role in plan.models}
        return CellForecast(record, pairs, proposals, asked, bool(plan.others))

    def _plan(self, cell: Cell) -> Plan | OproError:
        made_of = cell.config.model_dump(mode="json", include={"task", "problem"})
        key = f"{engine_key(cell.config)} {short_digest(made_of)}"
        if key not in self._plans:
            try:
                self._plans[key] = make_plan(cell.config)
            except OproError as error:
                self._plans[key] = error
                self.errors.append(error)
        return self._plans[key]


def pairs_of(config: Config, plan: Plan) -> int:
    """Pairs of a solution and a row that a search scores at most, on all splits.

    Args:
        config: the search's.
        plan: of the same task and problem.
    """
    rows = len(getattr(plan.problem, "rows", {}).get("train", ())) or 1
    settings = config.search
    seeds = len(settings.seeds)
    if config.is_mixed:
        seeds += settings.generic_seeds + settings.written_seeds
    schedule = resolve_name(SCHEDULES[config.scoring_schedule].location)()
    train = rows + schedule.pairs(seeds - 1, rows)
    train += settings.steps * schedule.pairs(settings.candidates, rows)
    if settings.max_pairs is not None:
        train = min(train, max(settings.max_pairs, rows))
    solutions = config.evaluation.solutions
    return train + sum(count * solutions[split] for split, count in plan.held_out.items())


def _proposals(config: Config) -> int:
    """Replies of the optimizer that a search asks for, without those asked again."""
    drafts = config.search.drafts_each if config.is_mixed else 1
    return config.search.steps * config.search.candidates * drafts
