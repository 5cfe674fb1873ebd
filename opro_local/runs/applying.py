"""Puts the winner of an agent file's run in the place of the file it started from.

For: everything that has to be true before a user's file is replaced. Not for: asking the user
(cli/runs.py).

A run's folder may have been prepared by somebody else. So nothing in it is believed that can be
derived or asked: the text is worked out again from the completions, the target is named or
confirmed by the user, and the suite whose rules are loaded for that (they may be Python) is one in
the target's project or one that the user names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.problem import AgentFileSettings
from opro_local.errors import DataError, StoreError, UsageError
from opro_local.files import place_of_output, write_whole
from opro_local.problems.agent.agent_file import diff
from opro_local.problems.agent.suite import read_text
from opro_local.problems.function import file_digest
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.plan import Plan
from opro_local.runs.replay import derived_text
from opro_local.runs.store import FILE, Store, read_store
from opro_local.scoring.verdicts import GAIN


@dataclass(frozen=True, slots=True)
class Replacement:
    """A change that may be made.

    Attributes:
        file: what is replaced, links followed.
        text: what it will hold.
        diff: from what it holds now, as `patch` reads it.
        digest: of what it holds now.
    """

    file: Path
    text: str
    diff: str
    digest: str

    def make(self) -> None:
        """Replace the file. Raises UsageError if it changed meanwhile, StoreError."""
        _check_unchanged(self.file, self.digest)
        write_whole(self.file, self.text)


def prepare(run: Path, target: Path | None = None, suite: Path | None = None) -> Replacement:
    """The change that a run's winner would make to a file.

    Args:
        run: the folder of a finished run of kind agent_file.
        target: the file; the one the run started from if None. It may have moved since.
        suite: the run's suite; needed where it lies outside the target's folder.

    Raises:
        UsageError: the run is another user's, of another kind or unfinished, its verdict is not
            "reliable gain", the file is not the one the run started from any more, or the suite
            lies elsewhere.
        DataError, ModelError: what the run was made from is not here any more.
        StoreError: there is no such run, or its result is not what its completions derive.
    """
    _refuse_other_owners(run)
    kept = read_store(run)
    try:
        config, identity = _table(kept, "config"), _table(kept, "identity")
        problem, result = _confirmed(kept, config)
        file = place_of_output(Path(target or problem.file), replaces_settings=True)
        _check_unchanged(file, identity.get("file", ""))
        suite = _suite(file, Path(problem.suite), suite)
        own = {**config["problem"], "file": str(file), "suite": str(suite)}
        plan = make_plan(reading.stored({**config, "problem": own}))
        _check_same(run, identity, plan)
        text = derived_text(plan, kept, result)
    finally:
        kept.close()
    return Replacement(file, text, diff(read_text(file), text, file.name), identity["file"])


def _table(kept: Store, name: str) -> dict[str, Any]:
    """A table that the run keeps; an empty one where there is none."""
    value = kept.get(name) or {}
    if not isinstance(value, dict):
        raise StoreError(f"{kept.folder}: its {name} is no table", "restore a copy")
    return value


def _refuse_other_owners(run: Path) -> None:
    """A run of another user says what they want it to say."""
    for path in (run, run / FILE):
        try:
            owner = os.stat(path).st_uid
        except OSError:
            continue  # read_store says what is wrong
        if owner != os.geteuid():
            raise UsageError(
                f"{path}: belongs to another user (uid {owner})", "look at it, and make it your own"
            )


def _confirmed(
    kept: Store, config: Mapping[str, Any]
) -> tuple[AgentFileSettings, Mapping[str, Any]]:
    """The settings and the result of a finished run of an agent file that tests confirmed. Raises
    UsageError.
    """
    folder, result = kept.folder, _table(kept, "result")
    problem = reading.stored(config).problem
    if not isinstance(problem, AgentFileSettings):
        raise UsageError(f"{folder}: not a run of an agent file", "its best text is in best.txt")
    if kept.get("state") != "finished" or not result:
        raise UsageError(f"{folder}: the run is not finished", "give its command again")
    if result.get("verdict") != GAIN:
        raise UsageError(
            f"{folder}: the verdict on held-out tasks is {result.get('verdict')!r}, "
            "so nothing is replaced",
            "best.diff shows the change; more test tasks tell smaller gains",
        )
    return problem, result


def _check_unchanged(file: Path, digest: str) -> None:
    try:
        now = file_digest(file)
    except DataError as error:
        raise UsageError(error.message, error.hint) from None
    if now != digest:
        raise UsageError(
            f"{file}: changed since the run started from it", "run again from the file as it is now"
        )


def _suite(file: Path, kept: Path, named: Path | None) -> Path:
    """The suite to load: the one that the user names, or the run's if it lies with the target."""
    if named is not None:
        return named
    if not kept.resolve().is_relative_to(file.resolve().parent):
        raise UsageError(
            f"{kept}: the run's suite is not in the folder of {file}, and may load code",
            f"if it is yours, name it: --suite {kept}",
        )
    return kept


def _check_same(run: Path, identity: Mapping[str, str], plan: Plan) -> None:
    """What the winner was judged by must be what it is now."""
    for name, digest in plan.identity.items():
        if identity.get(name) != digest:
            raise UsageError(
                f"{run}: {name} changed since the run", "run again, or put it back as it was"
            )
