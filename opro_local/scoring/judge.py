"""A local model as judge: it reads each answer, the reference and a rubric, and may say one of two
words, or a number on a scale.

For: free text that no rule can compare. Not for: anything a rule can decide; a judge is slower, and
wrong in its own ways. How far it agrees with the rule the targets suggest is therefore reported
beside every score, where that rule can decide.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from opro_local.scoring.reading.thoughts import spoken
from opro_local.scoring.rule import Scorer, Verdicts
from opro_local.types import Batch, BatchResult, Constraint, Example, Prompt, Request, Sampling

if TYPE_CHECKING:
    from opro_local.config.settings import JudgeSettings

VERDICTS = {"correct": 1.0, "incorrect": 0.0}
# Rules that free text suggests: whether an answer is worded as the target says nothing of a judge.
SAY_NOTHING_OF_A_JUDGE = (
    *("exact", "exact_strict", "contains", "rouge", "token_f1", "bleu", "chrf", "python"),
)
RUBRIC = "An answer is correct if it says the same as the reference answer, however it is worded."
SCALE_RUBRIC = (
    "An answer is better the more of what the reference answer says it says, and no more."
)


def judged(
    answers: Sequence[str],
    rows: Sequence[Example],
    rule: Scorer | None,
    settings: JudgeSettings,
    label: str,
) -> Generator[Batch, BatchResult, Verdicts]:
    """Have every answer judged, all in one batch to the role "judge".

    Args:
        answers: k * n answers, the rows in order and repeating k times.
        rows: the k * n rows they answer.
        rule: the rule that the targets suggest; its verdicts are compared with the judge's. None
            where there is none to compare with.
        settings: `rubric` says what a right answer is, in words; `scale` how many grades there are.
        label: the label of the scored batch; the judge's is `label/judge`.

    Returns:
        The judge's verdicts, the grades of a scale spread evenly over [0, 1]. Anything but one of
        the two words, or a number of the scale, is a failed extraction. `agreement` is for each
        answer 1 minus the difference of judge and rule, so 1 where they agree; an answer the rule
        can't read counts as incorrect; None without a rule.
    """
    grades = grades_of(settings.scale)
    sampling = Sampling(8, 0.0, constraint=Constraint("choice", tuple(grades)))
    said = [spoken(answer) for answer in answers]
    prompts = [
        judge_prompt(row, answer or "", settings.rubric, settings.scale)
        for row, answer in zip(rows, said, strict=True)
    ]
    reply = yield Batch(
        f"{label}/judge", "judge", [Request(prompt, sampling) for prompt in prompts]
    )
    verdicts = [
        grades.get(completion.text.strip().casefold(), np.nan) for completion in reply.completions
    ]
    values = np.array(verdicts, np.float32)
    # A thought that did not end is no answer, whatever the judge makes of it.
    values[[answer is None for answer in said]] = np.nan
    failed = np.isnan(values)
    values[failed] = 0
    agreement = None
    if rule is not None:
        agreement = (1 - np.abs(rule.score(answers)[0] - values)).astype(np.float32)
    return Verdicts(values, failed, None, agreement)


def grades_of(scale: int | None) -> Mapping[str, float]:
    """What the judge may say, and what it is worth: two words, or the numbers from 1 to `scale`."""
    if scale is None:
        return VERDICTS
    return {str(grade + 1): grade / (scale - 1) for grade in range(scale)}


def remarks_of_grades(values: np.ndarray, scale: int) -> list[str]:
    """What a judge's grades say in words; `values` are spread over [0, 1] as `judged` gives them.

    An answer that got no grade has 0 and is said to have the worst.
    """
    grades = np.rint(values * (scale - 1)).astype(int) + 1
    return [f"graded {grade} by a judge; the best grade is {scale}" for grade in grades]


def judge_prompt(
    row: Example, answer: str, rubric: str | None = None, scale: int | None = None
) -> Prompt:
    """What the judge is shown; a row without a target is judged by the rubric alone."""
    reference = f"Reference answer:\n{row.target}\n\n" if row.target.strip() else ""
    own = rubric or (RUBRIC if scale is None else SCALE_RUBRIC)
    question = "Is the answer correct? Reply with one word: correct or incorrect."
    if scale is not None:
        question = (
            f"How good is the answer? Reply with one number from 1 (worst) to {scale} (best)."
        )
    return Prompt(
        f"Question:\n{row.input}\n\n{reference}Answer to grade:\n{answer}\n\n{own}\n{question}"
    )
