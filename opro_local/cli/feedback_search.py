"""`opro-local feedback reoptimize`: a new search from what production says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.cli.feedback_options import STORE, FeedbackOption, ShareOption, StoreOptions
from opro_local.cli.grouping import grouped
from opro_local.cli.options import InputOption, ModelOptions, RunOptions, TargetOption

if TYPE_CHECKING:
    from opro_local.config.settings import Config
    from opro_local.runs.run_result import RunResult


@dataclass(frozen=True, slots=True)
class FreshRows:
    """Labelled rows of the user's own, in the place of logged ones."""

    data: Annotated[
        Path | None, typer.Option("--data", help="Fresh labelled rows (default: logged targets).")
    ] = None
    input_: InputOption = None
    target: TargetOption = None


@dataclass(frozen=True, slots=True)
class Logged:
    """What is taken from the store."""

    starts: Annotated[
        int, typer.Option("--starts", min=1, help="Logged prompts to start from.")
    ] = 8
    rows: Annotated[int, typer.Option("--rows", min=10, help="Logged rows to use, the newest.")] = (
        500
    )


@grouped
def reoptimize(
    *,
    models: ModelOptions,
    fresh: FreshRows,
    logged: Logged,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Challenge without a reliable gain too.")
    ] = False,
    share: ShareOption = 0.5,
    feedback: FeedbackOption = STORE,
    options: RunOptions,
) -> None:
    """Search for a better prompt from the logged ones; a reliably better one becomes the
    challenger.

    Example: opro-local feedback reoptimize --model ./Qwen2.5-7B-Instruct
    """
    from opro_local.feedback import reoptimize as reoptimizing
    from opro_local.feedback.experiment import Terms

    Terms(share=share)  # a wrong share is told now, not after the search
    store = StoreOptions(feedback, options.as_json)
    tables = _tables(fresh, models)
    with store.opened() as opened:
        config, left_out = reoptimizing.plan(
            opened, tables, options.overrides(), logged.starts, logged.rows
        )
    folder = options.run or reoptimizing.default_folder(config)
    result = _searched(config, folder, options.verbose)
    with store.opened() as opened:
        challenger, reason = reoptimizing.challenge(opened, result, folder, share, anyway)
    record = {
        "run": str(folder),
        "challenger": challenger,
        "reason": reason,
        "left_out": left_out,
        "result": result.to_json(),
    }
    without = [f"{left_out:,} logged rows were {reoptimizing.LEFT_OUT}"] if left_out else []
    ended = (f"Saved in {folder}", reason[0].upper() + reason[1:])
    store.show(record, [*result.summary, *without, *ended])


def _tables(fresh: FreshRows, models: ModelOptions) -> dict[str, dict[str, Any]]:
    """The config's tables for the search."""
    data = None if fresh.data is None else str(fresh.data)
    return {
        "task": {"data": data, "input": fresh.input_, "target": fresh.target},
        "scorer": {"model": models.model},
        **models.optimizer_table,
    }


def _searched(config: Config, folder: Path, every: bool) -> RunResult:
    from opro_local.cli.progress import watched
    from opro_local.runs.continued import as_begun
    from opro_local.runs.plans import make_plan

    return watched(make_plan(as_begun(config, folder)), folder, every)
