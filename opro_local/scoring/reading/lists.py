"""Labels side by side: "positive, negative", "joy and anger".

For: whether a label is one of a list, or another is given after it, so that it alone is no answer.
Not for: reading lists
(label_sets.py).
"""

from __future__ import annotations

import re

from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.vocabulary import Vocabulary

# What stands between the members of a list.
LISTED = re.compile(
    r"""
    ["')\]]{0,3} \s{0,3}
    (?:
        (?: , | / | \| | ; | & | -> )? \s{0,3} (?: and | or | und | oder | et | ou | y | o | e
            | и | или | 和 | 或 ) \b
      | [,/|;&、和或+]
    )
    \s{0,3} ["'(\[]{0,3}
    """,
    re.VERBOSE,
)
# What follows a label of which a sentence says something.
SENTENCE_ABOUT = re.compile(
    r"""
    ["')]{0,2} [ ]
    (?:
        (?: would | is | are | was | were | does | did | could | can | cannot | has | had | may
          | might | should | wäre | ist | est | es | è | é ) \b
      | (?: is | does | would | was | could | do | has ) n't \b
    )
    """,
    re.VERBOSE,
)
# A part of an answer that gives a label and nothing else: ". Well, ", ". It is ", " (previously ".
GIVES = re.compile(
    r"""
    (?: [.;!?\n(…] | -- | [=-]> | [ ]-[ ] | ~ )
    [\s"'(]{0,4}
    (?: (?: well | hmm | hm | no | now | maybe | perhaps | or | rather | previously | formerly | but
          | so | then | overall | actually | really | it | this | that | is | it's | i | i'd
          | say | think | would | be | the | answer | label | sentiment | class | definitely
          | probably | likely
          | finally | final | more | a | bit | also | and | was | before | earlier | originally
          | eher | nein | es | ist | das | non | c'est | plutôt | не | нет | это )
        [\s,:.]{1,3} ){0,6}
    ["'(]{0,2} $
    """,
    re.VERBOSE,
)
GIVEN = re.compile(r"""["')\]}]{0,2}\s*(?:$|[.;:!?\n)]|--)""")
# How far after a label another one is looked for, and how much stands before that.
LATER, LONGEST_GIVES = 400, 60


# What says of a label right before it that it is wrong: "positive (false)", "Positive - incorrect."
REFUTED = re.compile(
    r"""
    ["')]{0,3} \s{0,2} (?: [(:] | -{1,2} )? \s?
    (?: false | incorrect | wrong | not [ ] correct )
    [\s).!]{0,4} (?: $ | \n )
    """,
    re.VERBOSE,
)


def is_contradicted(low: str, label: str, end: int, known: Vocabulary) -> bool:
    """Whether a part of the answer after the label that ends here gives another one."""
    rest = low[end : end + LATER]
    for other, start, stop in known.places(rest):
        if other.name == label or other.everyday or not GIVEN.match(rest, stop):
            continue
        before = rest[max(0, start - LONGEST_GIVES) : start]
        if GIVES.search(before) and not is_denied(rest, start, stop):
            return True
    return False


def is_beside(low: str, label: str, end: int, known: Vocabulary) -> bool:
    """Whether another label stands in a list with the one that ends here."""
    joint = LISTED.match(low, end)
    other = known.at(low, joint.end()) if joint else None
    if other is None or other[0].name == label:
        return False
    # "No, yes would be wrong" goes on with a sentence.
    return SENTENCE_ABOUT.match(low, other[1]) is None
