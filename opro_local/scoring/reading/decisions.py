"""The label that a sentence decides for: "I would classify this as negative".

For: answers that speak of several labels. Not for: labels that are marked, have a key or begin an
answer (labels.py).
"""

from __future__ import annotations

import re

from opro_local.scoring.reading.affirmation import is_affirmed
from opro_local.scoring.reading.lists import is_beside
from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.vocabulary import Vocabulary

# Two labels of equal standing.
AMBIGUOUS = ""
# The place before a label that a sentence decides for: "I would classify this as".
DECIDED = re.compile(
    r"""
    \b (?:
        classif (?: y | ied | ies ) | labell? (?: ed )? | categori [sz] e [sd]? | rated?
            | tagg? (?: ed )?
      | choose | pick | go [ ] with | assign (?: ed )? | belongs? [ ] (?: to | in )
      | falls? [ ] (?: under | into | in ) | opt [ ] for
      | (?: sentiment | label | category | class | intent | topic | emotion | verdict | tone
      | classification )
        (?: [ ] (?: here | of [ ] [^.\n]{0,40}? ) )?
        [ ] (?: is | would [ ] be | should [ ] be | must [ ] be | = )
    ) \b
    [ ] ["'(]{0,3}
    """,
    re.VERBOSE,
)
NEXT_WORD = re.compile(r"[\w'-]{1,30}:? [\"'(]{0,3}")
DECIDED_WORDS = 6


def decided(low: str, known: Vocabulary) -> str | None:
    """The label of the last sentence that decides for one."""
    label = None
    for match in DECIDED.finditer(low):
        place = match.end()
        for _ in range(DECIDED_WORDS):
            said = known.at(low, place)
            if said and _is_said(low, place, said[1]):
                label = AMBIGUOUS if is_beside(low, said[0].name, said[1], known) else said[0].name
                break
            word = NEXT_WORD.match(low, place)
            if not word:
                break
            place = word.end()
    return label


def _is_said(low: str, start: int, end: int) -> bool:
    return not is_denied(low, start, end) and is_affirmed(low, start, end)
