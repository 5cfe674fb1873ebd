"""Whether two SQL results are the same answer.

For: rows in any order or in one order, columns in any order, numbers that are nearly equal. Not
for: running SQL.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from opro_local.scoring.sql.process import Result

RELATIVE = 1e-6
ABSOLUTE = 1e-9
# Cells looked at while columns with equal values are told apart: about a second. Ordinary results
# need one pass.
WORK = 5_000_000

Column = tuple[Hashable, ...]


def same(answer: Result, gold: Result, ordered: bool) -> bool:
    """Whether two results are equal up to the order of columns and, unless `ordered`, of rows.

    Duplicate rows count. NULL equals NULL and nothing else; texts and blobs are equal byte by byte,
    and a text never equals a number. Whole numbers are equal when they are the same, also 1 and
    1.0; other numbers may differ by 1e-6 of the larger one or by 1e-9. An empty result equals an
    empty result with as many columns. One order of the columns
    holds for all rows: it is looked for within a bounded amount of work, and a result that needs
    more (many columns with the same values in different rows) is taken as different.
    """
    if (answer.columns, len(answer.rows)) != (gold.columns, len(gold.rows)):
        return False
    if not gold.rows:
        return True
    ours, theirs = _columns(answer, gold)
    if sorted(map(_tally, ours)) != sorted(map(_tally, theirs)):
        return False
    # Equal as sequences, column by column, is equal in any order of the rows, too.
    if Counter(ours) == Counter(theirs):
        return True
    return not ordered and _matches(ours, theirs)


def _columns(answer: Result, gold: Result) -> tuple[list[Column], list[Column]]:
    """Both results by column, with a small number for each distinct value: equal values have equal
    numbers.
    """
    every = {value for rows in (answer.rows, gold.rows) for row in rows for value in row}
    numbers = sorted(value for value in every if isinstance(value, (int, float)))
    code: dict[Any, int] = {}
    for last, value in zip([None, *numbers], numbers, strict=False):
        code[value] = code[last] if last is not None and is_close(last, value) else len(code)
    for value in every:
        code.setdefault(value, len(code))
    return _coded(answer, code), _coded(gold, code)


def _coded(result: Result, code: Mapping[Any, int]) -> list[Column]:
    return [tuple(code[row[at]] for row in result.rows) for at in range(result.columns)]


def is_close(a: float, b: float) -> bool:
    """Whether two numbers count as equal: whole ones when they are the same, others within the
    tolerance.
    """
    if a == b:
        return True
    if a == a // 1 and b == b // 1:
        return False
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _tally(column: Column) -> list[tuple[Hashable, int]]:
    return sorted(Counter(column).items())


def _matches(ours: Sequence[Column], theirs: Sequence[Column]) -> bool:
    """Whether some order of our columns gives the same rows, in any order of rows.

    Columns are fixed one after another; a choice stands only while the rows so far are the same as
    a multiset.
    """
    rows = len(theirs[0])
    budget = max(WORK // rows, len(theirs))
    tallies = [_tally(column) for column in ours]

    def extend(at: int, used: frozenset[int], mine: list[int], other: list[int]) -> bool:
        nonlocal budget
        if at == len(theirs):
            return True
        tally = _tally(theirs[at])
        tried: set[Column] = set()
        for index, column in enumerate(ours):
            if index in used or tallies[index] != tally or column in tried or budget <= 0:
                continue
            tried.add(column)
            budget -= 1
            joined = _joined(mine, column, other, theirs[at])
            if joined is not None and extend(at + 1, used | {index}, *joined):
                return True
        return False

    return extend(0, frozenset(), [0] * rows, [0] * rows)


def _joined(
    mine: list[int], column: Column, other: list[int], gold: Column
) -> tuple[list[int], list[int]] | None:
    """Both sides' rows with one more column, each distinct row as a number; None where the two now
    differ.
    """
    names: dict[tuple[int, Hashable], int] = {}
    ours = [names.setdefault(pair, len(names)) for pair in zip(mine, column, strict=True)]
    theirs = [names.setdefault(pair, len(names)) for pair in zip(other, gold, strict=True)]
    return (ours, theirs) if Counter(ours) == Counter(theirs) else None
