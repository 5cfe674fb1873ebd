"""How the models of a run share the GPUs of this machine: the plan for their settings, and the
settings it leads to.

For: from settings to a plan, and from the plan to the settings that engines start with. Not for:
the plan's arithmetic (choose.py), or engines that take turns (engines/turns.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from opro_local.engines.gpus import Gpu, gpus, host_memory
from opro_local.engines.kinds import ENGINES, resolve_kind
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError
from opro_local.models.footprint import footprint
from opro_local.placement import choose
from opro_local.placement.choose import Placement, Wanted
from opro_local.placement.demand import demand
from opro_local.types import Role

# The order engines start in. The scorer first: it is the one whose failure says most about a
# config.
ORDER: tuple[Role, ...] = ("scorer", "optimizer", "judge", "embedder")
LOWER = (
    "lower max_model_len, max_num_seqs or kv_cache_bytes, take a smaller or quantized model, "
    "free the GPU, or choose another GPU with CUDA_VISIBLE_DEVICES; "
    'run.placement = "off" starts without a plan'
)


def plan_for(
    asked: Mapping[Role, EngineSettings], available: Sequence[Gpu], wanted: Wanted = "auto"
) -> Placement:
    """How engines with these settings would share these GPUs; roles with equal settings share an
    engine.

    Raises:
        ModelError: a model's folder does not tell what it needs.
    """
    demands = [demand(roles, one, footprint(Path(one.model))) for one, roles in _distinct(asked)]
    return choose.plan(demands, available, wanted, host_memory())


def plan_for_this_machine(
    asked: Mapping[Role, EngineSettings], kinds: Mapping[Role, str], wanted: Wanted = "auto"
) -> Placement | None:
    """The plan for this machine; None without a GPU, where an engine is not vLLM built for one, or
    where one is spread over several machines.

    Args:
        asked: each role's settings as the config has them.
        kinds: the engine each role wants, "auto" or a name.
        wanted: how several engines must share.

    Raises:
        ModelError: a model's folder does not tell what it needs.
        EngineError: an engine's packages are missing.
    """
    # Of an engine that holds no cache in advance nobody knows what it will take: no plan then.
    can_plan = asked and all(runs_on_cuda(kind) for kind in kinds.values())
    can_plan = can_plan and not roles_over_machines(asked)
    available = gpus() if can_plan else ()
    return plan_for(asked, available, wanted) if available else None


def roles_over_machines(asked: Mapping[Role, EngineSettings]) -> list[Role]:
    """The roles whose engine uses other machines' GPUs too, by its `engine_args`."""
    return [role for role, settings in asked.items() if settings.spans_machines]


def settings_by_role(
    asked: Mapping[Role, EngineSettings], plan: Placement
) -> dict[Role, EngineSettings]:
    """The settings that each role's engine starts with under this plan.

    Raises:
        EngineError: nothing fits; the message has the numbers.
    """
    if plan.choice == "none":
        raise EngineError(plan.why, LOWER)
    return {
        role: plan.settings_for(index, one)
        for index, (one, roles) in enumerate(_distinct(asked))
        for role in sorted(roles)
    }


def devices_of(
    asked: Mapping[Role, EngineSettings], plan: Placement
) -> dict[Role, tuple[int, ...]]:
    """The GPUs that each role's engine has to itself, as places in CUDA_VISIBLE_DEVICES; empty
    where it has none.
    """
    return {
        role: plan.parts[index].devices
        for index, (_, roles) in enumerate(_distinct(asked))
        for role in roles
    }


def _distinct(asked: Mapping[Role, EngineSettings]) -> list[tuple[EngineSettings, list[Role]]]:
    """The engines that serve these roles, the first to start first."""
    # A list, because settings hold mappings and so can't be the keys of a dict.
    engines: list[tuple[EngineSettings, list[Role]]] = []
    for role in sorted(asked, key=ORDER.index):
        roles = next((roles for settings, roles in engines if settings == asked[role]), None)
        if roles is None:
            engines.append((asked[role], [role]))
        else:
            roles.append(role)
    return engines


def runs_on_cuda(wanted: str) -> bool:
    """Whether this, "auto" or a name, comes to an engine that shares GPUs by a plan and is built
    for a GPU.

    vLLM's CPU build is a package of another name, or says so in its version.
    """
    kind = ENGINES[resolve_kind(wanted)]
    try:
        return kind.plans_gpu and not any("cpu" in metadata.version(p) for p in kind.packages)
    except metadata.PackageNotFoundError:
        return False
