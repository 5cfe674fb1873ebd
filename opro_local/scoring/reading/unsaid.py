"""A yes or no that an answer names without saying it: "too good to be true", "❌ Yes", "yes (10%)".

For: the words around "yes" or "true" that leave open what is said by it, and answers to several
questions or to none. Not for: direct negation, or what an answer says (booleans.py).
"""

from __future__ import annotations

import re

# The words before one, within its clause, that leave open what is said by it.
OPENING = re.compile(
    r"""
    \b (?:
        doubt \w* | if | suppos \w+ | assum \w+ | whether | may | might | could | maybe | perhaps
      | possibl[ey] | unlikely | some | many | most | people | others | others? | often | sometimes
      | one [ ] would | wrong [ ] to | mistake [ ] to | but (?= \s $ ) | unless | either
      | (?: do | does | did | would | can | could ) (?: n't | [ ] not ) | cannot | can't | never
      | nobody | no [ ] one | partly | partially | half | mostly | almost | nearly | hardly
      | barely | you | opposite | usually | used [ ] to | wrong [ ] answer | says | only
      | (?: would | should | ought [ ] to ) [ ] (?: \w+ [ ] )? be | too [ ] \w+ [ ] to
      | (?<! have [ ] ) (?<! going [ ] ) to [ ] (?: say | answer | reply | vote | hear )
      | (?: he | she | they | text | passage | author | speaker | who | someone ) \s
        (?: \w+ \s )? (?: said | says? | answer \w* | thinks? | claim \w* | repl \w+ )
    ) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
CLAUSE_START = re.compile(r"[.,;:!?\n]")
# What makes the word before it a condition.
CONDITION = re.compile(
    r"""
    [*_"')]{0,3}
    (?:
        ,? \s (?: (?: only [ ] )? if | unless | provided | depending | but [ ] only
          | in [ ] (?: some | certain | most ) [ ] cases | would [ ] be | but [ ] no [ ] longer
          | only ) \b
      | \s? \( [^()\d\n]{0,20} (?<! \d ) [0-4]? \d (?: \.\d+ )? \s? %      # "yes (10%)"
        (?: \) | [ ] (?: sure | certain | confiden | likel | probab ) )
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A cross or a "wrong:" beside a word: "❌ Yes", "This is incorrect: yes".
CROSSED = re.compile(r"[❌✗✘✖🚫👎]\s{0,2}[*_\"']{0,3}$")
CROSSED_AFTER = re.compile(r"[*_\"'.]{0,3}\s{0,2}[❌✗✘✖🚫👎]")
CALLED_WRONG = re.compile(r"\b(?:incorrect|wrong|not correct|not right)\s?:\s{0,2}[*_\"']{0,3}$")
# A word that says of a thing what it is like: "a true story".
ARTICLE = re.compile(r"\b(?:an?|the|his|her|its|their|our|my|your)\s[*_\"']{0,3}$", re.IGNORECASE)
THING = re.compile(
    r"""
    \s (?! (?: statement | claim | sentence | conclusion | argument | assertion | answer | premise
        | inference | deduction | proposition | fact | option | and | or | but | because | since
        | as | if | for | in | by | when | given | according | based | to | that | so | on | of
        | under | from | with | here | then | though | although | one | is ) s? \b )
    [a-z]
    """,
    re.VERBOSE,
)
# How an answer to the first of several questions begins, and one that gives no answer.
SEVERAL = re.compile(r"\W{0,6}(?:Q|question|statement|part|item)\s?#?1\s?[:.)]", re.IGNORECASE)
REFUSES = re.compile(
    r"""
    \W{0,6} (?: (?: i'm [ ] | i [ ] am [ ] )? (?: sorry | afraid ) ,? [ ] (?: but [ ] )? )?
    (?: i [ ] )?
    (?: can't | cannot | can [ ] not | (?: am [ ] | 'm [ ] )? (?: unable | not [ ] able ) [ ] to
      | don't [ ] know | won't )
    [ ]? (?: answer | help | determine | assist | say | tell | provide | comply | (?= [.,;] ) )
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_open(text: str, word: re.Match[str], before: str) -> bool:
    """Whether the words around one leave open what is said by it.

    Args:
        text: the answer.
        word: the word in it.
        before: the folded text that ends where the word begins.
    """
    clause = CLAUSE_START.split(before)[-1]
    if OPENING.search(clause) or CONDITION.match(text, word.end()):
        return True
    return CALLED_WRONG.search(before) is not None


def is_crossed(text: str, word: re.Match[str], before: str) -> bool:
    """Whether a word stands beside a cross."""
    if text.isascii():
        return False
    return CROSSED.search(before) is not None or CROSSED_AFTER.match(text, word.end()) is not None


def is_of_thing(text: str, word: re.Match[str]) -> bool:
    """Whether a word says what a thing is like: "a true story"."""
    if not THING.match(text, word.end()):
        return False
    return ARTICLE.search(text, max(0, word.start() - 12), word.start()) is not None


def answers_other(answer: str) -> bool:
    """Whether an answer is for several questions or for none: "Q1: yes", "I can't answer"."""
    return SEVERAL.match(answer) is not None or REFUSES.match(answer) is not None
