"""Refuses values that no setting can have, whatever it is for: too deep, too large, or no text.

For: what would end in a traceback far from the config. Not for: a setting's own type and range
(settings.py and its neighbours).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from opro_local.errors import UsageError

DEEPEST = 32  # tables and lists in each other; the deepest setting has three
LARGEST = 64  # bits of a whole number
SURROGATES = ("\ud800", "\udfff")  # halves of a character; the first and the last


def check_values(tables: Mapping[str, Any], paths: Collection[str]) -> None:
    """Look at every value in a config's tables.

    Args:
        tables: as tomllib returns them.
        paths: the settings that are paths, as "section.key"; a file's name need not be text.

    Raises:
        UsageError: names the setting.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), dict(tables))]
    while waiting:
        where, value = waiting.pop()
        name = ".".join(where[:3])
        if len(where) > DEEPEST:
            raise UsageError(f"{name}: nested too deep", f"at most {DEEPEST} tables in each other")
        if isinstance(value, Mapping):
            waiting += [((*where, str(key)), inner) for key, inner in value.items()]
            waiting += [((*where, "name"), key) for key in value if isinstance(key, str)]
        elif isinstance(value, (list, tuple)):
            waiting += [((*where, str(place)), inner) for place, inner in enumerate(value)]
        elif isinstance(value, int) and value.bit_length() > LARGEST:
            raise UsageError(f"{name}: a whole number of more than {LARGEST} bits")
        elif isinstance(value, str) and ".".join(where[:2]) not in paths and _is_halved(value):
            raise UsageError(f"{name}: half a character (a lone surrogate) in it", "write UTF-8")


def _is_halved(text: str) -> bool:
    first, last = SURROGATES
    return not text.isascii() and any(first <= character <= last for character in text)
