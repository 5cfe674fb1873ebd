"""What an evaluation comes to: every instruction's figures, and every pair compared row by row.

For: the result of `evaluate` as plain data and in plain words. Not for: what is asked
(plans/evaluation.py), single answers (evaluated_rows.py), or choosing an instruction: whoever picks
the best of this table picks luck as well, and the table says how much.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opro_local import stats
from opro_local.runs.result import difference_of, figures_of, shown_of
from opro_local.search.loop import SearchResult
from opro_local.search.trajectory import Entry, Trajectory


def all_entries(trajectory: Trajectory) -> list[Entry]:
    """Every scored solution of an evaluation, whichever split it was scored on."""
    return [*trajectory.entries, *trajectory.held_out]


def summarize(trajectory: Trajectory, outcome: SearchResult, alpha: float) -> dict[str, Any]:
    """The result of an evaluation: JSON-able, its shape documented in docs/evaluate.md."""
    entries = all_entries(trajectory)
    values = np.stack([entry.score.values for entry in entries])
    return {
        "kind": "evaluation",
        "reason": outcome.reason,
        "digest": trajectory.digest(),
        "steps": 0,
        "solutions": len(entries),
        "rejections": {},
        "baseline": {"text": outcome.baseline.text},
        "best": {"text": outcome.best.text, "key": outcome.best.key},
        "prompts": [
            {
                "prompt": number,
                "text": entry.solution.text,
                **shown_of(entry.solution),
                **figures_of(entry.score, alpha),
                "tokens": entry.score.tokens,
            }
            for number, entry in enumerate(entries, 1)
        ],
        "pairs": pairs(values, alpha),
        "optimism": stats.optimism_of_best(values),
        "equal_p_value": _equal(values),
        "smallest_difference": stats.smallest_difference(values.shape[1], alpha=alpha),
    }


def pairs(values: np.ndarray, alpha: float) -> list[dict[str, Any]]:
    """Every pair of prompts compared on the same rows; `p_holm` is corrected for their number.

    Args:
        values: shape (prompts, n).
    """
    numbers = list(itertools.combinations(range(len(values)), 2))
    differences = [stats.paired_difference(values[b], values[a], alpha) for a, b in numbers]
    corrected = (
        stats.holm(np.array([difference.p_value for difference in differences])) if numbers else ()
    )
    return [
        {"a": a + 1, "b": b + 1, **difference_of(difference), "p_holm": float(p)}
        for (a, b), difference, p in zip(numbers, differences, corrected, strict=True)
    ]


def _equal(values: np.ndarray) -> float | None:
    return stats.cochran_q(values) if len(values) > 1 and stats.is_binary(values) else None


def words(result: Mapping[str, Any]) -> list[str]:
    """What the table says and what it does not, one line each."""
    prompts, n = result["prompts"], result["prompts"][0]["n"]
    least = round(100 * result["smallest_difference"])
    lines = [
        f"With {n} rows, differences under about {least} points are usually not told from noise."
    ]
    if len(prompts) > 1:
        alpha, compared = result["alpha"], result["pairs"]
        reliable = sum(pair["p_holm"] < alpha for pair in compared)
        lines.append(
            f"{reliable} of {len(compared)} pairs differ reliably "
            f"(paired tests, Holm's correction, p < {alpha:g})."
        )
        lines.append(
            f"Whoever picks the best of these {len(prompts)} should expect it to do "
            f"{100 * result['optimism']:.1f} points worse on other rows."
        )
    return [*lines, *_judge_words(prompts)]


def _judge_words(prompts: Sequence[Mapping[str, Any]]) -> list[str]:
    agreement = [prompt["agreement"] for prompt in prompts if "agreement" in prompt]
    if not agreement:
        return []
    mean = sum(agreement) / len(agreement)
    doubt = "" if mean >= 0.9 else ": too little to trust the judge where the rule can be used"
    return [
        "The judge agrees with the rule that the targets suggest "
        f"on {100 * mean:.0f} % of the answers{doubt}."
    ]
