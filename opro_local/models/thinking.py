r"""Whether a model thinks before it answers, known before it is loaded: from its card and its chat
template.

For: rendering the template once, as the engine will, and looking at how the reply begins. Not for:
reading replies (scoring/reading/thoughts.py), or how many tokens a thought may take
(runs/thinking.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError
from opro_local.models.cards import Card
from opro_local.models.templates import asked_template
from opro_local.programs.contained import Exceeded, contained
from opro_local.programs.template import RENDERING
from opro_local.types import Thinking

QUESTION = "OPROQUESTIONOPRO"  # stands for the user's turn; no template has it
# What opens a thought at the end of a prompt, and what closes one.
OPENS = re.compile(
    r"""
    (?: < (?: (?: seed: | longcat_ )? think (?: ing )? | thought | reasoning ) >
      | \[THINK\] | ◁think▷ | <\|START_THINKING\|> | <\|begin_of_thought\|> | <\|inner_prefix\|>
    )
    \s* \Z
    """,
    re.IGNORECASE | re.VERBOSE,
)
CLOSES = re.compile(
    r"""
    (?: </ (?: (?: seed: | longcat_ )? think (?: ing )? | thought | reasoning ) >
      | \[/THINK\] | ◁/think▷ | <\|END_THINKING\|> | <\|end_of_thought\|> | <\|inner_suffix\|>
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# The closing marks that are no "</name>".
CLOSING: Mapping[str, str] = {
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
}
# A template that takes the thoughts out of earlier replies, or speaks in harmony's channels, is one
# of a model that thinks. A tag in the middle of an instruction is not enough: models that think
# only when they are told to have that.
HANDLES = re.compile(
    r"""
    ['"] (?: \\n | \s )* </ (?: seed: | longcat_ )? (?: think | thought ) > (?: \\n | \s )* ['"]
  | ['"] \[/THINK\] ['"]
  | </ (?: think | thought ) > \s* \{\{
  | <\|channel\|>
    """,
    re.VERBOSE,
)
# What templates call the argument that tells a model to think, or not to.
SWITCHES = ("enable_thinking", "thinking")
# The mark at the beginning of a text.
MARKED = re.compile(r"\s* (?P<mark> < [^<>]+ > | \[ [^\[\]]+ \] )", re.VERBOSE)


def thinking_of(
    folder: Path, card: Card, template_args: Mapping[str, Any] | None = None, wanted: str = ""
) -> Thinking | None:
    """How the model in this folder thinks before it answers; None where it doesn't, as far as card
    and template tell.

    Args:
        folder: the model's folder; one without a template has no thought to open.
        card: the model's card; its `thinks` goes before what the template suggests.
        template_args: the arguments that the template will be given.
        wanted: which template, see `asked_template`.

    Raises:
        ModelError, UsageError: see `asked_template`; or the template takes more time or memory
            than a template may.
    """
    template = asked_template(folder, wanted)
    try:
        prompt, is_told = _asked(template, {**card.template_args, **(template_args or {})})
    except Exceeded as error:
        raise ModelError(
            f"{folder}: its chat template takes {error}", "take the template of another copy"
        ) from None
    own = tuple((first, last) for first, last in card.thinking_marks)
    opened = ends_in_thought(prompt, own)
    thinks = card.thinks
    if thinks is None:
        handled = bool(own) or is_told or HANDLES.search(template) is not None
        thinks = opened or (handled and not _ends_closed(prompt))
    return Thinking(opened, own) if thinks else None


def ends_in_thought(prompt: str, own: tuple[tuple[str, str], ...] = ()) -> bool:
    """Whether a prompt ends inside a thought that it opened.

    Args:
        prompt: as the template made it.
        own: the model's own pairs of marks.
    """
    ending = prompt.rstrip()
    return OPENS.search(ending) is not None or any(ending.endswith(mark) for mark, _ in own)


def _ends_closed(prompt: str) -> bool:
    """Whether a prompt ends with a thought that is over before the reply begins."""
    ends = [mark.end() for mark in CLOSES.finditer(prompt)]
    return bool(ends) and not prompt[ends[-1] :].strip()


def begun(prompt: str, prefill: str, before: str = "") -> str:
    """A prompt with the first words of its reply.

    They are no thought: one that the prompt opened is closed before them, unless they close it
    themselves.

    Args:
        prompt: as the template made it, up to where the reply begins.
        prefill: the first words; "" leaves the prompt as it is.
        before: what the template itself writes between the two, see conversation.before_reply;
            left out where the words begin with such a mark themselves.
    """
    if not prefill:
        return prompt
    opened = OPENS.search(prompt)
    if opened and CLOSES.match(prefill.lstrip()):
        return prompt + prefill
    if opened:
        mark = opened[0].strip()
        return f"{prompt}\n{CLOSING.get(mark) or f'</{mark[1:]}'}\n\n{prefill}"
    own = MARKED.match(before)
    if own and prefill.lstrip().startswith(own["mark"]):
        return prompt + prefill
    return prompt + before + prefill


def _asked(template: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
    """What a prompt of one user turn has after that turn, "" where it can't be made here; and
    whether the model is told to think.

    The environment is that of transformers' `apply_chat_template`, without importing it.

    Raises:
        Exceeded: it takes more time, memory or depth than a template may.
    """
    if not template:
        return "", False
    import jinja2.sandbox  # noqa: F401  here, so that no copy of this process has to

    text, is_told = contained(partial(_tried, template, arguments))
    return (text.rpartition(QUESTION)[2] if QUESTION in text else ""), is_told


def _tried(template: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
    """The whole prompt; and whether a switch makes it what it is: the prompt is the one of a model
    that shall think, and not the one of a model that shall not.
    """
    prompt = _rendered(template, arguments)
    switched = [
        [_rendered(template, {**arguments, name: on}) for on in (True, False)]
        for name in SWITCHES
        if name in template
    ]
    return prompt, any(thought == prompt != unthought for thought, unthought in switched)


def _rendered(template: str, arguments: Mapping[str, Any]) -> str:
    """The whole prompt; "" where the template refuses it or is wrong."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = time.strftime
    names = {"bos_token": "", "eos_token": "", "tools": None, "documents": None, **arguments}
    # Templates of models for texts and images may want a list of parts, as the engine sends them.
    for content in (QUESTION, [{"type": "text", "text": QUESTION}]):
        messages = [{"role": "user", "content": content}]
        try:
            made = environment.from_string(template)
            text: str = made.render(messages=messages, add_generation_prompt=True, **names)
        except (TemplateError, *RENDERING):
            # What is wrong with a template, its engine says when the model is loaded.
            continue
        if QUESTION in text:
            return text
    return ""


def _refuse(message: str) -> None:
    """What a template calls to refuse a conversation."""
    from jinja2 import TemplateError

    raise TemplateError(message)
