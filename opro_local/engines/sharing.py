"""How the models of a run share the GPU of this machine: the plan for their settings, and engines that take turns.

For: from settings to a plan, from the plan to the settings that engines start with, and stopping one engine before
the next starts. Not for: the plan's arithmetic (`placement.py`), or which role is hosted how (hosting.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from opro_local.engines import placement, resolve_kind
from opro_local.engines.footprint import footprint
from opro_local.engines.gpus import Gpu, gpus
from opro_local.engines.placement import Placement, Wanted
from opro_local.errors import EngineError
from opro_local.types import Completion, Engine, EngineSettings, Progress, Prompt, Request, Role

# The order engines start in. The scorer first: it is the one whose failure says most about a config.
ORDER: tuple[Role, ...] = ("scorer", "optimizer", "judge", "embedder")
LOWER = (
    "lower max_model_len, max_num_seqs or kv_cache_bytes, take a smaller or quantized model, or free the GPU; "
    'run.placement = "off" starts without a plan'
)


def plan_of(asked: Mapping[Role, EngineSettings], there: Sequence[Gpu], wanted: Wanted = "auto") -> Placement:
    """How engines with these settings would share these GPUs; roles with equal settings share an engine.

    Raises:
        ModelError: a model's folder does not tell what it needs.
    """
    demands = [placement.demand(roles, one, footprint(Path(one.model))) for one, roles in _distinct(asked)]
    return placement.plan(demands, there, wanted)


def plan_here(
    asked: Mapping[Role, EngineSettings], kinds: Mapping[Role, str], wanted: Wanted = "auto"
) -> Placement | None:
    """The plan for this machine; None without a GPU, or where an engine is not vLLM built for one.

    Args:
        asked: each role's settings as the config has them.
        kinds: the engine each role wants, "auto" or a name.
        wanted: how several engines must share.

    Raises:
        ModelError: a model's folder does not tell what it needs.
        EngineError: an engine's packages are missing.
    """
    there = gpus() if asked and all(_runs_on_cuda(kind) for kind in kinds.values()) else ()
    return plan_of(asked, there, wanted) if there else None


def settled(asked: Mapping[Role, EngineSettings], plan: Placement) -> dict[Role, EngineSettings]:
    """The settings that each role's engine starts with under this plan.

    Raises:
        EngineError: nothing fits; the message has the numbers.
    """
    if plan.choice == "none":
        raise EngineError(plan.why, LOWER)
    return {
        role: plan.settled(index, one) for index, (one, roles) in enumerate(_distinct(asked)) for role in sorted(roles)
    }


def _distinct(asked: Mapping[Role, EngineSettings]) -> list[tuple[EngineSettings, list[Role]]]:
    """The engines that serve these roles, the first to start first."""
    found: list[tuple[EngineSettings, list[Role]]] = []
    for role in sorted(asked, key=ORDER.index):
        roles = next((roles for one, roles in found if one == asked[role]), None)
        if roles is None:
            found.append((asked[role], [role]))
        else:
            roles.append(role)
    return found


def _runs_on_cuda(wanted: str) -> bool:
    """Whether this comes to vLLM for a GPU; its CPU build is a package of another name, or says so in its version."""
    try:
        return resolve_kind(wanted) == "vllm" and "cpu" not in metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return False


class Turns:
    """The one place that engines take turns in: who has it, and its running engine."""

    def __init__(self) -> None:
        self._owner: Turn | None = None
        self._engine: Engine | None = None

    def take(self, owner: Turn, start: Callable[[], Engine]) -> Engine:
        """The owner's engine; whoever else has the place is stopped first, so that its memory is free."""
        if self._engine is None or self._owner is not owner:
            self.leave(self._owner)
            self._engine, self._owner = start(), owner
        return self._engine

    def leave(self, owner: Turn | None) -> None:
        """Stop the running engine if it is this owner's."""
        if self._engine is not None and self._owner is owner:
            engine, self._engine, self._owner = self._engine, None, None
            engine.close()


class Turn:
    """An engine that runs while it is asked and gives its place up to the next one asked; see the Engine protocol.

    Args:
        turns: the place, the same for all that take turns.
        start: starts the engine, every time it comes back.

    Raises:
        EngineError: it does not start, or comes back as another engine than it was.
    """

    def __init__(self, turns: Turns, start: Callable[[], Engine]) -> None:
        self._turns, self._start = turns, start
        first = turns.take(self, start)
        self.fingerprint: Mapping[str, Any] = dict(first.fingerprint)
        self.max_model_len = first.max_model_len

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Completion]:
        """One completion per request; the engine starts first if it isn't its turn."""
        return self._running().generate(requests, progress) if requests else []

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take, chat template and special tokens included."""
        return self._running().count_tokens(prompts) if prompts else []

    def close(self) -> None:
        """Stop the engine if it runs. Safe to call twice."""
        self._turns.leave(self)

    def _running(self) -> Engine:
        engine = self._turns.take(self, self._start)
        now = dict(engine.fingerprint)
        if now != self.fingerprint:
            self.close()
            differing = ", ".join(
                f"{k} was {v}, now {now.get(k)}" for k, v in self.fingerprint.items() if now.get(k) != v
            )
            raise EngineError(f"the engine came back as another one: {differing}", "name the engine with --engine")
        return engine
