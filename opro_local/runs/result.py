"""What a run found, as plain data and in plain words.

For: baseline against best on every split, with intervals and the paired test. Not for: choosing, or
printing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from opro_local import stats
from opro_local.search.loop import SearchResult
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Score, Solution

SPLITS = ("train", "validation", "test")


def summarize(trajectory: Trajectory, outcome: SearchResult, alpha: float) -> dict[str, Any]:
    """The result of a finished search: JSON-able, its shape documented in docs/result.md."""
    entries = [*trajectory.entries, *trajectory.held_out]
    found: dict[str, Any] = {
        "reason": outcome.reason,
        "digest": trajectory.digest(),
        "steps": max(entry.step for entry in trajectory.entries),
        "baseline": {"text": outcome.baseline.text},
        **({"description": trajectory.description} if trajectory.description else {}),
        **({"ways": ways(trajectory)} if trajectory.proposals else {}),
        "best": _describe(outcome.best, trajectory),
        "solutions": len(trajectory.top(len(trajectory.entries), among="all")),
        "partial": sum(entry.partial for entry in trajectory.entries),
        "pairs": sum(entry.score.n for entry in trajectory.entries),
        "rejections": rejection_counts(rejection.reason for rejection in trajectory.rejections),
        "optimism": optimism(trajectory),
        **({"leaders": leaders(trajectory, alpha)} if trajectory.held_out else {}),
    }
    for split in SPLITS:
        pair = {role: _last(entries, split, solution) for role, solution in _roles(outcome)}
        sides = {
            role: figures_of(entry.score, alpha)
            for role, entry in pair.items()
            if entry is not None
        }
        if len(sides) == len(pair):
            found[split] = sides
    found |= _judge(found, _test_pair(entries, outcome), alpha)
    return found


def optimism(trajectory: Trajectory) -> float:
    """How much the best train score is likely to overstate itself, being the best of all (see
    stats).

    Solutions scored on a part of the rows are left out, as they can't be chosen.
    """
    return stats.optimism_of_best(
        np.stack([e.score.values for e in trajectory.entries if not e.partial])
    )


def leaders(trajectory: Trajectory, alpha: float) -> list[dict[str, Any]]:
    """The solutions confirmed on validation, best first: train and validation side by side."""
    train = {entry.solution: entry.score for entry in trajectory.entries}
    held_out = {
        entry.solution: entry.score for entry in trajectory.held_out if entry.split == "validation"
    }
    ranked = sorted(held_out, key=lambda solution: -held_out[solution].value)
    return [
        {
            "text": solution.text,
            **shown_of(solution),
            "train": figures_of(train[solution], alpha),
            "validation": figures_of(held_out[solution], alpha),
        }
        for solution in ranked
        if solution in train
    ]


def ways(trajectory: Trajectory) -> dict[str, dict[str, Any]]:
    """What each way to propose came to: proposals, how many were new solutions, how many of these
    were scored; gains.

    The gain is that on the parent, at least 0; starting solutions have none.
    """
    last = {entry.solution.key: trajectory.estimate(entry) for entry in trajectory.entries}
    gains = trajectory.gains()
    found: dict[str, dict[str, Any]] = {}
    for proposal in trajectory.proposals:
        nothing = {"proposed": 0, "usable": 0, "scored": 0, "mean_gain": None, "best": None}
        own = found.setdefault(proposal.operator, nothing)
        own["proposed"] += 1
        own["usable"] += proposal.key is not None
        if proposal.key is not None and proposal.key in last:
            own["scored"] += 1
            own["best"] = max(last[proposal.key], own["best"] or 0.0)
    for way, values in gains.items():
        found[way]["mean_gain"] = round(sum(values) / len(values), 4)
    return found


def rejection_counts(reasons: Iterable[str]) -> dict[str, int]:
    """How often each kind of reason occurred, most frequent first; the kind is what stands before a
    colon.
    """
    return dict(Counter(reason.partition(":")[0] for reason in reasons).most_common())


def words(result: Mapping[str, Any]) -> list[str]:
    """The verdict in plain sentences, one line each."""
    test = result.get("test")
    if not result.get("shares", True):
        first, best = (result["train"][role]["accuracy"] for role in ("baseline", "best"))
        return [
            f"Best score {best:.6g}, the first solution's {first:.6g}. Each solution was "
            f"measured once: measure both "
            "again where the objective is noisy."
        ]
    if not test:
        return [
            *_train_words(result),
            "There is no test split: nothing is known about rows the search has not seen.",
        ]
    difference = test["difference"]
    low, high = (round(100 * bound, 1) for bound in difference["interval"])
    n, least = test["best"]["n"], round(100 * test["smallest_difference"])
    return [
        f"On {n} test rows: baseline {percent(test['baseline'])}, best {percent(test['best'])}, "
        f"difference {100 * difference['value']:+.1f} points, {level(result)} {low:+} to {high:+}, "
        f"p = {difference['p_value']:.2g}.",
        f"Verdict: {result['verdict']}.",
        f"With {n} rows, differences under about {least} points are usually not told from noise.",
        *_train_words(result),
        *_leader_words(result),
    ]


def level(result: Mapping[str, Any]) -> str:
    """What a result's intervals are called: "95 % interval"."""
    return f"{100 * (1 - result.get('alpha', 0.05)):.6g} % interval"


