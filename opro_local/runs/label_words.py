"""What a result says of labels that were read by their probabilities: what the figures hold for.

For: sentences at the end of a run, in `show` and in the report. Not for: the figures, or how a
bias is fitted (scoring/label_bias.py).
"""

from __future__ import annotations

from opro_local.runs.figures import Figures
from opro_local.runs.search_outcome import SearchOutcome

# The command works with the run's folder in the place of RUN.
HOW_TO_MEASURE = "opro-local evaluate RUN --prompts RUN/best.json --set task.answer=text"
NOT_MEASURED = "What the prompt does where the model writes its answer was not measured"


def label_words(outcome: SearchOutcome) -> list[str]:
    """What the best prompt and the first do without the bias, and that neither is what they would
    write.
    """
    splits = {"test": outcome.test, "validation": outcome.validation, "train": outcome.train}
    for split, sides in splits.items():
        if sides is None:
            continue
        best, first = _without(sides.best), _without(sides.baseline)
        if best is None or first is None:
            return []
        return [
            "No answer was written: labels were chosen by their probabilities, with a bias for "
            f"each that belongs to the prompt. Without the bias the most probable label is right "
            f"on {100 * best:.1f} % of the {split} rows with the best prompt, and on "
            f"{100 * first:.1f} % with the first.",
            f"{NOT_MEASURED}; with this run's folder as RUN: {HOW_TO_MEASURE}",
        ]
    return []


def _without(figures: Figures) -> float | None:
    return figures.metrics.get("without_bias")
