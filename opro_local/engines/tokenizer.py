"""Turns prompts into token ids with a model's own tokenizer; both real engines speak through it.

For: chat template, prefill, beginning-of-text token, and tokens back to text. Not for: running a
model.

Rendering a chat template costs a hundred microseconds, tokenizing a text a few. So the template is
rendered once per (system, prefill) around a sentinel, and the two sides are reused where that is
proven to give the same text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from opro_local.engines import conversation, vocabulary
from opro_local.engines.disk_faults import disk_fault
from opro_local.engines.loading import said
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError, ModelError
from opro_local.models import thinking
from opro_local.models.templates import asked_template
from opro_local.programs.template import RENDERING
from opro_local.types import Prompt

# What transformers raises of files that make no sense.
BROKEN = (OSError, ValueError, LookupError, ImportError, AttributeError, TypeError)
SENTINEL = "OPROSENTINELOPRO"  # stands for the user's text; no template or vocabulary has it
SHAPES = 1024  # kept at most: a mixed search makes new turns all the time

# What a shape depends on: the system message, the prefill and the turns before.
ShapeKey = tuple[str | None, str, tuple[tuple[str, str], ...]]


class TemplateShape(NamedTuple):
    """What a template puts around the user's text, and whether it strips the text.

    `ids` are the tokens of the head up to its last special token, `rest` is the text of the head
    after that: special tokens are cut out before a text is tokenized, so what stands before one
    never changes what comes after.
    """

    head: str
    tail: str
    strips: bool
    ids: tuple[int, ...] = ()
    rest: str = ""

    def around(self, text: str) -> str:
        return self.head + (text.strip() if self.strips else text) + self.tail

    def after_ids(self, text: str) -> str:
        return self.rest + (text.strip() if self.strips else text) + self.tail


class PromptTokenizer:
    """A tokenizer that reads `Prompt`s.

    A model without a chat template gets a chat prompt as plain text: system, text and prefill
    joined by blank lines. What a template does not bring through is put another way
    (conversation.py), or refused.

    Args:
        tokenizer: a Hugging Face tokenizer, a fast one for speed.
        template_args: extra arguments of the chat template.
        bos: the id every plain text has to begin with, or None where the model uses none.
        date: the day that the template writes, as "2026-11-28"; "" leaves it the clock.
    """

    def __init__(
        self,
        tokenizer: Any,
        template_args: Mapping[str, Any] | None = None,
        bos: int | None = None,
        date: str = "",
    ) -> None:
        self._tokenizer = tokenizer
        self._args = dict(template_args or {})
        if date:
            # It goes before transformers' own function, which reads the clock at every prompt.
            self._args["strftime_now"] = datetime.fromisoformat(date).strftime
        self._bos = bos
        self._shapes: dict[ShapeKey, TemplateShape | None] = {}
        self._ways: dict[tuple[bool, bool, int], tuple[conversation.Way, ...]] = {}
        self._before: str | None = None  # what stands before a reply's text; None until asked
        self._known: int | None = None  # ids that the model knows, where there are more
        filler = [bos, tokenizer.bos_token_id, tokenizer.eos_token_id, 0]
        # No engine takes a prompt of no tokens at all.
        self._nothing = [next(token for token in filler if token is not None)]

    @classmethod
    def load(
        cls,
        folder: Path | str,
        config: Any,
        settings: EngineSettings,
    ) -> PromptTokenizer:
        """Read the tokenizer of a model folder; `config` is the model's own, already read, and
        `settings` are those of its engine.

        Raises:
            ModelError: the folder holds no tokenizer that loads, or one with words that the model
                does not know.
        """
        try:
            tokenizer = _read(Path(folder), bool(settings.trusted_code))
        except BROKEN as error:
            damaged = ModelError(
                f"{folder}: the tokenizer does not load: {said(error)}",
                "copy the whole model folder",
            )
            raise disk_fault(error, str(folder)) or damaged from error
        # transformers leaves a template in chat_template.json to the readers of images.
        template = settings.chat_template or (
            "" if tokenizer.chat_template else asked_template(Path(folder))
        )
        if template:
            tokenizer.chat_template = template
        bos = vocabulary.beginning_token(tokenizer, config)
        made = cls(tokenizer, settings.template_args, bos, settings.date)
        made._known = vocabulary.last_known(tokenizer, vocabulary.rows_of(config), folder)
        return made

    @property
    def tokenizer(self) -> Any:
        return self._tokenizer

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each prompt, in order; never empty.

        Raises:
            EngineError: the model does not know one of them.
        """
        has_template = self._tokenizer.chat_template is not None
        chats = [prompt for prompt in prompts if has_template and prompt.chat]
        texts = [prompt for prompt in prompts if not (has_template and prompt.chat)]
        # Two calls of the tokenizer for the whole batch, then the prompts' order again.
        chat_ids, text_ids = iter(self._encode_chats(chats)), iter(self._encode_texts(texts))
        ids = [
            next(chat_ids) if has_template and prompt.chat else next(text_ids) for prompt in prompts
        ]
        vocabulary.check_ids(self._tokenizer, self._known, ids)
        return ids

    def decode(self, tails: Sequence[Sequence[int]], replies: Sequence[Sequence[int]]) -> list[str]:
        """The text of each reply as it reads after its prompt's last tokens.

        Sentencepiece drops the space before a text's first word, so a reply can't be decoded on its
        own.
        """
        before = self._texts([list(tail) for tail in tails])
        whole = self._texts([[*tail, *reply] for tail, reply in zip(tails, replies, strict=True)])
        alone = self._texts([list(reply) for reply in replies])
        # A reply may change how its tail reads, where a character takes several tokens: then it is
        # read alone.
        return [
            text[len(tail) :] if text.startswith(tail) else reply
            for tail, text, reply in zip(before, whole, alone, strict=True)
        ]

    def _encode_chats(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        parts = [self._split(prompt) for prompt in prompts]
        rest = self._ids([_encodable(text) for _, text in parts], special=False)
        # No copy where there is nothing to put before.
        return [[*head, *ids] if head else ids for (head, _), ids in zip(parts, rest, strict=True)]

    def _encode_texts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        ids = self._ids([_encodable(plain_text(prompt)) for prompt in prompts], special=True)
        return [self._with_beginning(one) for one in ids]

    def _texts(self, ids: list[list[int]]) -> list[str]:
        texts: list[str] = self._tokenizer.batch_decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return texts

    def _ids(self, texts: list[str], special: bool) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._tokenizer(
            texts, add_special_tokens=special, return_attention_mask=False, verbose=False
        )
        return [ids or self._nothing for ids in encoded["input_ids"]]

    def _with_beginning(self, ids: list[int]) -> list[int]:
        """The ids with one beginning-of-text token where the model uses one."""
        bos = self._tokenizer.bos_token_id if self._bos is None else self._bos
        # A text that spells the token out, given to a tokenizer that adds it, would begin with two.
        if bos is not None and ids[:2] == [bos, bos]:
            return ids[1:]
        return [self._bos, *ids] if self._bos is not None and ids[0] != self._bos else ids

    def _split(self, prompt: Prompt) -> tuple[tuple[int, ...], str]:
        """The ids that a chat prompt begins with, as far as they are known, and the text of what
        follows.
        """
        shape = self._shape_of(prompt)
        if shape is None:
            return (), self._begun(self._render(prompt, prompt.text), prompt.prefill)
        return shape.ids, shape.after_ids(prompt.text)

    def _shape_of(self, prompt: Prompt) -> TemplateShape | None:
        key = (prompt.system, prompt.prefill, prompt.turns)
        if key not in self._shapes:
            if len(self._shapes) >= SHAPES:
                self._shapes.clear()
            self._shapes[key] = self._shape(prompt)
        return self._shapes[key]

    def _shape(self, prompt: Prompt) -> TemplateShape | None:
        """Split the template at the user's text; None where the split does not reproduce the
        template.
        """
        parts = self._render(prompt, SENTINEL).split(SENTINEL)
        if len(parts) != 2:
            return None
        samples = [prompt.text, f" \n{prompt.text}\n "]
        rendered = [self._render(prompt, text) for text in samples]
        for strips in (False, True):
            shape = TemplateShape(parts[0], parts[1], strips)
            if [shape.around(text) for text in samples] == rendered:
                tail = self._begun(shape.tail, prompt.prefill)
                return self._with_ids(shape._replace(tail=tail), samples)
        return None

    def _with_ids(self, shape: TemplateShape, samples: list[str]) -> TemplateShape:
        """The shape with the head tokenized once, where that is proven to give the same tokens."""
        special = [token for token in self._tokenizer.all_special_tokens if token in shape.head]
        # Where the last of them ends.
        end = max((shape.head.rfind(token) + len(token) for token in special), default=0)
        if not end:
            return shape._replace(rest=shape.head)
        ids = tuple(self._ids([_encodable(shape.head[:end])], special=False)[0])
        cut = shape._replace(ids=ids, rest=shape.head[end:])
        whole = self._ids([_encodable(shape.around(text)) for text in samples], special=False)
        parts = self._ids([_encodable(cut.after_ids(text)) for text in samples], special=False)
        same = [[*ids, *part] for part in parts] == whole
        return cut if same else shape._replace(rest=shape.head)

    def _render(self, prompt: Prompt, text: str) -> str:
        """The template's own rendering of the prompt, with this text as its last turn, up to where
        the reply begins.
        """
        from jinja2 import TemplateError

        contents = [part for turn in prompt.turns for part in turn] + [text]
        refusal: TemplateError | None = None
        for way in self._ways_of(prompt.system, len(contents)):
            # A template may still refuse what these texts say.
            try:
                return self._apply(way.messages(prompt.system, contents))
            except TemplateError as error:
                refusal = refusal or error
        if refusal is None:
            what = conversation.fault(self._apply, prompt.system, len(contents))
            refusal = TemplateError(f"{what}, however that is sent")
        raise refusal

    def _begun(self, opened: str, prefill: str) -> str:
        """What stands at the end of a prompt with the first words of its reply."""
        if prefill and self._before is None:
            self._before = self._before_reply()
        return thinking.begun(opened, prefill, self._before or "")

    def _before_reply(self) -> str:
        """What the template writes between an opened reply and its text."""
        from jinja2 import TemplateError

        asked = conversation.MARK.format(number=0)
        for way in self._ways_of(None, 1):
            if way.merges:
                continue
            replied = way.messages(None, [asked, conversation.REPLY])
            try:
                opened = self._apply(way.messages(None, [asked]))
                whole = self._apply(replied, is_open=False)
            except TemplateError:
                continue
            return conversation.before_reply(opened, whole)
        return ""

    def _ways_of(self, system: str | None, turns: int) -> Sequence[conversation.Way]:
        """How conversations of this kind are put to the template; tried once per kind.

        Where none brings everything through because the template raises, what it raises is to be
        told: then the plain way stands alone.
        """
        from jinja2 import TemplateError

        kind = (system is None, bool(system), turns)
        if kind not in self._ways:
            ways = tuple(conversation.ways_through(self._apply, system, turns))
            if not ways:
                plain = conversation.WAYS[0]
                try:
                    self._apply(plain.messages(system, ["x"] * turns))
                except TemplateError:
                    ways = (plain,)
            self._ways[kind] = ways
        return self._ways[kind]

    @property
    def way(self) -> str:
        """How a user's turn is put to the chat template; "" for the plain way, and where there is
        no template.
        """
        if self._tokenizer.chat_template is None:
            return ""
        return next((way.name for way in self._ways_of(None, 1)), "")

    def _apply(self, messages: conversation.Messages, is_open: bool = True) -> str:
        """What the template makes of them, with a reply opened at the end. Whatever it raises is a
        TemplateError: a template divides by a row's text, too, or calls itself.
        """
        from jinja2 import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=is_open, **self._args
            )
        except (*RENDERING, RecursionError, MemoryError) as error:
            raise TemplateError(f"{type(error).__name__}: {error}") from error
        return text


