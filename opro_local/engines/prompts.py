"""Prompts as token ids: chat templates, prefills, beginning-of-text tokens.

For: what both real engines do before they generate, in one batched tokenizer call. Not for: generating.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opro_local.types import Prompt

PLACE = "\u2603PLACE\u2603"


class Renderer:
    """Turns prompts into token ids with one tokenizer.

    A chat template is rendered once per kind of prompt and the user's text put in its place, after checking on real
    text that this gives what the template gives; templates that change the text are rendered for every prompt.
    A model without a chat template gets system message, text and prefill as plain text, blank lines between.

    Args:
        tokenizer: a transformers tokenizer.
        template_args: extra arguments of its chat template.
    """

    def __init__(self, tokenizer: Any, template_args: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._arguments = dict(template_args)
        self._frames: dict[str | None, tuple[str, str] | None] = {}

    def ids(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each prompt, one beginning-of-text token at most."""
        if not prompts:
            return []
        chats = [prompt.chat and bool(self._tokenizer.chat_template) for prompt in prompts]
        texts = [
            _clean(self._chat(prompt) if chat else _plain(prompt)) for prompt, chat in zip(prompts, chats, strict=True)
        ]
        tokens = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        return [self._begun(list(ids), chat) for ids, chat in zip(tokens, chats, strict=True)]

    def _begun(self, ids: list[int], chat: bool) -> list[int]:
        """Exactly one beginning-of-text token where the model has one; a chat template has written its own."""
        bos = self._tokenizer.bos_token_id
        if bos is None or not self._uses_bos():
            return ids or [self._tokenizer.eos_token_id]
        while len(ids) > 1 and ids[0] == ids[1] == bos:
            del ids[0]
        return ids if chat or ids[:1] == [bos] else [bos, *ids]

    def _uses_bos(self) -> bool:
        """Whether raw text starts with the token: the tokenizer adds it, or the model's family needs it.

        Gemma's tokenizer forgets to after a conversion from GGUF, and the model is useless without it.
        """
        adds = self._tokenizer("a")["input_ids"][:1] == [self._tokenizer.bos_token_id]
        return adds or "gemma" in type(self._tokenizer).__name__.lower()

    def _chat(self, prompt: Prompt) -> str:
        if prompt.system not in self._frames:
            self._frames[prompt.system] = self._frame(prompt.system)
        frame = self._frames[prompt.system]
        rendered = frame[0] + prompt.text + frame[1] if frame else self._render(prompt.system, prompt.text)
        return rendered + prompt.prefill

    def _frame(self, system: str | None) -> tuple[str, str] | None:
        """What the template writes before and after the user's text; None if it changes the text itself."""
        head, found, tail = self._render(system, PLACE).partition(PLACE)
        samples = ("a", " two  words \n", "{{ x }} <b>\n\nend")
        if found and all(self._render(system, text) == head + text + tail for text in samples):
            return head, tail
        return None

    def _render(self, system: str | None, text: str) -> str:
        from jinja2 import TemplateError

        user = {"role": "user", "content": text}
        if system is None:
            return self._template([user])
        try:
            return self._template([{"role": "system", "content": system}, user])
        except TemplateError:  # the template forbids the role, as Gemma 2's does
            return self._template([{"role": "user", "content": f"{system}\n\n{text}"}])

    def _template(self, messages: list[dict[str, str]]) -> str:
        return self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **self._arguments
        )


def _plain(prompt: Prompt) -> str:
    return "\n\n".join(part for part in (prompt.system, prompt.text) if part) + prompt.prefill


def _clean(text: str) -> str:
    """Tokenizers take UTF-8 only; a lone surrogate becomes a replacement character."""
    return text.encode("utf-8", "replace").decode("utf-8")
