"""Tries a model's chat templates before the model is loaded, within limits of time and memory.

For: a template that would hang its engine or fill its memory, as one of a downloaded model may, and
the way by which a template takes a conversation. Not for: rendering prompts (tokenizer.py), or
templates that refuse one, which are asked when they are needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.engines import conversation
from opro_local.errors import ModelError
from opro_local.models import thinking
from opro_local.models.templates import chat_templates
from opro_local.programs.contained import Exceeded, contained
from opro_local.programs.template import RENDERING

USER, ANSWER = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}
SYSTEM = {"role": "system", "content": "z"}
CHATS = ([USER], [SYSTEM, USER], [USER, ANSWER, USER])
NAMES = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
PLAIN = conversation.WAYS[0].name
# What rendering may raise beside jinja2's own.
UNRENDERED = (*RENDERING, RecursionError, MemoryError)
LONGEST = 1 << 20  # characters; the longest templates of published models have some 30,000


def try_chat_templates(
    folder: Path, template_args: Mapping[str, Any], sources: Sequence[str] | None = None
) -> None:
    """Render each chat template of a model with a few short chats.

    Args:
        folder: the model's.
        template_args: what the template is given.
        sources: the templates; None for all in the folder.

    Raises:
        ModelError: it takes more time or memory than a template may.
    """
    import jinja2.sandbox  # noqa: F401  here, so that no copy of this process has to

    for source in chat_templates(folder) if sources is None else sources:
        if len(source) > LONGEST:
            why = f"has {len(source):,} characters"
        else:
            why = _excess(source, template_args)
        if why:
            raise ModelError(
                f"{folder}: its chat template {why}", "take the template of another copy"
            )


def way_through(
    source: str, template_args: Mapping[str, Any], has_system: bool, turns: int
) -> conversation.Way:
    """The way by which a template takes conversations of a kind, as the tokenizer finds it; the
    plain one where it takes none.

    Args:
        source: the template.
        template_args: what it is given.
        has_system: whether there is a system message.
        turns: how many texts there are, the last one the user's.

    """
    import jinja2.sandbox  # noqa: F401  as above

    try:
        name = contained(lambda: _way(source, template_args, has_system, turns))
    except Exceeded:
        name = PLAIN  # its engine says so, when it is asked
    return next(way for way in conversation.WAYS if way.name == name)


def text_change(source: str, template_args: Mapping[str, Any]) -> str:
    """What a template does to a user's text on its way to the model; "" where all of it comes
    through as it was written.

    Args:
        source: the template; "" for none.
        template_args: what it is given.

    Returns:
        words for a line: "it changes letters of the user's text" (such a template is refused when a
        model is asked), or which other characters it writes otherwise.
    """
    import jinja2.sandbox  # noqa: F401  as above

    if not source:
        return ""
    try:
        said: str = contained(lambda: _text_change(source, template_args))
    except Exceeded:
        return ""  # `try_chat_templates` says so
    return said


def _text_change(source: str, template_args: Mapping[str, Any]) -> str:
    apply = _applied(source, template_args)
    if apply is None:
        return ""
    way = next(conversation.ways_through(apply, None, 1), None)
    if way is None:
        return _refusal(apply) or conversation.fault(apply, None, 1)
    changed = conversation.changed_characters(apply, way)
    return f"it writes otherwise, of the user's text: {', '.join(changed)}" if changed else ""


def _refusal(apply: Callable[[conversation.Messages], str]) -> str:
    """What a template says where it refuses a user's text; "" where it takes one."""
    from jinja2 import TemplateError

    try:
        apply([USER])
    except TemplateError as error:
        return f"it refuses a user's text: {error}"
    return ""


def continues(source: str, template_args: Mapping[str, Any], prefill: str) -> bool:
    """Whether a server that continues the last message of a chat (`continue_final_message`) gives
    the same prompt as the tokenizer, which puts the first words after an opened reply.

    Args:
        source: the template.
        template_args: what it is given.
        prefill: the first words of the reply.
    """
    import jinja2.sandbox  # noqa: F401  as above

    try:
        same: bool = contained(lambda: _continues(source, template_args, prefill))
    except Exceeded:
        return False
    return same


def _continues(source: str, template_args: Mapping[str, Any], prefill: str) -> bool:
    from jinja2 import TemplateError

    try:
        template = _environment().from_string(source)
        names = {**NAMES, **template_args}
        opened = template.render(messages=[USER], add_generation_prompt=True, **names)
        whole, replied = (
            template.render(
                messages=[USER, {"role": "assistant", "content": words}],
                add_generation_prompt=False,
                **names,
            )
            for words in (prefill, conversation.REPLY)
        )
    except (TemplateError, *UNRENDERED):
        return False
    # As transformers cuts it off: after the words, with the spaces at their end if they are there.
    place = whole.rfind(prefill.strip())
    if place < 0:
        return False
    words = prefill.lstrip()
    if not whole.startswith(words, place):
        words = prefill.strip()
    before = conversation.before_reply(opened, replied)
    return whole[: place + len(words)] == thinking.begun(opened, prefill, before)


def _way(source: str, template_args: Mapping[str, Any], has_system: bool, turns: int) -> str:
    apply = _applied(source, template_args)
    if apply is None:
        return PLAIN
    system = "x" if has_system else None
    ways = conversation.ways_through(apply, system, turns)
    return next((way.name for way in ways), PLAIN)


def _applied(
    source: str, template_args: Mapping[str, Any]
) -> Callable[[conversation.Messages], str] | None:
    """The template as a function of messages that raises a TemplateError alone; None where it is no
    template.
    """
    from jinja2 import TemplateError

    try:
        template = _environment().from_string(source)
    except (TemplateError, *RENDERING):
        return None

    def apply(messages: conversation.Messages) -> str:
        try:
            text: str = template.render(
                messages=messages, add_generation_prompt=True, **NAMES, **template_args
            )
        except UNRENDERED as error:
            raise TemplateError(str(error)) from error
        return text

    return apply


def _excess(source: str, template_args: Mapping[str, Any]) -> str:
    """What the template takes too much of; empty if nothing."""
    try:
        contained(lambda: _try(source, template_args))
    except Exceeded as error:
        return f"takes {error}"
    return ""


def _try(source: str, template_args: Mapping[str, Any]) -> None:
    """Render as transformers does; what a template refuses is no matter here."""
    from jinja2 import TemplateError

    try:
        template = _environment().from_string(source)
    except (TemplateError, *RENDERING):
        return
    for chat in CHATS:
        try:
            template.render(messages=chat, add_generation_prompt=True, **NAMES, **template_args)
        except (TemplateError, *RENDERING):
            continue


def _environment() -> Any:
    """What transformers renders chat templates in (utils/chat_template_utils.py)."""
    from jinja2 import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Its tag marks what a model wrote; the text in it is rendered as it is."""

        tags = {"generation"}  # noqa: RUF012  jinja2's own name and type

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False)
    environment.globals.update(raise_exception=refuse, strftime_now=lambda form: "1 January 2026")
    return environment