def _read(folder: Path, runs_code: bool) -> Any:
    """The folder's Hugging Face tokenizer.

    Beside vLLM, which brings mistral_common, transformers prefers Mistral's `tekken.json` to
    `tokenizer.json`, and that tokenizer has no chat template. Only newer versions can be told not
    to, so the class to read with is named here.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    both = all((folder / name).is_file() for name in ("tekken.json", "tokenizer.json"))
    reader = PreTrainedTokenizerFast if both else AutoTokenizer
    tokenizer = reader.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=runs_code
    )
    if type(tokenizer).__name__ == "MistralCommonBackend":
        raise ModelError(
            f"{folder}: only Mistral's own tokenizer is in it, which has no chat template; "
            "tokenizer.json is missing",
            "add tokenizer.json, tokenizer_config.json and chat_template.jinja from a copy for "
            "transformers",
        )
    return tokenizer


def plain_text(prompt: Prompt) -> str:
    """The prompt as one text: as it is, or, for a chat that has no template, its parts joined by
    blank lines.
    """
    history = [part for turn in prompt.turns for part in turn]
    before = [part for part in (prompt.system, *history) if part]
    if prompt.chat:
        own = [part for part in (prompt.text, prompt.prefill) if part]
        return "\n\n".join([*before, *own])
    # A text that is no chat is taken to the letter: its prefill follows without a break.
    return "".join(f"{part}\n\n" for part in before) + prompt.text + prompt.prefill


@contextlib.contextmanager
def explain_template_errors(folder: str) -> Iterator[None]:
    """Around calls that render a chat template: what the model's own template raises comes back as
    one line.

    Raises:
        EngineError: the model's chat template refuses the prompt.
    """
    from jinja2 import TemplateError

    try:
        yield
    except TemplateError as error:
        raise EngineError(
            f"{folder}: the chat template refuses the prompt: {error}", "use chat = false"
        ) from error


def _encodable(text: str) -> str:
    """The text with lone surrogates, which no tokenizer takes, replaced by '?'."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
