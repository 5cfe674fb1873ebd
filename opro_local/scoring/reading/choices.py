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
from opro_local.scoring.reading.labels import folded

AMBIGUOUS = ""

# "(A) foo", "A) foo", and at the start of a line "A. foo" or "A: foo".
OPTION = re.compile(
    r"(?<![^\s,;])(?:\(([A-Za-z])\)|([A-Za-z])\)|(?m:^)[ \t]*([A-Z])[.:])[ \t]*(?=\S)"
)
# A letter right after the phrase; a small one counts only in parentheses ("the answer is a dog"),
# and "A" or "I" before a small word is no choice ("the answer is A dog") unless the word goes on
# with the sentence ("A because").
PHRASE_CHOICE = re.compile(
    r"[\s:*_\"'`$\\{\[]{0,12}"
    r"(?:(?:the|[Oo]ption|[Cc]hoice|[Ll]etter|text\{|most|likely|probably|clearly|therefore|indeed|definitely|correct)\b"
    r"[\s:*_]{0,4}){0,3}[*_\"'`$\\(]{0,4}?"
    r"(?:\(([A-Za-z])\)|([A-Z])(?![\w'’])(?!(?<=[AI])\s{1,3}(?!(?:or|and|because|since|as|for|but|which|with)\b)[a-z]))"
)
OTHER_CHOICE = re.compile(
    r"\W{0,4}(?:(?:and|or|AND|OR)\b|[&/,])[\s*]{0,3}(?:[Oo]ption\s)?\(?[A-Z](?!\w)"
)
BOXED_CHOICE = re.compile(
    r"(?:\\(?:text|textbf|mathrm|mathbf)\{)?[\s(*]{0,3}([A-Za-z])(?:[)\s*]{0,3}\}?|[).:]\s.*)", re.S
)
# "(B)" anywhere, or "B.", "B)" or "B" alone at the start of a line, or "option B".
MARKED_CHOICE = re.compile(
    r"(?<!\w)\(([A-Za-z])\)|^[ \t*_\"'`>-]{0,8}(?:A:[ \t]{0,3})?([A-Z])(?:[.)](?!\w)|[ \t*_\"'`]{0,8}$)"
    r"|\b(?:[Oo]ption|[Cc]hoice|[Ll]etter)(?: is|:)? [*_\"'`]{0,3}([A-Z])(?![\w'’])",
    re.M,
)
LONE_CHOICE = re.compile(r"[\s*_\"'`$(]{0,20}([A-Za-z])[\s*_\"'`$).:]{0,20}")
PARENTHESES = re.compile(r"(?<!\w)\(([A-Za-z])\)")
NOT = re.compile(
    r"\W{0,6}(?:(?:definitely|clearly|certainly) )?(?:not|never|neither)\b", re.IGNORECASE
)
TARGET = re.compile(r"\(?([A-J])\)?[.:]?")
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
    for found in OPTION.finditer(question):
        if _letter(found) == "A":
            runs.append([found])
        elif (
            runs
            and _letter(found) == chr(ord("A") + len(runs[-1]))
            and _style(found) == _style(runs[-1][-1])
        ):
            runs[-1].append(found)
    lists = [run for run in runs if len(run) > 1]
    if not lists:
        return {}
    starts = [found.start() for found in lists[-1][1:]]
    end = question.find("\n", lists[-1][-1].end())
    ends = [*starts, len(question) if end < 0 else end]
    texts = (
        (_letter(found), question[found.end() : end])
        for found, end in zip(lists[-1], ends, strict=True)
    )
    return {letter: folded(text).strip(",; ") for letter, text in texts}


def _letter(found: re.Match[str]) -> str:
    return found[found.lastindex].upper()


def _style(found: re.Match[str]) -> tuple[int, bool]:
    return found.lastindex, found[found.lastindex].isupper()


def target_letter(target: str, listed: Options) -> str | None:
    """The letter a target stands for: itself, or the one whose option's text it is; None where it
    is neither.
    """
    text = folded(target)
    named = [
        letter
        for letter, option in listed.items()
        if option == text or option.strip(EDGES) == text.strip(EDGES)
    ]
    found = TARGET.fullmatch(target.strip()) or LONE_CHOICE.fullmatch(target)
    if found and (not listed or found[1].upper() in listed):
        return found[1].upper()
    return named[0] if len(named) == 1 else _lettered(target, listed)


def _lettered(text: str, listed: Options) -> str | None:
    """The letter of "(B) Paris", where B is Paris."""
    found = OPTION.match(text.strip(" *_"))
    if not found or (letter := _letter(found)) not in listed:
        return None
    rest = folded(text.strip(" *_")[found.end() :]).strip(EDGES)
    return letter if rest == listed[letter].strip(EDGES) else None


