"""Which of this process' environment variables the user's programs get.

For: the list, and what a config adds to it. Not for: variables that a config sets itself.

A shell that starts a search often holds keys that a scoring program has no business with, and whose
values it may print where they are then kept. So programs get what makes them run, and the rest by
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

# Names, or patterns with `*`: where programs and libraries are, who and where the user is, language
# and time, and where temporary files go.
PASSED = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "TMP",
    "TEMP",
)


def passed(environment: Mapping[str, str], further: Sequence[str] = ()) -> dict[str, str]:
    """The variables of an environment that a program gets.

    Args:
        environment: of this process.
        further: names or patterns that are passed on as well; "*" passes all.
    """
    patterns = (*PASSED, *further)
    return {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
