"""The rules that read what they compare with the readers of this package.

For: each rule's normal form, its verdict, and what it does not normalise. Not for: reading text
(reading/), numbers (amounts.py), or rules with programs or files behind them (fields.py,
function.py, opro.py, harness.py, sql/).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from opro_local.errors import UsageError
from opro_local.programs.expression import Expression, TooSlow
from opro_local.scoring.amounts import meant
from opro_local.scoring.auto import codes
from opro_local.scoring.reading import booleans, choices, numbers, statements
from opro_local.scoring.reading import labels as read
from opro_local.scoring.reading.normal import bare, folded, typed
from opro_local.scoring.reading.options import Options, options
from opro_local.scoring.reading.words import whole_words
from opro_local.scoring.rule import FAILED, Rule, Verdict
from opro_local.types import Example

# Answers that a reader of labels remembers, and the longest of them in characters.
REMEMBERED, LONGEST_REMEMBERED = 4096, 64

# Every run of digits, and the word that follows it with nothing but space between.
AFTER_DIGITS = re.compile(
    r"""
    \d+ (?: [.,]\d+ )?
    (?: [ \u00a0]+ (?P<word> [^\W\d_]+ ) )?
    """,
    re.VERBOSE,
)
# What may follow the code of a class in a sentence: its scale, or how the sentence goes on.
AFTER_CODE = frozenset(
    {
        *("star", "stars", "point", "points", "out", "of", "on", "or", "and"),
        *("as", "because", "since", "for", "is", "was", "would", "which", "that"),
        *("with", "in", "here", "stern", "sterne", "sternen", "von", "punkte", "étoile"),
        *("étoiles", "sur", "estrella", "estrellas", "de", "stelle", "su", "weil", "car"),
        *("porque"),
    }
)

# A name of Python's own, and what stands for its underscores while it is compared.
DUNDER = re.compile(r"(?<!\w)__[a-z][a-z0-9_]*?__(?!\w)")
GUARD = "\ue000"


def _equal(answer: Callable[[str], Any]) -> Verdict:
    """A verdict that compares what is extracted with the gold."""

    def verdict(text: str, gold: Any) -> float:
        said = answer(text)
        return FAILED if said is None else float(said == gold)

    return verdict


def exact() -> Rule:
    """The answer's text is the target: all of it, what is marked ("Answer: Paris"), or the first
    line of an answer that goes on to explain.

    On both sides case, whitespace, typographic quotes and dashes, what encloses the whole text
    (quotes, Markdown marks) and one final period are left out. Not normalised: articles, numbers
    ("1.0" is not "1"), accents, further punctuation. The underscores of a target such as
    "__init__" are its own and no marks. An empty answer is a failed extraction.
    """

    def gold(example: Example) -> str | None:
        is_name = DUNDER.fullmatch(example.target.strip()) is not None
        return bare(_guarded(example.target) if is_name else example.target) or None

    def verdict(text: str, gold: str | None) -> float:
        said = statements.readings(_guarded(text) if gold and GUARD in gold else text)
        return float(gold in said) if said else FAILED

    return Rule("exact", statements.stated, gold, verdict)


def _guarded(text: str) -> str:
    """The text with the underscores of names such as "__init__" as a sign that no reader strips."""
    return DUNDER.sub(lambda name: name[0].replace("__", GUARD), text)


def exact_strict() -> Rule:
    """The whole answer equals the target, case and whitespace aside.

    Not normalised: punctuation, quotes, articles, Markdown, numbers ("1.0" is not "1"), accents. An
    empty answer is a failed extraction.
    """
    return Rule(
        "exact_strict", read.whole, lambda example: read.whole(example.target), _equal(read.whole)
    )


def label_set(names: Sequence[str]) -> Rule:
    """The label the answer names is the target: the marked or the leading one, or else the only
    one, as whole words in any case.

    "_", "-" and space, quotes, Markdown marks and typographic forms are one; a label that is denied
    is not named (see reading/labels.py). Not normalised: inflections, synonyms. No label, or two
    of equal standing, is a failed extraction.

    Labels that are whole numbers (0/1, stars, class ids) are read as the rule number reads them.

    Raises:
        UsageError: fewer than two labels.
    """
    distinct = {folded(name) for name in names} - {""}
    if len(distinct) < 2:
        raise UsageError(
            f"the rule labels has {len(distinct)} label(s)", "set task.labels, or use another rule"
        )
    find = read.label_reader(names)
    if codes(names):
        find = _code_reader(names)
    find = _remembering(find)
    return Rule("labels", find, lambda example: find(example.target), _equal(find))


def _remembering(find: Callable[[str], str | None]) -> Callable[[str], str | None]:
    """A reader that reads the same short answer once: answers to labelled rows are much alike."""
    known = lru_cache(maxsize=REMEMBERED)(find)
    return lambda answer: known(answer) if len(answer) <= LONGEST_REMEMBERED else find(answer)


def _code_reader(names: Sequence[str]) -> Callable[[str], str | None]:
    """A reader of the one whole number an answer gives, where that is the code of a class.

    As a number, because "-1" is not 1, "4/5" is one answer and not two, and 3.0 is 3.
    """
    known = set(codes(names) or ())
    most = max(known)

    def find(answer: str) -> str | None:
        value = numbers.lenient(answer)
        if value is None:
            return None
        value = meant(value, 1.0, most)
        if value not in known or (numbers.strict(answer) is None and _counts(answer)):
            return None
        return str(int(value))

    return find


def _counts(answer: str) -> bool:
    """Whether the only digits of an answer count something: "I waited for 3 hours" names no class.

    Words that may follow a code are few; any other one is taken for what is counted.
    """
    following = AFTER_DIGITS.findall(answer)
    return len(following) == 1 and bool(following[0]) and following[0].lower() not in AFTER_CODE


def choice() -> Rule:
    r"""The option the answer chooses, by letter ("(B)", "B.", "answer is B", `\boxed{B}`) or by
    text, is the target's.

    Options are read from the example's input ("(A) foo", "A) foo", "A. foo"); without them only
    letters count. The target is a letter or an option's text. Strict reads marked choices and
    answers that are nothing but a choice. Not
    normalised: letters in running text, abbreviated or reworded options. Two different choices of
    equal standing, or a letter beside another option's text, are a failed extraction (see
    reading/choices.py).
    """

    def verdict(reader: Callable[[str, Options], str | None]) -> Verdict:
        def compare(answer: str, gold: tuple[str | None, Options]) -> float:
            letter, listed = gold
            said = reader(answer, listed)
            # choices.AMBIGUOUS is the empty text.
            return float(said == letter) if said else FAILED

        return compare

    return Rule(
        "choice",
        lambda answer: choices.lenient(answer, {}) or None,
        _chosen,
        verdict(choices.lenient),
        verdict(choices.strict),
        lambda answer, gold: choices.lenient(answer, gold[1]) or None,
    )


def _chosen(example: Example) -> tuple[str | None, Options]:
    listed = options(example.input)
    letter = choices.target_letter(example.target, listed)
    if letter is None:
        # What looked like options were none of this target's.
        return choices.target_letter(example.target, {}), {}
    return letter, listed


def boolean(targets: Sequence[str] = ()) -> Rule:
    """Whether the answer says yes or no, true or false, correct or incorrect ..., is what the
    target says.

    The targets' own words go before others ("Yes, because it is false that ..." says yes). "not
    true" is false. A whole answer may be another word or language ("Nope.", "oui"; see
    reading/assent.py). Strict reads marked places, a leading "Yes," and answers of one word. Not
    normalised: "probably true" is true, synonyms in running text. Both, "not necessarily true",
    "it may be true", "I don't think it's true" and "yes, if ..." are a failed extraction.

    Args:
        targets: from which the own words are taken; empty for no preference.
    """
    own = {folded(target) for target in targets} & booleans.TRUTH.keys()
    words = [word for pair in booleans.PAIRS if own & set(pair) for word in pair]
    reader = booleans.reader(words)
    # What was read is called as the rows call it.
    yes, no = booleans.pair_of(targets) or ("true", "false")

    def extract(answer: str) -> str | None:
        said = reader(answer, False)
        if said is None or math.isnan(said):
            return None
        return yes if said else no

    def verdict(strict: bool) -> Verdict:
        def compare(answer: str, gold: float | None) -> float:
            said = reader(answer, strict)
            if said is None or math.isnan(said):
                # booleans.AMBIGUOUS is NaN, as FAILED is.
                return FAILED
            return float(said == gold)

        return compare

    return Rule(
        "boolean",
        extract,
        lambda example: booleans.truth(example.target),
        verdict(False),
        verdict(True),
    )


def contains() -> Rule:
    """The target appears in the answer as whole words, case, whitespace and typographic forms
    aside.

    "5" is not in "15" or "1.5", nor "no" in "know"; scripts without spaces have no words, and there
    any place counts. Not normalised: punctuation, numbers, negation. It rewards answers that list
    everything. An empty answer is a failed extraction.
    """

    def form(text: str) -> str | None:
        return read.whole(typed(text))

    def gold(example: Example) -> re.Pattern[str] | None:
        # A period at the end of a target is the sentence's, not the answer's.
        text = form(example.target)
        return whole_words(text.removesuffix(".") or text) if text else None

    def verdict(answer: str, gold: re.Pattern[str] | None) -> float:
        text = form(answer)
        return FAILED if text is None else float(gold is not None and bool(gold.search(text)))

    return Rule("contains", form, gold, verdict)


def regex(pattern: str | None) -> Rule:
    """The pattern's first group (the whole match if it has none) in the answer equals the target,
    case folded.

    Not normalised: anything but case and whitespace; the target is taken as it is, the pattern is
    not applied to it. No match, an empty one, or an answer on which the pattern takes too long
    (programs/expression.py) is a failed extraction.

    Raises:
        UsageError: no pattern, or one that is no regular expression.
    """
    if not pattern:
        raise UsageError(
            "the rule regex has no pattern", "set task.pattern, such as 'answer: (\\w+)'"
        )
    try:
        expression = Expression(pattern)
    except ValueError as error:
        raise UsageError(
            f"task.pattern {pattern[:80]!r} is no regular expression: {error}", "correct it"
        ) from None
    group = 1 if expression.groups else 0

    def extract(answer: str) -> str | None:
        try:
            match = expression.search(answer)
        except TooSlow:
            return None
        if not match or match[group] is None:
            return None
        return read.whole(match[group])

    return Rule(
        "regex",
        extract,
        lambda example: read.whole(example.target),
        _equal(extract),
        expressions=(expression,),
    )
