"""The result of a run as a typed, frozen structure.

For: what Python users, the command line and reports read, with names that a type checker knows. Not
for: working a result out (result.py), or keeping it: the record, which `to_json` gives, is what
stands in the store and in result.json, and docs/result.md describes it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opro_local.stats import Difference


@dataclass(frozen=True, slots=True)
class Figures:
    """What a prompt earned on a split.

    Attributes:
        accuracy: the mean score, in [0, 1]; for other objectives the value itself.
        n: how many rows.
        interval: of the mean, at the run's level (`evaluation.alpha`).
        extraction_failures: answers from which nothing could be read.
        truncated: answers that were cut at the token limit.
        metrics: further figures, such as "strict".
    """

    accuracy: float
    n: int
    interval: tuple[float, float]
    extraction_failures: int
    truncated: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SplitResult:
    """Baseline and best on one split.

    Attributes:
        baseline, best: what each earned.
        difference: best minus baseline on the same rows; None on other splits than test.
        smallest_difference: what is usually told from noise with so many rows, in [0, 1]; None on
            other splits than test.
    """

    baseline: Figures
    best: Figures
    difference: Difference | None
    smallest_difference: float | None


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """A train row that the chosen prompt shows: its id, its input and the answer given there."""

    id: str
    input: str
    answer: str


@dataclass(frozen=True, slots=True)
class Winner:
    """The chosen solution.

    Attributes:
        text: the instruction.
        demonstrations: the worked examples shown with it, in order. An evaluation does not name
            them here but in `prompts` of the record, by id.
        key: of the solution, over text and demonstrations.
        step: the step it came from; 0 for starting solutions, and in an evaluation.
    """

    text: str
    demonstrations: tuple[WorkedExample, ...]
    key: str
    step: int


# Two results are equal where their records are, as for any Mapping.
@dataclass(frozen=True, slots=True, eq=False)
class RunResult(Mapping[str, Any]):
    """What a finished run found.

    Example:
        result = opro_local.optimize("mails.csv", input="text", target="label", model="./my-model",
                                     run="runs/mails")
        result.verdict                        # "reliable gain"
        result.best.text                      # "Is this mail urgent? Answer yes or no."
        result.test.difference.interval       # (0.045, 0.173)
        result["test"]["difference"]["value"] # the record's own names work, too

    Attributes:
        record: everything, as in result.json; other kinds of runs have further keys in it.
    """

    record: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.record[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.record)

    def __len__(self) -> int:
        return len(self.record)

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in result.json: the one place that JSON is made."""
        return copy.deepcopy(dict(self.record))

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.record["name"])

    @property
    def reason(self) -> str:
        """Why the search ended."""
        return str(self.record["reason"])

    @property
    def digest(self) -> str:
        """64 hex digits over all solutions, scores and their order: equal runs have equal ones."""
        return str(self.record["digest"])

    @property
    def steps(self) -> int:
        """The last step."""
        return int(self.record["steps"])

    @property
    def verdict(self) -> str | None:
        """One of "reliable gain", "no reliable gain", "reliable loss: keep the baseline" or "not
        tested"; None of an evaluation, which compares pairs instead.
        """
        verdict = self.record.get("verdict")
        return None if verdict is None else str(verdict)

    @property
    def summary(self) -> tuple[str, ...]:
        """The verdict in plain sentences."""
        return tuple(self.record["summary"])

    @property
    def baseline(self) -> str:
        """The text of the first starting solution."""
        return str(self.record["baseline"]["text"])

    @property
    def best(self) -> Winner:
        """The solution that was chosen."""
        best = self.record["best"]
        shown = best.get("demonstrations", ())
        examples = tuple(WorkedExample(row["id"], row["input"], row["answer"]) for row in shown)
        return Winner(best["text"], examples, best["key"], best.get("step", 0))

    @property
    def train(self) -> SplitResult | None:
        """On the rows that the search was steered by; None where nothing was scored on all."""
        return self._split("train")

    @property
    def validation(self) -> SplitResult | None:
        """On the rows that the winner was chosen by; None without such a split."""
        return self._split("validation")

    @property
    def test(self) -> SplitResult | None:
        """On the rows that were opened once, for the baseline and the winner; None without them."""
        return self._split("test")

    def _split(self, name: str) -> SplitResult | None:
        figures = self.record.get(name)
        if not figures:
            return None
        difference = figures.get("difference")
        return SplitResult(
            _figures(figures["baseline"]),
            _figures(figures["best"]),
            _difference(difference) if difference else None,
            figures.get("smallest_difference"),
        )


NAMED = ("accuracy", "n", "interval", "extraction_failures", "truncated")


def _figures(record: Mapping[str, Any]) -> Figures:
    low, high = record["interval"]
    metrics = {name: value for name, value in record.items() if name not in NAMED}
    return Figures(
        record["accuracy"],
        record["n"],
        (low, high),
        record["extraction_failures"],
        record["truncated"],
        metrics,
    )


def _difference(record: Mapping[str, Any]) -> Difference:
    low, high = record["interval"]
    return Difference(record["value"], (low, high), record["p_value"])
