"""A run: one search with its config and its folder, from the check of everything it needs to its
result.

For: wiring the rooms together, in the order that lets nothing be written before it is known to
work. Not for: any part's own work, or printing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.engines.pool import Pool
from opro_local.errors import OproError, StoreError, UsageError
from opro_local.models import offline
from opro_local.runs import result
from opro_local.runs.cache import Cache
from opro_local.runs.driver import Driven, Interrupted, Report, answer_alone, driven
from opro_local.runs.hosting import Hosted, notices
from opro_local.runs.plans import Plan, plan
from opro_local.runs.store import Store, open_store
from opro_local.search.trajectory import Trajectory


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
    """Improve a prompt. Giving the same call again resumes the run, or returns its result when it
    is finished.

    Args:
        data: a CSV, JSONL, Parquet or `datasets` path; or a whole Config; or its tables as a
        mapping.
        run: the run's folder.
        input, target: the columns with what is asked and what counts as right.
        model: optimizer and scorer: a folder, an imported model's name, or a repository id on disk.
        set: any setting, as "section.key=value".
        report: called with the driver's events.

    Returns:
        the result, as docs/result.md describes it.

    Raises:
        OproError: see errors.py; UsageError also where a whole Config comes with more settings.
    """
    columns = {
        name: column
        for name, column in (("input", input), ("target", target))
        if column is not None
    }
    if isinstance(data, Config):
        if columns or model or set:
            raise UsageError(
                "a Config is whole: input, target, model and set change nothing of it",
                "build it with them",
            )
        return execute(data, Path(run), report)
    tables = dict(data) if isinstance(data, Mapping) else {"task": {"data": str(data)}}
    if columns:
        tables["task"] = {**tables.get("task", {}), **columns}
    if model:
        tables["scorer"] = {**tables.get("scorer", {}), "model": model}
    return execute(reading.build(tables, set), Path(run), report)


def execute(
    config: Config,
    folder: Path,
    report: Report = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
    notify: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run or resume a search in its folder and return its result; see `carry_out`."""
    return carry_out(plan(config), folder, report, stopping, notify)


def carry_out(
    ready: Plan,
    folder: Path,
    report: Report = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
    notify: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run or resume what was planned in its folder and return its result.

    Args:
        ready: what to do.
        folder: where it is kept.
        report: called with the driver's events.
        stopping: asked after each batch; see driver.drive.
        notify: called with lines the user should know before it starts (duplicated rows, engine
        fall-back).

    Raises:
        OproError: see errors.py. A new folder is removed again when nothing was answered yet.
        Interrupted: stopped; the same call resumes.
    """
    return answer_alone(carried_out(ready, folder, report, stopping, notify))


def carried_out(
    ready: Plan,
    folder: Path,
    report: Report,
    stopping: Callable[[], bool],
    notify: Callable[[str], None],
    pool: Pool | None = None,
) -> Driven:
    """What `carry_out` does, as a generator that yields what an engine must answer; see
    driver.driven.

    Its engines are the pool's, whose maker closes them; without one they are the run's own.
    """
    for line in ready.notices:
        notify(line)
    with _opened(folder, ready) as store:
        kept = ready.config.run
        cache = Cache(None, kept.cache_bytes, notify) if kept.cache else None
        hosted = Hosted(ready.models, ready.others, store, notify, ready.check, cache, pool)
        trajectory = Trajectory()
        try:
            asks = ready.asks(trajectory)
            outcome = yield from driven(
                asks, hosted, trajectory, store, report, stopping, hosted.shelf
            )
        except (Interrupted, KeyboardInterrupt):
            store.put(state="interrupted")
            raise
        except OproError as error:
            # What was finished stays so when its repetition is refused.
            refused = isinstance(error, UsageError) and store.get("result") is not None
            store.put(state="finished" if refused else "failed", error=str(error))
            raise
        finally:
            hosted.close()
        store.settle(trajectory)
        alpha = ready.config.evaluation.alpha
        found = {**ready.summarize(trajectory, outcome, alpha), "alpha": alpha}
        return _conclude(store, ready, ready.conclude(found, trajectory))


def _conclude(store: Store, ready: Plan, found: dict[str, Any]) -> dict[str, Any]:
    """Complete the result with what only the store knows, and leave it in the folder as files."""
    found = {
        "name": ready.config.run.name,
        "state": "finished",
        **found,
        **accounts(store),
        "engine": store.get("engine"),
        "rule": ready.rule,
        "shares": ready.shares,
        "notices": [*ready.notices, *notices(store)],
    }
    if "summary" not in found:
        found["summary"] = result.words(found)
    store.put(state="finished", result=found)
    for name, text in {
        **ready.files(found),
        "result.json": json.dumps(found, indent=2) + "\n",
    }.items():
        write_whole(store.folder / name, text)
    return found


def accounts(store: Store) -> dict[str, Any]:
    """Engine calls by role, tokens and seconds, what of it the cache gave, and how often test was
    opened.

    A batch that the cache answered whole is no engine call.
    """
    calls, cached = store.calls(), store.get("from_cache") or {}
    made = [call["role"] for call in calls if cached.get(call["label"], [0])[0] < call["requests"]]
    given = [cached[call["label"]] for call in calls if call["label"] in cached]
    return {
        "calls": {"optimizer": 0, "scorer": 0, **Counter(made)},
        "tokens": {
            kind: sum(call[f"{kind}_tokens"] for call in calls)
            for kind in ("prompt", "cached", "completion")
        },
        "from_cache": {
            name: sum(counts[i] for counts in given)
            for i, name in enumerate(("completions", "prompt", "completion"))
        },
        "seconds": round(sum(call["seconds"] for call in calls), 3),
        "test_opened": sum(call["label"].endswith("/test") for call in calls),
    }


@contextmanager
def _opened(folder: Path, ready: Plan) -> Iterator[Store]:
    """The run's store, locked and checked against this config; a folder made here for nothing is
    removed.
    """
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
        return store.is_empty() and store.get("result") is None
    except StoreError:
        return False


def _identify(store: Store, ready: Plan) -> None:
    """Write who the run is on its first start; refuse a folder that belongs to another config, data
    or model.
    """
    now = json.loads(ready.config.canonical())
    models = {role: host.settings.model for role, host in ready.models.items()}
    identity = {
        **ready.identity,
        **{role: offline.model_digest(Path(folder)) for role, folder in models.items() if folder},
    }
    before = store.get("config")
    if before is not None:
        differing = reading.changes(before, now)
        was = store.get("identity") or {}
        differing += [
            f"{k} changed" for k in sorted({*was, *identity}) if was.get(k) != identity.get(k)
        ]
        if differing:
            raise UsageError(
                f"{store.folder}: belongs to another config: {'; '.join(differing)}",
                "choose another --run folder",
            )
    store.put(config=now, identity=identity, shares=ready.shares, state="running")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    try:
        part.write_text(text.encode("utf-8", "replace").decode(), "utf-8")
        os.replace(part, path)
    except OSError as error:
        raise StoreError(f"{path}: can't be written ({error.strerror})") from None
