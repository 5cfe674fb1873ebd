r"""The option an answer chooses, by its letter or by its text.

For: reading the options out of a question, and choices out of answers, strictly (where they are
marked, or alone) and leniently (a letter or an option's text that stands without a rival). Not for:
comparing (scoring/rules.py).

Read: (B), B., B), B: Paris, **B**, \boxed{B}, "the answer is B", "option B", and where the question
lists options "Paris". Two different choices of equal standing, or a letter with another option's
text, are `AMBIGUOUS`.
Not read: letters in running text ("B seems best"), roman numerals, options by number, spelling
variants of a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from opro_local.scoring.reading import marks
from opro_local.scoring.reading.normal import folded

AMBIGUOUS = ""

# What stands before an option's text in a question.
OPTION = re.compile(
    r"""
    (?<! [^\s,;] )                          # after a space, a comma, or at the start
    (?:
        \( (?P<enclosed> [A-Za-z] ) \)      # "(A) foo"
      | (?P<closed> [A-Za-z] ) \)           # "A) foo"
      | (?m: ^ ) [ \t]* (?P<line> [A-Z] ) [.:]      # "A. foo", "A: foo", only where a line starts
    )
    [ \t]*
    (?= \S )
    """,
    re.VERBOSE,
)
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
        (?! [\w'’] )                        # not "Apples", not "C's"
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
    (?! [\w'’] )
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
# A text with a word in it, so that naming it says something: "12" and "a, b" have none.
WORDY = re.compile(r"[^\W\d_]{3}")
EDGES = " \t*_`\"'.,;:!$()[]{}\\"
LONGEST = 4000

Options = Mapping[str, str]


def options(question: str) -> dict[str, str]:
    """The options that a question lists, folded text by capital letter; empty without a list from A
    on.

    Where it lists several times (worked examples before the question), the last list counts.
    """
    runs: list[list[re.Match[str]]] = []
    for mark in OPTION.finditer(question):
        if _letter(mark) == "A":
            runs.append([mark])
        elif runs and _continues(runs[-1], mark):
            runs[-1].append(mark)
    lists = [run for run in runs if len(run) > 1]
    if not lists:
        return {}
    last = lists[-1]
    # An option's text ends where the next one starts, the last one's with its line.
    line_end = question.find("\n", last[-1].end())
    ends = [mark.start() for mark in last[1:]]
    ends.append(len(question) if line_end < 0 else line_end)
    listed = {}
    for mark, end in zip(last, ends, strict=True):
        listed[_letter(mark)] = folded(question[mark.end() : end]).strip(",; ")
    return listed


def _continues(run: list[re.Match[str]], mark: re.Match[str]) -> bool:
    """Whether a mark has the next letter of a list, written as the list's others are."""
    return _letter(mark) == chr(ord("A") + len(run)) and _style(mark) == _style(run[-1])


def _raw_letter(match: re.Match[str]) -> str:
    """The letter of an expression whose groups exclude each other: the one that took part."""
    return match[match.lastindex or 0]


def _letter(match: re.Match[str]) -> str:
    return _raw_letter(match).upper()


def _style(match: re.Match[str]) -> tuple[str | None, bool]:
    return match.lastgroup, _raw_letter(match).isupper()


def target_letter(target: str, listed: Options) -> str | None:
    """The letter a target stands for: itself, or the one whose option's text it is; None where it
    is neither.
    """
    match = TARGET.fullmatch(target.strip()) or LONE_CHOICE.fullmatch(target)
    if match and (not listed or match["letter"].upper() in listed):
        return match["letter"].upper()
    text = folded(target)
    bare = text.strip(EDGES)
    named = [letter for letter, option in listed.items() if option == text or _bare(option) == bare]
    return named[0] if len(named) == 1 else _lettered(target, listed)


def _bare(option: str) -> str:
    return option.strip(EDGES)


def _lettered(text: str, listed: Options) -> str | None:
    """The letter of "(B) Paris", where B is Paris."""
    text = text.strip(" *_")
    mark = OPTION.match(text)
    if not mark or (letter := _letter(mark)) not in listed:
        return None
    rest = _bare(folded(text[mark.end() :]))
    return letter if rest == _bare(listed[letter]) else None


