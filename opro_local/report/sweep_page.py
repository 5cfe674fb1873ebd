"""A sweep as one HTML file: its cells, what levels and seeds tell, and the way of every search.

For: the parts of the page as texts, and filling the template. Not for: statistics
(sweeps/summary.py). As with a run's page, nothing is fetched, and every text of others is text.

The figures are those of sweep.json; the curves are read from the cells' stores.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from opro_local.files import place_of_output, write_whole
from opro_local.report.html import cut, environment, interval_text, policy, score_text, source
from opro_local.report.page import NAME, Served
from opro_local.report.sweep_curves import COLORS, Panel, panels_of, read_curve
from opro_local.runs.store import FILE
from opro_local.sweeps.factors import Factor, factors_of
from opro_local.sweeps.outcomes import Figure, Outcome, read_outcomes
from opro_local.sweeps.records import SWEEP, read_sweep
from opro_local.sweeps.seeds import ALPHA, Mean, SeedNoise
from opro_local.sweeps.summary import (
    Best,
    Comparison,
    Cost,
    LevelMeans,
    MeasureSummary,
    Summary,
    summarize,
)
from opro_local.sweeps.table import TABLE

LONGEST = 160  # characters of a value or an error in a table


@dataclass(frozen=True, slots=True)
class CellRow:
    """A line of the table of cells; texts, "" where there is nothing."""

    cell: Outcome
    link: str
    splits: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What one measure comes to, in texts; see templates/sweep.html.j2."""

    title: str
    noise: str
    levels: tuple[tuple[str, ...], ...]
    comparisons: tuple[tuple[str, ...], ...]
    best: tuple[tuple[str, ...], ...]
    shares: bool


def write_sweep_report(folder: Path, output: Path | None = None) -> Path:
    """Write one HTML file about a sweep; see docs/report.md.

    Args:
        folder: the sweep's, finished or not.
        output: the file; report.html in the sweep's folder where None.

    Returns:
        the file.

    Raises:
        UsageError: there is no sweep.json or it is none, or the output is a file of the sweep or
            of a run.
        StoreError: the page can't be written.
    """
    sweep = read_sweep(folder)
    inputs = (folder / SWEEP, folder / TABLE)
    place = place_of_output(output or folder / NAME, inputs)
    cells = read_outcomes(sweep)
    write_whole(place, sweep_page(sweep.name, cells, folder, place.parent))
    return place


def sweep_page(
    name: str,
    cells: Sequence[Outcome],
    folder: Path,
    beside: Path,
    served: Served | None = None,
) -> str:
    """The page as HTML.

    Args:
        name: the sweep's.
        cells: all of them, in order.
        folder: the sweep's, with the cells' stores.
        beside: the folder of the page, from which its links lead.
        served: what `view` adds to it; its links lead to the cells' pages there.
    """
    summary = summarize(cells)
    style, script = source("report.css"), source("report.js")
    if served:
        script += source("follow.js")
    colored, colors = _colors(cells)
    curves = [curve for cell in cells if (curve := read_curve(cell, folder)) is not None]
    with_curves = {curve.cell.name for curve in curves}
    values = {
        "name": name,
        "states": [(state, sum(one.state == state for one in cells)) for state in _states(cells)],
        "cells": [_cell_row(cell, _link(cell, folder, beside, served)) for cell in cells],
        "summary": summary,
        "left_rows": [(one.name, one.state, cut(one.error, LONGEST)) for one in summary.left_out],
        "sections": [_section(one, summary) for one in summary.measures],
        "panels": [(panel, _edges(panel)) for panel in panels_of(curves, colors)],
        "colored": colored,
        "levels": [(", ".join(one), place) for place, one in _levels_of(colored)],
        "without_curves": [one.name for one in cells if one.name not in with_curves],
        "longest": LONGEST,
        "style": style,
        "script": script,
        "served": served,
        "policy": policy(style, script, is_served=served is not None),
    }
    return environment(shares=True).get_template("sweep.html.j2").render(values)


