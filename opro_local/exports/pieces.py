"""A text with markers as pieces, and as a template of Jinja's or Nunjucks' language.

For: what the formats that are templates share. Not for: any one format.

Jinja takes escapes in its own string literals as Python does, so every line of a text becomes one
literal: nothing in it can be taken for a tag, and no setting of an environment (trimming, newlines)
changes it. Nunjucks knows few escapes; there only the braces that would begin a tag are literals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from opro_local.exports.whole_prompt import json_text

# A brace that begins a tag in Nunjucks and Jinja, or would with what a template puts after it.
OPENS_TAG = re.compile(r"\{ (?= [{%\#] | \Z )", re.VERBOSE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text.

    Attributes:
        text: what it says; "" for a place.
        place: the marker that stands there; "" for text.
    """

    text: str = ""
    place: str = ""


def pieces(text: str, markers: Mapping[str, str]) -> list[Piece]:
    """The text cut at its markers.

    Args:
        text: of a prompt.
        markers: as WholePrompt.markers, by name.
    """
    any_marker = re.compile(f"({'|'.join(map(re.escape, markers.values()))})")
    known = set(markers.values())
    cut = [part for part in any_marker.split(text) if part]
    return [Piece(place=part) if part in known else Piece(part) for part in cut]


def jinja_lines(text: str, markers: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """The text as a Jinja template, an expression for every line of it.

    Args:
        text, markers: see `pieces`.
        variables: the expression for each name of `markers`.
    """
    lines: list[list[str]] = [[]]
    for part in _expressions(text, markers, variables):
        lines[-1].append(part)
        if part.endswith('\\n"'):
            lines.append([])
    return "\n".join(f"{{{{- {' ~ '.join(line)} -}}}}" for line in lines if line)


def jinja_expression(text: str, markers: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """The text as one Jinja expression."""
    return " ~ ".join(_expressions(text, markers, variables)) or '""'


def _expressions(text: str, markers: Mapping[str, str], variables: Mapping[str, str]) -> list[str]:
    by_marker = {marker: variables[name] for name, marker in markers.items()}
    made = []
    for piece in pieces(text, markers):
        if piece.place:
            made.append(by_marker[piece.place])
        else:
            made += [literal(line) for line in re.findall(r"[^\n]*\n|[^\n]+", piece.text)]
    return made


def literal(text: str) -> str:
    """A string literal of Jinja's, which takes JSON's escapes as Python would."""
    return json_text(text)


def nunjucks(text: str, markers: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """The text as a Nunjucks template."""
    by_marker = {marker: variables[name] for name, marker in markers.items()}
    made = ""
    for piece in pieces(text, markers):
        own = OPENS_TAG.sub('{{ "{" }}', piece.text)
        made += f"{{{{ {by_marker[piece.place]} }}}}" if piece.place else own
    return made
