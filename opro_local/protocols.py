"""The contracts that the wings hold each other to: Problem, RowProblem and Engine.

For: protocols; the docstrings are the contracts. Not for: the data that passes through them
(types.py), or what satisfies them (problems/, engines/, programs/).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Prompt,
    Request,
    Sampling,
    Score,
    Solution,
    Split,
)

# Told while a batch runs: how many requests are finished, and how many tokens were written.
Progress = Callable[[int, int], None]


class Problem(Protocol):
    """What is optimized.

    Every method is deterministic and does no I/O: whatever a model or a program must do is yielded
    as batches. A class satisfies the protocol by having these methods; it need not inherit it.
    """

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that exist, "train" always among them; numeric problems have no other."""

    def seeds(self) -> Sequence[Solution]:
        """The solutions scored first; the first of them is the baseline."""

    def ask_optimizer(
        self, label: str, prompt: Prompt, samplings: Sequence[Sampling]
    ) -> Generator[Batch, BatchResult, Sequence[Completion]]:
        """Draw one reply to a meta-prompt per sampling: one Batch to the optimizer, unless the
        problem needs more.
        """

    def parse(self, text: str) -> Solution | str:
        """A proposed text as a solution, or the reason why it can't be one."""

    def evaluate(
        self, solutions: Sequence[Solution], split: Split, label: str
    ) -> Generator[Batch, BatchResult, Sequence[Score | str]]:
        """Score every solution on all examples of the split: one Score each, in order.

        All solutions go in one Batch per model or program involved. A text instead of a Score is
        the reason why the solution can't be scored; the search rejects it.
        """

    def format_score(self, value: float) -> str | None:
        """A score's value as meta-prompts and people read it; None hides it."""

    def prompt_variables(self) -> Mapping[str, str]:
        """What a meta-prompt's template calls the problem's things (see metaprompt.render)."""

    def exemplars(self, indices: Sequence[int]) -> Sequence[Mapping[str, str]]:
        """The train rows at these positions as meta-prompts show them; empty where there are no
        rows to show.
        """


@runtime_checkable
class RowProblem(Problem, Protocol):
    """A problem with rows of its own, so that a solution can be scored on a part of a split.

    Schedules that score parts (search/schedules/) need one; all others take any Problem.

    `answer_tokens` is how many new tokens an answer has at most.
    """

    answer_tokens: int

    def evaluate(
        self,
        solutions: Sequence[Solution],
        split: Split,
        label: str,
        rows: Sequence[int] | None = None,
    ) -> Generator[Batch, BatchResult, Sequence[Score | str]]:
        """As Problem.evaluate, on these rows of the split.

        `rows` are positions in the split, in the order the values are wanted; None means all.
        """

    def targets(self) -> Sequence[str]:
        """The targets of the train rows, in order."""


class Engine(Protocol):
    """A model that answers batches.

    `fingerprint` is JSON-able and names the engine, its version, device, dtype and the model's
    digest; two engines with equal fingerprints are expected to give equal greedy answers.
    `max_model_len` is the context in tokens.
    """

    fingerprint: Mapping[str, Any]
    max_model_len: int

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request, in the order of the requests.

        A prompt that does not fit fails alone, as "too_long". `progress(finished, output_tokens)`
        is called while the batch runs. Raises EngineError when the engine fails; there is no retry.
        """

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take, chat template and special tokens included."""

    def close(self) -> None:
        """Free the model. Safe to call twice."""
