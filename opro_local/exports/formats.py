"""The formats of `export`, by name. A new one is a file beside this one and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opro_local.errors import UsageError
from opro_local.exports.dspy import dspy
from opro_local.exports.jinja import jinja
from opro_local.exports.lm_eval import lm_eval
from opro_local.exports.markdown import markdown
from opro_local.exports.mlflow import mlflow
from opro_local.exports.openai import openai
from opro_local.exports.promptfoo import promptfoo
from opro_local.exports.python import python
from opro_local.exports.whole_prompt import WholePrompt

FORMATS: Mapping[str, Callable[[WholePrompt], str]] = {
    "openai": openai,
    "python": python,
    "jinja": jinja,
    "markdown": markdown,
    "promptfoo": promptfoo,
    "mlflow": mlflow,
    "lm-eval": lm_eval,
    "dspy": dspy,
}
# Formats without conditions, for which a system message that a row leaves empty can't be left out.
UNCONDITIONAL = ("promptfoo", "mlflow")
# Formats that have a server continue the last message where the reply is begun.
CONTINUING = ("openai", "python", "promptfoo", "lm-eval")
# Formats that ask nothing, and so have room for a prompt of two rounds.
DESCRIBING = ("markdown",)
# Formats that hold a bias per label, where answers are chosen by probability.
BIASED = ("openai", "python", "markdown")


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
    if whole.label_bias and name not in BIASED:
        raise UsageError(
            f"{name} has no room for the bias per label that this prompt's answers are chosen with",
            f"use {', '.join(BIASED)}, or opro-local predict; best.json has it (label_bias); or "
            'search again with task.answer = "text"',
        )
    if whole.may_lose_system and name in UNCONDITIONAL:
        raise UsageError(
            f"{name} can't leave out a system message that a row leaves empty",
            "put words beside the column in it, or use another format",
        )
    if not whole.continues and name in CONTINUING:
        raise UsageError(
            f"{name}: the model's chat template does not continue a reply that was begun",
            "use opro-local predict, which begins it as the run did",
        )
    if whole.checked.get("equal") != whole.checked.get("rows"):
        raise UsageError(
            "the prompt as a template is not what the run asked on "
            f"{whole.checked['rows'] - whole.checked['equal']} of {whole.checked['rows']} rows",
            "use opro-local predict, which asks as the run did",
        )
    return make(whole)
