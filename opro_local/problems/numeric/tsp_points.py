"""The points of a travelling salesman problem: drawn as in the paper, or read from CSV, JSON or
TSPLIB.

For: coordinates, their distances, and file:line errors. Not for: tours.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opro_local.errors import DataError
from opro_local.files import read_text

FORMATS = (
    "a CSV with two columns, a JSON list of [x, y], or a TSPLIB file (.tsp) of the type EUC_2D"
)
Place = tuple[str, float, float]  # where it was read, x, y


@dataclass(frozen=True, slots=True)
class Points:
    """Points in the plane.

    Attributes:
        xy: shape (n, 2).
        distances: shape (n, n); Euclidean, and rounded to whole numbers where TSPLIB says so.
    """

    xy: np.ndarray
    distances: np.ndarray


def draw(nodes: int, span: tuple[float, float], decimals: int, rng: np.random.Generator) -> Points:
    """Distinct points, uniform in a square and rounded (paper section 4.2: [-100, 100], whole
    numbers).
    """
    places: dict[tuple[float, float], None] = {}  # in the order in which they were drawn
    while len(places) < nodes:
        x, y = (round(float(value), decimals) + 0.0 for value in rng.uniform(*span, 2))
        places[x, y] = None
    return _points(list(places), rounded=False)


def read(path: Path) -> Points:
    """The points in a file.

    Raises:
        DataError: file:line of what is wrong: not a number, a point twice, under three points,
        another TSPLIB type.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})", FORMATS) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text", FORMATS) from None
    suffix = path.suffix.lower()
    places = {".json": _json, ".tsp": _tsplib}.get(suffix, _csv)(path, text)
    return _points(_distinct(path, places), rounded=suffix == ".tsp")


def _points(pairs: list[tuple[float, float]], rounded: bool) -> Points:
    xy = np.array(pairs, float)
    between = xy[:, None] - xy
    distances = np.sqrt((between**2).sum(-1))
    return Points(xy, np.floor(distances + 0.5) if rounded else distances)


def _distinct(path: Path, places: Iterable[Place]) -> list[tuple[float, float]]:
    seen: dict[tuple[float, float], str] = {}
    for where, x, y in places:
        if (x, y) in seen:
            raise DataError(
                f"{where}: the point {x:g}, {y:g} stands at {seen[x, y]} already",
                "give each point once",
            )
        seen[x, y] = where
    if not 3 <= len(seen) <= 500:
        raise DataError(f"{path}: {len(seen)} points", "a tour needs 3 to 500")
    return list(seen)


def _coordinate(where: str, value: Any) -> float:
    try:
        if isinstance(value, bool | list | dict | None):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        raise DataError(
            f"{where}: {str(value)[:40]!r} is not a number", "give two coordinates a point"
        ) from None
    if not math.isfinite(number) or abs(number) > 1e9:
        raise DataError(
            f"{where}: {number:g} is not a coordinate", "give numbers between -1e9 and 1e9"
        )
    return number


def _pair(where: str, values: object) -> Place:
    if not isinstance(values, list) or len(values) != 2:
        raise DataError(f"{where}: {str(values)[:60]} is not two coordinates", FORMATS)
    return where, _coordinate(where, values[0]), _coordinate(where, values[1])


def _csv(path: Path, text: str) -> Iterator[Place]:
    """Rows of two numbers; a first row without any digit is a header."""
    rows = csv.reader(text.splitlines())
    try:
        for row in rows:
            has_digit = any(character.isdigit() for character in "".join(row))
            header = rows.line_num == 1 and not has_digit
            if row and not header:
                yield _pair(f"{path}:{rows.line_num}", [cell.strip() for cell in row])
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: {error}", FORMATS) from None


def _json(path: Path, text: str) -> Iterator[Place]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON ({error.msg})", FORMATS) from None
    except (ValueError, RecursionError):
        # A number of thousands of digits is a plain ValueError.
        why = "nested too deep, or a number too long"
        raise DataError(f"{path}:1: not JSON ({why})", FORMATS) from None
    if not isinstance(rows, list):
        raise DataError(f"{path}:1: not a list", FORMATS)
    for position, row in enumerate(rows, 1):
        yield _pair(f"{path}: point {position}", row)


def _tsplib(path: Path, text: str) -> Iterator[Place]:
    """NODE_COORD_SECTION of a TSPLIB 95 file; its order is kept, its numbering is not looked at."""
    kind, inside = "", False
    for number, line in enumerate(text.splitlines(), 1):
        where, words = f"{path}:{number}", line.replace(":", " : ").split()
        keyword = words[0].upper() if words else ""
        if keyword == "EDGE_WEIGHT_TYPE":
            kind = words[-1].upper()
            if kind != "EUC_2D":
                raise DataError(f"{where}: edge weight type {kind}", "only EUC_2D can be read")
        elif keyword == "NODE_COORD_SECTION":
            inside = True
        elif inside and (keyword == "EOF" or keyword.endswith("_SECTION")):
            break
        elif inside and words:
            if len(words) != 3:
                raise DataError(
                    f"{where}: {line.strip()[:60]!r} is not a node's number and two coordinates",
                    FORMATS,
                )
            yield _pair(where, words[1:])
    if not inside or not kind:
        missing = "EDGE_WEIGHT_TYPE" if inside else "NODE_COORD_SECTION"
        raise DataError(f"{path}: no {missing}", FORMATS)
