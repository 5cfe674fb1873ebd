"""What an answer says as plain text: the whole of it, or the one label it names.

For: folding text, and finding labels in time linear in the text. Not for: numbers, choices, truth
values (numbers.py and its neighbours), comparing with a target (scoring/rules.py). A reader that
finds nothing, or two different things, returns None; it never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from opro_local.scoring.reading import marks


def folded(text: str) -> str:
    """The text in folded case, with every run of whitespace as one space and none around it."""
    return " ".join(text.casefold().split())


def whole(answer: str) -> str | None:
    """The whole answer, folded; None when nothing is left of it."""
    return folded(answer) or None


def label_reader(names: Sequence[str]) -> Callable[[str], str | None]:
    """A reader that finds the one label an answer names, in any case, as a whole word.

    "non-positive" and "positively" do not name "positive"; where "not positive" is a label, it
    hides the "positive" in it. An answer that names two labels names none, unless a marked place
    (see marks.py) names one.

    Not read: negation ("not positive" names "positive" where it is no label itself), inflections,
    synonyms.

    Args:
        names: the labels; those that differ in case or whitespace only are one label.

    Returns:
        A function from an answer to a folded label or None.
    """
    labels = sorted({folded(name) for name in names} - {""}, key=lambda label: (-len(label), label))
    # The label comes first and the look to its left after it: a pattern that starts with letters
    # scans fast.
    branches = (rf"{word}(?<!\w{word})(?<!\w[-‑]{word})" for word in map(re.escape, labels))
    find = re.compile(rf"(?:{'|'.join(branches)})(?!\w|[-‑]\w)").findall
    spaced = any(" " in label for label in labels)

    def named(text: str) -> str | None:
        """The one label that a text names; None where it names none, "" where it names several."""
        named_labels = find(folded(text) if spaced else text.casefold())
        if not named_labels:
            return None
        first: str = named_labels[0]
        return first if named_labels.count(first) == len(named_labels) else ""

    def read(answer: str) -> str | None:
        label = named(answer)
        if label == "":
            label = marks.read_marked(answer, lambda mark: named(mark.text))
        return label or None

    return read
