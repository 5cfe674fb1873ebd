"""Short answers that name a label and do not give it: "e.g. joy", "Unless verified, spam.".

For: examples, conditions, crosses, a key that has null or "unknown", a label that is a part of
another phrase. Not for: denial (negation.py), corrections (retractions.py), longer answers.
"""

from __future__ import annotations

import re

from opro_local.scoring.reading.vocabulary import Vocabulary

LONGEST = 160
CROSSES = "❌✗✘✖🚫👎"
CROSSED = re.compile(rf"\W{{0,4}}[{CROSSES}]\W{{0,4}}\w+\W*|\W*\w+\W{{0,4}}[{CROSSES}]\W*")
# How a whole answer begins that gives no label: an example, a condition, a word that refuses.
BEGUN = re.compile(
    r"""
    \W{0,6}
    (?:
        e[.]g[.] | for [ ] (?: example | instance ) \b | example \s? :
      | (?P<word> false | wrong | incorrect ) \s? :
      | other [ ] than \b
      | (?: unless | would [ ] be | could [ ] be | might [ ] be ) \b
      | if [ ] (?! i \b | we \b | you \b | forced | pressed | only | one \b | asked )
      | the [ ] \w+ [ ] is [ ] that \b
      | (?! feelings? \b | sense \b | label \b | class \b ) \w+ [ ] of [ ] \w+ \W* $
      | i (?: 'm | [ ] am ) [ ] \w+ \W* $
      | (?: on [ ] )? (?: the [ ] )? \w+ [ ] (?: aspects? | sides? | points? ) \W*
        (?: $ | : [^.:\n]* [.]? $ )
      | [^.\n]{0,60} \b (?: mentions [ ] \w+ [ ] \w+ \W* $ | (?: is | are ) [ ] mentioned , )
    )
    """,
    re.VERBOSE,
)
KEY = r"(?: labels? | class | category | sentiment | answer | prediction | verdict )"
# A key that has no label, where no other key has one.
EMPTY = re.compile(
    rf"""
    " {KEY} " \s? : \s? null \b
  | ^ \W{{0,4}} {KEY} \s? : \s{{0,3}}
    (?P<word> unknown | unclear | undetermined | undecided | n/a | null ) \W* $
    """,
    re.VERBOSE | re.MULTILINE,
)
FILLED = re.compile(rf"{KEY} [\"*]{{0,3}} \s? : \s? (?P<text> [^\n,}}]{{1,60}} )", re.VERBOSE)
# What an answer says at a key that is another place than the one of the label.
ELSEWHERE = re.compile(
    r"""
    ^ \W{0,4} (?: ground [ ] truth | gold (?: [ ] label )? | true [ ] label ) \s? :
    """,
    re.VERBOSE | re.MULTILINE,
)


def is_disowned(answer: str, known: Vocabulary) -> bool:
    """Whether a short answer names labels and gives none of them."""
    if len(answer) > LONGEST:
        return False
    if not answer.isascii() and CROSSED.fullmatch(answer):
        return not known.names("".join(sign for sign in answer if sign in CROSSES))
    low = answer.lower()
    if ELSEWHERE.search(low):
        return bool(known.names(low))
    said = EMPTY.search(low)
    if said and any(known.names(filled["text"]) for filled in FILLED.finditer(low)):
        return False
    said = said or ("\n" not in low.strip() and BEGUN.match(low)) or None
    if not said or (said["word"] and known.names(said["word"])):
        return False
    return bool(known.names(low))
