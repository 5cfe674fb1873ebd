"""Which option a passage picks, where every piece of it is understood: "not A but B", "A → B".

For: letters and texts of options as the labels of claims.py, corrections, and the beginning of an
answer before it explains. Not for: marked places, or passages with words that are not known
(choices.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from opro_local.scoring.reading.claims import Open, Piece, claimed, last_end
from opro_local.scoring.reading.options import WORDY, Options, bare, begins
from opro_local.scoring.reading.pieces import PIECE
from opro_local.scoring.reading.vocabulary import shaped

AMBIGUOUS = ""

# A letter that stands for an option. "A" and "I" before a small word are words, unless that word
# goes on about an option.
LETTER = re.compile(
    r"""
    \( [ ]? (?P<round> [A-Za-z] ) [ ]? \)
  | \[ (?P<square> [A-WYZ] ) \] | \{ (?P<curly> [A-Z] ) \} | < (?P<angle> [A-Z] ) >
  | (?<! [\w'] ) (?: (?i: option | choice | letter | answer ) :? [ ] (?P<named> [A-Za-z] )
      | (?P<bare> [A-Z] ) )
    (?! [\w'+#] | \.\w | -\w )           # not the B of "B's", "B.A.", "C++" and "B-cell"
    (?! (?<= [AI] ) [ ]
        (?! (?: or | and | because | since | as | for | but | which | with | is | isn | not | no
              | rather | instead | nor | was | because ) \b )
        [a-z] )
    """,
    re.VERBOSE,
)
ORDINAL = re.compile(
    r"""
    (?: (?P<first> first ) | (?P<second> second ) | (?P<third> third ) | (?P<fourth> fourth )
      | (?P<last> last ) )
    [ ] (?: option | choice | one | alternative ) \b
    """,
    re.VERBOSE,
)
ORDINALS = ("first", "second", "third", "fourth")
# What takes back the choice before it.
CORRECTED = re.compile(
    r"""
    (?: \b (?: actually | should [ ] be | i [ ] mean | make [ ] that | or [ ] rather
        | better ) \b
      | \b no (?= , | [ ]? - ) | \b no [ ] wait \b | -> | => | → )
    [\s,:-]*
    """,
    re.VERBOSE,
)
# A word by which an answer goes on to explain, or the end of a sentence.
CUT = re.compile(
    r"""
    \n+ | [.!] (?: \s+ | $ )
  | [ ,(]{0,2} \b (?: because | since | as | due [ ] to | weil | da | denn | car | porque ) \b
    """,
    re.VERBOSE,
)
JOINT = re.compile(r"[ ).:\"'-]{0,5}")
# "A: B", where A stands for answer.
ANNOUNCED = re.compile(r"^\s*A:\s+(?=\(?[A-Z]\b)")
LETTERS = "ABCDEFGHIJ"
LONGEST, MOST_PIECES, MOST_CUTS = 2000, 200, 20


def picked(text: str, listed: Options) -> str | None:
    """The letter that all of a text picks.

    Args:
        text: a short text.
        listed: the question's options; empty where they are unknown.

    Returns:
        The letter; `AMBIGUOUS` where it speaks of options and picks none, or several; None where
        some of it is not understood, or no option is in it.
    """
    if len(text) > LONGEST:
        return None
    shape = ANNOUNCED.sub("", shaped(text), count=1)
    said = list(_pieces(shape, shape.casefold(), listed))
    return _pick(said) if last_end(said) == len(shape) else None


def begun(text: str, listed: Options) -> tuple[str | None, str]:
    """What the longest beginning picks that is understood and ends where one may end, and the text
    after it.
    """
    shape = ANNOUNCED.sub("", shaped(text[:LONGEST]), count=1)
    low = shape.casefold()
    said = list(_pieces(shape, low, listed))
    reach = last_end(said)
    if reach == len(low) and len(text) <= LONGEST:
        return _pick(said), ""
    cuts = [cut for cut in CUT.finditer(low, 0, reach + 12) if cut.start() <= reach]
    for cut in reversed(cuts[-MOST_CUTS:]):
        letter = _pick([piece for piece in said if piece.end <= cut.end()])
        if letter is not None:
            return letter, shape[cut.start() :]
    return None, shape


def _pick(said: Sequence[Piece]) -> str | None:
    """The letter that the last correction leaves, or else all of it."""
    corrections = [index for index, piece in enumerate(said) if piece.kind == "corrected"]
    if corrections and any(piece.kind == "label" for piece in said[: corrections[-1]]):
        # "A -> B -> C" is a chain and no correction.
        return _one(said[corrections[-1] + 1 :]) if len(corrections) == 1 else AMBIGUOUS
    return _one([piece for piece in said if piece.kind != "corrected"])


def _one(said: Sequence[Piece]) -> str | None:
    letters = claimed(said, one=True)
    if letters is None:
        return None
    if isinstance(letters, Open) or len(letters) != 1:
        return AMBIGUOUS
    return next(iter(letters))


def _pieces(text: str, low: str, listed: Options) -> Iterator[Piece]:
    """The pieces of a shaped text, up to the first that is not understood."""
    if len(low) != len(text):
        return
    at = 0
    for _ in range(MOST_PIECES):
        if at >= len(low):
            return
        option = _option(text, low, at, listed)
        if option is None:
            option = _other(low, at)
        if option is None or option.end == at:
            return
        at = option.end
        yield option


def _other(low: str, at: int) -> Piece | None:
    if corrected := CORRECTED.match(low, at):
        return Piece("corrected", corrected[0], corrected.end())
    match = PIECE.match(low, at)
    return Piece(match.lastgroup or "", match[0], match.end()) if match else None


def _option(text: str, low: str, at: int, listed: Options) -> Piece | None:
    """The option that stands here, by its text, its letter or its place in the list."""
    if by_text := _by_text(low, at, listed):
        return by_text
    if ordinal := ORDINAL.match(low, at):
        letters = sorted(listed)
        place = ordinal.lastgroup or ""
        index = len(letters) - 1 if place == "last" else ORDINALS.index(place)
        return (
            Piece("label", letters[index], ordinal.end()) if index in range(len(letters)) else None
        )
    if match := LETTER.match(text, at):
        letter = match[match.lastgroup or 0].upper()
        if letter in (listed or LETTERS):
            return Piece(
                "label", letter, _with_text(low, match.end(), bare(listed.get(letter, "")))
            )
    return None


def _by_text(low: str, at: int, listed: Options) -> Piece | None:
    """The option whose text begins here, the longest one."""
    if low[max(0, at - 1) : at].isalnum():
        return None
    longest = None
    for letter, option in listed.items():
        own = bare(option)
        if not low.startswith(own, at) or not (own.isdecimal() or WORDY.search(own)):
            continue
        end = at + len(own)
        if begins(low[at : end + 1], own) and (longest is None or end > longest.end):
            longest = Piece("label", letter, end)
    return longest


def _with_text(low: str, end: int, own: str) -> int:
    """Where a letter ends with its own text, where that follows: "B) Mars"."""
    joint = JOINT.match(low, end)
    at = joint.end() if joint else end
    return at + len(own) if own and begins(low[at : at + len(own) + 1], own) else end
