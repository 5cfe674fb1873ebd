"""Model cards: what is known of a model that its folder doesn't say, and sensible guesses where
there is no card.

For: which meta-prompt form a model answers, whether it chats, and its chat template's switches; and
which card is a model's, by its name. Not for: finding or loading models.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from opro_local.models.offline import WEIGHTS
from opro_local.models.size import parameters
from opro_local.models.templates import chat_template

CONTINUED = ("rewording", "continuation", "precision")
SMALL = 3_000_000_000  # parameters
BYTES = 2  # of a parameter, where a folder tells bytes only
# What quantizers and packers add to a model's name, one part at a time.
ADDED = re.compile(
    r"""
    [-_.] (?:
        awq | gptq (?: model )? | bnb | nf4 | hqq | eetq | marlin | torchao | autoround | autoawq
      | (?: nv | mx )? fp (?: 4 | 8 ) | int [2348] | [2348] -? bit | [48] b [-_] 128 g
      | w \d+ a \d+ (?: fp8 )? | quantized | compressed | dynamic | block | kv
      | g? 128 g? | sym | unsloth | bf16 | fp16 | float16 | hf | qat | q4_0 | unquantized
    ) \Z
    """,
    re.VERBOSE,
)
META = re.compile(r"\Ameta-(?=llama-)")


@dataclass(frozen=True, slots=True)
class Card:
    """One model.

    Attributes:
        name: what `--model` calls it.
        repository: its id on the Hugging Face hub; "" if unknown.
        license: the weights' licence; "" if unknown.
        chat: whether it was trained to chat.
        family: whose models it speaks of, where these are several.
        matches: the names it speaks of, in lower case and without what quantizers add, as patterns
            (`*`); its own name is one of them.
        metaprompt: the form it proposes with best, see metaprompt.load; "" is the one of its size.
        operators: the forms that the mode "mixed" divides its proposals among; () for those of its
        kind.
        demonstrations: how it is shown worked examples: as "turns" of a chat, or in the "text".
        template_args: arguments for its chat template.
        switches: what else its chat template can be told: names, and what they do.
        quirks: what one should know before one asks it.
        thinks: whether it thinks before it answers; None leaves that to its chat template.
        thinking_marks: marks of its own around a thought, as pairs (opening, closing).
        source: where the facts are from.
        tested: where this card was tried, or "not tested".
    """

    name: str
    repository: str = ""
    license: str = ""
    family: str = ""
    matches: Sequence[str] = ()
    chat: bool = True
    metaprompt: str = "brackets"
    operators: Sequence[str] = ()
    demonstrations: str = "turns"
    template_args: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    quirks: Sequence[str] = ()
    thinks: bool | None = None
    thinking_marks: Sequence[Sequence[str]] = ()
    source: str = ""
    tested: str = "not tested"


def continues(card: Card) -> bool:
    """Whether the model is asked with lines to continue, as small and base models are."""
    return card.metaprompt in CONTINUED


@cache
def cards() -> tuple[Card, ...]:
    """Every card, by name: those in a checkout's models/, or those shipped in the wheel. Read once:
    each cell of a sweep asks for them.
    """
    package = Path(__file__).resolve().parents[1]
    is_checkout = (package.parent / "pyproject.toml").is_file()
    folder = package.parent / "models" if is_checkout else package / "data" / "cards"
    files = sorted(folder.glob("*.toml"))
    return tuple(Card(**tomllib.loads(file.read_text("utf-8"))) for file in files)


def card_for(folder: Path) -> Card:
    """The card of the model in a folder, recognised by the folder's name or hub id; a guess if it
    has none.

    The guess: it chats if it has a chat template; chat models of less than 3 billion parameters
    propose by rewording, models that do not chat by continuation (docs/metaprompts.md says why). A
    template that can switch thinking off does.
    """
    card = named_card(_names(folder))
    if card:
        return card if card.metaprompt else replace(card, metaprompt=_form(folder, card.chat))
    template = chat_template(folder)
    # Thoughts cost tokens and are cut off at max_tokens before the answer comes.
    no_thinking = {"enable_thinking": False} if "enable_thinking" in template else {}
    form = _form(folder, bool(template))
    return Card(folder.name, chat=bool(template), metaprompt=form, template_args=no_thinking)


def named_card(names: Sequence[str]) -> Card | None:
    """The card that speaks of a model with one of these names; one of a single model goes before
    one of a family.
    """
    known = cards()
    for name in (*names, *map(plain_name, names)):
        for card in known:
            if name.lower() in (card.name, card.repository.rpartition("/")[2].lower()):
                return card
        for card in known:
            if any(fnmatchcase(name.lower(), pattern) for pattern in card.matches):
                return card
    return None


def plain_name(name: str) -> str:
    """A model's name in lower case, without what quantizers and packers add to it."""
    plain = META.sub("", name.lower())
    while (shorter := ADDED.sub("", plain)) != plain:
        plain = shorter
    return plain


def _names(folder: Path) -> list[str]:
    """What a model may be called: its folder, or its name in the hub's cache, which has models in
    models--OWNER--NAME/snapshots/COMMIT.
    """
    cached = [part.rpartition("--")[2] for part in folder.parts if part.startswith("models--")]
    return [folder.name, *cached]


def _form(folder: Path, chat: bool) -> str:
    """The form of a model of this size."""
    if not chat:
        return "continuation"
    size = parameters(folder)
    if size is None:
        weights = (file for kind in WEIGHTS for file in folder.glob(kind))
        size = sum(file.stat().st_size for file in weights) // BYTES
    return "brackets" if size >= SMALL else "rewording"
