"""What the best prompts of a search came to together, as a result holds and says it.

For: the figures of a vote on test, their JSON and their sentence. Not for: asking the prompts
(problems/prompt/voting.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opro_local.records import entries
from opro_local.runs.difference_words import metric_words, percent, points
from opro_local.runs.figures import (
    Figures,
    demonstrations_to_json,
    difference_from_json,
    difference_to_json,
    figures_of,
)
from opro_local.scoring import comparison
from opro_local.search.loop import Vote
from opro_local.stats import Difference
from opro_local.types import Score, Solution


@dataclass(frozen=True, slots=True)
class VoteFigures:
    """Several prompts together, on test.

    Attributes:
        prompts: the chosen one first, then the others in the order of what they earned before.
        figures: what they earned together.
        difference: that minus what the chosen one earned alone, on the same rows, in what was
            optimized.
        cost: how many times the chosen prompt's tokens they take.
    """

    prompts: tuple[Solution, ...]
    figures: Figures
    difference: Difference
    cost: float

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        prompts = [
            {"text": one.text, **demonstrations_to_json(one.demonstrations)} for one in self.prompts
        ]
        return {
            "prompts": prompts,
            "test": self.figures.to_json(),
            "difference": difference_to_json(self.difference),
            "cost": self.cost,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> VoteFigures:
        """What `to_json` wrote."""
        prompts = [
            Solution(one["text"], entries(one.get("demonstrations", ())))
            for one in entries(record["prompts"])
        ]
        figures = Figures.from_json(record["test"])
        difference = difference_from_json(record["difference"])
        return cls(tuple(prompts), figures, difference, record["cost"])


def vote_figures(
    vote: Vote | None, test: tuple[Score, Score] | None, alpha: float
) -> VoteFigures | None:
    """A vote as results show it; None where there was none.

    Args:
        vote: of a finished search.
        test: what the first prompt and the chosen one earned on test.
        alpha: 1 - the level of all intervals.
    """
    if vote is None or test is None:
        return None
    _, best = test
    return VoteFigures(
        prompts=vote.prompts,
        figures=figures_of(vote.score, alpha),
        difference=comparison.difference(vote.score, best, alpha),
        cost=round(vote.score.cost / best.cost, 2),
    )


def vote_words(vote: VoteFigures | None, alpha: float) -> list[str]:
    """What the prompts do together, beside the chosen one alone, and how they are used."""
    if vote is None:
        return []
    metric, count = vote.figures.metric, len(vote.prompts)
    earned = percent(vote.figures) if metric is None else f"{metric.name} {metric_words(metric)}"
    return [
        f"A vote of the best {count} prompts on the same rows: {earned}; to the best prompt alone "
        f"{points(vote.difference, alpha)}. It takes {vote.cost:.1f} times the tokens; predict "
        "--vote asks it."
    ]
