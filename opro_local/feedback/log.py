"""Production feedback: outcomes logged by a service, its prompts, the running experiment and every
decision.

    with Feedback("feedback.sqlite") as feedback:
        prompt, text = feedback.assign(user)
        ...                                        # answer the user with that text
        feedback.log(Outcome(prompt, score, input=question, output=answer, user=user))

For: one SQLite file that many processes and threads write at once. Not for: what the numbers mean
(experiment.py, sequential.py, standing.py) or searching for a better prompt (reoptimize.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from opro_local.errors import DataError, UsageError
from opro_local.feedback.decisions import (
    Decision,
    State,
    current_state,
    former_champion,
    next_champion,
    record,
    required,
)
from opro_local.feedback.experiment import Experiment, Judgement, Terms, count, judge
from opro_local.feedback.file import create, explain, open_file
from opro_local.feedback.outcomes import Outcome, clean, prompt_id, read_lines, stamp
from opro_local.feedback.sealed import SealedRows
from opro_local.files import place_of
from opro_local.runs.database import SQLITE_ERRORS, transaction

REGISTER = "register its text first: opro-local feedback register TEXT"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: outcomes stored, known ids left out, and one line per skipped line of the
    file.
    """

    stored: int
    known: int
    skipped: tuple[str, ...]


