"""The verb that measures: bench."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import ConfigOptions, EngineOption, JsonOption, SetOption, overrides
from opro_local.cli.visible import say, say_json

RowsOption = Annotated[
    int | None, typer.Option("--rows", min=1, help="Train rows in the batch (default: up to 100).")
]
KINDS = {"phase": "scoring phase", "raw": "raw engine", "cold": "first pass, cold"}


@grouped
def bench(
    *,
    asked: ConfigOptions,
    rows: RowsOption = None,
    prompts: Annotated[
        int, typer.Option("--prompts", min=1, help="Instructions in the batch.")
    ] = 8,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Timed passes of each side.")
    ] = 5,
    engine: EngineOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the scoring phase against the engine's raw throughput. Without a config or data: the
    embedded reviews.

    Example: opro-local bench gsm8k.toml --rows 64 --prompts 8
    """
    from opro_local.runs import bench as measuring
    from opro_local.runs.events import Listener

    row_changes = [f"task.train_rows={rows}"] if rows else []
    changes = overrides(None, engine, [*row_changes, *(set_ or ())])
    if asked.config is not None or any((asked.data, asked.input_, asked.target)):
        settings = asked.read(changes)
    else:
        model = [f"scorer.model={json.dumps(asked.model)}"] if asked.model else []
        settings = measuring.embedded([*model, *changes])
    found = measuring.bench(
        settings, prompts, repeats, Listener(notify=lambda line: say(line, err=True))
    )
    if as_json:
        say_json(found)
        return
    for line in lines(found):
        say(line)


def lines(found: Mapping[str, Any]) -> list[str]:
    """A measurement as a table and a few words."""
    batch, ratio, encoding = found["batch"], found["ratio"], found["encoding"]
    share = 100 * encoding["share_of_phase"]
    table = [
        f"{name:<18}{one['seconds']:>9.2f}{one['tokens_in_per_second']:>12,.0f}{one['tokens_out_per_second']:>12,.0f}"
        f"{100 * one['cached_share']:>9.1f}{one['calls']:>7}"
        for name, one in ((KINDS[kind], found[kind]) for kind in KINDS)
    ]
    phase, schedule = found["phase"], found["schedule"]
    return [
        f"{found['name']}: {batch['prompts']} prompts x {batch['rows']} rows = "
        f"{batch['examples']} examples",
        f"{'median of ' + str(batch['repeats']):<18}{'seconds':>9}{'tok/s in':>12}{'tok/s out':>12}{'cached %':>9}"  # noqa: E501
        f"{'calls':>7}",
        *table,
        f"phase/raw throughput {ratio['value']:.3f} (pairs from {ratio['lowest']:.3f} to "
        f"{ratio['highest']:.3f})",
        f"engine busy {100 * phase['engine_busy']:.2f} %; host "
        f"{phase['host_us_per_example']:.1f} us per example; "
        f"tokenizing {encoding['us_per_prompt']:.0f} us per prompt, {share:.2f} % of a phase",
        f"a run here is scored by {schedule['name']}: {schedule['reason']}",
        *_machine(found),
    ]


def _machine(found: Mapping[str, Any]) -> list[str]:
    machine = found["environment"]
    cards = f", {', '.join(machine['gpu'])}" if machine["gpu"] else ""
    loads = " to ".join(f"{machine['load_average'][when][0]:.2f}" for when in ("before", "after"))
    engines = [
        f"{role}: {engine['engine']} {engine['engine_version']} on {engine['device']}, model "
        f"{engine['model']}"
        for role, engine in found["engine"].items()
    ]
    return [f"{machine['cpu']}, {machine['cores']} cores{cards}; load average {loads}", *engines]
