"""A local model as judge: it reads each answer, the reference and a rubric, and may say one of two
words.

For: free text that no rule can compare. Not for: anything a rule can decide; a judge is slower, and
wrong in its own ways. How far it agrees with the rule the targets suggest is therefore reported
beside every score.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from opro_local.scoring.reading.thoughts import spoken
from opro_local.scoring.rule import Scorer, Verdicts
from opro_local.types import Batch, BatchResult, Constraint, Example, Prompt, Request, Sampling

VERDICTS = {"correct": 1.0, "incorrect": 0.0}
RUBRIC = "An answer is correct if it says the same as the reference answer, however it is worded."
SAMPLING = Sampling(8, 0.0, constraint=Constraint("choice", tuple(VERDICTS)))


def judged(
    answers: Sequence[str],
    rows: Sequence[Example],
    rule: Scorer | None,
    rubric: str | None,
    label: str,
) -> Generator[Batch, BatchResult, Verdicts]:
    """Have every answer judged, all in one batch to the role "judge".

    Args:
        answers: k * n answers, the rows in order and repeating k times.
        rows: the k * n rows they answer.
        rule: the rule that the targets suggest; its verdicts are compared with the judge's. None
        without targets.
        rubric: what a right answer is, in words; None compares with the reference answer.
        label: the label of the scored batch; the judge's is `label/judge`.

    Returns:
        The judge's verdicts. Anything but one of the two words is a failed extraction. `agreement`
        says for each answer whether judge and rule agree, an answer the rule can't read counting as
        incorrect; None without a rule.
    """
    said = [spoken(answer) for answer in answers]
    prompts = [
        judge_prompt(row, answer or "", rubric or RUBRIC)
        for row, answer in zip(rows, said, strict=True)
    ]
    reply = yield Batch(
        f"{label}/judge", "judge", [Request(prompt, SAMPLING) for prompt in prompts]
    )
    verdicts = [
        VERDICTS.get(completion.text.strip().casefold(), np.nan) for completion in reply.completions
    ]
    values = np.array(verdicts, np.float32)
    # A thought that did not end is no answer, whatever the judge makes of it.
    values[[answer is None for answer in said]] = np.nan
    failed = np.isnan(values)
    values[failed] = 0
    agreement = None if rule is None else (rule.score(answers)[0] == values).astype(np.float32)
    return Verdicts(values, failed, None, agreement)


def judge_prompt(row: Example, answer: str, rubric: str) -> Prompt:
    """What the judge is shown; a row without a target is judged by the rubric alone."""
    reference = f"Reference answer:\n{row.target}\n\n" if row.target.strip() else ""
    return Prompt(
        f"Question:\n{row.input}\n\n{reference}Answer to grade:\n{answer}\n\n{rubric}\n"
        "Is the answer correct? Reply with one word: correct or incorrect."
    )
