"""Asking models that think before they answer: tokens for the thought, and the answer alone in what
comes back.

For: the one place between a search and its driver where replies lose their thoughts, so that every
role, problem and rule reads the same. Not for: whether a model thinks (models/thinking.py), or the
marks themselves (scoring/reading/thoughts.py).

A search that is wrapped here sees what models say. The store keeps their whole replies.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from opro_local.config.settings import ModelSettings
from opro_local.models.cards import Card
from opro_local.models.thinking import thinking_of
from opro_local.scoring.reading.thoughts import PLAIN, without_thoughts
from opro_local.types import Batch, BatchResult, Completion, Request, Role, Sampling, Thinking

Result = TypeVar("Result")

# New tokens for a thought where the config doesn't say.
THINKING_TOKENS = 4096
# Roles that models answer in text. A program's reply is a report, an embedder's a vector.
SPEAKING = ("optimizer", "scorer", "judge")


@dataclass(frozen=True, slots=True)
class Thinker:
    """A model that thinks before it answers.

    Attributes:
        thinking: how its replies show it.
        tokens: new tokens for the thought, beside those for the answer.
        in_text: whether it also thinks where it is asked without its chat template, as one does
            whose `thinking_tokens` are set and that has none.
    """

    thinking: Thinking
    tokens: int
    in_text: bool = False


Thinkers = Mapping[Role, Thinker]


def thinker_of(settings: ModelSettings, folder: Path, card: Card) -> Thinker | None:
    """How the model of these settings thinks; None where it doesn't.

    One whose `thinking_tokens` are set thinks, whatever card and template say.
    """
    thinking = thinking_of(folder, card, settings.template_args, settings.chat_template)
    given = settings.thinking_tokens
    in_text = thinking is None
    if in_text and given:
        thinking = PLAIN
    if thinking is None:
        return None
    return Thinker(thinking, THINKING_TOKENS if given is None else given, in_text)


def notices(thinkers: Thinkers, cards: Mapping[Role, Card]) -> list[str]:
    """A line for each role whose model thinks."""
    return [
        f"the {role}'s model {cards[role].name or 'of a script'} thinks before it answers: "
        f"{thinker.tokens} tokens for the thought ({role}.thinking_tokens) beside those for the "
        f"answer ({role}.max_tokens); only what follows the thought is read"
        for role, thinker in thinkers.items()
    ]


def heard(
    search: Generator[Batch, BatchResult, Result], thinkers: Thinkers
) -> Generator[Batch, BatchResult, Result]:
    """A search over what models say, for a driver of what they write.

    Requests to a model that thinks get tokens for its thought and no stop strings, which would end
    the thought; its answers end at those strings here.
    """
    try:
        batch = next(search)
        while True:
            result = yield asked_of(batch, thinkers)
            said = said_in(batch, result, thinkers)
            batch = search.send(replace(result, completions=said))
    except StopIteration as end:
        answer: Result = end.value
        return answer


def asked_of(batch: Batch, thinkers: Thinkers) -> Batch:
    """A search's batch as the model is asked."""
    thinker = thinkers.get(batch.role)
    if thinker is None:
        return batch
    # Requests share samplings, and digests are quick because they do.
    samplings: dict[int, Sampling] = {}
    requests = []
    for request in batch.requests:
        if _thinks(request, thinker):
            given = request.sampling
            if id(given) not in samplings:
                samplings[id(given)] = _with_thought(given, thinker)
            requests.append(replace(request, sampling=samplings[id(given)]))
        else:
            requests.append(_without_thought(request, thinker.thinking))
    return replace(batch, requests=requests)


def said_in(batch: Batch, result: BatchResult, thinkers: Thinkers) -> Sequence[Completion]:
    """What the replies to a search's batch say, without their thoughts."""
    if batch.role not in SPEAKING:
        return result.completions
    thinker = thinkers.get(batch.role)
    if thinker is None:
        return [without_thoughts(reply) for reply in result.completions]
    return [
        _answer(request, reply, thinker)
        for request, reply in zip(batch.requests, result.completions, strict=True)
    ]


def _thinks(request: Request, thinker: Thinker) -> bool:
    """Whether a reply begins with a thought: not one whose first words or whole shape are given."""
    prompt, sampling = request.prompt, request.sampling
    is_asked = prompt.chat or thinker.in_text
    is_free = sampling.constraint is None and not sampling.labels
    return is_asked and not prompt.prefill and is_free


def _with_thought(sampling: Sampling, thinker: Thinker) -> Sampling:
    return replace(sampling, max_tokens=sampling.max_tokens + thinker.tokens, stop=())


def _without_thought(request: Request, thinking: Thinking) -> Request:
    """A request whose reply has to begin with the answer, so that it doesn't begin inside the
    thought that the template opened.
    """
    prompt = request.prompt
    if not (prompt.chat and thinking.opened):
        return request
    if prompt.prefill and not thinking.marks:
        return request  # the tokenizer closes the thought before it
    last = thinking.marks[0][1] if thinking.marks else "</think>"
    return replace(request, prompt=replace(prompt, prefill=f"{last}\n\n{prompt.prefill}"))


def _answer(request: Request, reply: Completion, thinker: Thinker) -> Completion:
    """What a reply says to a request as the search made it, up to the first stop string."""
    if not _thinks(request, thinker):
        return without_thoughts(reply)
    answer = without_thoughts(reply, thinker.thinking)
    # What separates an answer from the thought is no part of it, nor a stop string "\n".
    text = reply.text if answer is reply else answer.text.lstrip()
    ends = [at for stop in request.sampling.stop if (at := text.find(stop)) >= 0]
    if not ends:
        return answer if text == answer.text else replace(answer, text=text)
    return replace(answer, text=text[: min(ends)], finish_reason="stop")
