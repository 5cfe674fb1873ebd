"""The scoring rule sql: an answer is right when its SQL returns what the gold SQL returns.

For: reading the statement (reading.py), running it safely (process.py) and comparing
results (compare.py).
Not for: rewarding SQL that only looks like the gold. Version 1; the rules are written down in
docs/sql.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from opro_local.errors import DataError
from opro_local.scoring.rule import FAILED, Rule
from opro_local.scoring.sql.compare import same
from opro_local.scoring.sql.process import Limits, Result, SqlProcess
from opro_local.scoring.sql.reading import is_ordered, statement
from opro_local.types import Example

# Instructions that are reworded give the same SQL again and again; a verdict is a number, so many
# can be kept.
KEPT_VERDICTS = 20_000
KEPT_GOLDS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Gold:
    """What an example expects: the gold SQL's result, whether its order counts, and the database to
    ask.
    """

    database: str
    result: Result
    ordered: bool


def sql(limits: Limits | None = None) -> Rule:
    """The answer's SQL, run on the row's database, returns the result of the gold SQL.

    Rows compare as a multiset, or in order where the gold has an ORDER BY of its own; columns in
    any order; see compare.same for values. SQL that fails, is refused or runs over a limit
    earns 0; an answer without SQL is a failed extraction. The last statement of an answer is
    read (see reading.statement). Not normalised: texts (case, spaces), numbers written as
    texts, the order of rows that an ORDER BY leaves open.

    Args:
        limits: what one statement may use; the gold's too.

    The rule's `gold` raises DataError when the gold SQL does not run or the database can't be read.
    """
    process = SqlProcess(limits or Limits())

    @lru_cache(KEPT_GOLDS)
    def expected(database: str, query: str) -> Gold | str:
        result = process.run(database, query)
        return result if isinstance(result, str) else Gold(database, result, is_ordered(query))

    @lru_cache(KEPT_VERDICTS)
    def earned(gold: Gold, query: str) -> float:
        result = process.run(gold.database, query)
        return float(not isinstance(result, str) and same(result, gold.result, gold.ordered))

    def gold_of(example: Example) -> Gold:
        if "database" not in example.columns:
            raise DataError(
                f"{example.where}: no column 'database'",
                "the rule sql needs the task sql (docs/sql.md)",
            )
        gold = expected(example.columns["database"], example.target.strip().rstrip(";"))
        if isinstance(gold, str):
            raise DataError(
                f"{example.where}: the gold SQL does not run: {gold}", "correct the query"
            )
        return gold

    def verdict(answer: str, gold: Gold) -> float:
        query = statement(answer)
        return FAILED if query is None else earned(gold, query)

    return Rule("sql", statement, gold_of, verdict)
