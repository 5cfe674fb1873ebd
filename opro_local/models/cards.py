"""Model cards: what is known of a model that its folder doesn't say, and sensible guesses where
there is no card.

For: which meta-prompt form a model answers, whether it chats, and its chat template's switches. Not
for: finding or loading models.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opro_local.models.templates import chat_template

CONTINUED = ("rewording", "continuation", "precision")
SMALL = 6_000_000_000  # bytes of weights: about 3 billion parameters at 16 bits


@dataclass(frozen=True, slots=True)
class Card:
    """One model.

    Attributes:
        name: what `--model` calls it.
        repository: its id on the Hugging Face hub; "" if unknown.
        license: the weights' licence; "" if unknown.
        chat: whether it was trained to chat.
        metaprompt: the form it proposes with best, see metaprompt.load.
        operators: the forms that the mode "mixed" divides its proposals among; () for those of its
        kind.
        demonstrations: how it is shown worked examples: as "turns" of a chat, or in the "text".
        template_args: arguments for its chat template.
        thinks: whether it thinks before it answers; None leaves that to its chat template.
        thinking_marks: marks of its own around a thought, as pairs (opening, closing).
        tested: where this card was tried, or "not tested".
    """

    name: str
    repository: str = ""
    license: str = ""
    chat: bool = True
    metaprompt: str = "brackets"
    operators: Sequence[str] = ()
    demonstrations: str = "turns"
    template_args: Mapping[str, Any] = field(default_factory=dict)
    thinks: bool | None = None
    thinking_marks: Sequence[Sequence[str]] = ()
    tested: str = "not tested"


def continues(card: Card) -> bool:
    """Whether the model is asked with lines to continue, as small and base models are."""
    return card.metaprompt in CONTINUED


def cards() -> list[Card]:
    """Every card, by name: those in a checkout's models/, or those shipped in the wheel."""
    package = Path(__file__).resolve().parents[1]
    is_checkout = (package.parent / "pyproject.toml").is_file()
    folder = package.parent / "models" if is_checkout else package / "data" / "cards"
    files = sorted(folder.glob("*.toml"))
    return [Card(**tomllib.loads(file.read_text("utf-8"))) for file in files]


def card_for(folder: Path) -> Card:
    """The card of the model in a folder, recognised by the folder's name or hub id; a guess if it
    has none.

    The guess: it chats if it has a chat template; chat models under 6 GB of weights propose by
    rewording, models that do not chat by continuation (docs/metaprompts.md says why). A template
    that can switch thinking off does.
    """
    # The hub's cache has models in models--OWNER--NAME/snapshots/COMMIT: a parent has the name.
    in_hub_cache = {part.lower() for part in folder.parts if part.startswith("models--")}
    names = {folder.name.lower(), *in_hub_cache}
    for card in cards():
        last_part = card.repository.rpartition("/")[2].lower()
        if names & {card.name, last_part, _cache_name(card.repository)}:
            return card
    template = chat_template(folder)
    chat = bool(template)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    form = "continuation"
    if chat:
        form = "brackets" if weights >= SMALL else "rewording"
    # Thoughts cost tokens and are cut off at max_tokens before the answer comes.
    no_thinking = {"enable_thinking": False} if "enable_thinking" in template else {}
    return Card(folder.name, chat=chat, metaprompt=form, template_args=no_thinking)


def _cache_name(repository: str) -> str:
    return f"models--{repository.replace('/', '--')}".lower()
