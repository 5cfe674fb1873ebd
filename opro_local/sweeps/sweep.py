"""A sweep from its plan to its last cell: what is missing is run, group by group.

For: one process at a time on a sweep's folder, starting groups where there is room, what becomes of
cells whose process died, and sweep.json as cells end. Not for: where groups run (execution.py), or
what happens within one (group.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opro_local.errors import OproError, UsageError
from opro_local.files import RUN_STORE
from opro_local.programs.identity import differences
from opro_local.runs import lock
from opro_local.runs.events import Interrupted
from opro_local.runs.hosting import model_identity
from opro_local.runs.plans import make_plan
from opro_local.runs.secret_values import known_identity
from opro_local.runs.store import read_store
from opro_local.sweeps.cells import Cell, short_digest
from opro_local.sweeps.execution import Execution, Running
from opro_local.sweeps.group import CellWork, GroupWork
from opro_local.sweeps.journal import EndNote, JournalReader, Note, Notice, StepNote
from opro_local.sweeps.plan import Group, SweepPlan, cell_folders, divided, engine_key
from opro_local.sweeps.progress import Progress
from opro_local.sweeps.records import CellRecord, read_record, write_sweep

AT_ONCE = 16  # cells in lockstep: each has some files open
GROUPS = "groups"  # the folder of journals and logs, in the sweep's
POLL_SECONDS = 0.1
# sweep.json is made whole each time: not more often than this.
WRITE_SECONDS = 1.0
# What cells that are ended at once get to leave their folders in order.
LEAVE_SECONDS = 1.5
# What a process that can't be started, or dies, ends a cell with.
DIED = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a sweep is.

    Attributes:
        counts: cells by their state.
        total: cells in all.
        running: names of the groups under way.
        best: the best train score of any cell so far, and the cell; None before there is one.
        seconds: since this process began.
        left: an estimate of the seconds that are left, by the steps done; None before there is one.
        failures: "NAME: error" of each failed cell.
    """

    counts: Mapping[str, int]
    total: int
    running: tuple[str, ...]
    best: tuple[float, Cell] | None
    seconds: float
    left: float | None
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SweepListener:
    """Who hears of a sweep; see runs.events.Listener.

    Attributes:
        report: called with how far it is, some times a second.
        notify: called with lines that the user should read.
        should_stop: asked some times a second; true ends the sweep with Interrupted after the
            engine calls in flight.
    """

    report: Callable[[Standing], None] = lambda standing: None
    notify: Callable[[str], None] = lambda line: None
    should_stop: Callable[[], bool] = lambda: False


SILENT = SweepListener()


def run_sweep(
    plan: SweepPlan,
    folder: Path,
    execution: Execution,
    listener: SweepListener = SILENT,
    at_once: int = AT_ONCE,
) -> list[CellRecord]:
    """Run the cells of a sweep that are not finished, and return what all cells came to.

    Args:
        plan: the cells.
        folder: where they are kept; the same call there goes on.
        execution: where groups run.
        listener: hears of it, and may stop it.
        at_once: how many cells of a group are in lockstep at most.

    Raises:
        LockedError: another process runs a sweep there.
        StoreError: the folder can't be written.
        UsageError: it is a run's.
        Interrupted: the listener stopped it.
    """
    if (folder / RUN_STORE).exists():
        raise UsageError(f"{folder}: is the folder of a run", "choose another --run folder")
    held = lock.take(folder)
    try:
        return _Sweep(plan, folder, execution, listener, at_once).run()
    finally:
        held.release()


def read_records(plan: SweepPlan, folder: Path) -> list[CellRecord]:
    """What is there of a sweep, from the stores of its cells; nothing is written."""
    paths = cell_folders(folder, plan.cells)
    groups = {cell.id: group.name for group in plan.groups for cell in group.cells}
    records = [read_record(cell, paths[cell.id], groups[cell.id]) for cell in plan.cells]
    return _without_outdated(records)


def _without_outdated(records: Sequence[CellRecord]) -> list[CellRecord]:
    """The records, where a cell whose data, rule or models changed since it finished counts as
    missing: running it says what changed.
    """
    identities: dict[str, Mapping[str, str]] = {}
    current = []
    for record in records:
        if record.state == "finished":
            config = record.cell.config
            made_of = config.model_dump(mode="json", include={"task", "problem"})
            key = f"{engine_key(config)} {short_digest(made_of)}"
            if key not in identities:
                identities[key] = _identity(record.cell)
            if identities[key] and _changed(record.path, identities[key]):
                record = replace(record, state="interrupted")
        current.append(record)
    return current


