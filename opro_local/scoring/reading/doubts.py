"""Whether a sentence that names an option leaves open what it says of it.

For: the places where an option is named among words that are not all understood ("I doubt it's
(B)", "Students often choose (B)"). Not for: passages that are understood (picks.py), or a denial
right before or after an option (negation.py).
"""

from __future__ import annotations

import re

from opro_local.scoring.reading import picks
from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.normal import folded, typed
from opro_local.scoring.reading.options import WORDY, Options, bare, named_in

# Words by which an answer leaves open what it says of an option. A sentence that holds one is read
# only where all of it is understood (picks.py).
DOUBT = re.compile(
    r"""
    \b (?:
        doubt \w* | except | excluding | other [ ] than | eliminat \w* | exclud \w* | discard \w*
      | dismiss \w* | reject \w* | rule [sd]? | ruling | if | could | might | may | maybe | perhaps
      | possibl[ey] | possibility | probabl[ey] | likely | unlikely | suppos \w+
      | assum \w+ | consider \w*
      | whether | anything | any | all | either | between | torn | or | versus | vs | also
      | should | actually | unsure | uncertain | guess \w* | tempt \w* | never
      | trap | distract \w* | mislead \w* | seem(?:s|ed)? [ ] (?: to | like | plausible )
      | at [ ] first | initially | first [ ] (?: thought | guess | glance ) | looks [ ] like
      | students | people | others | often | some | many | commonly
      | what [ ] about | how [ ] about | compare [sd]? | instead
      | close | mistakes? | errors? | almost | nearly | common | typical
      | see | refer | avoid | contrary | opposite
    ) \b
  | \?
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Words by which a sentence decides for an option.
DECIDING = re.compile(
    r"""
    \b (?:
        answer | correct | right | best | choose | chose | choice | pick | select \w*
      | fits? | match \w* | go | going | opt | so | therefore | thus | hence | must
      | conclu \w* | descri \w* | closest
      | most | leaves? | it [ ] is | it's | only | has [ ] to [ ] be | have [ ] to [ ] be
      | satisf \w*
      | suits? | true | holds? | valid | is [ ] it | because | since | mean \w*
      | work \w* | follow \w*
    ) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
WORD = re.compile(r"\w")
PART = re.compile(r"(?<=[.!?])\s+|\n+")
ANY_LETTER = re.compile(
    r"""
    \( (?<! \w\( ) (?P<round> [A-Za-z] ) \)
  | (?P<letter> [B-HJ] | [AI] (?= \W* $ | [).,:;\]] ) ) (?<! [\w'] . ) (?! [\w'] )
    """,
    re.VERBOSE,
)
# Words that make what is said of the answer a condition or an exception.
CONDITION = re.compile(
    r"""
    \b (?: if | unless | except | excluding | everything | anything | depend \w* | other [ ] than
      | all [ ] but ) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Bounds that keep long texts linear.
LONGEST, LONGEST_REST = 4000, 400


def is_doubted(rest: str, letter: str, listed: Options) -> bool:
    """Whether what follows a choice gives another one, or leaves it open: "B. Maybe C"."""
    for part in PART.split(rest[:LONGEST_REST]):
        if DOUBT.search(part) and (_named(part, listed) - {letter}):
            return True
    return False


def _named(part: str, listed: Options) -> set[str]:
    """The letters of the options that a sentence names, by letter or by text."""
    places = ANY_LETTER.finditer(part)
    letters = {(match["round"] or match["letter"]).upper() for match in places}
    if listed:
        letters &= listed.keys()
    wordy = {letter: text for letter, text in listed.items() if WORDY.search(text)}
    return letters | named_in(folded(typed(part)), wordy)


def _names(part: str, listed: Options) -> bool:
    """Whether a text names an option, denied or not."""
    if ANY_LETTER.search(part):
        return True
    low = folded(typed(part))
    return any(WORDY.search(text) and bare(text) in low for text in listed.values())


def _names_within(part: str, listed: Options) -> bool:
    """Whether a sentence names an option by its letter, undenied, after other words."""
    low = part.casefold()
    for match in ANY_LETTER.finditer(part):
        letter = (match["round"] or match["letter"]).upper()
        is_begun = WORD.search(part, 0, match.start()) is not None
        is_option = not listed or letter in listed
        if not (is_begun and is_option and len(low) == len(part)):
            continue
        if not is_denied(low, match.start(), match.end()):
            return True
    return False


def is_open(answer: str, listed: Options) -> bool:
    """Whether a sentence that names an option leaves open what it says of it."""
    answer = answer[-LONGEST:]
    if not _names(answer, listed):
        return False
    for part in PART.split(answer):
        if not _names(part, listed):
            continue
        is_decided = DECIDING.search(part) or not _names_within(part, listed)
        if (DOUBT.search(part) or not is_decided) and picks.picked(part.strip(), listed) is None:
            return True
    return False
