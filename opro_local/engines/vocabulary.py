"""Whether a tokenizer fits its model: each of its tokens needs a row of the model's embedding; and
which token a text has to begin with.

For: refusing, by name, what would read past the embedding's end, which ends the whole engine on a
GPU. Not for: reading tokenizers (tokenizer.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opro_local.errors import EngineError, ModelError
from opro_local.programs.template import RENDERING


def rows_of(config: Any) -> int | None:
    """Rows of a model's embedding, by its config; None where it does not say.

    Args:
        config: as transformers reads it.
    """
    text = getattr(config, "get_text_config", lambda: config)()
    rows = getattr(text, "vocab_size", None)
    return rows if isinstance(rows, int) and rows > 0 else None


def last_known(tokenizer: Any, rows: int | None, folder: Path | str) -> int | None:
    """The number of token ids that the model knows, where the tokenizer has more; None where it has
    not.

    A special token too many is left to the prompts: Gemma 3 has one, for images, and its models for
    text do without.

    Raises:
        ModelError: words of the tokenizer are unknown to the model.
    """
    if rows is None:
        return None
    beyond = {id_: token for token, id_ in tokenizer.get_vocab().items() if id_ >= rows}
    if not beyond:
        return None
    added = getattr(tokenizer, "added_tokens_decoder", {})
    words = sorted(id_ for id_ in beyond if not (id_ in added and added[id_].special))
    if words:
        raise ModelError(
            f"{folder}: its tokenizer is larger than its model: {beyond[words[0]]!r} has the id "
            f"{words[0]}, the model knows {rows} ids ({len(beyond)} tokens too many)",
            "take the tokenizer that came with the model, or enlarge the model's embedding "
            "(resize_token_embeddings)",
        )
    return rows


def check_ids(tokenizer: Any, known: int | None, prompts: Sequence[Sequence[int]]) -> None:
    """Refuse prompts with ids that the model does not know.

    Args:
        tokenizer: names the token.
        known: see `last_known`; None checks nothing.
        prompts: the ids of each.

    Raises:
        EngineError: names the first such token.
    """
    if known is None:
        return
    for ids in prompts:
        if max(ids) >= known:
            first = next(one for one in ids if one >= known)
            token = tokenizer.convert_ids_to_tokens(first)
            raise EngineError(
                f"the token {token!r} (id {first}) is in a prompt, and the model knows {known} ids",
                "take it out of the data or the chat template, or take the tokenizer that came "
                "with the model",
            )


def beginning_token(tokenizer: Any, config: Any) -> int | None:
    """The id that has to begin every plain text, or None.

    The config must name the token too, it must not double as the end, and the chat template must
    not use it to mark every turn: Gemma's `<bos>` qualifies, SmolLM2's `<|im_start|>` and GPT-2's
    `<|endoftext|>` don't.
    """
    bos = tokenizer.bos_token_id
    # A model for texts and images keeps the settings of its text part apart.
    configs = (config, getattr(config, "text_config", None))
    named = {getattr(part, "bos_token_id", None) for part in configs}
    if bos is None or bos not in named or bos == tokenizer.eos_token_id:
        return None
    return None if _marks_turns(tokenizer) else bos


def _marks_turns(tokenizer: Any) -> bool:
    """Whether a chat of two turns holds the token more than once."""
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        return False
    turns = [{"role": role, "content": "x"} for role in ("user", "assistant", "user")]
    try:
        rendered: str = tokenizer.apply_chat_template(turns, tokenize=False)
    except (TemplateError, *RENDERING, RecursionError, MemoryError):
        return False
    return rendered.count(tokenizer.bos_token) > 1
