"""`opro-local models plan`: how models would share a GPU, without loading anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from opro_local.cli.options import JsonOption, SetOption
from opro_local.cli.visible import say, say_json

GIB = 1 << 30
SIZE = re.compile(
    r"(?P<number> \d{1,5} (?: \.\d+ )? ) \s* (?: G (?: i? B )? )?", re.VERBOSE | re.IGNORECASE
)


def plan_(
    optimizer: Annotated[
        str | None, typer.Option(help="The optimizer's model; without it the scorer's.")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(help="The scorer's model; without it the optimizer's.")
    ] = None,
    context: Annotated[
        int | None, typer.Option(min=16, help="Tokens of prompt and reply: max_model_len.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Requests at once: max_num_seqs.")
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="Plan for a GPU as it is sold, here or not: 24GB.")
    ] = None,
    gpu_memory: Annotated[
        float | None, typer.Option(min=0, help="The same in GiB, as a number.")
    ] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say, without loading anything, how models would share a GPU; exit code 3 if they can't.

    Example: opro-local models plan --optimizer qwen2.5-7b-instruct --scorer llama-3.1-8b-instruct
    --gpu 80GB
    """
    from opro_local.config import reading
    from opro_local.engines.gpus import Gpu, gpus
    from opro_local.errors import EngineError, UsageError
    from opro_local.placement.plan import LOWER
    from opro_local.runs.hosting import placement_of

    if not (optimizer or scorer):
        raise UsageError("no model given", "name one or both: --optimizer, --scorer")
    hosting = {"max_model_len": context, "max_num_seqs": concurrency}
    sections = {
        "optimizer": {"model": optimizer or "", **hosting},
        "scorer": {"model": scorer or "", **hosting},
    }
    there = gpus()
    if gpu is not None:
        gpu_memory = _sold_as(gpu)
    if gpu_memory is not None:
        size = int(gpu_memory * GIB)
        there = (Gpu(f"a GPU of {gpu_memory:g} GiB", size, size),)
    if not there:
        raise UsageError("there is no NVIDIA GPU here", "plan for another one with --gpu 24GB")
    plan = placement_of(reading.build(sections, set_ or ()), there, alike=gpu_memory is not None)
    found = plan.described()
    if as_json:
        say_json(found)
    else:
        say("\n".join(_plan_lines(found)))
    if plan.choice == "none":
        raise EngineError(plan.why, LOWER)


def _sold_as(gpu: str) -> float:
    """The GiB of a GPU by the size it is sold with, whose gigabytes are GiB. Raises UsageError."""
    from opro_local.errors import UsageError

    size = SIZE.fullmatch(gpu.strip())
    if size is None or not float(size["number"]):
        raise UsageError(f"--gpu {gpu!r}: a size is wanted", "for example --gpu 24GB")
    return float(size["number"])


def _plan_lines(plan: Mapping[str, Any]) -> list[str]:
    columns = ("weights", "working", "least", "cache", "memory")
    lines = [
        "GiB on each GPU".ljust(32)
        + "".join(f"{name:>10}" for name in (*columns, "sequences", "on GPU"))
    ]
    for row in plan["engines"]:
        sizes = "".join(f"{'-' if row[c] is None else f'{row[c] / GIB:.2f}':>10}" for c in columns)
        count = "-" if row["sequences"] is None else row["sequences"]
        on = "-" if row["devices"] is None else ",".join(map(str, row["devices"]))
        lines.append(" and ".join(row["roles"]).ljust(32) + sizes + f"{count:>10}{on:>10}")
    notes = [
        f"{Path(row['model']).name}: {note}" for row in plan["engines"] for note in row["notes"]
    ]
    for row in plan["engines"]:
        if row["vllm"]:
            lines.append(_as_logged(row))
    return [*lines, *notes, *([plan["why"]] if plan["choice"] != "none" else [])]


def _as_logged(row: Mapping[str, Any]) -> str:
    """What vLLM's log would say of an engine, in its own words."""
    logged, model = row["vllm"], Path(row["model"]).name
    return (
        f"{model}, as vLLM would log it: model loading took {logged['model_loading_gib']} GiB; "
        f"available KV cache memory: {logged['kv_cache_gib']} GiB; KV cache size: "
        f"{logged['kv_cache_tokens']:,} tokens; maximum concurrency for {row['context']:,} tokens "
        f"per request: {logged['concurrency']:.2f}x"
    )
