"""Any text with a score of its own: a Python function or a program says what a solution is worth.

For: asking for that score and refusing what is none. Not for: calling the function
(programs/function.py) or running the program (programs/program.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opro_local.config.settings import Config
from opro_local.errors import DataError
from opro_local.files import read_bytes
from opro_local.problems.ask import ask_once
from opro_local.problems.filters import filters, first_reason
from opro_local.problems.prompt.wording import printable
from opro_local.search.required import restored
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


@dataclass(frozen=True, slots=True)
class Report:
    """What a program or function says of a text.

    Attributes:
        rows: the scores of its single rows, whose mean is the text's; one where it has no rows.
        feedback: what is wrong with the text, in words for the optimizer; "" for nothing.
    """

    rows: tuple[float, ...]
    feedback: str = ""


NOTHING = Sampling(1)  # programs and functions draw nothing


class FunctionProblem:
    """Texts scored by the role program. Scores have any scale, larger is better; there is no split
    but train.

    Args:
        config: `search` is read; its seeds are the starting texts.
        description: what the text is for, shown to the optimizer.
        read_score: what a completion of the role program says: a finite number or a Report, or the
            reason why there is none.
    """

    splits: tuple[Split, ...] = ("train",)

    def __init__(
        self,
        config: Config,
        description: str,
        read_score: Callable[[Completion], float | Report | str],
    ) -> None:
        self._config = config
        self._description = description
        self._read_score = read_score
        self._filters = filters(config, numeric=False)
        self._feedback: dict[str, str] = {}
        self._rows: int | None = None

    def seeds(self) -> list[Solution]:
        """The starting texts as they were given; the first is the baseline."""
        return [Solution(text) for text in self._config.search.texts]

    ask_optimizer = staticmethod(ask_once)

    def parse(self, text: str) -> Solution | str:
        """A proposed text without the whitespace around it, if it passes the search's filters."""
        if self._config.search.revision >= 2:
            text = restored(self._config.search, printable(text))
        text = text.strip()
        if not text:
            return "empty"
        return first_reason(self._filters, text) or Solution(text)

    def evaluate(
        self, solutions: Sequence[Solution], split: Split, label: str
    ) -> Generator[Batch, BatchResult, list[Score | str]]:
        """One request per solution in one Batch to the role program."""
        reply = yield Batch(label, "program", [request(solution.text) for solution in solutions])
        said = map(self._read_score, reply.completions)
        return [self._score(*pair) for pair in zip(solutions, said, strict=True)]

    def _score(self, solution: Solution, said: float | Report | str) -> Score | str:
        """The score of a text of which this was said; its feedback is kept for meta-prompts."""
        if isinstance(said, str):
            return said
        report = said if isinstance(said, Report) else Report((said,))
        if self._rows is None:
            self._rows = len(report.rows)
        if len(report.rows) != self._rows:
            # Rows are compared one by one, so they have to be the same for every text.
            return f"rows: {len(report.rows)} scores where the first text has {self._rows}"
        if report.feedback:
            self._feedback[solution.text] = report.feedback
        values = np.array(report.rows)
        return Score(float(values.mean()), values)

    def format_score(self, value: float) -> str | None:
        """The score as it is, to six digits; hidden where search.buckets is 0."""
        return f"{value:.6g}" if self._config.search.buckets else None

    def prompt_variables(self) -> Mapping[str, Any]:
        """A text has no place in a prompt; `subject` is the user's description of it, `feedback`
        what was said of texts.
        """
        return {
            "place": "",
            "noun": "text",
            "tag": "TEXT",
            "subject": self._description.strip().rstrip("."),
            "feedback": self._feedback,
        }

    def exemplars(self, indices: Sequence[int]) -> list[Mapping[str, str]]:
        """None: there are no rows."""
        return []


def request(text: str, name: str | None = None) -> Request:
    """What the role program is asked about a solution; `name` says which of several programs."""
    return Request(Prompt(text, system=name, chat=False), NOTHING)


def returned(completion: Completion) -> float | Report | str:
    """The score in a completion of programs/function.py with what else it says, or why there is
    none.
    """
    said: Mapping[str, Any] = json.loads(completion.text)
    if "failed" in said:
        return str(said["failed"])
    if "rows" not in said and "feedback" not in said:
        return float(said["score"])
    return Report(tuple(said.get("rows", [said["score"]])), said.get("feedback", ""))


def file_digest(path: Path) -> str:
    """16 hex digits over a file's bytes. Raises DataError if it can't be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()[:16]
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})", "check the path") from None
