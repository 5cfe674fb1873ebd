"""The verb that runs many: sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import EngineOption, JsonOption, SeedOption, SetOption, overrides
from opro_local.cli.visible import say, say_json
from opro_local.errors import OproError, UsageError

if TYPE_CHECKING:
    from opro_local.sweeps.execution import Execution
    from opro_local.sweeps.forecast import Forecast
    from opro_local.sweeps.plan import SweepPlan
    from opro_local.sweeps.records import CellRecord

SWEEP_FILE = "A TOML file with a base and axes (docs/sweeps.md)."


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """Where a sweep is kept, how it is executed, and what of its base is changed."""

    run: Annotated[
        Path | None,
        typer.Option("--run", help="The sweep's folder (default: in runs/, by the file's name)."),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it will cost, and run nothing.")
    ] = False
    no_calibration: Annotated[
        bool,
        typer.Option("--no-calibration", help="With --dry-run: load no model, estimate no time."),
    ] = False
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=1024,
            help="Groups side by side at most (default: by the GPUs there are; without any, one).",
        ),
    ] = None
    on: Annotated[
        str,
        typer.Option("--on", help="local, slurm or ray: where groups run (docs/slurm.md, ray.md)."),
    ] = "local"
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            "--slurm", help="With --on slurm: key=value of sbatch, as partition=gpu. Repeatable."
        ),
    ] = None
    stop_jobs: Annotated[
        bool,
        typer.Option("--stop-jobs", help="With --on slurm: Ctrl-C ends the jobs as well."),
    ] = False
    address: Annotated[
        str,
        typer.Option("--address", help="With --on ray: of a cluster (default: one started here)."),
    ] = ""
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=256, help="Cells of a group in lockstep.")
    ] = 16
    seed: SeedOption = None
    engine: EngineOption = None
    set_: SetOption = None
    as_json: JsonOption = False


@grouped
def sweep(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            help="A TOML file with a base and axes (docs/sweeps.md), or the name of one that comes "
            "with the program (docs/paper.md)."
        ),
    ],
    options: SweepOptions,
) -> None:
    """Run a config in many variants. The same command again runs only what is missing.

    Examples: opro-local sweep seeds.toml --dry-run, then opro-local sweep seeds.toml --run
    runs/seeds
    """
    from opro_local import recipes
    from opro_local.sweeps.plan import default_folder, read_plan

    plan = read_plan(
        recipes.sweep_file(file), overrides(options.seed, options.engine, options.set_)
    )
    folder = options.run or default_folder(plan)
    execution = _execution(options)
    if options.dry_run:
        places = execution.places([group.gpus for group in plan.groups])
        _forecast(plan, folder, places, options)
        return
    _execute(plan, folder, execution, options)


def _execution(options: SweepOptions) -> Execution:
    """Where groups run. Raises UsageError for options of another place, or a missing package."""
    if options.on not in EXECUTIONS:
        raise UsageError(f"--on {options.on!r:.40}: is one of {', '.join(EXECUTIONS)}")
    given = (
        ("slurm", "--slurm", options.slurm),
        ("slurm", "--stop-jobs", options.stop_jobs),
        ("ray", "--address", options.address),
    )
    for place, name, value in given:
        if value and options.on != place:
            raise UsageError(
                f"{name} is for --on {place}", f"add --on {place}, or leave {name} out"
            )
    return EXECUTIONS[options.on](options)


def _local(options: SweepOptions) -> Execution:
    from opro_local.sweeps.local import Local

    return Local(options.workers)


def _slurm(options: SweepOptions) -> Execution:
    from opro_local.sweeps.slurm import Slurm
    from opro_local.sweeps.slurm_options import read_slurm_options

    return Slurm(read_slurm_options(options.slurm or ()), options.workers, options.stop_jobs)


def _ray(options: SweepOptions) -> Execution:
    from opro_local.sweeps.ray import RayCluster

    return RayCluster(options.address, options.workers)


EXECUTIONS = {"local": _local, "slurm": _slurm, "ray": _ray}


def _forecast(plan: SweepPlan, folder: Path, places: int, options: SweepOptions) -> None:
    from opro_local.sweeps.forecast import forecast
    from opro_local.sweeps.sweep import read_records

    told = forecast(
        plan,
        read_records(plan, folder),
        places,
        calibrated=not options.no_calibration,
        notify=lambda line: say(line, err=True),
    )
    if options.as_json:
        say_json(told.to_json())
        return
    _print_forecast(told)


def _print_forecast(told: Forecast) -> None:
    from opro_local.cli.tables import print_table, stdout_console

    rows = [
        (cell.record.cell.name, cell.record.state, f"{cell.pairs:,}", cell.record.group)
        for cell in told.cells
    ]
    names = ("cell", "state", "pairs at most", "group")
    print_table(stdout_console(), names, rows, {"cell", "state", "group"})
    for line in told.problems:
        say(f"will fail: {line}")
    for line in forecast_lines(told):
        say(line)


def forecast_lines(told: Forecast) -> list[str]:
    """What a sweep will cost, in words."""
    missing, groups = told.missing, len(told.plan.groups)
    lines = [
        f"{told.plan.name}: {len(told.cells)} cells in {groups} engine group{'s' * (groups != 1)}, "
        f"{told.places} side by side; at most {told.pairs:,} scored pairs"
    ]
    if len(missing) < len(told.cells):
        left = sum(cell.pairs for cell in missing)
        lines.append(f"{len(missing)} cells are left, with at most {left:,} pairs")
    disk = f"about {told.disk_bytes / 1e6:,.0f} MB of disk"
    tokens, seconds = told.tokens, told.seconds
    if tokens is None or seconds is None:
        lines.append(f"{disk}; tokens and time are not estimated")
    else:
        lines.append(f"{disk}, {tokens:,} tokens, {spoken_seconds(seconds)}: all at most")
    return lines


def spoken_seconds(seconds: float) -> str:
    """A length of time as people say it."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _execute(plan: SweepPlan, folder: Path, execution: Execution, options: SweepOptions) -> None:
    from opro_local.cli.sweep_progress import watched
    from opro_local.sweeps.records import SWEEP, sweep_to_json
    from opro_local.sweeps.table import TABLE

    records = watched(plan, folder, execution, options.at_once)
    if options.as_json:
        say_json(sweep_to_json(plan, records))
    else:
        _print_cells(records)
        say(f"Saved in {folder}: {SWEEP}, {TABLE}, and a folder for each cell")
        say(f"To look at it: opro-local report {folder}")
    _raise_failures(records)


