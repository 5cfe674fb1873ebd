"""Which labels a passage gives and which it marks absent: "joy: yes; fear: no", "joy, not fear".

For: a passage every piece of which is understood: a label, a mark ("yes", "[ ]", "✗"), a word that
denies, what divides a list, a harmless lead-in. Not for: where an answer gives its labels
(label_sets.py), JSON (label_objects.py). Anything that is not understood ends the passage, and a
list that leaves a label open ("joy or fear", "joy?", "joy: 0.7") is `OPEN`: never read by luck.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from opro_local.scoring.reading.pieces import PIECE
from opro_local.scoring.reading.vocabulary import Vocabulary, is_clear, shaped

Labels = frozenset[str]


class Open:
    """What a passage says that speaks of labels and leaves open which of them are given."""


OPEN: Final = Open()

# What may stand right before and after a short word that is an item of a list ("IT, HR").
ITEM_START = re.compile(
    r"""(?:^|[\n,;|/:=&+\[(>•、-]|\b(?:and|or|und|et|y|no|not))\s*["'\[(]*\s*$"""
)
ITEM_END = re.compile(r"""["')\]]*\s*(?:$|[\n,;|/:=&+.<\](✓✔✗✘、-]|(?:and|or|und|et|y)\b)""")
MOST_PIECES = 2000


class Piece(NamedTuple):
    """One piece of a passage.

    Attributes:
        kind: a group of `PIECE`, or "label".
        text: what it is; of a label its name.
        end: where it ends in the passage.
    """

    kind: str
    text: str
    end: int


def pieces(text: str, low: str, known: Vocabulary) -> Iterator[Piece]:
    """The pieces of a shaped text, up to the first that is not understood; `low` is the same text
    folded.
    """
    at = 0
    for _ in range(MOST_PIECES):
        if at >= len(low):
            return
        if name := _label(text, low, at, known):
            at = name.end
            yield name
            continue
        match = PIECE.match(low, at)
        if not match or not match[0]:
            return
        if match.lastgroup == "tag" and known.at(low, at + 1):
            # "<joy>yes</joy>"
            at += 1
            continue
        at = match.end()
        yield Piece(match.lastgroup or "", match[0], at)


def _label(text: str, low: str, at: int, known: Vocabulary) -> Piece | None:
    """The label that stands here; an everyday word is one where it is clear, or an item."""
    place = known.at(low, at)
    if place is None:
        return None
    label, end = place
    if label.everyday and not is_clear(text, low, label, at, end):
        before = low[max(0, at - 12) : at]
        if not (ITEM_START.search(before) and ITEM_END.match(low, end)):
            return None
    return Piece("label", label.name, end)


@dataclass(slots=True)
class _Claims:
    """What has been said of labels so far.

    Attributes:
        given, absent: the labels said to be there, and not to be there.
        last: the label to which a mark may still come, where it has none yet.
        heading: what a heading ("Absent:") says of the labels below it.
        prefix: what a mark before a label says of it, until the label comes.
        before: whether marks stand before their labels; None until there is one.
        denying: whether a word that denies goes on to the next label.
        doubtful: whether a denial may have ended ("no joy, fear").
        idle_denial: whether no label has come since a word that denies: "B is not it".
        joined: whether a label without a mark stands in a list with the last one.
        marked, plain: how many labels have a mark or a heading, and how many have none.
        shown: how many labels have a mark that says that they are there.
        nothing: whether the passage says that there is no label.
        open: whether a label was left open.
        one: see `claimed`.
    """

    given: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    last: str | None = None
    heading: bool | None = None
    prefix: bool | None = None
    before: bool | None = None
    denying: bool = False
    doubtful: bool = False
    idle_denial: bool = False
    joined: bool = False
    marked: int = 0
    plain: int = 0
    shown: int = 0
    nothing: bool = False
    open: bool = False
    one: bool = False

    def name(self, label: str, joint: str) -> None:
        """A label follows what stands between it and the one before."""
        if self.last is not None:
            self._settle(self.last)
            self.last = None
            self.joined = joint in ("comma", "also", "cell")
        if self.denying:
            # "not joy, fear" may go on with what is there; "not joy or fear" does not.
            self.doubtful = self.doubtful or joint in ("comma", "also")
            self.idle_denial = False
            self.absent.add(label)
            return
        said = self.heading if self.prefix is None else self.prefix
        self.prefix = None
        if said is None:
            self.last = label
        else:
            self._decide(label, said)

    def mark(self, said: bool, is_word: bool) -> None:
        """A mark says whether a label is there: the one before it, or the one after it."""
        if self.before is None:
            self.before = self.last is None and not is_word
        if self.before and self.prefix is None and not is_word:
            self.prefix = said
        elif self.last is None or self.before:
            self.open = True
        else:
            # "A and C are wrong"
            self.open = self.open or (self.one and self.joined)
            self._decide(self.last, said)
            self.last = None

    def _decide(self, label: str, said: bool) -> None:
        self.marked += 1
        self.shown += said
        (self.given if said else self.absent).add(label)

    def head(self, said: bool) -> None:
        """A heading says whether the labels below it are there."""
        self.divide()
        if self.last is not None:
            self._settle(self.last)
            self.last = None
        self.heading = said

    def deny(self, word: str) -> None:
        """A word denies the labels that follow."""
        # "A, no B" may correct A.
        self.open = self.open or (self.one and word == "no")
        # "neither joy, fear, nor anger" was one denial all along.
        self.open = self.open or (self.doubtful and word != "nor")
        self.denying, self.doubtful, self.idle_denial = True, False, True

    def none(self, is_mark: bool) -> None:
        """ "none", of all labels or of the one before it."""
        if is_mark and self.last is not None:
            self.mark(False, is_word=True)
        elif self.heading is not False:
            self.nothing = True

    def _settle(self, label: str) -> None:
        self.plain += 1
        self.given.add(label)

    def divide(self) -> None:
        """A sentence, a line or a "but" ends what a denial reaches."""
        self.open = self.open or self.doubtful or self.idle_denial
        self.denying = self.doubtful = self.idle_denial = self.joined = False

    def result(self) -> Labels | Open | None:
        """The labels that are given; None where none is spoken of."""
        self.divide()
        if self.last is not None:
            self._settle(self.last)
        if not (self.given or self.absent):
            return frozenset() if self.nothing else None
        marked = self.shown if self.one else self.marked
        unlike = bool(marked and self.plain) or bool(self.given & self.absent)
        if self.open or unlike or self.prefix is not None or (self.nothing and self.given):
            return OPEN
        return frozenset(self.given)


def last_end(said: Sequence[Piece]) -> int:
    """Where the last of the pieces ends."""
    return said[-1].end if said else 0


def claimed(said: Sequence[Piece], one: bool = False) -> Labels | Open | None:
    """The labels that the pieces of a passage give.

    Args:
        said: the pieces, in order.
        one: whether one label is asked for, so that the others may be denied in any form: "B is
            right, A is wrong".

    Returns:
        The labels; `OPEN` where it speaks of labels and does not say which are given; None where
        it speaks of none.
    """
    claims = _Claims(one=one)
    has_plus = any(piece.kind == "sign" and piece.text == "+" for piece in said)
    weighty = [piece for piece in said if piece.kind not in _WEIGHTLESS]
    joint = ""
    for index, piece in enumerate(weighty):
        after = weighty[index + 1].kind if index + 1 < len(weighty) else ""
        before = weighty[index - 1].kind if index else ""
        if piece.kind == "label":
            claims.name(piece.text, joint)
            joint = ""
        elif piece.kind == "sign":
            _sign(claims, piece.text, before, has_plus)
        elif piece.kind in _MARKING:
            _mark(claims, piece, before, after)
            joint = ""
        else:
            _pass(claims, piece, before, after)
            joint = piece.kind if piece.kind in _JOINTS else joint
    return claims.result()


_WEIGHTLESS = ("space", "mark", "tag", "number")
_MARKING = ("checked", "shown", "struck", "absent", "present", "no")
_JOINTS = ("comma", "cell", "also", "either")
_STARTS = ("", "newline", "stop", "ending")
_ENDS = ("", "newline", "stop", "comma", "cell", "but", "ending")


def _sign(claims: _Claims, text: str, before: str, has_plus: bool) -> None:
    """ "+joy -fear" are marks; "-joy" at the beginning of a line is an item of a list."""
    if has_plus:
        claims.mark(text == "+", is_word=False)
    elif before not in ("", "newline"):
        claims.open = True


def _mark(claims: _Claims, piece: Piece, before: str, after: str) -> None:
    """A mark, a heading ("Absent: joy") or a word that denies what follows."""
    is_word = piece.kind in ("absent", "present", "no")
    if is_word and after == "colon" and before in _STARTS:
        claims.head(piece.kind == "present")
    elif piece.kind == "no" and not (piece.text in ("no", "non") and after in _ENDS):
        claims.deny(piece.text)
    elif is_word:
        # "joy, no" says nothing of joy that is sure.
        claims.open = claims.open or before == "comma"
        claims.mark(piece.kind == "present", is_word=True)
    else:
        is_shown = piece.kind == "shown" or any(sign in piece.text for sign in "x✓✔")
        claims.mark(is_shown, is_word=False)


def _pass(claims: _Claims, piece: Piece, before: str, after: str) -> None:
    """A piece that is no label and no mark."""
    if piece.kind in ("newline", "stop", "but"):
        claims.divide()
    elif piece.kind == "either":
        claims.open = claims.open or not claims.denying
        claims.doubtful = False
    elif piece.kind == "right":
        # "B is right, A is wrong", but "the right answer is B".
        if claims.one and claims.last is not None and after in _ENDS:
            claims.mark(True, is_word=True)
    elif piece.kind == "nothing":
        claims.none(is_mark=before == "colon")
    elif piece.kind in ("unsure", "score"):
        claims.open = True
    elif piece.kind in ("arrow", "colon"):
        # "joy -> fear" says what becomes of what.
        claims.open = claims.open or (before == after == "label")


def claims_of(text: str, known: Vocabulary) -> Labels | Open | None:
    """What all of a text says of labels; None where some of it is not understood, or no label is in
    it.
    """
    shape = shaped(text)
    low = shape.casefold()
    said = list(pieces(shape, low, known))
    return claimed(said) if said and said[-1].end == len(low) else None
