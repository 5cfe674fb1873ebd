"""YAML as people read it: texts of several lines as blocks, keys in their order.

For: the formats that are YAML. Not for: reading any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

# YAML 1.1 reads these as ends of lines; in double quotes they are escaped.
OTHER_LINE_ENDS = frozenset("\r\x85\u2028\u2029")


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as blocks where YAML can."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if not OTHER_LINE_ENDS.isdisjoint(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Blocks.add_representer(str, _text)


def yaml_text(value: Mapping[str, Any]) -> str:
    """The value as YAML."""
    return yaml.dump(
        dict(value), Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=100_000
    )