def _print_cells(records: Sequence[CellRecord]) -> None:
    from opro_local.cli.tables import print_table, stdout_console

    rows = [(record.cell.name, record.state, *_figures(record)) for record in records]
    names = ("cell", "state", "baseline", "best", "on", "verdict")
    print_table(stdout_console(), names, rows, {"cell", "state", "on", "verdict"})


def _figures(record: CellRecord) -> tuple[str, str, str, str]:
    """Baseline and best on test, or on the split that there is."""
    from opro_local.runs.run_result import RunResult

    run = record.run
    if not isinstance(run, RunResult) or record.state != "finished":
        return "", "", "", ""
    splits = {"test": run.test, "validation": run.validation, "train": run.train}
    for name, sides in splits.items():
        if sides is not None:
            shown = [
                f"{100 * one.value:.1f} %" if run.shares else f"{one.value:.6g}"
                for one in (sides.baseline, sides.best)
            ]
            return shown[0], shown[1], name, run.verdict or ""
    return "", "", "", run.verdict or ""


class CellsFailed(OproError):
    """Some cells of a sweep failed; all others are finished."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, "the same command runs them again")
        self.exit_code = exit_code


def _raise_failures(records: Sequence[CellRecord]) -> None:
    """End with what the first failed cell would end with alone. Raises CellsFailed."""
    failed = [record for record in records if record.state == "failed"]
    if failed:
        first = failed[0]
        raise CellsFailed(
            f"{len(failed)} of {len(records)} cells failed; {first.cell.name}: {first.error}",
            first.exit_code or 1,
        )
