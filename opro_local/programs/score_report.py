"""What a user's function says of a text, as a report that can be stored: its score, the scores of
single rows, and feedback in words.

For: every form that a function may return it in, and what is none of them, with the reason. Not
for: calling the function (function.py).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

# {"score": float} and, where the function said so, "rows": [float, ...] and "feedback": text;
# or {"failed": why}.
Report = dict[str, Any]

LONGEST_FEEDBACK = 1000  # characters; what is longer is cut
MOST_REMARKS = 5  # rows whose feedback is kept, those with the lowest scores
ACCEPTED = "return a finite number, or (number, feedback), or a list of either, one for each row"


class NoScore(ValueError):
    """What was returned is no score; the message says what it is, without a name for it."""


def report_of(value: Any) -> Report:
    """The report that a function's value stands for.

    Args:
        value: a number; a pair of a number and a text (or None); a list of these, one for each row
            of the user's own; such a list and a list of as many texts; or a mapping with `score`
            or `scores`, and `feedback`.
    """
    try:
        return _report(value)
    except NoScore as error:
        return {"failed": str(error)}


def is_async(value: Any) -> bool:
    """Whether a value would have to be awaited. It is closed, so that Python does not warn."""
    if inspect.iscoroutine(value):
        value.close()
        return True
    return inspect.isawaitable(value) or inspect.isasyncgen(value)


def _report(value: Any) -> Report:
    if is_async(value):
        raise NoScore("no number: the function is async and returned what has to be awaited")
    value, feedback = _divided(value)
    if isinstance(value, (list, tuple)):
        return _report_of_rows(value, feedback)
    report: Report = {"score": _finite(value, rows=False)}
    if text := _feedback(feedback):
        report["feedback"] = text
    return report


def _divided(value: Any) -> tuple[Any, Any]:
    """A value as what was scored and the feedback; arrays become lists."""
    if isinstance(value, Mapping):
        given = [name for name in ("score", "scores") if name in value]
        if len(given) != 1 or not value.keys() <= {*given, "feedback"}:
            names = ", ".join(map(str, value))
            raise NoScore(
                f"no number: a mapping of {names:.80}; accepted: score or scores, and feedback"
            )
        return _listed(value[given[0]]), value.get("feedback")
    value = _listed(value)
    if isinstance(value, tuple) and len(value) == 2:
        first, second = _listed(value[0]), value[1]
        if second is None or isinstance(second, str) or isinstance(first, list):
            return first, second
    return value, None


def _listed(value: Any) -> Any:
    """An array, tensor or series as a list, or as a number where it is one."""
    is_plain = isinstance(value, (str, bytes, Real))
    return value.tolist() if hasattr(value, "tolist") and not is_plain else value


def _report_of_rows(values: Sequence[Any], feedback: Any) -> Report:
    if not values:
        raise NoScore("no number: the function returned no row")
    rows, remarks = [], []
    for value in map(_listed, values):
        remark = None
        if isinstance(value, (tuple, list)) and len(value) == 2:
            value, remark = value
        rows.append(_finite(value, rows=True))
        remarks.append(_feedback(remark))
    if isinstance(feedback, (list, tuple)):
        if len(feedback) != len(rows):
            raise NoScore(f"{len(feedback)} feedback texts for {len(rows)} rows")
        remarks, feedback = [_feedback(one) for one in feedback], None
    worst = sorted(range(len(rows)), key=lambda place: rows[place])
    said = [remarks[place] for place in worst if remarks[place]]
    whole = "; ".join(dict.fromkeys([*filter(None, [_feedback(feedback)]), *said[:MOST_REMARKS]]))
    report: Report = {"score": math.fsum(rows) / len(rows), "rows": rows}
    if whole:
        report["feedback"] = whole[:LONGEST_FEEDBACK]
    return report


def _finite(value: Any, rows: bool) -> float:
    """A number as a float; of a row right or wrong is one, too."""
    if not isinstance(value, Real) or (isinstance(value, bool) and not rows):
        where = " for a row" if rows else ""
        raise NoScore(f"no number: the function returned {value!r:.80}{where}")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise NoScore(f"not finite: the function returned {value!r:.40}")
    return score


def _feedback(said: Any) -> str:
    """A feedback text in one line of words; "" for none."""
    if said is None:
        return ""
    if not isinstance(said, str):
        raise NoScore(f"no feedback text: the function returned {said!r:.60} beside a score")
    text = " ".join(said.replace("\0", " ").split())
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_FEEDBACK else f"{text[:LONGEST_FEEDBACK]}..."
