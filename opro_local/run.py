"""A run: one search with its config and its folder, from the check of everything it needs to its result.

For: wiring the rooms together, in the order that lets nothing be written before it is known to work. Not for: any
part's own work, or printing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opro_local import config as configs
from opro_local import engines, metaprompt, offline, result, scoring, tasks
from opro_local.cards import Card, card_for
from opro_local.config import Config, ModelSettings
from opro_local.driver import Interrupted, Report, drive
from opro_local.errors import DataError, OproError, StoreError, UsageError
from opro_local.problems.prompt import Layout, PromptProblem
from opro_local.search import search
from opro_local.store import Store, open_store
from opro_local.tasks import Task
from opro_local.trajectory import Trajectory
from opro_local.types import Engine, EngineSettings, Prompt, Role

# New tokens per answer where the config doesn't say: a label needs few, worked solutions many (paper section 5.1).
ANSWER_TOKENS = {"labels": 32, "exact": 256, "contains": 256, "regex": 512, "python": 512}
REASONED = 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that was checked and can start: its config, examples, problem, form and how each role is hosted."""

    config: Config
    task: Task
    problem: PromptProblem
    form: metaprompt.Form
    hosts: Mapping[Role, EngineSettings]
    wanted: Mapping[Role, str]
    max_tokens: int


def plan(config: Config) -> Plan:
    """Check everything that can be checked without a model in memory; nothing is written.

    Raises:
        UsageError, DataError, ModelError: what is wrong and what to do.
    """
    task = tasks.load(config.task)
    rule = scoring.make_rule(
        task.rule,
        labels=config.task.labels or task.labels,
        pattern=config.task.pattern or task.pattern,
        examples=task.splits["train"],
    )
    scoring.check_gold(task, rule)
    folders = _folders(config)
    cards = {role: card_for(folder) for role, folder in folders.items()}
    max_tokens = config.scorer.max_tokens or ANSWER_TOKENS.get(rule.name, REASONED)
    form = _form(config, cards["optimizer"])
    chat = cards["scorer"].chat if config.scorer.chat is None else config.scorer.chat
    problem = PromptProblem(
        task.splits,
        config,
        _layout(config, chat, task),
        max_tokens,
        {split: rule.prepare(rows).score for split, rows in task.splits.items()},
        numeric=rule.name == "number",
    )
    hosts = _shared_out({role: _host(config, role, folders[role], cards[role]) for role in ("optimizer", "scorer")})
    wanted = {role: _settings(config, role).engine for role in ("optimizer", "scorer")}
    return Plan(config, task, problem, form, hosts, wanted, max_tokens)


def optimize(
    data: str | Path | Mapping[str, Any] | Config,
    *,
    run: str | Path,
    input: str | None = None,
    target: str | None = None,
    model: str | None = None,
    set: tuple[str, ...] | list[str] = (),
    report: Report = lambda event: None,
) -> dict[str, Any]:
    """Improve a prompt. Giving the same call again resumes the run, or returns its result when it is finished.

    Args:
        data: a CSV, JSONL, Parquet or `datasets` path; or a whole Config; or its tables as a mapping.
        run: the run's folder.
        input, target: the columns with what is asked and what counts as right.
        model: optimizer and scorer: a folder, an imported model's name, or a repository id on disk.
        set: any setting, as "section.key=value".
        report: called with the driver's events.

    Returns:
        the result, as docs/result.md describes it.

    Raises:
        OproError: see errors.py.
    """
    if isinstance(data, Config):
        return execute(data, Path(run), report)
    tables = (
        dict(data) if isinstance(data, Mapping) else {"task": {"data": str(data), "input": input, "target": target}}
    )
    if model:
        tables["scorer"] = {**tables.get("scorer", {}), "model": model}
    return execute(configs.build(tables, set), Path(run), report)


