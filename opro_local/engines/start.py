"""Starts an engine for a run: one worker process, or several that share every batch.

For: GPUs per worker, and the fall-back from vLLM to transformers. Not for: which class hosts a
model (kinds.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from opro_local.errors import EngineError, ModelError
from opro_local.types import Engine, EngineSettings

if TYPE_CHECKING:
    from opro_local.engines.worker import WorkerEngine

from opro_local.engines.kinds import EngineChoice, missing_packages, resolve_kind


def start_engine(
    settings: EngineSettings, wanted: EngineChoice, log: Path | None = None, own: Sequence[int] = ()
) -> tuple[Engine, str]:
    """Start an engine in a worker process, or with `data_parallel` in several.

    Args:
        settings: what to host; its kind is replaced by the one `wanted` comes to.
        wanted: an engine's name, or "auto": vLLM, and transformers if vLLM is missing or does not
        start.
        log: file for the worker's output.
        own: the GPUs it may use, as places in CUDA_VISIBLE_DEVICES; all if none is named.

    Returns:
        the engine, and a notice for the user, empty if there is nothing to say.

    Raises:
        EngineError: no engine starts, or its packages are missing.
        ModelError: the model does not load.
    """
    devices = _devices(settings, own)
    if settings.data_parallel == 1:
        return _start_one(settings, wanted, log, devices[0])
    from opro_local.engines.data_parallel import DataParallelEngine

    first, notice = _start_one(settings, wanted, log, devices[0])
    rest = replace(settings, **({"engine_args": {}} if notice else {}))
    workers = [first]
    try:
        for number, own in enumerate(devices[1:], 2):
            beside = log and log.with_stem(f"{log.stem}-{number}")
            workers.append(_start_one(rest, first.fingerprint["engine"], beside, own)[0])
    except BaseException:
        for worker in workers:
            worker.close()
        raise
    return DataParallelEngine(workers), notice


def _devices(settings: EngineSettings, own: Sequence[int] = ()) -> list[str | None]:
    """The GPUs of each worker, among its own if it has some; without a GPU none is named, and they
    share the processor.

    Raises:
        EngineError: there are too few.
    """
    from opro_local.engines.data_parallel import device_groups
    from opro_local.engines.gpus import gpus, visible_devices

    size, count = settings.tensor_parallel * settings.pipeline_parallel, settings.data_parallel
    if own:
        names = visible_devices()
        return [
            *device_groups([names[place] if names else str(place) for place in own], size, count)
        ]
    if count == 1:
        return [None]
    there = len(gpus())
    if not there:
        return [None] * count
    if there < size * count:
        raise EngineError(
            f"data_parallel = {count} with {size} GPU{'s' * (size > 1)} each needs {size * count}, there are {there}",
            f"data_parallel = {there // size}" if there >= size else "lower tensor_parallel",
        )
    return [
        *device_groups(visible_devices() or [str(number) for number in range(there)], size, count)
    ]


def _start_one(
    settings: EngineSettings, wanted: EngineChoice, log: Path | None, devices: str | None
) -> tuple[WorkerEngine, str]:
    from opro_local.engines.worker import WorkerEngine

    kind = resolve_kind(wanted)
    try:
        return WorkerEngine(replace(settings, kind=kind), log, devices), ""
    except (EngineError, ModelError) as error:
        # Adapters are vLLM's only.
        if (
            wanted != "auto"
            or kind != "vllm"
            or settings.adapters
            or missing_packages("transformers")
        ):
            raise
        first = error
    # vLLM's own constructor arguments mean nothing to transformers.
    fallback = replace(settings, kind="transformers", engine_args={})
    why = "; ".join(filter(None, (first.message.splitlines()[0], first.hint)))
    try:
        return WorkerEngine(
            fallback, log, devices
        ), f"vLLM did not start ({why}); using transformers, which is slower"
    except (EngineError, ModelError) as second:
        if second.message == first.message:
            raise
        message = (
            f"{first}; the transformers engine, tried next, did not start either: {second.message}"
        )
        raise type(first)(message, second.hint) from first
