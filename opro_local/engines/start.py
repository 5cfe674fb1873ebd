"""Starts an engine for a run: one worker process, or several that share every batch.

For: GPUs per worker, and the fall-back from vLLM to transformers. Not for: which class hosts a
model (kinds.py), or what a worker process is (worker.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from opro_local.engines.kinds import AUTO, ENGINES, missing_packages, resolve_kind
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError, ModelError
from opro_local.protocols import Engine

DEVICES = Path("/dev")
SHARED_BY_WORKERS = 0.9  # of a GPU, where no plan and no setting says how much
NOT_INSTEAD = "or take the slower engine, for the whole run, with --engine transformers"

if TYPE_CHECKING:
    from opro_local.engines.worker import WorkerEngine


def start_engine(
    settings: EngineSettings, choice: str, log: Path | None = None, own: Sequence[int] = ()
) -> tuple[Engine, str]:
    """Start an engine in a worker process, or with `data_parallel` in several.

    Args:
        settings: what to host; its kind is replaced by the one that `choice` comes to.
        choice: an engine's name, or "auto": vLLM, and transformers if vLLM is missing, or, on a
            machine without a GPU for it, does not start.
        log: file for the worker's output; further workers write to files numbered from 2.
        own: the GPUs it may use, as places in CUDA_VISIBLE_DEVICES; all if none is named.

    Returns:
        the engine, and a notice for the user, empty if there is nothing to say.

    Raises:
        EngineError: no engine starts, or its packages are missing.
        ModelError: the model does not load.
    """
    devices = _devices(settings, own)
    settings = _of_one_worker(settings)
    first, notice = _start_one(settings, choice, log, devices[0])
    if len(devices) * settings.gpu_workers == 1:
        return first, notice
    # A notice means that vLLM did not start: its arguments mean nothing to what runs instead.
    rest = replace(settings, kind=first.fingerprint["engine"])
    rest = replace(rest, engine_args={}) if notice else rest
    return _with_others(first, rest, log, devices), notice


def _with_others(
    first: WorkerEngine, settings: EngineSettings, log: Path | None, devices: list[str | None]
) -> Engine:
    """The first worker and all others as one engine.

    The first has shown that it starts, and filled what is compiled once. The others load at once,
    each on GPUs of its own; then the next ones on each GPU, as engines that start at once on one
    measure each other's memory as taken.
    """
    from opro_local.engines.data_parallel import DataParallelEngine
    from opro_local.engines.worker import WorkerEngine

    workers = [first]
    try:
        for group in (devices[1:], *[devices] * (settings.gpu_workers - 1)):
            loading = []
            for device in group:
                own_log = log and log.with_stem(f"{log.stem}-{len(workers) + 1}")
                loading.append(WorkerEngine(settings, own_log, device, wait=False))
                workers.append(loading[-1])
            for worker in loading:
                worker.wait_until_ready()
    except BaseException:
        # Ctrl-C too: nobody else knows of the workers that run by now.
        for worker in workers:
            worker.kill()
            worker.close()
        raise
    return DataParallelEngine(workers)


def _of_one_worker(settings: EngineSettings) -> EngineSettings:
    """The settings with the part of a GPU's memory that each of its workers gets."""
    if settings.gpu_workers == 1:
        return settings
    share = (settings.gpu_memory or SHARED_BY_WORKERS) / settings.gpu_workers
    cache = settings.kv_cache_bytes and settings.kv_cache_bytes // settings.gpu_workers
    return replace(settings, gpu_memory=round(share, 4), kv_cache_bytes=cache)


def hosts_on_gpu(kind: str) -> bool:
    """Whether an engine of this kind, as it is installed here, is built for CUDA and has a GPU.

    vLLM's CPU build is a package of another name, or says so in its version.
    """
    from opro_local.engines.gpus import gpus, visible_devices

    try:
        if any("cpu" in metadata.version(package) for package in ENGINES[kind].packages):
            return False
    except metadata.PackageNotFoundError:
        return False
    if (visible_devices() or ["all"])[0] in ("", "-1"):
        return False
    # Where nvidia-smi is missing, the driver's devices tell.
    return bool(gpus()) or any(DEVICES.glob("nvidia[0-9]*"))


def _devices(settings: EngineSettings, own: Sequence[int] = ()) -> list[str | None]:
    """CUDA_VISIBLE_DEVICES of each worker, among its own GPUs if it has some.

    None leaves the variable as it is: a single worker may see all GPUs, and several without a GPU
    share the processor.

    Raises:
        EngineError: there are too few.
    """
    from opro_local.engines.data_parallel import device_groups
    from opro_local.engines.gpus import gpus, visible_devices

    size, count = settings.tensor_parallel * settings.pipeline_parallel, settings.data_parallel
    names = visible_devices()
    if own:
        chosen = [names[place] if names else str(place) for place in own]
        return [*device_groups(chosen, size, count)]
    if count == 1:
        return [None]
    # Where nvidia-smi is missing, or knows nothing of parts of a GPU (MIG), the names are all there
    # is to know.
    named = names if names and names[0] not in ("", "-1") else []
    there = len(gpus()) or len(named)
    if not there or (there < size * count and not hosts_on_gpu(settings.kind)):
        return [None] * count
    if there < size * count:
        each = f"{size} GPU{'s' * (size > 1)} each"
        raise EngineError(
            f"data_parallel = {count} with {each} needs {size * count}, there are {there}",
            f"data_parallel = {there // size}" if there >= size else "lower tensor_parallel",
        )
    return [*device_groups(names or [str(number) for number in range(there)], size, count)]


def _start_one(
    settings: EngineSettings, choice: str, log: Path | None, devices: str | None
) -> tuple[WorkerEngine, str]:
    """One worker, and the notice that it is not the first choice, if so."""
    from opro_local.engines.worker import WorkerEngine

    kind = resolve_kind(choice)
    first_choice, fallback = AUTO
    try:
        return WorkerEngine(replace(settings, kind=kind), log, devices), ""
    except (EngineError, ModelError) as error:
        may_fall_back = choice == "auto" and kind == first_choice
        # Adapters are vLLM's only.
        if not may_fall_back or settings.adapters or missing_packages(fallback):
            raise
        # On a GPU the run would be bound to the slow engine for as long as it lasts.
        if hosts_on_gpu(kind):
            why = "; ".join(filter(None, (error.hint, NOT_INSTEAD)))
            raise type(error)(error.message, why) from error
        first = error
    # vLLM's own constructor arguments mean nothing to transformers.
    instead = replace(settings, kind=fallback, engine_args={})
    why = "; ".join(filter(None, (first.message.splitlines()[0], first.hint)))
    notice = f"WARNING: vLLM did not start ({why}); using transformers, which is slower"
    try:
        return WorkerEngine(instead, log, devices), notice
    except (EngineError, ModelError) as second:
        # Two engines that complain alike have met the same fault of the model's folder.
        if second.message == first.message:
            raise
        message = (
            f"{first}; the transformers engine, tried next, did not start either: {second.message}"
        )
        raise type(first)(message, second.hint) from first