def _states(cells: Sequence[Outcome]) -> list[str]:
    return sorted({cell.state for cell in cells})


def _colors(cells: Sequence[Outcome]) -> tuple[Factor | None, dict[str, int]]:
    """The factor that colors tell apart, and the color of each cell.

    Pictures are by task and model already: it is the first factor that varies within them.
    """
    for factor in factors_of(cells):
        pictures: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        for cell in cells:
            pictures.setdefault((cell.task, cell.model), set()).add(factor.level_of(cell))
        if any(len(levels) > 1 for levels in pictures.values()):
            places = {level: place % COLORS for place, level in enumerate(factor.levels)}
            return factor, {cell.name: places[factor.level_of(cell)] for cell in cells}
    return None, {cell.name: 0 for cell in cells}


def _levels_of(factor: Factor | None) -> list[tuple[int, tuple[str, ...]]]:
    levels = factor.levels if factor else ()
    return [(place % COLORS, level) for place, level in enumerate(levels)]


def _link(cell: Outcome, folder: Path, beside: Path, served: Served | None) -> str:
    """Where a cell's page is; "" where there is none."""
    own = folder / "cells" / cell.folder
    if cell.folder and served and (own / FILE).is_file():
        return f"{served.at.removesuffix('/version')}/{quote(cell.folder, safe='')}"
    if cell.folder and not served and (own / NAME).is_file():
        return quote(os.path.relpath((own / NAME).resolve(), beside.resolve()))
    return ""


def _cell_row(cell: Outcome, link: str) -> CellRow:
    shares = cell.measure is None or cell.measure.shares
    splits = []
    for split in ("validation", "test"):
        sides = cell.splits.get(split)
        if sides is None:
            splits.append(("", "", "", ""))
        else:
            splits.append((*_figure(sides.baseline, shares), *_figure(sides.best, shares)))
    if not any(splits[0]) and not any(splits[1]) and "train" in cell.splits:
        sides = cell.splits["train"]
        splits[0] = (f"train {score_text(sides.baseline.value, shares)}", "",
                     f"train {score_text(sides.best.value, shares)}", "")  # fmt: skip
    return CellRow(cell, link, tuple(splits))


def _figure(figure: Figure, shares: bool) -> tuple[str, str]:
    return score_text(figure.value, shares), interval_text(figure.interval, shares)


def _edges(panel: Panel) -> tuple[str, str]:
    return score_text(panel.low, panel.shares), score_text(panel.high, panel.shares)


def _section(own: MeasureSummary, summary: Summary) -> Section:
    measure, shares = own.measure, own.measure.shares
    scale = "" if shares else f", {measure.scale}"
    levels = [
        _level(factor, one, shares)
        for factor, means in zip(own.factors, own.levels, strict=True)
        for one in means
    ]
    return Section(
        title=f"{measure.metric} on {measure.split}{scale}: {len(own.cells)} cells",
        noise=noise_line(own.noise, shares),
        levels=tuple(levels),
        comparisons=tuple(_comparison(one, own.noise, shares) for one in own.comparisons),
        best=tuple(_best(one, own) for one in own.best),
        shares=shares,
    )


def _level(factor: Factor, one: LevelMeans, shares: bool) -> tuple[str, ...]:
    used = one.best.cells if one.best else 0
    return (
        factor.name,
        cut(", ".join(one.level), LONGEST),
        f"{used} of {one.planned}",
        _mean(one.baseline, shares),
        _mean(one.best, shares),
        _mean(one.gain, shares, signed=True),
        *_costs(one.cost, used == 0),
    )


def _best(best: Best, own: MeasureSummary) -> tuple[str, ...]:
    shares = own.measure.shares
    setting = ", ".join(f"{key}={cut(value, 60)}" for key, value in _varying(own, best))
    return (
        best.task,
        setting or "the only setting",
        f"{best.chosen_on}: {score_text(best.chosen_by, shares)}",
        _mean(best.baseline, shares),
        _mean(best.best, shares),
        _lead(best, shares),
    )