def _train_words(result: Mapping[str, Any]) -> list[str]:
    train, luck = result.get("train"), 100 * result["optimism"]
    if not train or luck < 0.05:
        return []
    return [
        f"The highest of {result['solutions']} train scores on {train['best']['n']} rows is "
        f"likely some {luck:.1f} "
        "points too high, for being the highest."
    ]


def _leader_words(result: Mapping[str, Any]) -> list[str]:
    """How far the leaders fell back on rows they were not selected on."""
    first = result["baseline"]["text"]
    chosen = [
        leader
        for leader in result.get("leaders", ())
        if leader["text"] != first or "demonstrations" in leader
    ]
    if len(chosen) < 2:
        return []
    train, held_out = (
        100 * sum(leader[split]["accuracy"] for leader in chosen) / len(chosen)
        for split in ("train", "validation")
    )
    return [
        f"The {len(chosen)} leaders had {train:.1f} % on the train rows they were selected "
        f"on, and {held_out:.1f} % on "
        "the validation rows they were not."
    ]


def _roles(outcome: SearchResult) -> tuple[tuple[str, Solution], ...]:
    return ("baseline", outcome.baseline), ("best", outcome.best)


def _test_pair(
    entries: Sequence[Entry], outcome: SearchResult
) -> tuple[Entry | None, Entry | None]:
    return _last(entries, "test", outcome.baseline), _last(entries, "test", outcome.best)


def _last(entries: Sequence[Entry], split: str, solution: Solution) -> Entry | None:
    found = [entry for entry in entries if entry.split == split and entry.solution == solution]
    return found[-1] if found else None


def _describe(solution: Solution, trajectory: Trajectory) -> dict[str, Any]:
    entry = _last(trajectory.entries, "train", solution)
    return {
        "text": solution.text,
        **shown_of(solution),
        "key": solution.key,
        "step": entry.step if entry else 0,
    }


def shown_of(solution: Solution) -> dict[str, Any]:
    """The ids of the rows that a solution shows as worked examples, where it shows some."""
    return {"demonstrations": list(solution.demonstrations)} if solution.demonstrations else {}


def figures_of(score: Score, alpha: float) -> dict[str, Any]:
    """A score as results show it: accuracy, rows, interval, what was not read or cut, and what
    stands beside it.
    """
    return {
        "accuracy": score.value,
        "n": score.n,
        "interval": list(stats.mean_interval(score.values, alpha)),
        "extraction_failures": score.failures,
        "truncated": score.truncated,
        **score.metrics,
    }


def _judge(
    found: Mapping[str, Any], pair: tuple[Entry | None, Entry | None], alpha: float
) -> dict[str, Any]:
    baseline, best = pair
    if baseline is None or best is None:
        return {"verdict": "not tested"}
    difference = stats.paired_difference(best.score.values, baseline.score.values, alpha)
    test = {
        **found["test"],
        "difference": difference_of(difference),
        "smallest_difference": stats.smallest_difference(best.score.n, alpha=alpha),
    }
    return {"test": test, "verdict": verdict(difference, alpha)}


def difference_of(difference: stats.Difference) -> dict[str, Any]:
    """A paired difference as results show it."""
    return {
        "value": difference.value,
        "interval": list(difference.interval),
        "p_value": difference.p_value,
    }


def verdict(difference: stats.Difference, alpha: float) -> str:
    """Reliable means: the paired test's p-value is under alpha and the interval lies on one side of
    zero.
    """
    low, high = difference.interval
    if difference.p_value < alpha and low > 0:
        return "reliable gain"
    if difference.p_value < alpha and high < 0:
        return "reliable loss: keep the baseline"
    return "no reliable gain"


def percent(figures: Mapping[str, Any]) -> str:
    """An accuracy with its interval, and what was not read or cut: "74.0 % (67 to 80, 3 extraction
    failures)".
    """
    low, high = (100 * bound for bound in figures["interval"])
    notes = [
        f"{figures[key]} {key.replace('_', ' ')}"
        for key in ("extraction_failures", "truncated")
        if figures[key]
    ]
    return (
        f"{100 * figures['accuracy']:.1f} % ({low:.0f} to "
        f"{high:.0f}{''.join(', ' + note for note in notes)})"
    )
