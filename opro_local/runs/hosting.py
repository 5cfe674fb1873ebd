"""The engines of a run, started when the first unanswered batch needs one, and who hosts which
model how.

For: folders, cards and settings of each role, one worker for roles that share a model, and refusing
to continue a run with another engine. Not for: the engines themselves, or what they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from opro_local.config.settings import Config, ModelSettings
from opro_local.engines import lora
from opro_local.engines.gpus import Gpu
from opro_local.engines.kinds import AUTO, caches_answers, reads_folder
from opro_local.engines.pool import EnginePool
from opro_local.engines.start import start_engine
from opro_local.engines.turns import GpuTurns, TurnTakingEngine
from opro_local.errors import UsageError
from opro_local.models import offline
from opro_local.models.cards import Card, card_for
from opro_local.placement.choose import Placement
from opro_local.placement.plan import ORDER, devices_of, plan_here, plan_of, settled
from opro_local.runs.cache import Cache, Shelf
from opro_local.runs.events import Listener
from opro_local.runs.store import Store
from opro_local.types import Engine, EngineSettings, Role

_HOSTING = (
    *("dtype", "max_model_len", "max_num_seqs", "kv_cache_bytes", "gpu_memory", "tensor_parallel"),
    *(
        "pipeline_parallel",
        "data_parallel",
        "batch_tokens",
        "engine_args",
        "script",
        "stall_seconds",
        "load_seconds",
    ),
)

# The roles whose greedy answers are texts of a model.
CACHED: tuple[Role, ...] = ("optimizer", "scorer", "judge")
# Settings that decide no answer, or that the running engine names better (a digest for the folder,
# the real context). A setting that is not named here is a part of the cache's key: a new one can
# only cost a miss.
_NOT_DECIDING = (
    *(
        "model",
        "adapters",
        "kind",
        "dtype",
        "max_model_len",
        "script",
        "max_num_seqs",
        "kv_cache_bytes",
        "gpu_memory",
    ),
    *("data_parallel", "sleep", "batch_tokens", "stall_seconds", "load_seconds"),
)


@dataclass(frozen=True, slots=True)
class Hosting:
    """How one role is hosted.

    Attributes:
        wanted: the engine asked for, "auto" or a kind.
        settings: of its worker.
        share: the share of the GPU that the config asks for; without a plan `settings` may have one
        of `hostings`.
        placement: how it may share a GPU with others, see config.RunSettings.
        adapter: the folder of the role's LoRA adapter; "" for none.
    """

    wanted: str
    settings: EngineSettings
    share: float | None = None
    placement: Literal["auto", "split", "swap", "off"] = "off"
    adapter: str = ""


def settings_of(config: Config, role: Role) -> ModelSettings:
    """How a role is hosted: one that names no model is hosted as the scorer is, or as the optimizer
    where none is.
    """
    own: ModelSettings = getattr(config, role)
    if own.model or own.script:
        return own
    return config.scorer if config.scorer.model or config.scorer.script else config.optimizer


def folder_of(settings: ModelSettings) -> Path:
    """The model's folder; a scripted engine has none and stands in an empty path.

    Raises:
        ModelError: there is no such model on this machine.
    """
    return offline.find_model(settings.model) if reads_folder(settings.engine) else Path()


def hostings(
    config: Config, cards: Mapping[Role, Card], folders: Mapping[Role, Path]
) -> dict[Role, Hosting]:
    """How each of these roles is hosted.

    Two different engines get under half of the GPU each, three a third, unless the config says
    otherwise; one gets what it wants. On a GPU a run plans better, from what there is and what the
    models need (engines/sharing.py).
    """
    found = {
        role: replace(
            _host(settings_of(config, role), folders[role], card),
            placement=config.run.placement,
            adapter=_adapter(getattr(config, role).adapter),
        )
        for role, card in cards.items()
    }
    found = {
        role: replace(host, settings=_with_adapters(host, found.values()))
        for role, host in found.items()
    }
    distinct: list[EngineSettings] = []
    for host in found.values():
        if host.settings not in distinct:
            distinct.append(host.settings)
    if len(distinct) < 2:
        return found
    share = round(0.9 / len(distinct), 2)
    return {
        role: replace(
            host, settings=replace(host.settings, gpu_memory=host.settings.gpu_memory or share)
        )
        for role, host in found.items()
    }


def _adapter(folder: str) -> str:
    """The adapter's folder, checked. Raises ModelError."""
    if not folder:
        return ""
    path = Path(folder).expanduser().resolve()
    lora.rank(path)
    return str(path)


def _with_adapters(host: Hosting, others: Iterable[Hosting]) -> EngineSettings:
    """The host's settings with all adapters that roles with the same base model and hosting wear."""
    worn = {other.adapter for other in others if other.adapter and other.settings == host.settings}
    return replace(host.settings, adapters=tuple(sorted(worn)))


def embedder(folder: str) -> Hosting:
    """How a sentence-embedding model is hosted. Raises ModelError if its folder is not there."""
    return Hosting(
        "embedding", EngineSettings(model=str(offline.find_model(folder)), kind="embedding")
    )


def _host(settings: ModelSettings, folder: Path, card: Card) -> Hosting:
    # "auto" is settled when the engine starts; until then its settings name the fall-back.
    kind = AUTO[-1] if settings.engine == "auto" else settings.engine
    return Hosting(
        settings.engine,
        EngineSettings(
            model=str(folder) if reads_folder(kind) else "",
            kind=kind,
            **{name: getattr(settings, name) for name in _HOSTING},
            template_args={**card.template_args, **settings.template_args},
        ),
        share=settings.gpu_memory,
    )