def _identity(cell: Cell) -> Mapping[str, str]:
    """What a cell is made of now; empty where that can't be known, as without its data."""
    try:
        plan = make_plan(cell.config)
        return {**plan.identity, **model_identity(plan.models)}
    except OproError:
        return {}


def _changed(path: Path, now: Mapping[str, str]) -> bool:
    store = read_store(path)
    try:
        known, _ = known_identity(store.get("identity") or {}, store.get("config") or {}, now)
    finally:
        store.close()
    return bool(differences(known, now))


@dataclass(slots=True)
class _Part:
    """A group, or a part of one, that is to run or runs."""

    group: Group
    running: Running
    journal: JournalReader
    left: dict[str, Cell]


class _Sweep:
    """The cells' states, and the parts that are waiting and under way."""

    def __init__(
        self,
        plan: SweepPlan,
        folder: Path,
        execution: Execution,
        listener: SweepListener,
        at_once: int,
    ) -> None:
        self._plan, self._folder, self._execution = plan, folder, execution
        self._listener, self._at_once = listener, at_once
        rejoined = execution.rejoin((folder / GROUPS).absolute())
        records = read_records(plan, folder)
        self._records = {record.cell.id: record for record in records}
        self._parts = self._rejoined_parts(rejoined)
        self._waiting = self._missing_parts()
        self._progress = Progress([record.cell for record in records if _is_missing(record)])
        self._written = 0.0
        # The states that sweep.json tells.
        self._noted: list[str] = []
        self._is_stopping = False
        self._told: set[str] = set()

    def run(self) -> list[CellRecord]:
        """Run what is missing; see run_sweep."""
        self._write()
        try:
            while self._waiting or self._parts:
                self._turn()
                if self._parts:
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            self._leave()
            raise
        finally:
            for part in self._parts:
                part.running.kill()
            self._look_again()
            self._write()
        records = self._in_order()
        if self._is_stopping and any(_is_missing(record) for record in records):
            raise Interrupted
        return records

    def _rejoined_parts(self, rejoined: Sequence[tuple[GroupWork, Running]]) -> list[_Part]:
        """Groups of an earlier command, which still run somewhere."""
        parts = []
        cells = {cell.id: (group, cell) for group in self._plan.groups for cell in group.cells}
        for work, running in rejoined:
            own = [cells[one.id] for one in work.cells if one.id in cells]
            if not own:
                continue  # of cells that are no longer in the file
            left = {cell.id: cell for _, cell in own}
            group = replace(own[0][0], name=work.name, cells=tuple(left.values()))
            parts.append(_Part(group, running, JournalReader(work.journal), left))
            self._set_running(left.values())
            self._listener.notify(f"{work.name}: still runs; its {len(left)} cells are watched")
        return parts

    def _set_running(self, cells: Iterable[Cell]) -> None:
        for cell in cells:
            self._records[cell.id] = replace(self._records[cell.id], state="running", error="")

    def _missing_parts(self) -> list[Group]:
        groups = []
        running = {id for part in self._parts for id in part.left}
        for group in self._plan.groups:
            missing = [cell for cell in group.cells if _is_missing(self._records[cell.id])]
            cells = tuple(cell for cell in missing if cell.id not in running)
            if cells:
                groups.append(replace(group, cells=cells))
        places = self._execution.places([group.gpus for group in groups])
        parts = divided(groups, places) if groups else []
        # The long ones first, so that no place is left with one at the end.
        return sorted(parts, key=lambda part: -len(part.cells))

    def _turn(self) -> None:
        """Begin what there is room for, and take what has happened since the last turn."""
        if not self._is_stopping and self._listener.should_stop():
            self._is_stopping = True
            self._waiting.clear()
            for part in self._parts:
                part.running.stop()
        while self._waiting and self._begin(self._waiting[0]):
            self._waiting.pop(0)
        for part in list(self._parts):
            # Asked before the journal is read: what it wrote last is in there then.
            how = part.running.poll()
            for note in part.journal.read():
                self._take(part, note)
            if how is not None:
                self._parts.remove(part)
                self._end(part, how)
        if time.monotonic() - self._written > WRITE_SECONDS and self._states() != self._noted:
            self._write()
        self._listener.report(self._standing())

    def _begin(self, group: Group) -> bool:
        """Start a part; False where there is no room."""
        # One that was rejoined may have the name.
        while any(part.group.name == group.name for part in self._parts):
            group = replace(group, name=f"{group.name}-next")
        path = self._folder / GROUPS / f"{group.name}.jsonl"
        path.unlink(missing_ok=True)
        cells = tuple(
            CellWork(cell.id, cell.tables, self._records[cell.id].path.absolute())
            for cell in group.cells
        )
        work = GroupWork(group.name, cells, self._at_once, path.absolute(), group.gpus)
        try:
            running = self._execution.start(work)
        except OproError as error:
            for cell in group.cells:
                self._fail(cell, str(error), error.exit_code)
            return True
        if running is None:
            return False
        left = {cell.id: cell for cell in group.cells}
        self._parts.append(_Part(group, running, JournalReader(path), left))
        self._set_running(group.cells)
        return True

    def _take(self, part: _Part, note: Note) -> None:
        """One line of a part's journal."""
        record = self._records.get(note.cell)
        if record is None:
            return  # of a rejoined group, and no longer in the file
        if isinstance(note, StepNote):
            self._progress.take_step(record.cell, note)
        elif isinstance(note, Notice):
            self._notify(record.cell, note.line)
        # What was interrupted and not by this sweep goes on: its queue has it in hand.
        elif isinstance(note, EndNote) and (note.state != "interrupted" or self._is_stopping):
            part.left.pop(note.cell, None)
            self._progress.take_end(record.cell)
            read = read_record(record.cell, record.path, record.group)
            self._records[note.cell] = replace(
                read, state=note.state, error=note.error, exit_code=note.exit_code
            )
            if note.error:
                self._notify(record.cell, f"failed: {note.error}")

    def _notify(self, cell: Cell, line: str) -> None:
        """Tell a line once, by the first cell that it comes from."""
        if line not in self._told:
            self._told.add(line)
            self._listener.notify(f"{cell.name}: {line}")

    def _end(self, part: _Part, how: str) -> None:
        """A part's process has ended: what it left is run again in halves, until the cell that it
        dies of is alone.
        """
        left = tuple(part.left.values())
        if self._is_stopping or not left:
            return
        how = how or "its process ended before the cell did"
        if len(left) == 1:
            self._fail(left[0], how, DIED)
            return
        self._listener.notify(f"{part.group.name}: {how}; its {len(left)} cells go on in halves")
        half = (len(left) + 1) // 2
        for suffix, cells in (("a", left[:half]), ("b", left[half:])):
            name = f"{part.group.name}{suffix}"
            self._waiting.append(replace(part.group, name=name, cells=cells))

    def _fail(self, cell: Cell, error: str, exit_code: int) -> None:
        record = self._records[cell.id]
        line = " ".join(error.split())
        self._progress.take_end(cell)
        read = read_record(cell, record.path, record.group)
        self._records[cell.id] = replace(read, state="failed", error=line, exit_code=exit_code)
        self._notify(cell, f"failed: {line}")

    def _leave(self) -> None:
        """Let every process leave its cells in order; what does not is killed."""
        for part in self._parts:
            part.running.interrupt()
        end = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < end and any(part.running.poll() is None for part in self._parts):
            time.sleep(POLL_SECONDS)

    def _look_again(self) -> None:
        """Read what ended without a word of it: no cell runs any more."""
        for id, record in self._records.items():
            if record.state == "running":
                self._records[id] = read_record(record.cell, record.path, record.group)

    def _in_order(self) -> list[CellRecord]:
        return [self._records[cell.id] for cell in self._plan.cells]

    def _write(self) -> None:
        write_sweep(self._folder, self._plan, self._in_order())
        self._written, self._noted = time.monotonic(), self._states()

    def _states(self) -> list[str]:
        return [record.state for record in self._in_order()]

    def _standing(self) -> Standing:
        records = self._in_order()
        states = [record.state for record in records]
        failures = [f"{one.cell.name}: {one.error}" for one in records if one.state == "failed"]
        return Standing(
            counts={state: states.count(state) for state in sorted(set(states))},
            total=len(records),
            running=tuple(part.group.name for part in self._parts),
            best=self._progress.best,
            seconds=self._progress.seconds(),
            left=self._progress.left(),
            failures=tuple(failures),
        )


def _is_missing(record: CellRecord) -> bool:
    return record.state != "finished"
