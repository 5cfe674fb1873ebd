"""A run's settings as a tracker's parameters: texts by name, without secrets.

For: what differs from the defaults, as "section.key". Not for: reading a config (config/).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from opro_local.config.reading import SECRET
from opro_local.config.settings import Config

# Said of every run, whether they are at their defaults or not.
ALWAYS = ("run.seed", "search.steps", "search.candidates", "scorer.model", "optimizer.model")
LONGEST = 2000  # characters of a parameter; what is longer says how much is left out
HIDDEN = "(hidden)"
# Names within free tables (`engine_args`) whose values are keys to something.
SECRET_NAME = re.compile(
    r"""
    (?: ^ | [_\W] ) (?: token | secret | password | passwd | credentials? | api_?key ) (?: $ | _?id $ )
    """,  # noqa: E501
    re.VERBOSE | re.IGNORECASE,
)
# The user and password of an address.
USER = re.compile(r"(?<=://) [^/@\s]+ (?=@)", re.VERBOSE)
# A tracker takes these in a parameter's name: MLflow's rule, the narrower one.
NOT_IN_NAMES = re.compile(r"[^\w./: -]", re.ASCII)


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings that a stored config has beside the defaults, by "section.key"."""
    defaults = Config().model_dump(mode="json")
    named: dict[str, str] = {}
    for section, table in config.items():
        usual = defaults.get(section, {})
        for key, value in table.items():
            name = f"{section}.{key}"
            if name in ALWAYS or key not in usual or value != usual[key]:
                named[NOT_IN_NAMES.sub("_", name)] = _text(name, value)
    return named


def _text(name: str, value: Any) -> str:
    """A value as a text; of a table that holds secrets its names."""
    if name in SECRET:
        value = sorted(value or {})
    shown = _without_secrets(value)
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
    return shortened(text, LONGEST)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        hidden = {key: HIDDEN for key in value if SECRET_NAME.search(str(key))}
        return {key: _without_secrets(one) for key, one in value.items()} | hidden
    if isinstance(value, list):
        return [_without_secrets(one) for one in value]
    return USER.sub(HIDDEN, value) if isinstance(value, str) else value


def shortened(text: str, most: int) -> str:
    """A text, or its beginning and how long it is; lone surrogates, which UTF-8 has no room for,
    as question marks.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= most:
        return text
    end = f" ... ({len(text)} characters)"
    return text[: most - len(end)] + end
