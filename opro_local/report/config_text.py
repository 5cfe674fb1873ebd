"""A run's config as the TOML that makes the run again.

For: the page's config. Not for: reading TOML (config/reading.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_of(config: Mapping[str, Any]) -> str:
    """The config as TOML, one table a section; what is None is left out, as TOML has no None."""
    lines = []
    for section, table in config.items():
        if not isinstance(table, Mapping):
            continue
        lines.append(f"[{_key(section)}]")
        for name, value in table.items():
            if value is not None:
                lines.append(f"{_key(name)} = {_value(value)}")
        lines.append("")
    return "\n".join(lines)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = [f"{_key(name)} = {_value(own)}" for name, own in value.items() if own is not None]
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for a DEL, which JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
