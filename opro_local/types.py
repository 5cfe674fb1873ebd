"""The plain data that travels between the wings.

For: values. Not for: the contracts of problems and engines (protocols.py), behaviour, I/O, or what
imports the rest of the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

import numpy as np

# What answers a batch: one of the two roles a model can have, a model that judges answers, a user's
# program, or a model that embeds texts.
Role = Literal["optimizer", "scorer", "judge", "program", "embedder"]
Split = Literal["train", "validation", "test"]
FinishReason = Literal["stop", "length", "too_long", "failed"]


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a task: its columns as read, what is asked, what counts as right, and where it
    came from.
    """

    id: str
    columns: Mapping[str, str]
    input: str
    target: str
    where: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is shown.

    Attributes:
        text: the user's turn of a chat, or the whole text when `chat` is false.
        system: the system message; None leaves the chat template's own default.
        prefill: the first words of the reply, which the model continues; they are not part of the
            completion.
        chat: whether the text goes through the model's chat template.
        turns: what was said before in the chat, oldest first, as pairs (user, assistant): worked
            examples.
    """

    text: str
    system: str | None = None
    prefill: str = ""
    chat: bool = True
    turns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a reply may be: the engine can write nothing else.

    Attributes:
        kind: "choice" (one of the texts in `value`), "regex" (a full match), "json" (a JSON schema
            as text) or "grammar" (EBNF in the GBNF dialect of xgrammar, its start rule called
            root).
        value: the texts of a choice; otherwise the expression, schema or grammar.
    """

    kind: Literal["choice", "regex", "json", "grammar"]
    value: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn. Temperature 0 is greedy and takes no seed; above 0 a seed is required.

    `stop` strings end the reply and are not part of it. `max_tokens` counts new tokens. With
    `ends_loops` an engine may end a reply that only repeats itself, as "length"; one that can't
    goes on to `max_tokens`.

    With `labels` nothing is generated: the completion's text says how probable each of them is as
    the reply (records.log_probabilities).
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    constraint: Constraint | None = None
    ends_loops: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt and how to answer it; `adapter` is the folder of a LoRA adapter that the model
    answers with.
    """

    prompt: Prompt
    sampling: Sampling
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """One reply, with the engine's own counts.

    `finish_reason` is "stop" (end of text or stop string), "length" (cut at max_tokens, at the
    context's end, or in a loop), "too_long" (the prompt does not fit the context: nothing was
    generated) or "failed" (a user's program or function raised, hung or answered nonsense; the text
    says how). Models never give "failed".
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that go to one role in one engine call. The label is unique within a run and names
    the phase.
    """

    label: str
    role: Role
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The answer to a Batch: one completion per request, in order, and the seconds the batch took
    when it ran first.
    """

    completions: Sequence[Completion]
    seconds: float


@dataclass(frozen=True, slots=True)
class Thinking:
    """How a model's replies show what it thinks before it answers.

    Attributes:
        opened: whether its prompts leave a thought open, so that a reply begins inside it.
        marks: marks of its own around a thought, as pairs (opening, closing), beside those that
            every reader knows.
    """

    opened: bool = False
    marks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Solution:
    """A proposed text, and for prompt problems the ids of train rows shown as demonstrations, in
    order.

    Attributes:
        key: 32 hex digits that identify the solution; they cover the text and the demonstrations.
    """

    text: str
    demonstrations: tuple[str, ...] = ()
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole = "\x1f".join((self.text, *self.demonstrations))
        key = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        object.__setattr__(self, "key", key)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A train row that a solution may show as a worked example: its id, its target, and about how
    many tokens.
    """

    id: str
    target: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """A train row that a solution got wrong: what was asked, what was right, what the scorer said,
    and what a user's function says is wrong with it. Rows that it got right, which are shown beside
    them, are kept alike.
    """

    id: str
    question: str
    target: str
    output: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ReadAnswers:
    """What was read in a solution's answers, row by row.

    Attributes:
        failed: shape (n,), bool: answers from which nothing could be extracted.
        truncated: shape (n,), bool: answers cut at max_tokens.
        parsed: what each says in its rule's normal form, None where nothing could be extracted;
            None as a whole where it was not kept.
        sure: shape (n,), how probable the chosen labels were, NaN for none; None for answers.
    """

    failed: np.ndarray = field(repr=False)
    truncated: np.ndarray = field(repr=False)
    parsed: tuple[str | None, ...] | None = field(default=None, repr=False)
    sure: np.ndarray | None = field(default=None, repr=False)


class RowMeasure(Protocol):
    """What makes one figure of many rows where that is not their mean (scoring/metrics.py)."""

    @property
    def name(self) -> str:
        """What the figure is called."""

    @property
    def low(self) -> float:
        """The least it can be; the most is 1."""

    def value(self) -> float:
        """The figure of all its rows."""

    def on(self, places: np.ndarray) -> Self:
        """The same of the rows at these places."""

    def joined(self, others: Sequence[Self]) -> Self:
        """The same of its rows and those of the others."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a solution earned. Larger is better; accuracies lie in [0, 1].

    Attributes:
        value: the mean of `values`, or where there is a measure, what it says of all rows.
        values: shape (n,), one score per example in the split's order; shape (1,) where there are
            no examples.
        rows: which examples of the split were scored, ascending, where not all were; None for all.
        failures: answers from which nothing could be extracted. They score 0.
        truncated: answers cut at max_tokens, whatever they scored.
        tokens: prompt and completion tokens spent on it.
        metrics: further figures, by name, that are shown next to the value, such as "strict", the
            value when only marked answers count.
        read: what was read in the answers; None where the problem has no answers to read.
        measure: what makes the value of the rows, if that is not their mean.
    """

    value: float
    values: np.ndarray = field(repr=False)
    failures: int = 0
    truncated: int = 0
    tokens: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    rows: np.ndarray | None = field(default=None, repr=False)
    read: ReadAnswers | None = field(default=None, repr=False)
    measure: RowMeasure | None = field(default=None, repr=False)

    @property
    def accuracy(self) -> float:
        """The mean of what the rows earned, whatever is optimized."""
        return self.value if self.measure is None else float(self.values.mean(dtype=np.float64))

    def value_on(self, places: np.ndarray) -> float:
        """The value on the rows at these places of `values`."""
        if self.measure is None:
            return float(self.values[places].mean(dtype=np.float64))
        return self.measure.on(places).value()

    @property
    def cost(self) -> float:
        """Tokens of prompt and answer for each example."""
        return self.tokens / self.n

    @property
    def n(self) -> int:
        """How many examples were scored."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A reply that did not become a solution, and why."""

    step: int
    text: str
    reason: str


# What a search is to its driver: it yields batches and is sent the result of each.
Batches = Generator[Batch, BatchResult, Any]
