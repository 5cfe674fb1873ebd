"""A run: one search with its config and its folder, from the check of everything it needs to its
result.

For: wiring plan, store, cache, engines and driver together, in the order that lets nothing be
written before it is known to work. Not for: any part's own work, or printing.

    result = run(reading.read("reviews.toml"), Path("runs/reviews"))
    print(result.best.text)

`run` takes one run to its end, `run_steps` is the same run as a generator of engine calls, and
`run_many` (lockstep.py) takes several of these to their ends together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.engines.pool import EnginePool
from opro_local.errors import OproError, StoreError, UsageError
from opro_local.files import given_path, write_whole
from opro_local.programs.identity import differences
from opro_local.runs import result
from opro_local.runs.cache import Cache
from opro_local.runs.continued import as_begun
from opro_local.runs.costs import count_costs
from opro_local.runs.driver import Commit, RunSteps, drive_steps, run_to_end
from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.events import SILENT, Event, Interrupted, Listener, TrajectoryGrowth
from opro_local.runs.given_runs import listener_given, work_given
from opro_local.runs.hosting import model_identity, model_notices
from opro_local.runs.made_by import other_version, this_version
from opro_local.runs.plans import Plan, make_plan
from opro_local.runs.rejections import with_rejections
from opro_local.runs.run_engines import RunEngines, placement_notices
from opro_local.runs.run_result import RunResult
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.secret_values import known_identity
from opro_local.runs.store import Store, open_store
from opro_local.runs.thinking import heard
from opro_local.search.trajectory import Trajectory

# The rows of the data that were left out, in the run's folder.
SKIPPED = "skipped_rows.txt"


def run(work: Config | Plan, folder: Path, listener: Listener = SILENT) -> RunResult:
    """Run or resume a search in its folder and return its result.

    Args:
        work: what to do: a config, or a plan that a caller made of one.
        folder: where it is kept. The same call there resumes it, or returns its result when it is
            finished.
        listener: hears of the run, and may stop it.

    Raises:
        OproError: see errors.py; UsageError also where one of the three is none. A new folder is
            removed again when nothing was answered yet.
        Interrupted: the listener stopped it; the same call resumes.
    """
    given = work_given(work, "work"), given_path(folder, "folder")
    steps = run_steps(*given, listener_given(listener, "listener"))
    ended: RunResult = run_to_end(steps)
    return ended


def run_steps(
    work: Config | Plan,
    folder: Path,
    listener: Listener = SILENT,
    pool: EnginePool | None = None,
) -> RunSteps:
    """What `run` does, as a generator that yields what an engine must answer and what must be on
    disk; see driver.drive_steps.

    Args:
        work, folder, listener: see `run`.
        pool: engines that several runs share, closed by who made it; without one the run starts
            and stops its own.
    """
    # In here and not in the caller, so that of many runs one that can't be planned fails alone.
    is_alone = pool is None
    plan = make_plan(as_begun(work, folder, is_alone)) if isinstance(work, Config) else work
    for line in (*plan.notices, *model_notices(plan.config, plan.models)):
        listener.notify(line)
    listener = with_rejections(_alarming(listener, plan))
    with _opened(folder, plan, listener) as store:
        settings = plan.config.run
        cache = Cache(None, settings.cache_bytes, listener.notify) if settings.cache else None
        engines = RunEngines(plan.models, plan.others, store, listener, plan.check, cache, pool)
        trajectory = Trajectory()
        try:
            search = heard(plan.search(trajectory), plan.thinkers)
            ended = yield from drive_steps(
                search, engines, trajectory, store, listener, engines.shelf
            )
        except (Interrupted, KeyboardInterrupt):
            _leave(store, state="interrupted")
            raise
        except OproError as error:
            # What was finished stays so when its repetition is refused.
            is_refused = isinstance(error, UsageError) and store.get("result") is not None
            _leave(store, state="finished" if is_refused else "failed", error=str(error))
            raise
        finally:
            engines.close()
        store.settle(trajectory)
        outcome = plan.summarize(trajectory, ended, plan.config.evaluation.alpha)
        whole = result_of(store, plan, outcome)
        yield _conclusion(store, plan, whole)
        return whole


def _alarming(listener: Listener, plan: Plan) -> Listener:
    """The listener, told of what is alarming in the first answers once they are scored."""
    told = False

    def report(event: Event) -> None:
        nonlocal told
        listener.report(event)
        if not told and isinstance(event, TrajectoryGrowth) and event.entries:
            told = True
            for alarm in plan.alarms():
                listener.report(alarm)

    return replace(listener, report=report)


def _conclusion(store: Store, plan: Plan, whole: RunResult) -> Commit:
    """Keeps the result, and leaves it in the folder as files."""
    record = whole.to_json()
    prompt = {} if whole.prompt is None else {"prompt": whole.prompt.to_json()}
    files = {**plan.files(whole), "result.json": json.dumps(record, indent=2) + "\n"}
    if plan.skipped:
        files[SKIPPED] = "".join(f"{line}\n" for line in plan.skipped)

    def write() -> None:
        # The store first: files that a crash leaves out are made again by the same call.
        store.put(state="finished", result=record, **prompt)
        for name, text in files.items():
            write_whole(store.folder / name, text)

    return Commit(write)


def result_of(store: Store, plan: Plan, outcome: SearchOutcome | EvaluationOutcome) -> RunResult:
    """The outcome of a run's search, completed with what only its store knows."""
    if isinstance(outcome, SearchOutcome) and not outcome.summary:
        outcome = replace(outcome, summary=result.words(outcome, plan.shares))
    whole = RunResult(
        name=plan.config.run.name,
        outcome=outcome,
        costs=count_costs(store),
        engine=store.get("engine"),
        rule=plan.rule,
        shares=plan.shares,
        alarms=tuple(plan.alarms()),
        skipped_rows=len(plan.skipped),
        notices=(
            *plan.notices,
            *plan.remarks(),
            *model_notices(plan.config, plan.models),
            *placement_notices(store),
        ),
        folder=store.folder,
    )
    return replace(whole, prompt=plan.whole_prompt(whole))


