"""The engines of one run, started when the first unanswered batch needs one.

For: one worker for roles that share a model, the engines that other runs share, and refusing to
continue a run with another engine than it was started with. Not for: which settings a role's model
is hosted with (hosting.py), the engines themselves, or what they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any

from opro_local.engines import lora
from opro_local.engines.kinds import AUTO, caches_answers
from opro_local.engines.pool import EnginePool
from opro_local.engines.settings import EngineSettings
from opro_local.engines.start import start_engine
from opro_local.engines.turns import GpuTurns, TurnTakingEngine
from opro_local.errors import EngineError, ModelError, UsageError
from opro_local.placement.plan import (
    ORDER,
    devices_of,
    plan_for_this_machine,
    roles_over_machines,
    settings_by_role,
)
from opro_local.protocols import Engine
from opro_local.runs.cache import Cache, Shelf
from opro_local.runs.events import Listener
from opro_local.runs.hosting import Hosting, Sharing, asked_of
from opro_local.runs.store import Store
from opro_local.types import Role

# The roles whose greedy answers are texts of a model.
CACHED: tuple[Role, ...] = ("optimizer", "scorer", "judge")


def cache_key_settings() -> list[str]:
    """The engine's settings that decide answers, so that cached ones are found by them."""
    known = fields(EngineSettings)
    return [setting.name for setting in known if setting.metadata.get("in_cache_key", True)]


def _deciding(settings: EngineSettings) -> dict[str, Any]:
    """The settings of the cache's key; without those that came later, at their default."""
    values = asdict(settings)
    later = {one.name: one.default for one in fields(settings) if one.metadata.get("added")}
    return {
        name: values[name]
        for name in cache_key_settings()
        if name not in later or values[name] != later[name]
    }


def _with_date(models: Mapping[Role, Hosting], store: Store) -> Mapping[Role, Hosting]:
    """The models, whose templates write the day on which the run began, whatever day it is."""
    dated = {role: hosting for role, hosting in models.items() if hosting.settings.date}
    if not dated:
        return models
    began = store.get("template_date")
    if began is None:
        began = next(iter(dated.values())).settings.date
        store.put(template_date=began)
    fixed = {
        role: replace(hosting, settings=replace(hosting.settings, date=str(began)))
        for role, hosting in dated.items()
    }
    return {**models, **fixed}


def placement_notices(store: Store) -> list[str]:
    """What the run's user hears of how its models share the GPU; empty where there is no plan."""
    kept = store.get("placement")
    if not kept:
        return []
    notes = [
        f"placement: {row['model']}: {note}" for row in kept["engines"] for note in row["notes"]
    ]
    return [f"placement: {kept['why']}", *notes]


@dataclass(frozen=True, slots=True)
class _Start:
    """How the engines of a run are started.

    Attributes:
        settings: of each role's engine, with the memory it gets.
        devices: the GPUs that a role's engine has to itself, as places in CUDA_VISIBLE_DEVICES.
        turns: the place the engines take turns in; None where each stays on the GPU.
    """

    settings: Mapping[Role, EngineSettings]
    devices: Mapping[Role, tuple[int, ...]] = field(default_factory=dict)
    turns: GpuTurns | None = None


