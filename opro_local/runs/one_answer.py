"""One real answer of the scorer, and what is read from it: a look before a run.

For: `opro-local check`. Not for: figures over rows (evaluation.py); nothing is stored.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import softmax

from opro_local.engines.lora import AdapterEngine
from opro_local.engines.start import start_engine
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.protocols import Engine
from opro_local.records import log_probabilities
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.prompt import prompt_problem
from opro_local.runs.thinking import asked_of, said_in
from opro_local.scoring.reading.thoughts import spoken
from opro_local.types import Batch, BatchResult, Completion

SHOWN_LABELS = 3


@dataclass(frozen=True, slots=True)
class OneAnswer:
    """What the scorer said to one row under the first instruction.

    Attributes:
        instruction, where, input, target: the instruction and the row.
        answer: the whole reply as it was written; of labels that were read, the most probable ones.
        said: what follows its thoughts; "" where a thought did not end.
        parsed: what the rule reads in that; None where it reads nothing.
        correct: what it earns, in [0, 1]; None where a judge would say.
        finish_reason: "length" for one that was cut, also inside its thought.
        completion_tokens: that were written, the thought's among them.
    """

    instruction: str
    where: str
    input: str
    target: str
    answer: str
    said: str
    parsed: str | None
    correct: float | None
    finish_reason: str
    completion_tokens: int

    def to_json(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def one_answer(plan: Plan) -> OneAnswer:
    """Ask the scorer for one row, the first of train or else of the first split there is.

    Raises:
        UsageError: a problem without rows.
        ModelError, EngineError: the scorer does not start, or fails.
    """
    problem, hosting = prompt_problem(plan, "use --no-answer"), plan.models["scorer"]
    engine, _ = start_engine(hosting.settings, hosting.engine)
    try:
        own = AdapterEngine(engine, hosting.adapter) if hosting.adapter else engine
        return _asked(plan, problem, own)
    finally:
        engine.close()


def _asked(plan: Plan, problem: PromptProblem, engine: Engine) -> OneAnswer:
    split, solution = problem.splits[0], problem.seeds()[0]
    row = problem.rows[split][0]
    written, said = _driven(problem.answers([solution], split, "check", [0]), plan, engine)
    (said,) = problem.said(solution, [said])
    values, _ = problem.rule.score([said.text], [row])
    parsed = problem.rule.parsed(said.text, row)
    return OneAnswer(
        solution.text,
        row.where,
        row.input,
        row.target,
        _most_probable(problem, written.text),
        (spoken(said.text) or "").strip(),
        parsed,
        None if plan.rule == "judge" else float(values[0]),
        said.finish_reason,
        said.completion_tokens,
    )


def _most_probable(problem: PromptProblem, text: str) -> str:
    """What an engine read of labels as words for a person; other texts as they are."""
    if problem.labelling is None:
        return text
    labels = problem.labelling.labels
    logs = log_probabilities(text, labels)
    if logs is None:
        return text
    shares = softmax(logs)
    first = np.argsort(-shares, kind="stable")[:SHOWN_LABELS]
    named = ", ".join(f"{labels[place]} {shares[place]:.2f}" for place in first)
    return f"{named} (probabilities of {len(labels)} labels, before any bias)"


def _driven(
    search: Generator[Batch, BatchResult, list[Completion]], plan: Plan, engine: Engine
) -> tuple[Completion, Completion]:
    """The last reply as it was written, and what the problem takes it to say."""
    batch = next(search)
    while True:
        replies = engine.generate(asked_of(batch, plan.thinkers).requests)
        result = BatchResult(replies, 0.0)
        said = said_in(batch, result, plan.thinkers)
        try:
            batch = search.send(replace(result, completions=said))
        except StopIteration as end:
            answers: list[Completion] = end.value
            return replies[0], answers[0]