def _leave(store: Store, **values: str) -> None:
    """Note how the run ended, before it raises what ended it: that says more than a disk that is
    too full for the note.
    """
    with suppress(StoreError):
        store.put(**values)


@contextmanager
def _opened(folder: Path, plan: Plan, listener: Listener) -> Iterator[Store]:
    """The run's store, locked and checked against this config; a folder made here for nothing is
    removed.
    """
    is_new = not folder.exists()
    store = open_store(folder)
    try:
        if store.notice:
            listener.notify(store.notice)
        _identify(store, plan, listener)
        yield store
    finally:
        if is_new and _is_unused(store):
            store.remove()
        store.close()


def _is_unused(store: Store) -> bool:
    """Whether nothing was answered yet; a store that can't be read may hold something."""
    try:
        return store.is_empty() and store.get("result") is None
    except StoreError:
        return False


def _identify(store: Store, plan: Plan, listener: Listener) -> None:
    """Write who the run is on its first start; refuse a folder that belongs to another config, data
    or model.
    """
    now = json.loads(plan.config.canonical())
    identity = {**plan.identity, **model_identity(plan.models)}
    before = store.get("config")
    if before is not None:
        known, unknown = known_identity(store.get("identity") or {}, before, identity)
        if unknown:
            listener.notify(unknown)
        differing = reading.changes(before, now)
        differing += differences(known, identity)
        if differing:
            raise UsageError(
                f"{store.folder}: belongs to another config: {'; '.join(differing)}"
                f"{other_version(store.get('made_by'))}",
                "choose another --run folder",
            )
    else:
        store.put(made_by=this_version())
    store.put(config=now, identity=identity, shares=plan.shares, state="running")