class RunEngines(Mapping[Role, Engine]):
    """The engines of a run; a replayed run starts none.

    Args:
        models: the roles that models answer.
        others: the roles that this process answers itself, such as a user's program.
        store: the run's; keeps which engines it was started with and, beside it, the workers'
        output.
        listener: told how models share the GPU, and which engine stands in for another.
        check: called with the engines when a new run starts them, before anything is asked.
        cache: what greedy answers of other runs are looked up in; None does without.
        pool: engines that other runs use, too; None starts the run's own.
    """

    def __init__(
        self,
        models: Mapping[Role, Hosting],
        others: Mapping[Role, Engine],
        store: Store,
        listener: Listener,
        check: Callable[[Mapping[Role, Engine]], None],
        cache: Cache | None = None,
        pool: EnginePool | None = None,
    ) -> None:
        self._models, self._others = _with_date(models, store), others
        self._store, self._listener, self._check, self._cache = store, listener, check, cache
        self._pool = pool
        # Whether the engines are the pool's, and not this run's to stop.
        self._are_shared = False
        self._engines: dict[Role, Engine] = {}

    def __getitem__(self, role: Role) -> Engine:
        """The role's running engine; the first one asked for starts all models and checks that they
        fit the run.
        """
        if role in self._others:
            return self._others[role]
        if not self._engines:
            self._join()
            self._compare()
        return self._engines[role]

    def __iter__(self) -> Iterator[Role]:
        return iter((*self._models, *self._others))

    def __len__(self) -> int:
        return len(self._models) + len(self._others)

    def shelf(self, role: Role) -> Shelf | None:
        """The part of the cache that holds the answers of the role's engine; None if they are not
        cached.

        The engine runs by now: only a running one knows which of the engines it is, its version and
        its device.
        """
        if self._cache is None or role in self._others or role not in CACHED:
            return None
        engine = self[role]
        if not caches_answers(engine.fingerprint["engine"]):
            return None
        deciding = _deciding(self._models[role].settings)
        return self._cache.shelf(
            {
                "engine": dict(engine.fingerprint),
                "max_model_len": engine.max_model_len,
                "settings": deciding,
            }
        )

    def close(self) -> None:
        """Stop the workers that no other run uses, and close the cache."""
        started = () if self._are_shared else self._engines.values()
        # Roles may share an engine; each is closed once.
        distinct = {id(engine): engine for engine in (*started, *self._others.values())}
        for engine in distinct.values():
            engine.close()
        if self._cache:
            self._cache.close()

    def _join(self) -> None:
        """Use the pool's engines, or start them and leave them to the pool."""
        choices = self._choices()
        asked = {
            role: ((hosting.settings, hosting.adapter), choices[role])
            for role, hosting in self._models.items()
        }
        self._engines = self._pool.find(asked) if self._pool else {}
        if not self._engines:
            try:
                self._start(choices)
            except (EngineError, ModelError) as error:
                if self._pool:
                    self._pool.add_failure(asked, error)
                raise
            if self._pool:
                self._pool.add(asked, self._engines)
        self._are_shared = self._pool is not None

    def _choices(self) -> dict[Role, str]:
        """The engine each role wants; "auto" means the one that the run was started with, if it
        was.
        """
        used = self._store.get("engine") or {}
        return {
            role: used[role]["engine"]
            if hosting.engine == "auto" and role in used
            else hosting.engine
            for role, hosting in self._models.items()
        }

    def _start(self, choices: Mapping[Role, str]) -> None:
        """Start one engine for all roles with equal settings on the same GPUs."""
        start = self._planned(choices)
        running: list[tuple[EngineSettings, tuple[int, ...], Engine]] = []
        # The first to be asked starts first, or, where they take turns, last: it has the GPU then.
        for role in sorted(start.settings, key=ORDER.index, reverse=start.turns is not None):
            settings, devices = start.settings[role], start.devices.get(role, ())
            engine = _find_equal(running, settings, devices)
            if engine is None:
                launch = partial(self._launch, settings, choices[role], role, start.turns, devices)
                engine = TurnTakingEngine(start.turns, launch) if start.turns else launch()
                running.append((settings, devices, engine))
            adapter = self._models[role].adapter
            self._engines[role] = lora.AdapterEngine(engine, adapter) if adapter else engine

    def _launch(
        self,
        settings: EngineSettings,
        choice: str,
        role: Role,
        turns: GpuTurns | None,
        devices: tuple[int, ...],
    ) -> Engine:
        if turns and turns.sleeping:
            # A start that fails beside sleepers must fail, not end in another kind: its place tries
            # without them.
            choice = AUTO[0] if choice == "auto" else choice
        else:
            settings = replace(settings, sleep=0)
        engine, notice = start_engine(settings, choice, self._store.folder / f"{role}.log", devices)
        if notice:
            self._listener.notify(notice)
        return engine

    def _planned(self, choices: Mapping[Role, str]) -> _Start:
        """How the models share the GPU.

        The plan is kept in the store, and the user is told of it. Without a GPU, or with
        run.placement off, there is none: each engine starts as the config says.
        """
        asked = asked_of(self._models)
        # Any of them: all have the run's setting.
        wanted: Sharing = next((one.placement for one in self._models.values()), "off")
        plan = None if wanted == "off" else plan_for_this_machine(asked, choices, wanted)
        spread = [] if wanted == "off" else roles_over_machines(asked)
        if spread:
            roles = " and ".join(spread)
            self._listener.notify(f"placement: no plan, as {roles} runs on several machines")
        if plan is None or plan.asks_engine:
            if plan is not None:
                self._listener.notify(f"placement: {plan.why}; it is started all the same")
            return _Start({role: hosting.settings for role, hosting in self._models.items()})
        settings = settings_by_role(asked, plan)
        self._store.put(placement=plan.described())
        for line in placement_notices(self._store):
            self._listener.notify(line)
        turns = GpuTurns(plan.sleep > 0, self._listener.notify) if plan.choice == "swap" else None
        return _Start(settings, devices_of(asked, plan), turns)

    def _compare(self) -> None:
        """Refuse other engines than the run was started with; check and note those of a new run."""
        now = {role: dict(engine.fingerprint) for role, engine in self._engines.items()}
        before = self._store.get("engine")
        if before is None:
            self._check(self._engines)
            self._store.put(engine=now)
            return
        differing = [
            f"{role} {key} was {old}, now {now[role].get(key)}"
            for role in now
            for key, old in before.get(role, {}).items()
            if now[role].get(key) != old
        ]
        if differing:
            raise UsageError(
                f"{self._store.folder}: the engine is not the one this run was started with: "
                f"{'; '.join(differing)}",
                "choose another --run folder",
            )


def _find_equal(
    running: Sequence[tuple[EngineSettings, tuple[int, ...], Engine]],
    settings: EngineSettings,
    devices: tuple[int, ...],
) -> Engine | None:
    """The running engine with these settings on these GPUs, if there is one."""
    for own_settings, own_devices, engine in running:
        if (own_settings, own_devices) == (settings, devices):
            return engine
    return None