def _varying(own: MeasureSummary, best: Best) -> list[tuple[str, str]]:
    """The settings of the best that other cells have another value of."""
    cell = best.cells[0]
    return [(key, cell.settings[key]) for factor in own.factors for key in factor.keys]


def _signed(value: float, shares: bool) -> str:
    return f"{100 * value:+.1f} points" if shares else f"{value:+.4g}"


def _size(value: float, shares: bool) -> str:
    return f"{100 * value:.1f} points" if shares else f"{value:.4g}"


def _mean(mean: Mean | None, shares: bool, signed: bool = False) -> str:
    """A mean with its interval over seeds, or why there is none.

    Student's interval knows no ends; that of a share is shown as far as a share can go.
    """
    if mean is None:
        return "no finished cell"
    value = _signed(mean.value, shares) if signed else score_text(mean.value, shares)
    if mean.interval is None:
        return f"{value} ({mean.why})"
    least = -1.0 if signed else 0.0
    ends = [min(max(end, least), 1.0) if shares else end for end in mean.interval]
    low, high = (f"{100 * end:.1f}" if shares else f"{end:.4g}" for end in ends)
    return f"{value} ({low} to {high}, {mean.seeds} seeds)"


def _costs(cost: Cost, is_empty: bool) -> tuple[str, str, str]:
    """Tokens, pairs and seconds for each point gained."""
    if is_empty:
        return "", "", ""
    if cost.gain <= 0:
        return "nothing gained", "", ""
    tokens, pairs, seconds = (
        amount / cost.gain for amount in (cost.tokens, cost.pairs, cost.seconds)
    )
    return f"{tokens:,.0f}", f"{pairs:,.0f}", f"{seconds:,.1f}"


def noise_line(noise: SeedNoise | None, shares: bool) -> str:
    """Seed noise in a sentence."""
    if noise is None:
        return (
            "Seed noise is not known: no settings were run with two seeds. "
            "A difference between two cells may be the luck of a seed."
        )
    low, high = (_size(end, shares) for end in noise.interval)
    return (
        f"Seed noise is {_size(noise.deviation, shares)} ({low} to {high}): the standard deviation "
        f"over seeds of {noise.settings} settings that are otherwise equal, pooled. Two cells that "
        f"differ in their seed alone stay within {_size(noise.usual_gap, shares)} of each other in "
        "95 of 100 cases."
    )


def _comparison(one: Comparison, noise: SeedNoise | None, shares: bool) -> tuple[str, ...]:
    first, second = (cut(", ".join(level), LONGEST) for level in (one.first, one.second))
    p_value = one.difference.p_value if one.difference else None
    return (
        one.factor.name,
        first,
        second,
        str(one.pairs),
        _mean(one.difference, shares, signed=True) if one.difference else "",
        "" if p_value is None else f"{p_value:.3g}",
        "" if one.adjusted is None else f"{one.adjusted:.3g}",
        verdict_of(one, noise),
    )


def verdict_of(one: Comparison, noise: SeedNoise | None) -> str:
    """Whether a difference between two levels is more than seeds make, in plain words."""
    if one.difference is None:
        return "no two cells differ in this alone"
    if noise is None:
        return "seed noise is not known"
    if abs(one.difference.value) <= noise.deviation:
        return "within seed noise"
    if one.adjusted is None or one.adjusted >= ALPHA:
        return "more than seed noise, but not told from chance by these seeds"
    return "more than seed noise"


def _lead(best: Best, shares: bool) -> str:
    if best.lead is None:
        return "no other setting"
    told = f"{_size(best.lead, shares)} before the next of {best.among}"
    if best.noise is None:
        return f"{told}; seed noise is not known"
    side = "within" if best.lead <= best.noise.deviation else "more than"
    return f"{told}: {side} seed noise"
