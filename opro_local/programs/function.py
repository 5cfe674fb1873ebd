"""A Python function as the engine of the role program: an objective that scores a text.

For: calling the user's code at the one boundary where whatever it raises becomes a completion. Not
for: loading it (load.py), or ending it: code that hangs in this process hangs the run (a command
has a timeout, see program.py).
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opro_local.errors import DataError, OproError
from opro_local.programs.score_report import Report, is_async, report_of
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request


class FunctionEngine(Engine):
    """Answers each request with a report of function(text) as JSON (score_report.py): its score, or
    why there is none, with the finish reason "failed".

    A text is given to the function once. What the function prints goes to stderr, because stdout is
    the result's.

    Args:
        function: takes a solution's text and returns its score, larger is better; see
            score_report.report_of. Anything it raises but KeyboardInterrupt rejects the solution.
        batched: it takes a list of texts and returns a list with one score for each; what it raises
            rejects all of them.
    """

    def __init__(self, function: Callable[..., Any], batched: bool = False) -> None:
        self._function, self._batched = function, batched
        self._known: dict[str, Completion] = {}
        self.max_model_len = sys.maxsize
        self.fingerprint: Mapping[str, Any] = {"engine": "function", "engine_version": "1"}

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol. `progress` counts finished calls and
        no tokens.
        """
        if self._batched:
            texts = dict.fromkeys(request.prompt.text for request in requests)
            self._call_once([text for text in texts if text not in self._known])
        completions = []
        for request in requests:
            text = request.prompt.text
            if text not in self._known:
                self._known[text] = _completion(self._call(text, report_of))
            completions.append(self._known[text])
            if progress:
                progress(len(completions), 0)
        return completions

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Functions read no tokens."""
        return [0] * len(prompts)

    def close(self) -> None:
        """Nothing to free."""

    def _call_once(self, texts: Sequence[str]) -> None:
        """Give all texts to a batched function in one call."""
        if not texts:
            return

        def reports_of(value: Any) -> list[Report]:
            return [report_of(one) for one in _one_for_each(value, len(texts))]

        said = self._call(list(texts), reports_of)
        reports = said if isinstance(said, list) else [said] * len(texts)
        for text, report in zip(texts, reports, strict=True):
            self._known[text] = _completion(report)

    def _call(self, argument: Any, read: Callable[[Any], Any]) -> Any:
        """What the function says of its argument, read; or the report that it raised."""
        # The boundary to the user's code: any error of it is about this one solution.
        try:
            with contextlib.redirect_stdout(sys.stderr):
                value = self._function(argument)
        except OproError:
            # A model that the function asked has failed, which says nothing about the solution.
            raise
        except (Exception, SystemExit) as error:
            return {"failed": f"exception: {describe_exception(error)}"}
        return read(value)


def _one_for_each(value: Any, count: int) -> Sequence[Any]:
    """What a batched function returned, as a list with as many items as it was given.

    Raises:
        DataError: it is no such list, which says nothing about any one text.
    """
    if is_async(value):
        raise DataError("the objective is async", "return the scores themselves")
    listed = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(listed, (list, tuple)):
        raise DataError(
            f"the batched objective returned {value!r:.60}",
            "return a list with one score for each text",
        )
    if len(listed) != count:
        raise DataError(
            f"the batched objective returned {len(listed)} scores for {count} texts",
            "return one score for each text, in their order",
        )
    return listed


def _completion(report: Report) -> Completion:
    return Completion(json.dumps(report), "failed" if "failed" in report else "stop", 0, 0, 0)


def describe_exception(error: BaseException) -> str:
    """What the user's code raised, with its place, on one line: `ValueError: too short (score.py,
    line 3)`.
    """
    message = (str(error).splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is ours
    place = ""
    if frames:
        last = frames[-1]
        place = f" ({last.filename.rpartition('/')[2]}, line {last.lineno})"
    return f"{type(error).__name__}: {message}{place}"[:300]
