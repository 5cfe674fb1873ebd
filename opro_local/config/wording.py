"""What is wrong with one setting, in words: its place, what is accepted, the value seen.

For: one wording for all that pydantic complains of. Not for: finding what is wrong (reading.py,
model_tables.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

# What a TOML file has to say, by the type of pydantic's complaint.
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("model_type", "dict_type", "dataclass_type"), "a table"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    "string_type": "a text in quotes",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
}


def in_words(
    error: ErrorDetails, where: list[str], fields: Mapping[str, Any], secret: bool = False
) -> str:
    """What pydantic says of one wrong setting: its place, what is accepted, and the value seen.

    Args:
        error: pydantic's.
        where: the setting's place in the config; empty for what several settings say together.
        fields: the settings there are in its section.
        secret: whether the value is not to be shown.
    """
    name = ".".join(where)
    if error["type"] == "extra_forbidden":
        return f"unknown setting {name}{_nearest(where, fields)}"
    kind = KINDS.get(error["type"])
    text = f"must be {kind}" if kind else error["msg"].removeprefix("Value error, ")
    if not name:
        return text
    is_hidden = secret or error["type"] in ("value_error", "missing")
    shown = " ".join(repr(error["input"]).splitlines())  # an array's has several lines
    value = "" if is_hidden else f", got {shown}"
    return f"{name}: {text[0].lower()}{text[1:]}{value}"


def _nearest(where: list[str], fields: Mapping[str, Any]) -> str:
    """The end of a message about an unknown name: the nearest one there is, or all of them."""
    close = difflib.get_close_matches(where[-1], list(fields), n=1, cutoff=0.5)
    if not close:
        return f"; accepted: {', '.join(fields)}"
    return f"; did you mean {'.'.join([*where[:-1], close[0]])}?"
