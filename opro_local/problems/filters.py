"""What a proposed text must not be, whatever it is for: too long, with a tag or digits in it.

For: the limits of the config and of its constraint line, each as a check that gives a reason. Not
for: what a problem asks of a text beyond that, or texts that were there before (the search).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from opro_local.config.search import SearchSettings
from opro_local.config.settings import Config
from opro_local.search.required import SINCE, reason, without

# Marks of the meta-prompts that a reply copied instead of filling them in.
PLACEHOLDER = re.compile(
    r"""
    </? (?: INS | Start | TEXT | instruction ) >
    | \b INS \b
    | \{ instruction \}
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A character outside ordinary wording, or one that comes four times in a row.
UNNATURAL = re.compile(
    r"""
    [^\w\s.,;:!?'"()\-–—’“”&%/$€£]
    | _
    | (?P<repeated>.) (?P=repeated){3}
    """,
    re.VERBOSE,
)
LIMIT = re.compile(
    r"""
    (?: at\ most | no\ more\ than | under | up\ to | maximum\ of ) \s+
    (?P<count>\d+) \s+
    (?P<unit> words? | characters? )
    """,
    re.IGNORECASE | re.VERBOSE,
)

Check = Callable[[str], str | None]


def filters(config: Config, numeric: bool, part: bool = False) -> list[Check]:
    """The checks that a proposed text must pass; each gives the reason for a rejection or None.

    Args:
        config: `search` and `task.position` are read.
        numeric: whether targets are numbers; digits in a text are suspicious then.
        part: for a part of a text, which need not hold what all of it must.
    """
    search = config.search
    words, characters, natural = read_constraint(search.constraint)
    checks = [_characters(min(filter(None, (characters, search.longest))))]
    if not part or search.revision < SINCE:
        checks.append(partial(reason, search))
    wording = [_found(PLACEHOLDER, "placeholder tag in it")]
    if search.digits == "reject" or (search.digits == "auto" and numeric):
        wording.append(_no_digits)
    most_words = min(filter(None, (words, search.max_words)), default=None)
    if most_words:
        checks.append(_words(most_words))
    if natural:
        wording.append(_found(UNNATURAL, "not natural wording"))
    if config.task.position == "template":
        # A template's places are in braces: a text with some would be taken for one.
        wording.append(_found(re.compile("[{}]"), "braces in it"))
    return [*checks, *(_apart_from(search, check) for check in wording)]


def first_reason(checks: list[Check], text: str) -> str | None:
    """Why the first check that the text fails rejects it; None for a text that passes all."""
    for check in checks:
        reason = check(text)
        if reason:
            return reason
    return None


def read_constraint(constraint: str) -> tuple[int | None, int | None, bool]:
    """What of a constraint line can be enforced: most words, most characters, and whether wording
    must be natural.

    "at most 20 words, natural wording" gives (20, None, True). Natural wording means letters,
    digits, spaces and ordinary punctuation, and no character four times in a row. The rest of the
    line is shown to the optimizer only.
    """
    limits: dict[str, int] = {}
    for limit in LIMIT.finditer(constraint):
        limits[limit["unit"][0].lower()] = int(limit["count"])
    return limits.get("w"), limits.get("c"), "natural" in constraint.lower()


def _characters(most: int) -> Check:
    def check(text: str) -> str | None:
        if len(text) > most:
            return f"too long: {len(text)} characters, at most {most}"
        return None

    return check


def _apart_from(search: SearchSettings, check: Check) -> Check:
    """A check of the wording; what a text must hold is not its wording."""
    return lambda text: check(without(search, text))


def _words(most: int) -> Check:
    def check(text: str) -> str | None:
        return f"too long: over {most} words" if len(text.split()) > most else None

    return check


def _found(pattern: re.Pattern[str], reason: str) -> Check:
    def check(text: str) -> str | None:
        return reason if pattern.search(text) else None

    return check


def _no_digits(text: str) -> str | None:
    # Not \d: a superscript or a circled number is a digit too.
    return "digits in it" if any(map(str.isdigit, text)) else None
