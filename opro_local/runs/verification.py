"""Whether a run on disk is what was written, and, deep, whether it is what its completions derive.

For: `verify`. Nothing is written, and no engine is started. Not for: mending (recovery.py), or
applying a winner (applying.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import OproError, StoreError, UsageError
from opro_local.files import as_read, read_text
from opro_local.runs.derived_rows import derived_rows
from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.made_by import is_this_version
from opro_local.runs.named_code import named_code
from opro_local.runs.packing import decode
from opro_local.runs.plans import Plan, make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.reading import require_readable
from opro_local.runs.replay import Replay, replay_all
from opro_local.runs.run import result_of
from opro_local.runs.run_result import RunResult
from opro_local.runs.seal import COLUMNS, DERIVED, WORDS, Table
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.store import Store, read_store
from opro_local.runs.store_file import FILE
from opro_local.scoring.verdicts import GAIN, NO_MORE_THAN_CONSTANT

RESULT, WINNER = "result.json", "best.json"
KEYS: Mapping[Table, int] = {"solution": 3, "rejection": 1}  # the first columns are a row's place


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong in one file of a run."""

    file: str
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of a run came to.

    Attributes:
        calls: how many calls were looked at.
        damaged: what is wrong; empty where all is well.
        deep: whether scores and result were derived again.
    """

    calls: int
    damaged: tuple[Damage, ...]
    deep: bool

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged

    def to_json(self) -> dict[str, Any]:
        """As `verify --json` prints it."""
        damaged = [{"file": one.file, "what": one.what} for one in self.damaged]
        return {"ok": self.ok, "damaged": damaged, "calls": self.calls, "deep": self.deep}


def verify(folder: Path, deep: bool = False, trust_code: bool = False) -> Verification:
    """Check a run against its digests, and with `deep` against its completions.

    Args:
        folder: the run's.
        deep: derive every score, the trajectory and the result again from the completions, as the
            run's command would, and compare. Needs the run's data, and no model's engine.
        trust_code: whether Python files and programs that the run's config names may be run for
            that.

    Raises:
        StoreError: there is no run.
        UsageError, DataError, ModelError: what the run was made of is not here any more, or the
            program makes other requests by now, so that nothing can be derived.
    """
    if not (folder / FILE).exists():
        raise StoreError(f"{folder}: there is no run here", "opro-local list shows the runs")
    try:
        store = read_store(folder)
    except StoreError as error:
        return Verification(0, (_damage(folder / FILE, error),), deep)
    try:
        damaged = [*_rows(store), *_copies(store)]
        if deep and not damaged:
            damaged += _derived(store, trust_code)
        return Verification(0 if damaged else len(store.calls()), tuple(damaged), deep)
    finally:
        store.close()


def _damage(file: Path, error: OproError) -> Damage:
    return Damage(str(file), error.message.removeprefix(f"{file}: "))


def _rows(store: Store) -> Iterator[Damage]:
    """Rows that are not what was written."""
    file = store.folder / FILE
    for table in WORDS:
        yield from _attempt(file, partial(store.table, table))
    yield from _attempt(file, store.check_pages)
    yield from _attempt(file, lambda: require_readable(store))
    try:
        labels = [call["label"] for call in store.calls()]
    except StoreError:
        return
    for label in labels:
        yield from _attempt(file, partial(store.completions, label))


def _attempt(file: Path, check: Callable[[], Any]) -> Iterator[Damage]:
    try:
        check()
    except StoreError as error:
        yield _damage(file, error)


def _copies(store: Store) -> Iterator[Damage]:
    """Files of a finished run that say something else than the store."""
    if store.get("state") != "finished":
        return
    yield from _copy(store, RESULT, "result")
    yield from _copy(store, WINNER, "prompt")


def _copy(store: Store, name: str, key: str) -> Iterator[Damage]:
    """A JSON file that says something else than what the store keeps under a key."""
    file, record = store.folder / name, store.get(key)
    if not record or not file.exists():
        return
    try:
        said = decode(read_text(file))
    except (OSError, ValueError) as error:
        yield Damage(str(file), f"can't be read ({error})")
        return
    if said != record:
        where = next(differences(record, said), "it has other entries")
        yield Damage(str(file), f"is not the {key} in {FILE}: {where}")


def _derived(store: Store, trust_code: bool) -> Iterator[Damage]:
    """What does not follow from the completions."""
    try:
        config = reading.stored(store.get("config") or {})
    except (AttributeError, TypeError, UsageError) as error:
        # Another version may have had other settings; this one wrote what it can read.
        if isinstance(error, UsageError) and not is_this_version(store.get("made_by")):
            raise
        yield Damage(str(store.folder / FILE), f"its config can't be read ({error})")
        return
    if not trust_code:
        _require_no_code(store.folder, config)
    record = store.get("result")
    is_evaluation = isinstance(record, Mapping) and record.get("kind") == EvaluationOutcome.KIND
    plan = evaluation_plan(config) if is_evaluation else make_plan(config)
    _require_same(store, plan)
    again = replay_all(plan, store)
    file = str(store.folder / FILE)
    for table in DERIVED:
        for what in _wrong_rows(store, table, again):
            yield Damage(file, what)
    if store.get("state") != "finished" or not record:
        return
    if again.outcome is None:
        yield Damage(file, f"it is called finished, and {again.missing} was never answered")
        return
    outcome, is_former = _as_kept(again.outcome, record)
    yield from _wrong_result(store, plan, result_of(store, plan, outcome), record, is_former)


def _wrong_result(
    store: Store, plan: Plan, result: RunResult, record: Mapping[str, Any], is_former: bool
) -> Iterator[Damage]:
    """Where what is kept of a finished run's end is not what its completions derive.

    Args:
        store: of the run.
        plan: of its config.
        result: as the completions derive it.
        record: the result that is kept.
        is_former: whether a build kept it that did not know all of today's result.
    """
    file = str(store.folder / FILE)
    # Notices are about the machine and the program, not about the run.
    is_same = is_this_version(store.get("made_by")) and not is_former
    skipped = ("notices",) if is_same else ("notices", "summary")
    known = {key: value for key, value in record.items() if key not in skipped}
    for what in differences(result.to_json(), known):
        yield Damage(file, f"the result kept there is not what its completions derive: {what}")
    if store.get("prompt") is None:
        result = replace(result, prompt=None)  # a build that kept none left other files
    elif is_this_version(store.get("made_by")):
        prompt = result.prompt.to_json() if result.prompt else {}
        for what in differences(prompt, store.get("prompt")):
            yield Damage(file, f"the prompt kept there is not what its completions derive: {what}")
    yield from _wrong_copies(store.folder, plan, result)


def _wrong_copies(folder: Path, plan: Plan, result: RunResult) -> Iterator[Damage]:
    """Files beside the store that are not what the result says. best.json is not among them: it is
    compared with what the store keeps.
    """
    files = {name: text for name, text in plan.files(result).items() if name != WINNER}
    for name, text in files.items():
        copy = folder / name
        if not copy.exists():
            continue
        try:
            kept = read_text(copy)
        except (OSError, ValueError) as error:
            yield Damage(str(copy), f"can't be read ({error})")
            continue
        if kept != as_read(text):
            yield Damage(str(copy), "is not what the run's completions derive")


def _as_kept(
    outcome: SearchOutcome | EvaluationOutcome, record: Mapping[str, Any]
) -> tuple[SearchOutcome | EvaluationOutcome, bool]:
    """The outcome as a build would have called it that did not know what one answer to every row
    earns, where such a build kept the result; and whether one did.
    """
    if isinstance(outcome, EvaluationOutcome):
        return outcome, outcome.constant is not None and "constant" not in record
    sides = {"train": outcome.train, "validation": outcome.validation, "test": outcome.test}
    kept = {name: record.get(name) for name, own in sides.items() if own and own.constant}
    lacking = [one for one in kept.values() if isinstance(one, Mapping) and "constant" not in one]
    if lacking and outcome.verdict == NO_MORE_THAN_CONSTANT:
        outcome = replace(outcome, verdict=GAIN)
    return outcome, bool(lacking)


def _require_no_code(folder: Path, config: Config) -> None:
    """Refuse a run whose config names code: it may be somebody else's. Raises UsageError."""
    named = named_code(config)
    if named:
        raise UsageError(
            f"{folder}: to derive its scores {named[0]} has to be run",
            "add --trust-code if you know what it does, or verify without --deep",
        )


