r"""The option an answer chooses, by its letter or by its text.

For: reading the options out of a question, and choices out of answers, strictly (where they are
marked, or alone) and leniently (a letter or an option's text that stands without a rival). Not for:
comparing (scoring/rules.py).

Read: (B), B., B), B: Paris, **B**, \boxed{B}, "the answer is B", "option B", and where the question
lists options "Paris"; sentences every piece of which is understood ("It's B, not A", picks.py); the
choice that an answer begins with goes before those in its explanation, and one that is denied ("not
Paris") is none. Two different choices of equal standing, a letter with another option's text, or a
choice that is left open (doubts.py) are `AMBIGUOUS`.
Not read: roman numerals, options by number, spelling variants of a text.
"""

from __future__ import annotations

import re

from opro_local.scoring.reading import doubts, marks, picks
from opro_local.scoring.reading.negation import is_denied
from opro_local.scoring.reading.normal import folded, typed
from opro_local.scoring.reading.options import (
    EDGES,
    OPTION,
    WORDY,
    Options,
    bare,
    begins,
    letter_of,
    named_in,
)

AMBIGUOUS = ""

# A letter right after "the answer is".
PHRASE_CHOICE = re.compile(
    r"""
    [\s:*_"'`$\\{\[]{0,12}
    (?:                                     # "the answer is most likely the option B"
        (?:
            the | [Oo]ption | [Cc]hoice | [Ll]etter | text\{
          | most | likely | probably | clearly | therefore | indeed | definitely | correct
        ) \b
        [\s:*_]{0,4}
    ){0,3}
    [*_"'`$\\(]{0,4}?
    (?:
        \( (?P<enclosed> [A-Za-z] ) \)      # a small letter only here: "the answer is a dog"
      |
        (?P<bare> [A-Z] )
        (?! [\w'’+#] | -\w )                # not "Apples", "C's", "C++", "C-section"
        (?!                                 # not "A dog", "I think": a small word follows "A", "I"
            (?<= [AI] ) \s{1,3}
            (?! (?: or | and | because | since | as | for | but | which | with ) \b )   # "A or B"
            [a-z]
        )
    )
    """,
    re.VERBOSE,
)
# A second letter beside the first: "A or B", "A & option C".
OTHER_CHOICE = re.compile(
    r"""
    \W{0,4}
    (?: (?: and | or | AND | OR ) \b | [&/,] )
    [\s*]{0,3}
    (?: [Oo]ption \s )?
    \(? [A-Z] (?! \w )
    """,
    re.VERBOSE,
)
# What a box holds: "B", "(B)", "\text{B}", "B. Paris".
BOXED_CHOICE = re.compile(
    r"""
    (?: \\ (?: text | textbf | mathrm | mathbf ) \{ )?
    [\s(*]{0,3}
    (?P<letter> [A-Za-z] )
    (?:
        [)\s*]{0,3} \}?
      | [).:] \s .*
    )
    """,
    re.DOTALL | re.VERBOSE,
)
# A letter that is clearly a choice, wherever it stands.
MARKED_CHOICE = re.compile(
    r"""
    (?<! \w ) \( (?P<enclosed> [A-Za-z] ) \)        # "(B)" anywhere
  |
    ^ [ \t*_"'`>-]{0,8}
    (?: A: [ \t]{0,3} )?                            # "A: B", where A stands for answer
    (?P<line> [A-Z] )
    (?: [.)] (?! \w ) | [ \t*_"'`]{0,8} $ )         # "B.", "B)" or "B" alone where a line starts
  |
    \b (?: [Oo]ption | [Cc]hoice | [Ll]etter ) (?: [ ]is | : )? [ ]
    [*_"'`]{0,3}
    (?P<named> [A-Z] )                              # "option B", "choice: **B**"
    (?! [\w'’+#] | -\w )
    """,
    re.MULTILINE | re.VERBOSE,
)
# A text that is one letter and no more, however it is decorated: "**(B).**"
LONE_CHOICE = re.compile(
    r"""
    [\s*_"'`$(]{0,20}
    (?P<letter> [A-Za-z] )
    [\s*_"'`$).:]{0,20}
    """,
    re.VERBOSE,
)
# The letter with which an answer begins: "B) Mars", "(B)", "**B.** Because", "B, because".
LEADING_LETTER = re.compile(
    r"""
    [\s*_"'`>\#]{0,8}
    (?: (?: [Oo]ption | [Cc]hoice | 选项 | 选择? ) [ ]? )?
    [*_"'`]{0,3}
    (?:
        \( (?P<enclosed> [A-Za-z] ) \)
      | (?P<closed> [A-Z] ) [).] (?! \w\. )
      | (?P<named> [A-Z] ) : (?! \W{0,6} [A-Z] (?! \w ) )     # not "A: B", "Q: ..."
      | (?P<bare> [A-Z] )
        (?= [*_"'`]{0,4} \s* (?: $ | \n | , | -- | [—–] | -[ ] | because\b ) )
    )
    [*_"'`]{0,4}
    """,
    re.VERBOSE,
)
# The letter at the beginning of a later line.
LINE_CHOICE = re.compile(
    r"""
    \n [ \t*_"'`>-]{0,8}
    (?: \( (?P<enclosed> [A-Z] ) \) | (?P<closed> [A-Z] ) [).:] )
    """,
    re.VERBOSE,
)
INLINE_CHOICE = re.compile(r"(?<!\w)\(?(?P<letter>[A-Z])\)")
# What stands between two options of a list.
JOINT = re.compile(r"""["')*\s]{0,4}(?:[,/;&]|and\b|or\b)(?:\s(?:and|or)\b)?["'(*\s]{0,4}""")
# What follows a choice that an answer begins with and says no more of it.
SAYS_NO_MORE = re.compile(
    r"""
    [*_"'`)\]]{0,4} \s{0,3}
    (?: $ | [.,;:!(\n] | -- | [—–] | -[ ] | (?: because | since | as ) \b )
    """,
    re.VERBOSE,
)
# A name that goes on behind a comma, "Paris, Texas", and what says something of a letter.
QUALIFIED = re.compile(
    r"""[\s*_"'`]*[A-Z][\w .'-]{1,40},[ ][A-Z][\w'-]+(?:[ ][A-Z][\w'-]+)?[\s*_"'`.]*"""
)
ABOUT_LETTER = re.compile(r"[*_\s]{1,4}(?:is|was|seems|looks|would)\b")
BOLD = re.compile(r"\*\*(?P<text>[^*\n]{1,200})\*\*")
PARENTHESES = re.compile(r"(?<!\w)\(([A-Za-z])\)")
# "The answer is not B", "... clearly neither".
NOT = re.compile(
    r"""
    \W{0,6}
    (?: (?: definitely | clearly | certainly ) [ ] )?
    (?: not | never | neither ) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What a target looks like that is a letter: "B", "(B)", "B."
TARGET = re.compile(r"\(?(?P<letter>[A-J])\)?[.:]?")
# The letters of choices whose options are unknown.
LETTERS = "ABCDEFGHIJ"
LONGEST = 4000
LONGEST_LEAD = 400
MOST_LINES = 30
MOST_LETTERS = 100


def target_letter(target: str, listed: Options) -> str | None:
    """The letter a target stands for: itself, or the one whose option's text it is; None where it
    is neither.
    """
    match = TARGET.fullmatch(target.strip()) or LONE_CHOICE.fullmatch(target)
    if match and (not listed or match["letter"].upper() in listed):
        return match["letter"].upper()
    text = folded(typed(target))
    plain = text.strip(EDGES)
    named = [letter for letter, option in listed.items() if option == text or bare(option) == plain]
    return named[0] if len(named) == 1 else _lettered(target, listed)


def _lettered(text: str, listed: Options) -> str | None:
    """The letter of "(B) Paris", where B is Paris."""
    text = text.strip(" *_")
    mark = OPTION.match(text)
    if not mark or (letter := letter_of(mark)) not in listed:
        return None
    rest = bare(folded(typed(text[mark.end() :])))
    return letter if rest == bare(listed[letter]) else None


def strict(answer: str, listed: Options) -> str | None:
    r"""The letter that is marked (`####`, `\boxed{}`, "the answer is"), or that the whole answer
    is.

    Args:
        answer: any text.
        listed: the question's options (see `options`); empty where they are unknown.

    Returns:
        A capital letter; None without one; `AMBIGUOUS` where a marked place names two.
    """
    answer = marks.first_turn(answer)
    if len(answer) <= LONGEST and (letter := _alone(answer, listed)):
        return None if "?" in answer else letter
    return marks.read_marked(answer, lambda mark: _at_mark(mark, listed))


def lenient(answer: str, listed: Options) -> str | None:
    """`strict`, and where nothing is marked the letter with which the answer begins, the one in
    bold, the one letter, or else the one option's text, that the answer names and does not deny.
    """
    marked = strict(answer, listed)
    if marked is not None:
        return marked
    answer = marks.standing(marks.first_turn(answer))
    for read in (_begun, _leading, _emphasised):
        if (letter := read(answer, listed)) is not None:
            return letter
    if doubts.is_open(answer, listed):
        return AMBIGUOUS
    letters, end = _undenied(answer)
    if not listed:
        return _only(letters)
    letters &= listed.keys()
    if not letters:
        if QUALIFIED.fullmatch(answer):
            return AMBIGUOUS
        wordy = {letter: text for letter, text in listed.items() if WORDY.search(text)}
        return _only(named_in(folded(typed(answer)), wordy))
    after = answer[end : end + LONGEST]
    if len(letters) == 1 and _contradicted(after, listed, *letters):
        return AMBIGUOUS
    return _only(letters)


def _begun(answer: str, listed: Options) -> str | None:
    """The letter that the beginning of an answer picks, where all of that is understood."""
    letter, rest = picks.begun(answer.strip(), listed)
    if not letter or not rest:
        return letter
    if letter and _goes_through(rest, letter, listed):
        return AMBIGUOUS
    return AMBIGUOUS if doubts.is_doubted(rest, letter, listed) else letter


def _undenied(answer: str) -> tuple[set[str], int]:
    """The letters that are clearly choices and not denied, and where the last one ends."""
    low = answer.casefold()
    letters, end = set(), 0
    for count, match in enumerate(MARKED_CHOICE.finditer(answer)):
        start, stop = match.span()
        # Letters that are repeated without end are looked at one by one up to a bound only.
        if count >= MOST_LETTERS or len(low) != len(answer) or not is_denied(low, start, stop):
            letters.add(letter_of(match))
            end = stop
    return letters, end


def _leading(answer: str, listed: Options) -> str | None:
    """The letter, or the letter of the option's text, with which an answer begins before it
    explains; `AMBIGUOUS` where it goes through the options.
    """
    match = LEADING_LETTER.match(answer)
    if not match:
        return None
    letter, rest = letter_of(match), answer[match.end() :]
    if letter not in (listed or LETTERS) or OTHER_CHOICE.match(rest):
        return None
    is_open = ABOUT_LETTER.match(rest) and doubts.is_open(marks.sentence(answer), listed)
    if is_open or doubts.is_doubted(rest, letter, listed):
        return AMBIGUOUS
    own = not listed or begins(folded(typed(rest)).lstrip(EDGES), listed[letter])
    if not own and not SAYS_NO_MORE.match(rest):
        return None
    return AMBIGUOUS if _goes_through(rest, letter, listed) else letter


def _goes_through(rest: str, letter: str, listed: Options) -> bool:
    """Whether an answer that begins with a letter goes on with the others."""
    if rest.lstrip(" \t*_").startswith("\n"):
        next_line = rest.strip(" \t\n*_").partition("\n")[0]
        return _alone(next_line, listed) not in (None, letter)
    if {letter_of(other) for other in LINE_CHOICE.finditer(rest)} - {letter}:
        return True
    # "A) Paris is in France. B) Rome ..."
    return letter == "A" and any(other["letter"] == "B" for other in INLINE_CHOICE.finditer(rest))


def _emphasised(answer: str, listed: Options) -> str | None:
    """The one choice that stands in bold and is not denied."""
    if "**" not in answer:
        return None
    letters, low = set(), answer.casefold()
    for match in BOLD.finditer(answer):
        letter = _alone(match["text"], listed)
        if letter and not is_denied(low, match.start("text"), match.end("text")):
            letters.add(letter)
    return letters.pop() if len(letters) == 1 else None


def _alone(answer: str, listed: Options) -> str | None:
    """The letter that a text is and nothing else, by itself, by its text, or both."""
    if match := LONE_CHOICE.fullmatch(answer):
        letter = match["letter"].upper()
        return letter if not listed or letter in listed else None
    if not listed:
        return None
    text = bare(folded(typed(answer)))
    named = [letter for letter, option in listed.items() if bare(option) == text]
    return named[0] if len(named) == 1 else _lettered(answer, listed)


def _at_mark(mark: marks.Mark, listed: Options) -> str | None:
    if mark.kind == "phrase":
        return _after_phrase(mark.text, listed)
    expression = BOXED_CHOICE if mark.kind == "box" else LONE_CHOICE
    match = expression.fullmatch(mark.text)
    if match and (not listed or match["letter"].upper() in listed):
        return match["letter"].upper()
    return _in_text(mark.text, listed)


def _in_text(text: str, listed: Options) -> str | None:
    """The one option that a short text is, or that it names by its text or in parentheses."""
    if letter := _alone(text, listed):
        return letter
    if QUALIFIED.fullmatch(text):
        return AMBIGUOUS
    return _only(named_in(folded(typed(text)), listed) | _parenthesised(text, listed))


def _after_phrase(text: str, listed: Options) -> str | None:
    """The choice in what follows "the answer is"."""
    if NOT.match(text):
        return AMBIGUOUS
    letter = picks.picked(text.strip(), listed)
    if letter is not None:
        return letter
    if doubts.CONDITION.search(marks.sentence(text[:LONGEST_LEAD])):
        return AMBIGUOUS
    match = PHRASE_CHOICE.match(text)
    if not match:
        return _in_text(marks.sentence(text), listed)
    letter = letter_of(match)
    if listed and letter not in listed:
        return _in_text(marks.sentence(text), listed)
    if OTHER_CHOICE.match(text, match.end()):
        return AMBIGUOUS
    # "B. F. Skinner" is a text, whatever its first letter.
    rest = folded(typed(text)).lstrip(EDGES)
    begun = {
        name for name, option in listed.items() if WORDY.search(option) and begins(rest, option)
    }
    if begun:
        return _only(begun)
    return AMBIGUOUS if _contradicted(text[match.end() :], listed, letter) else letter


def _contradicted(text: str, listed: Options, letter: str) -> bool:
    """Whether the text after a letter is another option's."""
    rest = folded(typed(text)).lstrip(EDGES)
    others = any(begins(rest, option) for other, option in listed.items() if other != letter)
    return others and not begins(rest, listed[letter])


def _parenthesised(text: str, listed: Options) -> set[str]:
    """The letters in parentheses, "(B)", that are options'."""
    letters = {letter.upper() for letter in PARENTHESES.findall(text)}
    return letters & listed.keys() if listed else letters


def _only(letters: set[str]) -> str | None:
    """The one letter of a set; None for an empty one, `AMBIGUOUS` for several."""
    if len(letters) > 1:
        return AMBIGUOUS
    return letters.pop() if letters else None


def is_choice(text: str) -> bool:
    """Whether a target is a choice letter from A to J, with or without parentheses."""
    return re.fullmatch(r"\([A-J]\)|[A-J]", text.strip()) is not None
