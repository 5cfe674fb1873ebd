"""Labels side by side: "positive, negative", "joy and anger".

For: whether a label is one of a list, so that it alone is no answer. Not for: reading lists
(label_sets.py).
"""

from __future__ import annotations

import re

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


def is_beside(low: str, label: str, end: int, known: Vocabulary) -> bool:
    """Whether another label stands in a list with the one that ends here."""
    joint = LISTED.match(low, end)
    other = known.at(low, joint.end()) if joint else None
    if other is None or other[0].name == label:
        return False
    # "No, yes would be wrong" goes on with a sentence.
    return SENTENCE_ABOUT.match(low, other[1]) is None
