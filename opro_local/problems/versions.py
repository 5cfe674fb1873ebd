"""The versions of one part of a solution, as the part's own meta-prompt shows them.

For: problems whose parts are written anew in turns, such as a file's sections. Not for: what a part
is, or how whole solutions are shown (search/proposing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opro_local.config.search import SearchSettings

# A text and its score as a meta-prompt shows it; None hides the score.
Shown = tuple[str, str | None]


def best_versions(
    tried: Iterable[tuple[str, float]],
    most: int,
    search: SearchSettings,
    written: Callable[[float], str | None],
) -> tuple[list[Shown], str]:
    """The best versions of a part, each with the best score of a solution that had it.

    Args:
        tried: the part in each scored solution, and the solution's score, in the order they came.
        most: how many are shown.
        search: its `order` is read.
        written: a score as it is shown.

    Returns:
        the versions, of equal ones the earlier nearer to the best place, and their order.
    """
    versions: dict[str, float] = {}
    for text, value in tried:
        versions[text] = max(value, versions.get(text, value))
    ranked = sorted(versions.items(), key=lambda pair: -pair[1])[:most]
    # Versions have no order of their own to be random in: any other order is ascending.
    order = "descending" if search.order == "descending" else "ascending"
    if order == "ascending":
        ranked.reverse()
    return [(text, written(value)) for text, value in ranked], order
