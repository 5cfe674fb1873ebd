"""Regular expressions that come from a user or from a file, matched within a time limit.

For: task.pattern, the filters of a harness task, an expression in a template. Not for: the
program's own expressions, which are known to take linear time.

An expression such as `(a|aa)+$` takes exponential time on some texts, and what a model writes is
chosen by nobody. So these are matched by `regex`, which can be told to stop. They are written in
the syntax of Python's `re`: what `re` does not take is refused, and what only `regex` would read as
something else (`{` that counts nothing, `[` in a set) is quoted for it.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from opro_local.errors import UsageError
from opro_local.programs.contained import Exceeded, contained

SECONDS = 1.0  # of processor time for one text
MOST_TIMEOUTS = 20  # after so many texts there is no point in going on
LONGEST = 10_000  # characters of an expression
COMPILE_MEMORY = 64 << 20  # bytes; `(a{1000}){1000}` takes 270 MB
LOG = logging.getLogger(__name__)

# A brace in an expression, and what may stand before it that is no brace of its own.
BRACE = re.compile(
    r"""
    (?P<kept>
        \\N\{[^}]*\}                    # a character by its name
        | \\.                           # an escaped character
        | \{\d+(?:,\d*)?\} | \{,\d*\}   # a count
    )
    | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])    # a ] that stands first belongs to it
    | (?P<brace>[{}])
    """,
    re.VERBOSE | re.DOTALL,
)
# In a set, `regex` alone reads a bracket as the beginning of [:alpha:] and its like.
BRACKET = re.compile(r"(?P<escaped>\\.)|\[", re.DOTALL)

Answer = TypeVar("Answer")


class TooSlow(Exception):
    """The expression took too long on a text: what it would find there is not known."""


class Expression:
    """One compiled expression.

    Attributes:
        pattern: as it was written.
        groups: how many it has.

    Raises:
        ValueError: it is no expression, or compiling it takes too much memory; the text says why.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > LONGEST:
            raise ValueError(f"longer than {LONGEST:,} characters")
        # Only a count makes more of an expression than is written.
        if "{" in pattern:
            try:
                contained(lambda: _fault(pattern), memory=COMPILE_MEMORY)
            except Exceeded as error:
                raise ValueError(f"compiling it takes {error}") from None
        if fault := _fault(pattern):
            raise ValueError(fault)
        self.pattern = pattern
        self._compiled = _compile(pattern)
        self.groups: int = self._compiled.groups
        self._slow: set[str] = set()  # the texts; each costs its time once

    @property
    def timeouts(self) -> int:
        """On how many texts it took too long so far."""
        return len(self._slow)

    def search(self, text: str) -> Any:
        """The first match, or None; with a match, `match[1]` is its first group.

        Raises:
            TooSlow: it takes more than SECONDS.
            UsageError: that has happened on MOST_TIMEOUTS texts.
        """
        return self._in_time(text, lambda: self._compiled.search(text, timeout=SECONDS))

    def findall(self, text: str) -> list[Any]:
        """What `re.findall` gives; raises as `search` does."""
        return self._in_time(text, lambda: list(self._compiled.findall(text, timeout=SECONDS)))

    def sub(self, replacement: str, text: str, count: int = 0) -> str:
        """What `re.sub` gives; raises as `search` does."""
        return self._in_time(
            text, lambda: str(self._compiled.sub(replacement, text, count, timeout=SECONDS))
        )

    def notices(self) -> list[str]:
        """What the user should know of it after it was used: nothing where it was in time."""
        if not self.timeouts:
            return []
        texts = f"{self.timeouts} answer{'s' * (self.timeouts > 1)}"
        return [f"{texts} unread: {self._shown()} took more than {SECONDS:g} s"]

    def _in_time(self, text: str, call: Callable[[], Answer]) -> Answer:
        if text in self._slow:
            raise TooSlow(self.pattern)
        try:
            return call()
        except (TimeoutError, MemoryError):
            self._slow.add(text)
        if self.timeouts == 1:
            LOG.warning("%s takes more than %g s; such answers are unread", self._shown(), SECONDS)
        if self.timeouts >= MOST_TIMEOUTS:
            raise UsageError(
                f"{self._shown()} took more than {SECONDS:g} s on {MOST_TIMEOUTS} texts",
                "nested repeats try every division of a text: write it with fewer",
            )
        raise TooSlow(self.pattern)

    def _shown(self) -> str:
        return f"the expression {self.pattern[:60]!r}"


def _fault(pattern: str) -> str:
    """What is wrong with the expression; empty if nothing is."""
    try:
        with warnings.catch_warnings():
            # Python warns where others read a set differently; here it is read as Python does.
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
        _compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error) or type(error).__name__
    except ValueError as error:
        return str(error)
    return ""


def _compile(pattern: str) -> Any:
    import regex

    try:
        return regex.compile(BRACE.sub(_quoted, pattern), regex.VERSION0)
    except regex.error as error:
        raise ValueError(str(error)) from None


def _quoted(part: re.Match[str]) -> str:
    if part["set"]:
        inner = BRACKET.sub(lambda one: one["escaped"] or r"\[", part["set"][1:])
        return f"[{inner}"
    return part["kept"] or f"\\{part['brace']}"