def strict(answer: str, listed: Options) -> str | None:
    r"""The letter that is marked (`####`, `\boxed{}`, "the answer is"), or that the whole answer
    is.

    Args:
        answer: any text.
        listed: the question's options (see `options`); empty where they are unknown.

    Returns:
        A capital letter; None without one; `AMBIGUOUS` where a marked place names two.
    """
    if len(answer) <= LONGEST and (letter := _alone(answer, listed)):
        return letter
    return marks.read_marked(answer, lambda mark: _at_mark(mark, listed))


def lenient(answer: str, listed: Options) -> str | None:
    """`strict`, and where nothing is marked the one letter, or else the one option's text, that the
    answer names.
    """
    marked = strict(answer, listed)
    if marked is not None:
        return marked
    answer = marks.standing(answer)
    letters, end = set(), 0
    for match in MARKED_CHOICE.finditer(answer):
        letters.add(_letter(match))
        end = match.end()
    if not listed:
        return _only(letters)
    letters &= listed.keys()
    if not letters:
        wordy = {letter: text for letter, text in listed.items() if WORDY.search(text)}
        return _only(_named(folded(answer), wordy))
    after = answer[end : end + LONGEST]
    if len(letters) == 1 and _contradicted(after, listed, *letters):
        return AMBIGUOUS
    return _only(letters)


def _alone(answer: str, listed: Options) -> str | None:
    """The letter that a text is and nothing else, by itself, by its text, or both."""
    if match := LONE_CHOICE.fullmatch(answer):
        letter = match["letter"].upper()
        return letter if not listed or letter in listed else None
    if not listed:
        return None
    text = _bare(folded(answer))
    named = [letter for letter, option in listed.items() if _bare(option) == text]
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
    return _only(_named(folded(text), listed) | _parenthesised(text, listed))


def _after_phrase(text: str, listed: Options) -> str | None:
    """The choice in what follows "the answer is"."""
    if NOT.match(text):
        return AMBIGUOUS
    match = PHRASE_CHOICE.match(text)
    if not match:
        return _in_text(marks.sentence(text), listed)
    letter = _letter(match)
    if listed and letter not in listed:
        return _in_text(marks.sentence(text), listed)
    if OTHER_CHOICE.match(text, match.end()):
        return AMBIGUOUS
    # "B. F. Skinner" is a text, whatever its first letter.
    rest = folded(text).lstrip(EDGES)
    begun = {
        name for name, option in listed.items() if WORDY.search(option) and _begins(rest, option)
    }
    if begun:
        return _only(begun)
    return AMBIGUOUS if _contradicted(text[match.end() :], listed, letter) else letter


def _contradicted(text: str, listed: Options, letter: str) -> bool:
    """Whether the text after a letter is another option's."""
    rest = folded(text).lstrip(EDGES)
    others = any(_begins(rest, option) for other, option in listed.items() if other != letter)
    return others and not _begins(rest, listed[letter])


def _begins(text: str, option: str) -> bool:
    """Whether a folded text begins with an option's, as whole words."""
    option = _bare(option)
    after = text[len(option) : len(option) + 1]
    return bool(option) and text.startswith(option) and not after.isalnum()


def _parenthesised(text: str, listed: Options) -> set[str]:
    """The letters in parentheses, "(B)", that are options'."""
    letters = {letter.upper() for letter in PARENTHESES.findall(text)}
    return letters & listed.keys() if listed else letters


def _named(text: str, listed: Options) -> set[str]:
    """The letters of the options whose texts a folded text names; a text within a longer one that
    is named is not.
    """
    letters = set()
    for letter, option in sorted(listed.items(), key=lambda item: -len(item[1])):
        option = _bare(option)
        if option and _has(text, option):
            letters.add(letter)
            text = text.replace(option, "\0")
    return letters


def _has(text: str, words: str) -> bool:
    """Whether a text holds these words with no letter or digit right before or after them."""
    at = text.find(words)
    while at >= 0:
        end = at + len(words)
        if not text[max(0, at - 1) : at].isalnum() and not text[end : end + 1].isalnum():
            return True
        at = text.find(words, end)
    return False


def _only(letters: set[str]) -> str | None:
    """The one letter of a set; None for an empty one, `AMBIGUOUS` for several."""
    if len(letters) > 1:
        return AMBIGUOUS
    return letters.pop() if letters else None


def is_choice(text: str) -> bool:
    """Whether a target is a choice letter from A to J, with or without parentheses."""
    return re.fullmatch(r"\([A-J]\)|[A-J]", text.strip()) is not None
