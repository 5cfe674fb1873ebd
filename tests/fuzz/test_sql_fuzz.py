"""Whatever a model writes: a statement or None, in linear time, and a verdict; results compare as
their rows do.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from timing import keeps_within

from opro_local.scoring.sql.compare import same
from opro_local.scoring.sql.process import Result
from opro_local.scoring.sql.reading import MAX_CHARACTERS, is_ordered, statement
from opro_local.scoring.sql.rule import sql
from opro_local.types import Example

CASES = settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

PIECES = [
    *(
        "SELECT ",
        "select",
        "WITH ",
        "with x AS (",
        "RECURSIVE ",
        " FROM t",
        "VALUES (",
        "INSERT INTO ",
        "UPDATE t SET ",
    ),
    *(
        "CREATE TEMP TABLE ",
        "SQL: ",
        "**Answer:** `",
        "```",
        "```sql\n",
        "`",
        "'",
        '"',
        "[",
        "]",
        "(",
        ")",
        ";",
        "--",
    ),
    *(
        "/*",
        "*/",
        "\n",
        "\n\n",
        " ",
        "\t",
        ",",
        "*",
        ">",
        "_",
        "ORDER BY ",
        "a",
        "1",
        "é",
        "\0",
        "\ud800",
        "\u2028",
    ),
]
answers = st.one_of(
    st.text(st.characters(), max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
)
values = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 0.1 + 0.2, 0.3, 1.0]),
    st.sampled_from("aAb"),
    st.just(b"a"),
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(values, min_size=width, max_size=width).map(tuple), min_size=1, max_size=8
    )
)


@CASES
@given(answers)
def test_a_statement_is_part_of_its_answer(answer):
    found = statement(answer)
    if found is not None:
        assert found == found.strip() != "" and found in answer
        # A statement read again is itself: targets are read by the same function.
        assert "`" in found or statement(f"```sql\n{found}\n```") == found
        is_ordered(found)


@pytest.mark.parametrize(
    "piece", [*PIECES, "WITH x (", "SQL:\n", "CREATE TABLE", "UPDATE OR a ", "```a", "`select `"]
)
def test_a_megabyte_takes_no_time(piece):
    answer = piece * (1_000_000 // len(piece))
    assert keeps_within(1, lambda: (statement(answer), is_ordered(answer[:MAX_CHARACTERS])))


@CASES
@given(tables, st.randoms(use_true_random=False))
def test_rows_and_columns_in_any_order_are_the_same(rows, chance: random.Random):
    order = chance.sample(range(len(rows[0])), len(rows[0]))
    moved = chance.sample([tuple(row[at] for at in order) for row in rows], len(rows))
    assert same(Result(len(order), moved), Result(len(order), rows), ordered=False)
    in_order = [tuple(row[at] for at in order) for row in rows]
    assert same(Result(len(order), in_order), Result(len(order), rows), ordered=True)


@CASES
@given(tables, st.data())
def test_another_value_is_not_the_same(rows, data):
    row, column = (
        data.draw(st.integers(0, len(rows) - 1)),
        data.draw(st.integers(0, len(rows[0]) - 1)),
    )
    other = [list(cells) for cells in rows]
    other[row][column] = "something else"
    for ordered in (False, True):
        assert not same(
            Result(len(rows[0]), [*map(tuple, other)]), Result(len(rows[0]), rows), ordered
        )
        assert not same(Result(len(rows[0]), rows[1:]), Result(len(rows[0]), rows), ordered)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    script = tmp_path_factory.mktemp("database") / "schema.sql"
    script.write_text("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, NULL);")
    rule = sql()
    return rule, [
        Example("train:0", {"database": str(script)}, "q", "SELECT a FROM t", "dev.json:2")
    ]


@CASES
@given(answers)
def test_every_answer_has_a_verdict(asked, answer):
    rule, examples = asked
    values, failed = rule.score([answer, f"SELECT {answer}"], examples)
    assert set(values) <= {0.0, 1.0} and failed[0] == (statement(answer) is None)
    assert not (failed & (values > 0)).any()
