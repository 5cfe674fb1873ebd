"""Engines: models that answer batches. This file starts the one that is asked for, in a worker process."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

from opro_local.engines.worker import WorkerEngine
from opro_local.errors import EngineError, ModelError
from opro_local.types import EngineSettings


def start(settings: EngineSettings, wanted: str, log: Path | None = None) -> tuple[WorkerEngine, str]:
    """Start an engine in a worker process.

    Args:
        settings: the model and how to host it; `kind` is replaced by what is wanted.
        wanted: "vllm", "transformers", "scripted", or "auto": vLLM where it is installed and works, else transformers.
        log: where the worker's output goes.

    Returns:
        The engine, and a line for the user if "auto" could not take vLLM though it is installed, else "".

    Raises:
        EngineError, ModelError: it does not start.
    """
    if wanted != "auto":
        return WorkerEngine(replace(settings, kind=wanted), log), ""
    if importlib.util.find_spec("vllm") is None:
        return WorkerEngine(replace(settings, kind="transformers"), log), ""
    try:
        return WorkerEngine(replace(settings, kind="vllm"), log), ""
    except (EngineError, ModelError) as error:
        notice = f"vLLM is installed but does not work here, so transformers serves: {error.message}"
        return WorkerEngine(replace(settings, kind="transformers"), log), notice