def strict(answer: str, listed: Options) -> str | None:
    r"""The letter that is marked (`####`, `\boxed{}`, "the answer is"), or that the whole answer
    is.

    Args:
        answer: any text.
        listed: the question's options (see `options`); empty where they are unknown.

    Returns:
        A capital letter; None without one; `AMBIGUOUS` where a marked place names two.
    """
    if len(answer) <= LONGEST and (found := _alone(answer, listed)):
        return found
    return marks.read_marked(answer, lambda mark: _at_mark(mark, listed))


def lenient(answer: str, listed: Options) -> str | None:
    """`strict`, and where nothing is marked the one letter, or else the one option's text, that the
    answer names.
    """
    found = strict(answer, listed)
    if found is not None:
        return found
    answer = marks.standing(answer)
    letters, last = set(), None
    for last in MARKED_CHOICE.finditer(answer):
        letters.add(last[last.lastindex].upper())
    letters = letters & listed.keys() if listed else letters
    if (
        len(letters) == 1
        and listed
        and _contradicted(answer[last.end() : last.end() + LONGEST], listed, *letters)
    ):
        return AMBIGUOUS
    if not letters and listed:
        letters = _named(
            folded(answer), {letter: text for letter, text in listed.items() if WORDY.search(text)}
        )
    return _only(letters)


def _alone(answer: str, listed: Options) -> str | None:
    if found := LONE_CHOICE.fullmatch(answer):
        letter = found[1].upper()
        return letter if not listed or letter in listed else None
    if not listed:
        return None
    text = folded(answer).strip(EDGES)
    named = [letter for letter, option in listed.items() if option.strip(EDGES) == text]
    return named[0] if len(named) == 1 else _lettered(answer, listed)


def _at_mark(mark: marks.Mark, listed: Options) -> str | None:
    if mark.kind == "phrase":
        return _after_phrase(mark.text, listed)
    found = (BOXED_CHOICE if mark.kind == "box" else LONE_CHOICE).fullmatch(mark.text)
    if found and (not listed or found[1].upper() in listed):
        return found[1].upper()
    return _alone(mark.text, listed) or _only(
        _named(folded(mark.text), listed) | _parenthesised(mark.text, listed)
    )


def _after_phrase(text: str, listed: Options) -> str | None:
    if NOT.match(text):
        return AMBIGUOUS
    found = PHRASE_CHOICE.match(text)
    letter = (found[1] or found[2]).upper() if found else None
    if letter and (not listed or letter in listed):
        if OTHER_CHOICE.match(text, found.end()):
            return AMBIGUOUS
        rest = folded(text).lstrip(EDGES)
        if texts := [
            other
            for other, option in listed.items()
            if WORDY.search(option) and _begins(rest, option)
        ]:
            # "B. F. Skinner" is a text, whatever its first letter.
            return _only(set(texts))
        return AMBIGUOUS if _contradicted(text[found.end() :], listed, letter) else letter
    text = marks.sentence(text)
    return _alone(text, listed) or _only(
        _named(folded(text), listed) | _parenthesised(text, listed)
    )


def _contradicted(text: str, listed: Options, letter: str) -> bool:
    """Whether the text after a letter is another option's."""
    rest = folded(text).lstrip(EDGES)
    others = any(_begins(rest, option) for other, option in listed.items() if other != letter)
    return others and not _begins(rest, listed[letter])


def _begins(text: str, option: str) -> bool:
    option = option.strip(EDGES)
    return (
        bool(option)
        and text.startswith(option)
        and not text[len(option) : len(option) + 1].isalnum()
    )


def _parenthesised(text: str, listed: Options) -> set[str]:
    letters = {letter.upper() for letter in PARENTHESES.findall(text)}
    return letters & listed.keys() if listed else letters


def _named(text: str, listed: Options) -> set[str]:
    """The letters of the options whose texts a folded text names; a text within a longer one that
    is named is not.
    """
    letters = set()
    for letter, option in sorted(listed.items(), key=lambda item: -len(item[1])):
        option = option.strip(EDGES)
        if option and _has(text, option):
            letters.add(letter)
            text = text.replace(option, "\0")
    return letters


def _has(text: str, words: str) -> bool:
    at = text.find(words)
    while at >= 0:
        if (
            not text[max(0, at - 1) : at].isalnum()
            and not text[at + len(words) : at + len(words) + 1].isalnum()
        ):
            return True
        at = text.find(words, at + len(words))
    return False


def _only(letters: set[str]) -> str | None:
    if len(letters) > 1:
        return AMBIGUOUS
    return letters.pop() if letters else None


def is_choice(text: str) -> bool:
    """Whether a target is a choice letter from A to J, with or without parentheses."""
    return re.fullmatch(r"\([A-J]\)|[A-J]", text.strip()) is not None