def _require_same(store: Store, plan: Plan) -> None:
    """Refuse to derive from other data than the run's."""
    identity = store.get("identity") or {}
    changed = [name for name, digest in plan.identity.items() if identity.get(name) != digest]
    if changed:
        raise UsageError(
            f"{store.folder}: {' and '.join(changed)} changed since the run, so that nothing can "
            "be derived again",
            "put it back, or verify without --deep",
        )


def _wrong_rows(store: Store, table: Table, again: Replay) -> Iterator[str]:
    """Rows that are kept otherwise than they are derived.

    Those of a run that has not finished may be written late, or be of an earlier, shorter one.
    """
    keys = KEYS[table]
    derived = {row[:keys]: row for row in derived_rows(again.trajectory)[table]}
    kept = {row[:keys]: row for row in store.table(table)}
    is_whole = again.outcome is not None and store.get("state") == "finished"
    for place in sorted({*derived, *kept} if is_whole else derived.keys() & kept.keys()):
        one, other = kept.get(place), derived.get(place)
        if one != other:
            named = " ".join(map(str, place))
            why = _first(one, other, table)
            yield f"{WORDS[table]}: {named} is not what its completions derive{why}"


def _first(kept: Any, derived: Any, table: Table) -> str:
    if kept is None or derived is None:
        return " (missing)" if kept is None else " (not derived)"
    names = zip(COLUMNS[table], kept, derived, strict=True)
    return next(f" ({name}: {a!r}, derived {b!r})" for name, a, b in names if a != b)


def differences(right: Any, said: Any, place: str = "") -> Iterator[str]:
    """Where what was said is another value than what is right, in keys that both have.

    A key that only one of them has is of another version of the program.
    """
    if isinstance(right, Mapping) and isinstance(said, Mapping):
        for key in sorted(right.keys() & said.keys()):
            yield from differences(right[key], said[key], f"{place}.{key}" if place else key)
    elif isinstance(right, list | tuple) and isinstance(said, list | tuple):
        if len(right) != len(said):
            yield f"{place} has {len(said)} entries, not {len(right)}"
            return
        for number, (one, other) in enumerate(zip(right, said, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif right != said:
        yield f"{place} is {_short(said)}, not {_short(right)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