def asked_of(models: Mapping[Role, Hosting]) -> dict[Role, EngineSettings]:
    """Each role's settings as the config has them, without the shares of `hostings`."""
    return {role: replace(host.settings, gpu_memory=host.share) for role, host in models.items()}


def placement_of(config: Config, there: Sequence[Gpu], alike: bool = False) -> Placement:
    """How the optimizer and the scorer would share these GPUs.

    Args:
        config: names the models and their hosting; data and task play no part.
        there: the GPUs, at least one.
        alike: as many more GPUs like the first as the settings ask for are there, too.

    Raises:
        ModelError: a model is not on this machine, or its folder does not tell what it needs.
    """
    folders: dict[Role, Path] = {
        role: folder_of(settings_of(config, role)) for role in ("scorer", "optimizer")
    }
    asked = asked_of(
        hostings(config, {role: card_for(folder) for role, folder in folders.items()}, folders)
    )
    if alike:
        there = (there[0],) * max(
            one.tensor_parallel * one.pipeline_parallel for one in asked.values()
        )
    wanted = config.run.placement
    return plan_of(asked, there, "auto" if wanted == "off" else wanted)


def notices(store: Store) -> list[str]:
    """What a run's user was told of how its models share the GPU; empty where nothing was planned."""
    kept = store.get("placement")
    return [f"placement: {kept['why']}"] if kept else []


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
        self._models, self._others = models, others
        self._store, self._listener, self._check, self._cache = store, listener, check, cache
        self._pool, self._are_shared = pool, False
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
        settings = asdict(self._models[role].settings)
        deciding = {name: value for name, value in settings.items() if name not in _NOT_DECIDING}
        return self._cache.shelf(
            {
                "engine": dict(engine.fingerprint),
                "max_model_len": engine.max_model_len,
                "settings": deciding,
            }
        )

    def close(self) -> None:
        """Stop the workers that no other run uses, and close the cache."""
        own = () if self._are_shared else self._engines.values()
        for engine in {id(engine): engine for engine in (*own, *self._others.values())}.values():
            engine.close()
        if self._cache:
            self._cache.close()

    def _join(self) -> None:
        """Use the pool's engines, or start them and leave them to the pool."""
        kinds = self._kinds()
        asked = {
            role: ((host.settings, host.adapter), kinds[role])
            for role, host in self._models.items()
        }
        self._engines = self._pool.find(asked) if self._pool else {}
        if not self._engines:
            self._start(kinds)
            if self._pool:
                self._pool.add(asked, self._engines)
        self._are_shared = self._pool is not None

    def _kinds(self) -> dict[Role, str]:
        """The engine each role wants; "auto" means the one that the run was started with, if it
        was.
        """
        used = self._store.get("engine") or {}
        return {
            role: used[role]["engine"] if host.wanted == "auto" and role in used else host.wanted
            for role, host in self._models.items()
        }

    def _start(self, kinds: Mapping[Role, str]) -> None:
        settings, devices, turns = self._placed(kinds)
        running: list[tuple[EngineSettings, tuple[int, ...], Engine]] = []
        # The first to be asked starts first, or, where they take turns, last.
        for role in sorted(settings, key=ORDER.index, reverse=turns is not None):
            own = devices.get(role, ())
            shared = next(
                (engine for *known, engine in running if known == [settings[role], own]), None
            )
            if shared is None:
                start = partial(self._launch, settings[role], kinds[role], role, turns, own)
                shared = TurnTakingEngine(turns, start) if turns else start()
                running.append((settings[role], own, shared))
            adapter = self._models[role].adapter
            self._engines[role] = lora.AdapterEngine(shared, adapter) if adapter else shared

    def _launch(
        self,
        settings: EngineSettings,
        wanted: str,
        role: Role,
        turns: GpuTurns | None,
        own: tuple[int, ...],
    ) -> Engine:
        if turns and turns.sleeping:
            # A start that fails beside sleepers must fail, not end in another kind: its place tries
            # without them.
            wanted = AUTO[0] if wanted == "auto" else wanted
        else:
            settings = replace(settings, sleep=0)
        engine, notice = start_engine(settings, wanted, self._store.folder / f"{role}.log", own)
        if notice:
            self._listener.notify(notice)
        return engine

    def _placed(
        self, kinds: Mapping[Role, str]
    ) -> tuple[dict[Role, EngineSettings], dict[Role, tuple[int, ...]], GpuTurns | None]:
        """Each role's settings with the memory it gets, its own GPUs if any, and the place they
        take turns in if so.

        The plan is kept in the store and told; without a GPU, or with run.placement off, there is
        none.
        """
        asked = asked_of(self._models)
        plan = None
        wanted = next((host.placement for host in self._models.values()), "off")
        if wanted != "off":
            plan = plan_here(asked, kinds, wanted)
        if plan is None:
            return {role: host.settings for role, host in self._models.items()}, {}, None
        settings = settled(asked, plan)
        self._store.put(placement=plan.described())
        for line in notices(self._store):
            self._listener.notify(line)
        turns = GpuTurns(plan.sleep > 0, self._listener.notify) if plan.choice == "swap" else None
        return settings, devices_of(asked, plan), turns

    def _compare(self) -> None:
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
                f"{self._store.folder}: the engine is not the one this run was started with: {'; '.join(differing)}",
                "choose another --run folder",
            )
