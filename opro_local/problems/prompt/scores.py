"""Completions and what they earned as one score per solution.

For: counting. Not for: reading answers (scoring/), or asking for them (problem.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opro_local.scoring.rule import Verdicts
from opro_local.types import Completion, ReadAnswers, RowMeasure, Score


def scores(
    completions: Sequence[Completion],
    solutions: int,
    verdicts: Verdicts,
    parsed: Sequence[str | None] | None = None,
    measures: Sequence[RowMeasure] | None = None,
) -> list[Score]:
    """Turn a batch's completions and what they earned into one Score per solution.

    A prompt that was too long for the context counts as a failed extraction.

    Args:
        completions: by solution, then by row.
        solutions: how many.
        verdicts: what the completions earned.
        parsed: what was read in them, where that is kept.
        measures: what makes each solution's value, if that is not the mean of its rows.
    """
    rows = len(completions) // solutions
    truncated = np.fromiter(
        (c.finish_reason == "length" for c in completions), bool, len(completions)
    )
    tokens = np.fromiter(
        (c.prompt_tokens + c.completion_tokens for c in completions), np.int64, len(completions)
    )
    shape = (solutions, -1)  # by solution, then by row
    values, failed = verdicts.values.reshape(shape), verdicts.failed.reshape(shape)
    truncated, tokens = truncated.reshape(shape), tokens.reshape(shape)
    extra = {"strict": verdicts.strict, "agreement": verdicts.agreement}
    means = {
        name: column.reshape(shape).mean(axis=1)
        for name, column in extra.items()
        if column is not None
    }
    earned = []
    none: dict[str, float] = {}  # one for all: a long search keeps tens of thousands of scores
    for index in range(solutions):
        own = None if parsed is None else tuple(parsed[index * rows : (index + 1) * rows])
        measure = measures[index] if measures else None
        mean = float(values[index].mean(dtype=np.float64))
        score = Score(
            mean if measure is None else measure.value(),
            values[index],
            int(failed[index].sum()),
            int(truncated[index].sum()),
            int(tokens[index].sum()),
            {name: float(column[index]) for name, column in means.items()} or none,
            read=ReadAnswers(failed[index], truncated[index], own),
            measure=measure,
        )
        earned.append(score)
    return earned