class Feedback:
    """The open feedback store. Threads may share it; a forked process opens its own."""

    def __init__(self, path: str | Path, new: bool = True) -> None:
        """Open the store.

        Args:
            path: the SQLite file, on a disk of this machine (SQLite's log in shared memory knows no
            network disks).
            new: make it where it is missing.

        Raises:
            StoreError: it can't be opened, is something else, or is of another version.
        """
        self.path = place_of(Path(path))
        if new and not self.path.exists():
            create(self.path)
        self._connection = open_file(self.path)
        self._sealed = SealedRows(self.path)
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __enter__(self) -> Feedback:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close. What `log` returned from is on disk already. Safe to call twice."""
        self._connection.close()

    def register(self, text: str, id: str | None = None, source: str = "by hand") -> str:
        """Add a prompt and return its id; a text already there keeps its id. The first prompt
        becomes champion.

        Raises:
            UsageError: the id belongs to another text, or the text has another id; ids never change
            their meaning.
        """
        text = clean(text)
        if not text.strip() or (id is not None and not id.strip()):
            raise UsageError("an empty prompt or id", "give the prompt's whole text")
        with self._writing() as cursor:
            known = cursor.execute("SELECT id FROM prompt WHERE text = ?", (text,)).fetchone()
            if known:
                if id not in (None, known[0]):
                    raise UsageError(
                        f"this prompt is registered as {known[0]}, not as {id}", "use that id"
                    )
                return known[0]
            id = clean(id) if id else prompt_id(text)
            if cursor.execute("SELECT 1 FROM prompt WHERE id = ?", (id,)).fetchone():
                raise UsageError(
                    f"the id {id} belongs to another prompt", "choose another id, or give none"
                )
            self._sealed.add(cursor, "prompt", [(id, text, source, stamp())])
            if current_state(self._sealed, cursor) is None:
                record(self._sealed, cursor, Decision("register", "the first prompt", id))
            return id

    def log(self, *outcomes: Outcome) -> int:
        """Store outcomes, all or none, and return how many were new; on return they survive a
        crash.

        Raises:
            DataError: a field is wrong, or the prompt is not registered. Nothing was stored.
            StoreError: the disk is full, or the store can't be written.
        """
        return self._insert([outcome.row() for outcome in outcomes])

    def import_jsonl(self, path: Path, skip_bad: bool = False) -> Imported:
        """Store the outcomes of a JSON Lines file: all of them or none, unless `skip_bad` leaves
        the wrong ones out.

        Raises:
            DataError: the first line that is wrong, as `file:line: what is wrong`; nothing was
            stored.
        """
        with self._reading() as cursor:
            prompts = {row[0] for row in cursor.execute("SELECT id FROM prompt")}
        rows, skipped = [], []
        for where, found in read_lines(path):
            if isinstance(found, Outcome) and found.prompt not in prompts:
                found = DataError(f"{where}: {_unknown(found.prompt)}", _known(sorted(prompts)))
            if isinstance(found, Outcome):
                rows.append(found.row())
            elif skip_bad:
                skipped.append(found.message)
            else:
                raise found
        stored = self._insert(rows)
        return Imported(stored, len(rows) - stored, tuple(skipped))

    def prompt(self, id: str) -> str:
        """A prompt's text. Raises DataError if the id is not registered."""
        with self._reading() as cursor:
            self._sealed.check(cursor, ("prompt",))
            found = cursor.execute("SELECT text FROM prompt WHERE id = ?", (id,)).fetchone()
        if found is None:
            raise DataError(
                _unknown(id), _known([row["id"] for row in self.rows("SELECT id FROM prompt")])
            )
        return found[0]

    def state(self) -> State:
        """Who is champion and what runs. Raises UsageError while there is no prompt."""
        with self._reading() as cursor:
            return required(current_state(self._sealed, cursor))

    def assign(self, user: str) -> tuple[str, str]:
        """The prompt for a user, as id and text: the same for the same key while the experiment
        runs.

        Args:
            user: whatever is to see one prompt only: a user, a session, or a single request. Log
            the outcome with it.
        """
        if not user:
            raise UsageError(
                "the user key is empty", "give the key that the outcome is logged with"
            )
        state = self.state()
        id = state.experiment.assigned(clean(user)) if state.experiment else state.champion
        return id, self.prompt(id)

    def challenge(
        self, challenger: str, terms: Terms | None = None, reason: str = "by hand"
    ) -> Experiment:
        """Start an experiment: the registered prompt `challenger` against the champion, on terms
        fixed now.

        Raises:
            UsageError: an experiment runs already, or the challenger is the champion.
            DataError: the challenger is not registered.
        """
        self.prompt(challenger)
        with self._writing() as cursor:
            state = required(current_state(self._sealed, cursor))
            if state.experiment:
                raise UsageError(
                    f"{state.experiment.challenger} is being compared already",
                    "decide that first: opro-local feedback compare --apply, promote, keep "
                    "or rollback",
                )
            if challenger == state.champion:
                raise UsageError(
                    f"{challenger} is the champion", "challenge it with another prompt"
                )
            terms, id, now = terms or Terms(), secrets.token_hex(8), stamp()
            after = cursor.execute("SELECT coalesce(max(number), 0) FROM outcome").fetchone()[0]
            row = (id, state.champion, challenger, *asdict(terms).values(), now, after)
            self._sealed.add(cursor, "experiment", [row])
            started = Decision("challenge", reason, state.champion, id, id, asdict(terms))
            record(self._sealed, cursor, started)
            return Experiment(id, state.champion, challenger, terms, datetime.fromisoformat(now))

    def compare(self, apply: bool = False, now: datetime | None = None) -> Judgement:
        """What the running experiment says so far; with `apply`, a promotion, a roll-back or a keep
        takes effect.

        Raises:
            UsageError: no experiment runs, or somebody decided it meanwhile.
        """
        state = self.state()
        if state.experiment is None:
            raise UsageError("no experiment runs", "start one: opro-local feedback challenge ID")
        trials = count(state.experiment, self._trials(state.experiment))
        judgement = judge(state.experiment, trials, now or _now())
        if apply and judgement.action != "continue":
            decision = Decision(
                judgement.action,
                judgement.reason,
                next_champion(state, judgement.action),
                experiment=state.experiment.id,
                numbers=judgement.numbers,
                automatic=True,
            )
            self._close(state, decision)
        return judgement

    def decide(
        self,
        action: Literal["promote", "keep", "rollback"],
        prompt: str | None = None,
        reason: str = "",
    ) -> State:
        """Decide by hand, and write it to the history with the experiment's numbers.

        Args:
            action: "promote" makes the challenger champion, or `prompt` where it is given; "keep"
                ends the experiment for the champion; "rollback" ends it for the champion as
                harmful, and where no experiment runs it brings back the champion that the present
                one took over from.
            prompt: a registered prompt; for "promote" only.

        Raises:
            UsageError: there is nothing to decide.
        """
        state = self.state()
        if prompt is not None:
            self.prompt(prompt)
            if prompt == state.champion:
                raise UsageError(f"{prompt} is the champion already", "there is nothing to promote")
        numbers = self.compare().numbers if state.experiment else {}
        if state.experiment is None and action == "keep":
            raise UsageError("no experiment runs", "there is nothing to end")
        if state.experiment is None and action == "promote" and prompt is None:
            raise UsageError(
                "no experiment runs", "name the prompt: opro-local feedback promote ID"
            )
        if state.experiment is None and action == "rollback":
            prompt = former_champion(state.champion, self.history())
        decision = Decision(
            action,
            reason or "by hand",
            prompt or next_champion(state, action),
            experiment=state.experiment.id if state.experiment else None,
            numbers=numbers,
        )
        self._close(state, decision)
        return self.state()

    def history(self) -> list[dict[str, Any]]:
        """Every decision, oldest first: time, action, automatic, reason, champion, challenger,
        numbers.
        """
        found = self.rows(
            "SELECT d.time, d.action, d.automatic, d.reason, d.champion, e.challenger, "
            "d.experiment, d.numbers "
            "FROM decision d LEFT JOIN experiment e ON e.id = d.experiment ORDER BY d.number"
        )
        return [
            row | {"automatic": bool(row["automatic"]), "numbers": json.loads(row["numbers"])}
            for row in found
        ]

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a SELECT over the schema in schema.sql."""
        with self._reading() as cursor:
            self._sealed.check(cursor)
            cursor.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def _trials(self, experiment: Experiment) -> list[tuple[str, str | None, float, str]]:
        with self._reading() as cursor:
            self._sealed.check(cursor)
            return cursor.execute(
                "SELECT o.prompt, o.user, o.score, o.time FROM outcome o, experiment e "
                "WHERE e.id = ? AND o.number > e.after ORDER BY o.number",
                (experiment.id,),
            ).fetchall()

    def _close(self, state: State, decision: Decision) -> None:
        """End what runs by a decision that was made on this state. Raises UsageError if somebody
        was quicker.
        """
        with self._writing() as cursor:
            if required(current_state(self._sealed, cursor)).decision != state.decision:
                raise UsageError(
                    "somebody else decided meanwhile", "see opro-local feedback history"
                )
            record(self._sealed, cursor, decision)

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> int:
        with self._writing() as cursor:
            new = _unknown_outcomes(cursor, rows)
            (last,) = cursor.execute("SELECT coalesce(max(number), 0) FROM outcome").fetchone()
            numbered = [(number, *row) for number, row in enumerate(new, last + 1)]
            try:
                self._sealed.add(cursor, "outcome", numbered)
            except sqlite3.IntegrityError:
                known = {row[0] for row in cursor.execute("SELECT id FROM prompt")}
                unknown = [row[1] for row in rows if row[1] not in known]
                if not unknown:
                    raise
                raise DataError(_unknown(unknown[0]), _known(sorted(known))) from None
            return len(new)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Cursor]:
        if os.getpid() != self._process:
            raise UsageError(
                f"{self.path}: opened before the process was forked",
                "open it in each worker process",
            )
        try:
            with self._lock, contextlib.closing(self._connection.cursor()) as cursor:
                yield cursor
        except SQLITE_ERRORS as error:
            raise explain(self.path, error) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        with self._opened() as cursor, transaction(self._connection):
            yield cursor

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Cursor]:
        """One state of the file, whatever others write meanwhile."""
        with self._opened() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            finally:
                with contextlib.suppress(*SQLITE_ERRORS):
                    cursor.execute("COMMIT")


def _unknown_outcomes(
    cursor: sqlite3.Cursor, rows: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """The rows whose id is neither in the store nor in a row before; all that have none."""
    seen: set[str] = set()
    new = []
    for row in rows:
        id = row[0]
        if id is not None:
            known = cursor.execute("SELECT 1 FROM outcome WHERE id = ?", (id,)).fetchone()
            if known or id in seen:
                continue
            seen.add(id)
        new.append(row)
    return new


def _now() -> datetime:
    return datetime.now(UTC)


def _unknown(prompt: str) -> str:
    return f"unknown prompt id {prompt[:60]!r}"


def _known(prompts: Sequence[str]) -> str:
    there = ", ".join(prompts[:10]) or "none"
    return f"registered: {there}; {REGISTER}"
