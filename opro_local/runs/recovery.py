"""A damaged run's intact part, copied to a new folder.

For: losing no more than the damage took. Completions and what identifies the run are copied, each
checked by its digest; scores and the result are derived again by the run's command, which asks an
engine for what is missing. Not for: changing the damaged run, which stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opro_local.errors import LockedError, StoreError, UsageError
from opro_local.runs import lock
from opro_local.runs.packing import is_payload, meta_value
from opro_local.runs.salvage import Row, rows_of
from opro_local.runs.seal import COLUMNS, Seal, is_row, row_digest, seal_of, total
from opro_local.runs.store import Store, open_store
from opro_local.runs.store_file import FILE, explain

# What identifies a run. Its state and its result follow from its completions.
KEPT = ("config", "identity", "engine", "placement", "shares", "made_by")
SECONDS = COLUMNS["call"].index("seconds")
PAYLOAD_DIGEST = COLUMNS["call"].index("payload_digest")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came of a recovery.

    Attributes:
        folder: the new run's.
        calls: how many calls were copied.
        lost: what was not, a line each; empty where all was intact.
    """

    folder: Path
    calls: int
    lost: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `recover --json` prints it."""
        return {"folder": str(self.folder), "calls": self.calls, "lost": list(self.lost)}


@dataclass(slots=True)
class _Intact:
    """What was found whole in a file.

    Attributes:
        calls: the covered columns and the payload of each call, by its id.
        broken: labels of calls whose completions are damaged, by id.
        meta: the values, as they were written last.
        seal: the newest.
    """

    calls: dict[int, tuple[tuple[Any, ...], bytes]] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    seal: Seal | None = None


def recover(folder: Path, to: Path) -> Recovery:
    """Copy what is intact of a run to a new folder, where the run's command goes on.

    Args:
        folder: the damaged run's; it is only read.
        to: the new one's; it must not hold a run.

    Raises:
        LockedError: a process writes the run.
        UsageError: there is something at `to`, or it lies in the damaged run.
        StoreError: there is no run, or nothing in it is intact.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"{to}: there is something already", "name a new folder with --to")
    if to.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{to}: lies in the damaged run", "name a folder outside it with --to")
    if lock.is_held(folder):
        raise LockedError(f"{folder}: in use by another process", "wait for it or stop it")
    if not (folder / FILE).is_file():
        raise StoreError(f"{folder}: there is no run here", "opro-local list shows the runs")
    try:
        intact = _intact(rows_of(folder / FILE))
    except OSError as error:
        raise explain(folder, error) from error
    if not intact.calls and not intact.meta:
        raise StoreError(f"{folder / FILE}: nothing in it is intact", "restore a copy")
    store = open_store(to)
    try:
        _write(store, intact)
    finally:
        store.close()
    return Recovery(to, len(intact.calls), tuple(_lost(intact)))


def _intact(rows: Iterable[Row]) -> _Intact:
    intact = _Intact()
    for rowid, columns in rows:
        if len(columns) == len(COLUMNS["call"]) + 2:
            _take_call(intact, rowid, columns)
        elif len(columns) == len(COLUMNS["meta"]) + 1:
            _take_meta(intact, columns)
        elif len(columns) == 12:
            _take_call_of_4(intact, rowid, columns)
        else:
            # The first column is the rowid, which the record leaves out.
            seal = seal_of((rowid, *columns[1:])) if len(columns) == 7 else None
            if seal and (intact.seal is None or seal.epoch >= intact.seal.epoch):
                intact.seal = seal
    return intact


def _take_call(intact: _Intact, rowid: int, columns: Sequence[Any]) -> None:
    values: list[Any] = [rowid, *columns[1:-2]]
    digest, payload = columns[-2:]
    if isinstance(values[SECONDS], int):  # how SQLite keeps a REAL without a fraction
        values[SECONDS] = float(values[SECONDS])
    if not is_row("call", values) or row_digest("call", values) != digest:
        return
    if is_payload(payload, values[PAYLOAD_DIGEST]):
        intact.calls[rowid] = (tuple(values), payload)
        intact.broken.pop(rowid, None)
    elif rowid not in intact.calls:
        intact.broken[rowid] = str(values[1])


def _take_meta(intact: _Intact, columns: Sequence[Any]) -> None:
    key, value, digest = columns
    # Later pages hold later values: those of the log come last.
    is_intact = is_row("meta", (key, value)) and row_digest("meta", (key, value)) == digest
    if is_intact and key in KEPT:
        intact.meta[key] = value


def _take_call_of_4(intact: _Intact, rowid: int, columns: Sequence[Any]) -> None:
    """A call of schema 4, where completions alone have a digest."""
    _, label, role, requests, asked, payload, digest, seconds, *tokens, finished = columns
    if not is_payload(payload, digest):
        return
    try:
        values = (rowid, label, role, requests, asked, digest, float(seconds), *tokens)
    except (TypeError, ValueError):
        return
    whole = (*values, 0, 0, 0, finished)
    if is_row("call", whole):
        intact.calls[rowid] = (whole, payload)


def _write(store: Store, intact: _Intact) -> None:
    store.adopt([intact.calls[id] for id in sorted(intact.calls)])
    meta = {}
    for key, text in intact.meta.items():
        # What can't be read is lost; the run's command writes it anew.
        with contextlib.suppress(ValueError):
            meta[key] = meta_value(key, text)
    store.put(**meta, state="interrupted")


def _lost(intact: _Intact) -> list[str]:
    """What the damage took, a line each."""
    lost = [f"the completions of {label}" for _, label in sorted(intact.broken.items())]
    last = max((*intact.calls, *intact.broken), default=0)
    gaps = [n for n in range(1, last) if n not in intact.calls and n not in intact.broken]
    lost += [f"call {number}" for number in gaps]
    digests = [row_digest("call", values) for values, _ in intact.calls.values()]
    is_whole = intact.seal is not None and total(digests) == intact.seal.sums["call"]
    if not is_whole and not lost:
        some = "perhaps the last calls, as how many there were is lost too"
        lost.append(some if intact.calls else "all calls")
    lost += [f"its {key}" for key in ("config", "identity") if key not in intact.meta]
    return lost
