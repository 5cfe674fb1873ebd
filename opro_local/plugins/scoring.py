"""The caller's program as the engine of the role program: what its rows earn with some texts.

For: calling the user's code at the one boundary where whatever it raises becomes a completion. Not
for: what is made of the scores (problems/named_texts.py).
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from opro_local.errors import OproError
from opro_local.programs.function import describe_exception
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request, Split


@dataclass(frozen=True, slots=True)
class RowScores:
    """What the rows of a split earn.

    Attributes:
        values: one for each row, in order; larger is better. What is no finite number rejects the
            texts.
        feedback: what is wrong with a text, by its name, in words for the optimizer.
    """

    values: Sequence[Any]
    feedback: Mapping[str, str] = field(default_factory=dict)


# What rows earn, of a solution's text and the name of a split.
ScoreSplit = Callable[[str, Split], RowScores]


class RowsEngine(Engine):
    """Answers each request with what `score` says of its text and split, as JSON: `rows` and
    `feedback`, or why there is none as `failed`. One call of it has all rows of a split.

    What the program prints goes to stderr, because stdout is the result's.
    """

    def __init__(self, score: ScoreSplit) -> None:
        self._score = score
        self.max_model_len = sys.maxsize
        self.fingerprint: Mapping[str, Any] = {"engine": "rows", "engine_version": "1"}

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol. `progress` counts finished calls and
        no tokens.
        """
        completions = []
        for request in requests:
            report = self._report(request.prompt.text, cast(Split, request.prompt.system))
            completions.append(_completion(report))
            if progress:
                progress(len(completions), 0)
        return completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """The program's own models count theirs."""
        return [0] * len(prompts)

    def close(self) -> None:
        """Nothing to free."""

    def _report(self, text: str, split: Split) -> dict[str, Any]:
        # The boundary to the user's code: any error of it is about these texts.
        try:
            with contextlib.redirect_stdout(sys.stderr):
                scores = self._score(text, split)
                values = list(map(_number, scores.values))
        except OproError:
            raise
        except (Exception, SystemExit) as error:
            return {"failed": f"exception: {describe_exception(error)}"}
        wrong = [place for place, value in enumerate(values) if not math.isfinite(value)]
        if wrong:
            said = scores.values[wrong[0]]
            return {"failed": f"score: row {wrong[0]} of {split} earned {said!r:.60}, no number"}
        return {"rows": values, "feedback": dict(scores.feedback)}


def _completion(report: Mapping[str, Any]) -> Completion:
    return Completion(json.dumps(report), "failed" if "failed" in report else "stop", 0, 0, 0)


def _number(value: Any) -> float:
    """A score as a number; NaN for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
