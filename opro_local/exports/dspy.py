"""The state of a `dspy.Predict`: the instruction as its signature's, the worked examples as demos.

For: `dspy.Predict("input -> output").load(FILE)` with the signature that the file names. Not for:
the run's prompt text for text: DSPy writes one of its own around instructions and demos.
"""

from __future__ import annotations

from typing import Any

from opro_local.errors import UsageError
from opro_local.exports.whole_prompt import WholePrompt, json_text


def dspy(whole: WholePrompt) -> str:
    """The JSON.

    Raises:
        UsageError: a column's name is no field of DSPy's, or the instruction shows columns.
    """
    asked, answered = whole.column, str(whole.data.get("target", "answer"))
    for name in (asked, answered):
        if not name.isidentifier():
            raise UsageError(f"dspy: the column {name!r} can't be a field", "use another format")
    if whole.columns or any(marker in whole.text for marker in whole.markers.values()):
        shown = ", ".join(whole.columns)
        raise UsageError(f"dspy: the prompt also shows {shown}", "use another format")
    state: dict[str, Any] = {
        "traces": [],
        "train": [],
        "demos": [{asked: one["input"], answered: one["answer"]} for one in whole.demonstrations],
        "signature": {
            "instructions": whole.text,
            "fields": [_field(asked), _field(answered)],
        },
        "lm": None,
        "metadata": {"signature": f"{asked} -> {answered}", "dependency_versions": {}},
    }
    return json_text(state, indent=2) + "\n"


def _field(name: str) -> dict[str, str]:
    return {"prefix": f"{name.replace('_', ' ').title()}:", "description": f"${{{name}}}"}