def execute(
    config: Config,
    folder: Path,
    report: Report = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
    notify: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run or resume a search in its folder and return its result.

    Args:
        config: what to do.
        folder: where it is kept.
        report: called with the driver's events.
        stopping: asked after each batch; see driver.drive.
        notify: called with lines the user should know before it starts (duplicated rows, engine fall-back).

    Raises:
        OproError: see errors.py. A new folder is removed again when nothing was answered yet.
        Interrupted: stopped; the same call resumes.
    """
    ready = plan(config)
    for line in ready.task.notices:
        notify(line)
    with _opened(folder, ready) as store:
        hosted = _Hosted(ready, store, notify)
        trajectory = Trajectory()
        try:
            outcome = drive(
                search(ready.problem, config, ready.form, trajectory), hosted, trajectory, store, report, stopping
            )
        except (Interrupted, KeyboardInterrupt):
            store.put(state="interrupted")
            raise
        except OproError as error:
            store.put(state="failed", error=str(error))
            raise
        finally:
            hosted.close()
        return _conclude(store, ready, result.summarize(trajectory, outcome, config.evaluation.alpha))


def _conclude(store: Store, ready: Plan, found: dict[str, Any]) -> dict[str, Any]:
    """Complete the result with what only the store knows, and leave it in the folder as files."""
    found = {
        "name": ready.config.run.name,
        "state": "finished",
        **found,
        **accounts(store),
        "engine": store.get("engine"),
        "rule": ready.task.rule,
        "notices": list(ready.task.notices),
    }
    found["summary"] = result.words(found)
    store.put(state="finished", result=found)
    _write(store.folder / "best.txt", found["best"]["text"] + "\n")
    _write(store.folder / "result.json", json.dumps(found, indent=2) + "\n")
    return found


def accounts(store: Store) -> dict[str, Any]:
    """Engine calls by role, tokens and seconds, and how often test was opened, from the store's calls."""
    calls = store.calls()
    return {
        "calls": {role: sum(call["role"] == role for call in calls) for role in ("optimizer", "scorer")},
        "tokens": {kind: sum(call[f"{kind}_tokens"] for call in calls) for kind in ("prompt", "cached", "completion")},
        "seconds": round(sum(call["seconds"] for call in calls), 3),
        "test_opened": sum(call["label"].endswith("/test") for call in calls),
    }


@contextmanager
def _opened(folder: Path, ready: Plan) -> Iterator[Store]:
    """The run's store, locked and checked against this config; a folder made here for nothing is removed."""
    new = not folder.exists()
    store = open_store(folder)
    try:
        _identify(store, ready)
        yield store
    finally:
        unused = new and _is_unused(store)
        store.close()
        if unused:
            shutil.rmtree(folder, ignore_errors=True)


def _is_unused(store: Store) -> bool:
    try:
        return store.is_empty()
    except StoreError:
        return False


def _identify(store: Store, ready: Plan) -> None:
    """Write who the run is on its first start; refuse a folder that belongs to another config, data or model."""
    now = json.loads(ready.config.canonical())
    identity = {
        "data": _data_digest(ready.task),
        **{role: offline.model_digest(Path(host.model)) for role, host in ready.hosts.items() if host.model},
    }
    before = store.get("config")
    if before is not None:
        differing = configs.changes(before, now)
        differing += [f"{k} changed" for k, v in (store.get("identity") or {}).items() if identity.get(k) != v]
        if differing:
            raise UsageError(
                f"{store.folder}: belongs to another config: {'; '.join(differing)}", "choose another --run folder"
            )
    store.put(config=now, identity=identity, state="running")


def _data_digest(task: Task) -> str:
    rows = [[split, [[row.input, row.target] for row in examples]] for split, examples in sorted(task.splits.items())]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


class _Hosted(Mapping[Role, Engine]):
    """The engines of a run, started when the first unanswered batch needs one; a replayed run starts none."""

    def __init__(self, ready: Plan, store: Store, notify: Callable[[str], None]) -> None:
        self._ready, self._store, self._notify = ready, store, notify
        self._engines: dict[Role, Engine] = {}

    def __getitem__(self, role: Role) -> Engine:
        return _Deferred(self, role)

    def __iter__(self) -> Iterator[Role]:
        return iter(("optimizer", "scorer"))

    def __len__(self) -> int:
        return 2

    def start(self, role: Role) -> Engine:
        """The role's running engine; the first call starts both and checks that they fit the run."""
        if not self._engines:
            self._start()
            self._check()
        return self._engines[role]

    def close(self) -> None:
        """Stop the workers."""
        for engine in {id(engine): engine for engine in self._engines.values()}.values():
            engine.close()

    def _start(self) -> None:
        hosts, wanted = self._ready.hosts, dict(self._ready.wanted)
        used = self._store.get("engine") or {}
        for role in ("scorer", "optimizer"):
            if role == "optimizer" and hosts[role] == hosts["scorer"]:
                self._engines[role] = self._engines["scorer"]
                continue
            if wanted[role] == "auto" and role in used:
                wanted[role] = used[role]["engine"]
            engine, notice = engines.start(hosts[role], wanted[role], self._store.folder / f"{role}.log")
            self._engines[role] = engine
            if notice:
                self._notify(notice)

    def _check(self) -> None:
        now = {role: dict(engine.fingerprint) for role, engine in self._engines.items()}
        before = self._store.get("engine")
        if before is None:
            _check_fit(self._ready, self._engines["scorer"])
            self._store.put(engine=now)
            return
        differing = [
            f"{role} {key} was {old}, now {now[role].get(key)}"
            for role in now
            for key, old in before[role].items()
            if now[role].get(key) != old
        ]
        if differing:
            raise UsageError(
                f"{self._store.folder}: the engine is not the one this run was started with: {'; '.join(differing)}",
                "choose another --run folder",
            )


@dataclass(frozen=True, slots=True)
class _Deferred:
    """Stands for an engine until something is asked of it."""

    hosted: _Hosted
    role: Role

    def generate(self, requests, progress=None):
        return self.hosted.start(self.role).generate(requests, progress)


def _check_fit(ready: Plan, engine: Engine) -> None:
    """Every row must fit the scorer's context with the longest instruction allowed; names the first that doesn't."""
    rows = [row for examples in ready.task.splits.values() for row in examples]
    seeds = ready.problem.seeds()
    layout = ready.problem.layout
    longest = max((seed.text for seed in seeds), key=len)
    room = "x " * ((ready.config.search.max_characters - len(longest)) // 8)  # a token has some four letters
    prompts: list[Prompt] = [layout.prompt(longest + room, row) for row in rows]
    for row, tokens in zip(rows, engine.count_tokens(prompts), strict=True):
        if tokens + ready.max_tokens > engine.max_model_len:
            raise DataError(
                f"{row.where}: row too long: {tokens} tokens with the longest instruction and {ready.max_tokens} for "
                f"the answer, the scorer's context has {engine.max_model_len}",
                "drop the row, lower scorer.max_tokens or search.max_characters, or raise scorer.max_model_len",
            )


def _folders(config: Config) -> dict[Role, Path]:
    scorer = _folder(config.scorer)
    optimizer = _folder(config.optimizer) if config.optimizer.model or config.optimizer.script else scorer
    return {"optimizer": optimizer, "scorer": scorer}


def _folder(settings: ModelSettings) -> Path:
    """The model's folder; a scripted engine has none and stands in an empty path."""
    if settings.engine == "scripted":
        return Path()
    return offline.find_model(settings.model)


def _settings(config: Config, role: Role) -> ModelSettings:
    """How a role is hosted: an optimizer that names no model is hosted as the scorer is."""
    if role == "optimizer" and not (config.optimizer.model or config.optimizer.script):
        return config.scorer
    return config.optimizer if role == "optimizer" else config.scorer


def _host(config: Config, role: Role, folder: Path, card: Card) -> EngineSettings:
    settings = _settings(config, role)
    kind = "scripted" if settings.engine == "scripted" else "vllm" if settings.engine == "vllm" else "transformers"
    return EngineSettings(
        model="" if kind == "scripted" else str(folder),
        kind=kind,
        **{name: getattr(settings, name) for name in _HOSTING},
        template_args={**card.template_args, **settings.template_args},
    )


def _shared_out(hosts: dict[Role, EngineSettings]) -> dict[Role, EngineSettings]:
    """Two different engines get under half of the GPU each unless the config says otherwise; one gets what it wants."""
    if hosts["optimizer"] == hosts["scorer"]:
        return hosts
    return {role: replace(host, gpu_memory=host.gpu_memory or 0.45) for role, host in hosts.items()}


_HOSTING = (
    *("dtype", "max_model_len", "max_num_seqs", "kv_cache_bytes", "gpu_memory", "tensor_parallel", "batch_tokens"),
    *("engine_args", "script", "stall_seconds", "load_seconds"),
)


def _form(config: Config, card: Card) -> metaprompt.Form:
    name = config.search.metaprompt
    return metaprompt.load(card.metaprompt if name == "auto" else name)


def _layout(config: Config, chat: bool, task: Task) -> Layout:
    settings = config.task
    if settings.template is not None:
        _check_template(settings.template, task)
    position = "template" if settings.template is not None else settings.position
    return Layout(position, chat, (not chat) if settings.qa is None else settings.qa, settings.template)


def _check_template(template: str, task: Task) -> None:
    columns = {"instruction", *task.splits["train"][0].columns}
    unknown = [name for name in re.findall(r"\{(\w+)\}", template) if name not in columns]
    if unknown:
        raise UsageError(f"task.template: there is no column {unknown[0]!r}", f"accepted: {', '.join(sorted(columns))}")


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    try:
        part.write_text(text.encode("utf-8", "replace").decode(), "utf-8")
        os.replace(part, path)
    except OSError as error:
        raise StoreError(f"{path}: can't be written ({error.strerror})") from None
