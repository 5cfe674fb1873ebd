"""OPRO for DSPy: the instructions of a program's predictors, written by a model of one's own.

For: a teleprompter with DSPy's contract (3.4). Not for: a run's prompt as a DSPy program
(exports/dspy.py), or demonstrations: those that a predictor has stay as they are.

    from opro_local.plugins.dspy import OPRO

    compiled = OPRO(metric=exact, model="./my-model").compile(program, trainset=rows)
    print(compiled.opro.verdict)
    compiled.save("program.json")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter

from opro_local.errors import UsageError
from opro_local.plugins.scoring import RowScores
from opro_local.plugins.searching import Choices, divided, improve, rows_digest
from opro_local.problems.named_texts import GivenTexts
from opro_local.programs.identity import code_digest
from opro_local.runs.objective import check_function
from opro_local.types import Split

SHOWN = 3  # remarks of a metric on rows, for the optimizer
CUT = 300  # characters of each


class OPRO(Teleprompter):
    """A teleprompter: `compile` gives a program with better instructions, where held-out rows say
    so.

    Rows are run by `dspy.Evaluate` with the LM that the program or `dspy.configure` has, a split at
    a time. A row on which the program or the metric raises earns 0, as in DSPy.

    Args:
        metric: `metric(example, prediction, trace=None)`, as DSPy has it: a number or a bool, or a
            `dspy.Prediction` with `score` and `feedback`, which the optimizer model is shown.
        model, steps, candidates, run, set: see searching.Choices.
        num_threads: of `dspy.Evaluate`.
        description: what the program does, in words for the optimizer model.
    """

    def __init__(
        self,
        metric: Callable[..., Any],
        model: Any,
        steps: int = 8,
        candidates: int = 8,
        run: str | Path | None = None,
        set: Mapping[str, Any] | Sequence[str] = (),
        num_threads: int | None = None,
        description: str = "",
    ) -> None:
        super().__init__()
        check_function(metric, "metric", "give a function of an example and a prediction")
        self.metric, self.num_threads, self.description = metric, num_threads, description
        self.choices = Choices(model, steps, candidates, run, set)

    def compile(
        self,
        student: Any,
        *,
        trainset: Sequence[Any],
        teacher: Any = None,
        valset: Sequence[Any] | None = None,
    ) -> Any:
        """A copy of the program with the chosen instructions. `student` stays as it is.

        Args:
            student: the program.
            trainset: examples with inputs. Without a valset they are divided into train, validation
                and test (`task.split`).
            teacher: None; OPRO has no teacher.
            valset: examples to choose and to test by, divided between the two.

        Returns:
            the program. Its attribute `opro` is a searching.Improved, with the verdict and the
            interval of the difference on test.

        Raises:
            OproError: see errors.py.
        """
        if teacher is not None:
            raise UsageError("teacher: OPRO learns from scores alone", "leave it out")
        predictors = dict(student.named_predictors())
        if not predictors:
            raise UsageError("student: the program has no predictors", "give one that has")
        if not trainset:
            raise UsageError("trainset: there are no examples", "give some")
        seeds = {name: own.signature.instructions for name, own in predictors.items()}
        config = self.choices.config("dspy", seeds)
        splits = divided(config, trainset, valset or (), lambda example: example.inputs().toDict())

        def score(texts: Mapping[str, str], split: Split) -> RowScores:
            return self._scores(with_instructions(student, texts), splits[split], list(texts))

        sizes = {split: len(own) for split, own in splits.items()}
        given = GivenTexts(seeds, sizes, self.description, noun="instruction")
        identity = rows_digest(splits) | {"metric": code_digest(self.metric)}
        improved = improve(config, self.choices, given, score, identity)
        compiled = with_instructions(student, improved.texts)
        compiled._compiled = True
        compiled.opro = improved
        return compiled

    def _scores(self, program: Any, rows: Sequence[Any], names: Sequence[str]) -> RowScores:
        """What the rows earn with a program, and what the metric says of some that earned least."""
        evaluate = dspy.Evaluate(
            devset=list(rows),
            metric=self.metric,
            num_threads=self.num_threads,
            # A program that fails on every row earns 0; it does not end the search.
            max_errors=len(rows) + 1,
            provide_traceback=False,
        )
        scores = [score for _, _, score in evaluate(program).results]
        values = list(map(float, scores))
        best = max(values)
        poor = [score for score, value in zip(scores, values, strict=True) if value < best]
        said = [str(getattr(score, "feedback", "") or "") for score in poor]
        remarks = [" ".join(one.split())[:CUT] for one in said if one]
        return RowScores(values, dict.fromkeys(names, " | ".join(remarks[:SHOWN])))


def with_instructions(program: Any, instructions: Mapping[str, str]) -> Any:
    """A copy of a program whose predictors have these instructions, by the predictor's name."""
    copied = program.deepcopy()
    for name, predictor in copied.named_predictors():
        predictor.signature = predictor.signature.with_instructions(instructions[name])
    return copied
