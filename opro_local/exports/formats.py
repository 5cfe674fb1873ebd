"""The formats of `export`, by name. A new one is a file beside this one and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opro_local.errors import UsageError
from opro_local.exports.openai import openai
from opro_local.exports.python import python
from opro_local.exports.whole_prompt import WholePrompt

FORMATS: Mapping[str, Callable[[WholePrompt], str]] = {
    "openai": openai,
    "python": python,
}
# Formats that ask nothing, and so have room for a prompt of two rounds.
DESCRIBING = ("markdown",)


def export(whole: WholePrompt, name: str) -> str:
    """A prompt in a format of the table.

    Raises:
        UsageError: there is no such format, or it has no room for what the prompt needs.
    """
    make = FORMATS.get(name)
    if make is None:
        raise UsageError(f"there is no format {name!r}", f"accepted: {', '.join(FORMATS)}")
    if whole.second_round and name not in DESCRIBING:
        raise UsageError(
            f"{name} asks once, and this prompt is asked in two rounds (task.second_round)",
            "best.json has both rounds, and opro-local predict asks both",
        )
    if whole.checked.get("equal") != whole.checked.get("rows"):
        raise UsageError(
            "the prompt as a template is not what the run asked on "
            f"{whole.checked['rows'] - whole.checked['equal']} of {whole.checked['rows']} rows",
            "use opro-local predict, which asks as the run did",
        )
    return make(whole)
