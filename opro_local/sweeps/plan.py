"""A sweep before it runs: its cells, and the groups of cells that are asked of the same engines.

For: reading a sweep's file to the end of what can be known without data or a model, and where a
cell's folder is. Not for: which cells there are (cells.py), or running them (sweep.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opro_local.config.settings import Config, ModelSettings
from opro_local.runs.hosting import settings_of
from opro_local.runs.naming import RUNS
from opro_local.search.similarity import NGRAMS
from opro_local.sweeps.cells import Cell, make_cells, short_digest
from opro_local.sweeps.file import read_sweep_file
from opro_local.types import Role

CELLS = "cells"  # the folder of the cells' folders, in the sweep's
# How a model is sampled and what it answers is no matter of its engine.
SAMPLING = {
    *("temperature", "top_p", "max_tokens", "chat", "constrain", "end_loops", "rubric", "scale"),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that the same engines serve.

    Attributes:
        name: "group-1", by its place among the groups.
        cells: in order.
        model: of the scorer, or else of the optimizer, as the config names it; "" where a script
            answers.
        gpus: how many GPUs its largest engine is spread over.
    """

    name: str
    cells: tuple[Cell, ...]
    model: str
    gpus: int


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep does.

    Attributes:
        name: of the sweep.
        file: where it is written.
        keys: every setting that varies, in the file's order.
        cells: in order.
        groups: the cells by their engines, in the order of their first cell.
    """

    name: str
    file: Path
    keys: tuple[str, ...]
    cells: tuple[Cell, ...]
    groups: tuple[Group, ...]


def read_plan(path: Path, overrides: Sequence[str] = ()) -> SweepPlan:
    """The plan of a sweep's file; see file.read_sweep_file and cells.make_cells.

    Raises:
        UsageError: the first thing that is wrong, in one line.
    """
    file = read_sweep_file(path, overrides)
    cells = tuple(make_cells(file))
    return SweepPlan(file.name, path, file.keys, cells, groups_of(cells))


def groups_of(cells: Sequence[Cell]) -> tuple[Group, ...]:
    """Cells by the engines that they ask, in the order of each group's first cell."""
    by_engine: dict[str, list[Cell]] = {}
    for cell in cells:
        by_engine.setdefault(engine_key(cell.config), []).append(cell)
    return tuple(
        Group(f"group-{number}", tuple(own), model_of(own[0].config), _gpus(own[0].config))
        for number, own in enumerate(by_engine.values(), 1)
    )


def divided(groups: Sequence[Group], places: int) -> list[Group]:
    """The groups, the largest of them in halves until there is one for each place.

    Args:
        groups: at least one cell each.
        places: how many can run at once.
    """
    parts = list(groups)
    while len(parts) < places:
        largest = max(parts, key=lambda part: len(part.cells))
        if len(largest.cells) < 2:
            break
        half = (len(largest.cells) + 1) // 2
        place = parts.index(largest)
        halves = (largest.cells[:half], largest.cells[half:])
        parts[place : place + 1] = [replace(largest, cells=cells) for cells in halves]
    return _numbered(parts)


def _numbered(parts: Sequence[Group]) -> list[Group]:
    """The parts of a group as "group-1.1", "group-1.2"; a whole group keeps its name."""
    counts = Counter(part.name for part in parts)
    seen: Counter[str] = Counter()
    named = []
    for part in parts:
        seen[part.name] += 1
        name = f"{part.name}.{seen[part.name]}"
        named.append(part if counts[part.name] == 1 else replace(part, name=name))
    return named


def engine_key(config: Config) -> str:
    """What decides the engines of a config: equal keys are served by the same ones."""
    roles: list[Role] = ["scorer", "optimizer"]
    if config.task.rule == "judge":
        roles.append("judge")
    hosted = {role: _hosted(settings_of(config, role)) for role in roles}
    adapters = {role: getattr(config, role).adapter for role in roles}
    search = config.search
    embedder = search.similarity if search.exploration and search.similarity != NGRAMS else ""
    return json.dumps([hosted, adapters, embedder, config.run.placement], sort_keys=True)


def _hosted(settings: ModelSettings) -> dict[str, Any]:
    dumped = settings.model_dump(mode="json")
    return {name: value for name, value in dumped.items() if name not in SAMPLING}


def model_of(config: Config) -> str:
    """The scorer's model as the config names it, or else the optimizer's; "" for none."""
    return config.scorer.model or config.optimizer.model


def _gpus(config: Config) -> int:
    roles: tuple[Role, ...] = ("scorer", "optimizer")
    hosted = [settings_of(config, role) for role in roles]
    return max(one.tensor_parallel * one.pipeline_parallel * one.data_parallel for one in hosted)


def default_folder(plan: SweepPlan) -> Path:
    """Where a sweep is kept when nobody says: the same for the same file, whatever its axes are."""
    return RUNS / f"{plan.name}-sweep-{short_digest(str(plan.file.resolve()))[:6]}"


def cell_folders(folder: Path, cells: Sequence[Cell]) -> Mapping[str, Path]:
    """The folder of each cell by its identity: the one that it has, or the one that it will get."""
    there: dict[str, Path] = {}
    parent = folder / CELLS
    if parent.is_dir():
        for path in sorted(parent.iterdir()):
            there.setdefault(path.name.rpartition("-")[2], path)
    return {
        cell.id: there.get(cell.id, parent / f"{cell.name.removesuffix(f'-{cell.id}')}-{cell.id}")
        for cell in cells
    }
