"""How many requests the scorer's engine will run at once, estimated before it starts.

For: the figure that a new run keeps as `evaluation.running`, so that its schedule is the same
wherever it is resumed. Not for: what follows from it (search/schedules/choice.py, race.py).
"""

from __future__ import annotations

from opro_local.config.settings import Config
from opro_local.engines.gpus import Gpu, gpus
from opro_local.errors import OproError
from opro_local.placement.choose import SHARE, Placement
from opro_local.placement.demand import GIB, RUNNING
from opro_local.placement.part import Part
from opro_local.placement.plan import runs_on_cuda
from opro_local.runs.hosting import placement_of, settings_of

# vLLM's own numbers of requests at once (its class LLM, 0.26 to 0.33).
LARGE_GPU, ON_LARGE, ON_OTHERS = 70 * GIB, 1024, 256
# What a request is taken to hold of the cache, prompt and reply together.
REQUEST_TOKENS = 1024


def with_concurrency(config: Config) -> Config:
    """The config of a new run with what its scorer's engine runs at once, where a schedule asks for
    that and nothing is set.
    """
    is_asked = config.problem.kind == "prompt" and config.evaluation.mode in ("auto", "race")
    if not is_asked or "running" in config.evaluation.model_fields_set:
        return config
    running = requests_at_once(config)
    if not running:
        return config
    evaluation = config.evaluation.model_copy(update={"running": running})
    return config.model_copy(update={"evaluation": evaluation})


def requests_at_once(config: Config) -> int:
    """An estimate from the memory plan; 0 without a GPU, with another engine than vLLM, or where no
    plan can be made.
    """
    try:
        available = gpus() if runs_on_cuda(settings_of(config, "scorer").engine) else ()
        plan = placement_of(config, available) if available else None
    except OproError:
        return 0  # whoever starts the engines says what is wrong
    part = next((p for p in plan.parts if "scorer" in p.demand.roles), None) if plan else None
    if plan is None or part is None:
        return 0
    return _most(config, plan, part)


def _most(config: Config, plan: Placement, part: Part) -> int:
    is_alone = plan.choice != "split" and part.demand.workers == 1
    usual = _usual(part.gpu) if is_alone else RUNNING
    most = (settings_of(config, "scorer").max_num_seqs or usual) * part.demand.workers
    if part.demand.sequence:
        # Alone, vLLM takes its usual share of the GPU and no more.
        unused = max(0, part.memory - int(SHARE * part.gpu.total)) if is_alone else 0
        cache = max(0, part.cache - unused)
        held = cache * part.demand.context // part.demand.sequence
        most = min(most, max(1, held // REQUEST_TOKENS))
    return most * part.demand.copies


def _usual(gpu: Gpu) -> int:
    is_large = gpu.total >= LARGE_GPU and "a100" not in gpu.name.lower()
    return ON_LARGE if is_large else ON_OTHERS
