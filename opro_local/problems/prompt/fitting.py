"""Asking the optimizer so that every prompt fits its context.

For: asking again, with fewer rows, what was over the context; such a prompt costs no generation.
Not for: a history that is too long for all of a step (search/proposing.py), or what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from opro_local.problems.ask import ask
from opro_local.types import Batch, BatchResult, Completion, Request

Asked = TypeVar("Asked")


def ask_fitting(
    label: str,
    items: Sequence[Asked],
    request: Callable[[int, Asked], Request],
    fewer: Callable[[Asked], Asked | None],
) -> Generator[Batch, BatchResult, tuple[list[Asked], list[Completion]]]:
    """One batch for all items, and one more for those that were over the context, as often as there
    are some that can be made smaller.

    Args:
        label: of the first batch; "/fewer1" and so on follow it in those after.
        items: what is asked.
        request: the request for an item, which also depends on its place.
        fewer: an item that takes less room; None where there is none.

    Returns:
        the items as they were asked at last, and the reply to each.
    """
    asked = list(items)
    requests = [request(place, item) for place, item in enumerate(asked)]
    replies = list((yield from ask(label, requests)))
    over, turn = _smaller(asked, replies, fewer), 0
    while over:
        turn += 1
        for place, item in over.items():
            asked[place] = item
        again = [request(place, item) for place, item in over.items()]
        for place, reply in zip(over, (yield from ask(f"{label}/fewer{turn}", again)), strict=True):
            replies[place] = reply
        over = _smaller(asked, replies, fewer)
    return asked, replies


def _smaller(
    items: Sequence[Asked],
    replies: Sequence[Completion],
    fewer: Callable[[Asked], Asked | None],
) -> dict[int, Asked]:
    """By place what is asked again."""
    over = {}
    for place, reply in enumerate(replies):
        if reply.finish_reason == "too_long":
            item = fewer(items[place])
            if item is not None:
                over[place] = item
    return over
