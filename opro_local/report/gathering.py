"""What a page says of a run, read from its store.

For: opening a run read-only, refusing a damaged one, and the parts of the page as plain data. Not
for: HTML (page.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opro_local.errors import DamageError
from opro_local.report.config_text import toml_of
from opro_local.report.phases import Costs, costs_by_phase
from opro_local.report.replayed import Replayed, replayed
from opro_local.runs.reading import describe
from opro_local.runs.run_result import RunProgress, RunResult
from opro_local.runs.store import Store, read_store
from opro_local.runs.verification import verify
from opro_local.search.replies import kind_of
from opro_local.stats import share_interval

NUMERIC = ("linear_regression", "tsp")  # kinds of problems whose scores are minus the objective
EXAMPLES = 3  # rejected replies shown of each kind


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored solution.

    Attributes:
        split, step, text: see Entry.
        demonstrations: the ids of its worked examples.
        key: of the solution.
        value: what it earned; of a minimized objective, the objective.
        interval: of a share of rows; else None.
        n, failures, truncated, tokens: see Score.
        partial: whether only some rows were scored.
        operator: how it was made; "" where that is not known.
        is_best, is_baseline: whether the run chose it, or began with it.
    """

    split: str
    step: int
    text: str
    demonstrations: tuple[str, ...]
    key: str
    value: float
    interval: tuple[float, float] | None
    n: int
    failures: int
    truncated: int
    tokens: int
    partial: bool
    operator: str
    is_best: bool
    is_baseline: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """Replies that were rejected for one kind of reason: how many, and some of them."""

    kind: str
    count: int
    examples: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a page says.

    Attributes:
        folder: the run's, by its name alone, so that a page is the same wherever it is made.
        kind: of the problem, or "evaluation".
        result: the result, or how far the run is.
        solutions: all that was scored, in order, by split.
        rejected: by kind of reason, the most frequent first.
        costs: by phase.
        config: as TOML.
        made_by: which version of the program made it.
        identity: digests of its data, programs and models.
        upward: whether more is better.
        replayed: what only the completions tell, or why they can't be gone through.
    """

    folder: str
    kind: str
    result: RunResult | RunProgress
    solutions: tuple[Scored, ...]
    rejected: tuple[Rejected, ...]
    costs: Costs
    config: str
    made_by: Mapping[str, Any]
    identity: Mapping[str, str]
    upward: bool
    replayed: Replayed | str


def gather(folder: Path, trust_code: bool = False) -> Contents:
    """What a page says of a run.

    Args:
        folder: the run's.
        trust_code: whether code that the run's config names may run.

    Raises:
        StoreError: there is no run, or it is damaged: nothing is shown of it then.
    """
    came = verify(folder)
    if not came.ok:
        first = came.damaged[0]
        raise DamageError(
            f"{first.file}: {first.what}",
            f"nothing is shown of a damaged run; see opro-local verify {folder}",
        )
    result = describe(folder)
    store = read_store(folder)
    try:
        return _contents(store, result, trust_code)
    finally:
        store.close()


def _contents(store: Store, result: RunResult | RunProgress, trust_code: bool) -> Contents:
    config = store.get("config") or {}
    kind = config.get("problem", {}).get("kind", "prompt")
    if isinstance(result, RunResult) and result.evaluation:
        kind = "evaluation"
    again = replayed(store, kind, trust_code)
    made = {} if isinstance(again, str) else again.operators
    return Contents(
        folder=store.folder.resolve().name,
        kind=kind,
        result=result,
        solutions=_solutions(store, result, kind not in NUMERIC, made),
        rejected=rejected_by_kind(store.rejections()),
        costs=costs_by_phase(store.calls()),
        config=toml_of(config),
        made_by=store.get("made_by") or {},
        identity=store.get("identity") or {},
        upward=kind not in NUMERIC,
        replayed=again,
    )


def _solutions(
    store: Store, result: RunResult | RunProgress, upward: bool, made: Mapping[str, str]
) -> tuple[Scored, ...]:
    rows = [row for split in ("train", "validation", "test") for row in store.solutions(split)]
    best = result.best.key if isinstance(result, RunResult) else ""
    first = rows[0]["key"] if rows else ""
    solutions = [_scored(row, result.shares, upward, best, first) for row in rows]
    return tuple(replace(one, operator=made.get(one.key, "")) for one in solutions)


def _scored(row: Mapping[str, Any], shares: bool, upward: bool, best: str, first: str) -> Scored:
    interval = None
    # A figure of all rows is no share of them, and may lie below 0.
    if shares and 0 <= row["score"] <= 1:
        interval = share_interval(row["score"] * row["n"], row["n"])
    return Scored(
        split=row["split"],
        step=row["step"],
        text=row["text"],
        demonstrations=tuple(row["demonstrations"]),
        key=row["key"],
        value=row["score"] if upward else -row["score"],
        interval=interval,
        n=row["n"],
        failures=row["extraction_failures"],
        truncated=row["truncated"],
        tokens=row["tokens"],
        partial=bool(row["partial"]),
        operator="",
        is_best=row["key"] == best,
        is_baseline=row["key"] == first,
    )


def rejected_by_kind(rows: Sequence[Mapping[str, Any]]) -> tuple[Rejected, ...]:
    """Rejected replies by kind of reason, the most frequent first, each with some examples."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(kind_of(row["reason"]), []).append(row)
    ordered = sorted(kinds.items(), key=lambda item: -len(item[1]))
    return tuple(Rejected(kind, len(own), tuple(own[:EXAMPLES])) for kind, own in ordered)
