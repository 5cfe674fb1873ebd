"""Texts that every solution must hold (`search.required`), such as placeholders of the user's own
template.

For: whether a text holds them, what the optimizer is told of them, and the wording that is left
without them. Not for: refusing a text (the problems), or what else a text must be
(problems/filters.py).

Held means: there as written, in the same case, and as whole words, so that "ticket" is not in
"tickets" and {ticket} not in {{ticket}}; how often does not matter. White space and Unicode forms
(a letter with an accent as one character or as two) that look alike are taken for the same, and
given back as the user wrote them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

from opro_local.config.search import SearchSettings
from opro_local.errors import UsageError
from opro_local.search.metaprompts.metaprompt import Form, marks, parse

# Since which `search.revision` texts are held and told as this module says; before, any place in a
# text counted, and the optimizer was told nothing.
SINCE = 5
# Scripts whose words have no ends that could be seen: Thai, Lao, Burmese, Khmer, Chinese, Japanese.
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
# Part of a word in the other scripts, and an accent that stands behind its letter.
LETTER = rf"[^\W{UNSPACED}]"
LETTER_OR_ACCENT = rf"(?: [\u0300-\u036f] | {LETTER} )"
BRACKETS: Mapping[str, str] = {"{": "}", "[": "]", "<": ">", "(": ")"}


def lacking(search: SearchSettings, text: str) -> list[str]:
    """Which of the required texts are not in a text, in the order of the setting."""
    if search.revision < SINCE:
        return [required for required in search.required if required not in text]
    return [required for required in search.required if not _pattern(required).search(text)]


def reason(search: SearchSettings, text: str) -> str:
    """Why a text is rejected that does not hold all required ones; "" for one that does."""
    missing = lacking(search, text)
    return f"missing: {missing[0]} is not in it" if missing else ""


def restored(search: SearchSettings, text: str) -> str:
    """The text with the required ones written as the user wrote them."""
    if search.revision < SINCE:
        return text
    for required in search.required:
        text = _pattern(required).sub(lambda match, own=required: own, text)  # type: ignore[misc]
    return text


def without(search: SearchSettings, text: str) -> str:
    """What of a text is wording of its own: a space stands for each required text."""
    if search.revision < SINCE:
        for required in search.required:
            text = text.replace(required, " ")
        return text
    # One may stand in another, so the longest goes first.
    for required in sorted(search.required, key=len, reverse=True):
        text = _pattern(required).sub(" ", text)
    return text


def asked_for(search: SearchSettings) -> tuple[str, ...]:
    """The texts that the optimizer is told to keep."""
    return search.required if search.revision >= SINCE else ()


def told(search: SearchSettings, required: Sequence[str] | None = None) -> str:
    """What a meta-prompt says of a solution's limits: the user's own line, and what must be in it.

    Args:
        search: the settings.
        required: those that are asked for, where a part of a solution is written only; None for
            all of them.
    """
    asked = asked_for(search) if required is None else required
    if not asked:
        return search.constraint
    listed = [_quoted(text) for text in asked]
    named = listed[0]
    if len(listed) > 1:
        named = f"{', '.join(listed[:-1])} and {listed[-1]}"
    line = f"The text must contain {named}, letter for letter"
    own = search.constraint.strip().rstrip(".")
    return f"{own}. {line}" if own else line


def only_in(search: SearchSettings, part: str, whole: str) -> list[str]:
    """The required texts that a new version of a part has to hold, being nowhere else in the
    whole.
    """
    rest = lacking(search, whole.replace(part, " ", 1))
    absent = lacking(search, part)
    return [text for text in rest if text in asked_for(search) and text not in absent]


def check_start(search: SearchSettings, text: str, name: str = "starting solution") -> None:
    """Refuse a text to start from that lacks what is required.

    Raises:
        UsageError: names the first that is missing.
    """
    missing = lacking(search, text)
    if not missing:
        return
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    raise UsageError(
        f"search.required: the {name} {shown!r} lacks {missing[0]!r}",
        "put it in, or leave it out of search.required",
    )


def check_form(search: SearchSettings, form: Form, variables: Mapping[str, str]) -> None:
    """Refuse a form whose replies can't hold a required text: it would end or be no part of it.

    Args:
        search: the settings.
        form: how the optimizer is asked.
        variables: see `metaprompt.render`.

    Raises:
        UsageError: names the text and the form.
    """
    if form.schema or form.prefill:
        return
    before, after = marks(form, variables)
    for required in asked_for(search):
        ends = any(stop in required for stop in form.stop)
        if ends or parse(form, f"{before}{required}{after}", variables) != required:
            raise UsageError(
                f"search.required: a reply to the form {form.name!r} can't hold {required!r}, "
                f"which ends it ({after!r} or a line end)",
                "name forms with other marks in search.operators or search.metaprompt, such as "
                "tags, or leave it out",
            )


@lru_cache(maxsize=512)
def _pattern(required: str) -> re.Pattern[str]:
    """Finds a required text where it stands as itself."""
    spellings = {form(required) for form in (str, _composed, _decomposed)}
    # The user's own way to write it is the likeliest.
    ordered = sorted(spellings, key=lambda spelling: (spelling != required, spelling))
    body = f"(?: {' | '.join(map(_spelled, ordered))} )"
    first, last = required[0], required[-1]
    if re.match(LETTER, first):
        body = f"(?<! {LETTER} ) {body}"
    if re.match(LETTER_OR_ACCENT, last, re.VERBOSE):
        body = f"{body} (?! {LETTER_OR_ACCENT} )"
    if BRACKETS.get(first) == last:
        # Within one more pair of brackets of its kind it is another placeholder.
        opening, closing = re.escape(first), re.escape(last)
        body = f"(?: (?<! {opening} ) {body} | {body} (?! {closing} ) )"
    return re.compile(body, re.VERBOSE)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _spelled(text: str) -> str:
    """A text as a verbose regular expression, whatever white space stands between its parts."""
    return r"\s+".join(re.escape(part) for part in text.split())


def _quoted(text: str) -> str:
    mark = "`" if '"' in text else '"'
    return f"{mark}{text}{mark}"
