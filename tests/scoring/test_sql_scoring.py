"""The rule sql: which statement is read, when two results are the same, and what a statement may do
(nothing).
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from timing import keeps_within

from opro_local.errors import DataError
from opro_local.scoring.sql.compare import same
from opro_local.scoring.sql.process import Limits, Result, SqlProcess
from opro_local.scoring.sql.reading import is_ordered, statement
from opro_local.scoring.sql.rule import sql
from opro_local.types import Example

HOSTILE = [
    json.loads(line) for line in Path(__file__).with_name("hostile.jsonl").read_text().splitlines()
]
# Of these kinds, nothing may run at all; the others may return a harmless result.
NEVER = {
    "write",
    "schema",
    "temporary",
    "attach",
    "vacuum",
    "pragma",
    "transaction",
    "function",
    "several",
}
SHOP = """
CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, price REAL, note TEXT);
INSERT INTO item VALUES (1, 'pen', 1.5, NULL), (2, 'ink', 2, 'blue'), (3, 'pad', 4.25, 'A5'), (4, 'cap', 4.25, NULL);
CREATE VIEW all_items AS SELECT id, name FROM item;
CREATE INDEX by_name ON item (name);
CREATE TRIGGER keep AFTER DELETE ON item BEGIN SELECT 1; END;
CREATE TABLE number (n INTEGER);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) INSERT INTO number SELECT x FROM c;
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(SHOP)
    connection.close()
    return path


@pytest.fixture(scope="module")
def rule():
    return sql()


def example(shop, query):
    return Example("test:0", {"database": str(shop)}, "question", query, "dev.json:7")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("SELECT 1", "SELECT 1"),
        ("  select a from t ; and so on", "select a from t"),
        ("Here you are:\n```sql\nSELECT a\n\nFROM t;\n```\nIt selects a.", "SELECT a\n\nFROM t"),
        ("```\nSELECT a FROM t\n```", "SELECT a FROM t"),
        ("```sqlite\nWITH x AS (SELECT 1) SELECT * FROM x", "WITH x AS (SELECT 1) SELECT * FROM x"),
        ("```sql SELECT 1```", "SELECT 1"),
        ("```python\nprint('SELECT 2')\n```\n```sql\nSELECT 1\n```", "SELECT 1"),
        ("I select the rows with care.\n\n**SQL query:** `SELECT a FROM t`", "SELECT a FROM t"),
        ("SQL: select a from t\n\nQuestion: what?\nSQL: select b from t", "select a from t"),
        ("Use `SELECT a FROM t WHERE b = 1` for that.", "SELECT a FROM t WHERE b = 1"),
        ("```sql\nSELECT `a` FROM t\n```", "SELECT `a` FROM t"),
        ("With this you select it: SELECT a FROM t", "SELECT a FROM t"),
        (
            "select a from t where b in\n(SELECT c FROM d)",
            "select a from t where b in\n(SELECT c FROM d)",
        ),
        ("SELECT a FROM t\n\nThis selects a.", "SELECT a FROM t"),
        ("SELECT a\n\nFROM t\n\nORDER BY a\n\nThat is it", "SELECT a\n\nFROM t\n\nORDER BY a"),
        (
            "SELECT ';', \";\", `;`, [;] -- ;\n, 1 /* ; */ FROM t; x",
            "SELECT ';', \";\", `;`, [;] -- ;\n, 1 /* ; */ FROM t",
        ),
        ("SELECT 'it''s; fine' FROM t; x", "SELECT 'it''s; fine' FROM t"),
        (
            "WITH RECURSIVE c(x) AS (VALUES (1)) SELECT x FROM c;",
            "WITH RECURSIVE c(x) AS (VALUES (1)) SELECT x FROM c",
        ),
        ("VALUES (1), (2)", "VALUES (1), (2)"),
        ("DROP TABLE t; SELECT 1", "DROP TABLE t"),
        ("CREATE TABLE t (a number)\n\nSELECT a FROM t;", "SELECT a FROM t"),
        ("```sql\nDELETE FROM t\n```", "DELETE FROM t"),
        ("I update the drop with care, to create, delete and insert values.", None),
        ("The answer is 42.", None),
        ("", None),
        ("```\n```", None),
    ],
)
def test_the_statement_of_an_answer(answer, found):
    assert statement(answer) == found


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("select a from t order\n by a limit 1", True),
        ("SELECT a FROM t UNION SELECT b FROM t ORDER /* x */ BY 1", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a)", False),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", False),
        ("SELECT 'ORDER BY' FROM t -- ORDER BY a", False),
        ("WITH x AS (SELECT 1 ORDER BY 1) SELECT * FROM x ORDER BY 1", True),
        ('SELECT "order" by FROM t', False),
    ],
)
def test_whether_the_order_counts(query, ordered):
    assert is_ordered(query) is ordered


def result(*rows):
    return Result(len(rows[0]), rows)


@pytest.mark.parametrize(
    ("found", "gold", "equal"),
    [
        (result((1, "a"), (2, "b")), result((2, "b"), (1, "a")), True),
        (result(("a", 1), ("b", 2)), result((2, "b"), (1, "a")), True),
        (result((1, "b"), (2, "a")), result((2, "b"), (1, "a")), False),
        (result((1,), (1,), (2,)), result((1,), (2,), (2,)), False),
        (result((1,)), result((1,), (1,)), False),
        (result((1,)), result((1, 1)), False),
        (result((None,)), result((None,)), True),
        (result((None,)), result((0,)), False),
        (result((None,)), result(("",)), False),
        (result((1,)), result((1.0,)), True),
        (result((1,)), result(("1",)), False),
        (result(("a",)), result((b"a",)), False),
        (result(("a",)), result(("A",)), False),
        (result(("a",)), result(("a ",)), False),
        (result((0.1 + 0.2,)), result((0.3,)), True),
        (result((1.0000005,)), result((1.0,)), True),
        (result((1.00001,)), result((1.0,)), False),
        (result((1_000_000,)), result((1_000_001,)), False),
        (result((1_000_000.0,)), result((1_000_001,)), False),
        (result((2**53,)), result((2**53 + 1,)), False),
        (result((1e-12,)), result((0,)), True),
        (result((math.inf,)), result((math.inf,)), True),
        (result((math.inf,)), result((1e300,)), False),
        (result((math.inf,)), result((-math.inf,)), False),
        # Nearly equal numbers must not pull rows apart that belong together.
        (result((0.3, "b"), (0.1 + 0.2, "a")), result((0.3, "a"), (0.3, "b")), True),
        # Two columns with the same values in different rows: only one assignment is right, or none.
        (result((1, 2, 3), (2, 1, 4)), result((2, 1, 3), (1, 2, 4)), True),
        (result((1, 1, 3), (2, 2, 4)), result((1, 2, 3), (2, 1, 4)), False),
        (
            result((1, 2, 2, 1), (2, 1, 1, 2), (3, 3, 4, 4)),
            result((3, 3, 4, 4), (1, 2, 2, 1), (2, 1, 1, 2)),
            True,
        ),
        (Result(1, []), Result(1, []), True),
        (Result(2, []), Result(1, []), False),
        (Result(1, []), result((None,)), False),
    ],
)
def test_the_same_result(found, gold, equal):
    assert same(found, gold, ordered=False) is equal
    assert same(gold, found, ordered=False) is equal


def test_the_same_order():
    gold = result((1, "x"), (2, "y"), (3, "x"))
    assert same(result(("x", 1), ("y", 2), ("x", 3)), gold, ordered=True)
    assert not same(result((2, "y"), (1, "x"), (3, "x")), gold, ordered=True)


def ring(members):
    """A table whose rows are the edges of a ring and whose columns are its 40 corners: 1 where they
    meet.
    """
    pairs = zip(members, [*members[1:], members[0]], strict=True)
    return [tuple(int(corner in pair) for corner in range(40)) for pair in pairs]


def test_columns_that_can_hardly_be_told_apart_take_bounded_time():
    """One ring of 40 against two of 20: every column looks alike, and there are 40! ways to lay one
    on the other.
    """
    corners = np.random.default_rng(0).permutation(40).tolist()
    one = Result(40, ring([*range(40)]))
    two = Result(40, ring(corners[:20]) + ring(corners[20:]))
    assert keeps_within(30, lambda: same(one, two, False))
    assert not same(one, two, False)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("SELECT price, name FROM item", 1),
        ("```sql\nSELECT name, price FROM item ORDER BY price DESC;\n```", 1),
        ("SELECT name, price * 1.0000001 FROM item", 1),
        ("SELECT name, price FROM item WHERE note IS NULL OR note > ''", 1),
        ("SELECT name FROM item", 0),
        ("SELECT name, price FROM item UNION ALL SELECT 'pen', 1.5", 0),
        ("SELECT name, prize FROM item", 0),
        ("SELEC name, price FROM item", None),
        ("DELETE FROM item", 0),
        ("I don't know.", None),
    ],
)
def test_what_an_answer_earns(shop, rule, answer, value):
    values, failed = rule.score([answer], [example(shop, "SELECT name, price FROM item")])
    assert (values[0], failed[0]) == (value or 0, value is None)


def test_the_golds_order_counts(shop, rule):
    gold = rule.gold(example(shop, "SELECT id FROM item ORDER BY id DESC"))
    assert rule.verdict("SELECT id FROM item ORDER BY -id", gold) == 1
    assert rule.verdict("SELECT id FROM item ORDER BY id", gold) == 0
    ties = rule.gold(example(shop, "SELECT id FROM item"))
    assert rule.verdict("SELECT id FROM item ORDER BY id DESC", ties) == 1


def test_a_gold_that_does_not_run(shop, rule):
    with pytest.raises(
        DataError, match=r"dev\.json:7: the gold SQL does not run: no such column: nme"
    ):
        rule.gold(example(shop, "SELECT nme FROM item"))
    with pytest.raises(DataError, match=r"dev\.json:7: no column 'database'"):
        rule.gold(Example("test:0", {}, "q", "SELECT 1", "dev.json:7"))
    with pytest.raises(DataError, match=r"none\.sqlite: "):
        rule.gold(example(shop.with_name("none.sqlite"), "SELECT 1"))


def test_ordinary_sql_runs(shop):
    process = SqlProcess(Limits())
    for query, rows in {
        "SELECT upper(name), round(price, 1), coalesce(note, '-') FROM item WHERE id = 1": [
            ("PEN", 1.5, "-")
        ],
        "SELECT date('2024-01-31', '+1 month'), strftime('%Y', '2020-02-03')": [
            ("2024-03-02", "2020")
        ],
        "SELECT datetime('2020-01-01 10:00', 'localtime')": [("2020-01-01 10:00:00",)],
        "SELECT count(*) FROM all_items": [(4,)],
        "SELECT value FROM json_each('[1, null]')": [(1,), (None,)],
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3) SELECT "
        "max(x) FROM c": [(3,)],
        "SELECT rank() OVER (ORDER BY price) FROM item LIMIT 1": [(1,)],
        "SELECT 'é', x'00ff', 1e999, NULL, CAST(x'ff' AS TEXT)": [
            ("é", b"\x00\xff", math.inf, None, "\udcff")
        ],
        " -- a comment\n /* another */ VALUES (2)": [(2,)],
    }.items():
        assert process.run(str(shop), query) == Result(len(rows[0]), rows), query
    process.close()


@pytest.mark.parametrize(
    "now",
    ["'now'", "'NOW'", "x'4E4F57'", "x'6e6f7700ff'", "'now' || char(0)", "'Subsec'", "'subsecond'"],
)
def test_no_spelling_of_now_reads_the_clock(shop, now):
    process = SqlProcess(Limits())
    for query in (f"SELECT date({now})", f"SELECT strftime('%s', {now}, '+1 day')"):
        assert process.run(str(shop), query) == "a date function that reads the clock, or fails", (
            query
        )
    # Other blobs are times as before.
    assert process.run(str(shop), "SELECT date(x'323032302d30312d3032')") == Result(
        1, [("2020-01-02",)]
    )
    process.close()


def text(case) -> str:
    sql = case["sql"]
    return sql if isinstance(sql, str) else "".join(part * times for part, times in sql)


def peak_mib(process) -> int:
    status = Path(f"/proc/{process._child.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10


def test_the_corpus_is_what_it_says():
    assert len(HOSTILE) >= 300 and len({text(case) for case in HOSTILE}) == len(HOSTILE)
    assert {case["kind"] for case in HOSTILE} > NEVER


@pytest.mark.parametrize(
    "every", [pytest.param(4, id="ci"), pytest.param(1, id="long", marks=pytest.mark.long)]
)
def test_hostile_sql_changes_nothing_and_comes_back(
    tmp_path, shop, monkeypatch, record_property, every
):
    """All 300 and more, or each fourth of them, on a writable database in a writable folder: same bytes, no new file, in
    time, in memory.
    """
    database = tmp_path / "shop.sqlite"
    database.write_bytes(shop.read_bytes())
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    process, limits, slowest, peak = SqlProcess(Limits()), Limits(), 0.0, 0
    for case in HOSTILE[::every]:
        query = text(case).replace("$DIR", str(tmp_path))
        started = time.perf_counter()
        found = process.run(str(database), query)
        slowest = max(slowest, time.perf_counter() - started)
        assert isinstance(found, str) or case["kind"] not in NEVER, query[:200]
        assert os.listdir(tmp_path) == ["shop.sqlite"], query[:200]
        assert hashlib.sha256(database.read_bytes()).hexdigest() == before, query[:200]
        if process._child is not None:
            peak = max(peak, peak_mib(process))
    record_property("slowest_seconds", slowest)
    assert slowest < limits.seconds + 20
    assert peak <= limits.memory_bytes >> 20
    assert process.run(str(database), "SELECT count(*) FROM item") == Result(1, [(4,)])
    process.close()


def test_hostile_answers_earn_nothing(shop, rule):
    gold = rule.gold(example(shop, "SELECT name, price FROM item"))
    for case in HOSTILE:
        if case["kind"] in NEVER | {"parser"}:
            value = rule.verdict(f"```sql\n{text(case)}\n```", gold)
            assert math.isnan(value) or value == 0, text(case)[:200]


def test_the_child_starts_again_after_it_died(shop):
    process = SqlProcess(Limits(cpu_seconds=0.1, seconds=100))
    started = time.perf_counter()
    # Fewer steps than the progress handler waits for, so that only the clock can end them. What
    # older SQLite is slow at, printf('%.1000000000c'), newer refuse at once.
    search = "instr(printf('%.240000c', 'x'), printf('%.120000c', 'x') || 'y')"
    slow = f"SELECT {' + '.join([search] * 100)}"
    assert process.run(str(shop), slow).startswith("over ")
    # 0.6 s of CPU time, and a machine that is shared; the statement takes 60 s or more if nothing
    # ends it.
    assert time.perf_counter() - started < 30
    assert process.run(str(shop), "SELECT 1") == Result(1, [(1,)])
    os.kill(process._child.pid, 9)
    assert isinstance(process.run(str(shop), "SELECT 1"), str)
    assert process.run(str(shop), "SELECT 1") == Result(1, [(1,)])
    process.close()


def test_the_child_ends_with_its_rule(shop):
    process = SqlProcess(Limits())
    process.run(str(shop), "SELECT 1")
    pid = process._child.pid
    del process
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()


def test_more_databases_than_are_kept_open(tmp_path):
    paths = [tmp_path / f"{index}.sql" for index in range(12)]
    for index, path in enumerate(paths):
        path.write_text(f"CREATE TABLE t (a); INSERT INTO t VALUES ({index});")
    process = SqlProcess(Limits())
    for index, path in [*enumerate(paths)] * 2:
        assert process.run(str(path), "SELECT a FROM t") == Result(1, [(index,)])
    process.close()


def test_the_number_of_steps_decides_before_the_clock(shop):
    """Twice as many rows as the limit lets through fail, half as many pass: no clock is involved."""
    process = SqlProcess(Limits(steps=200_000, cpu_seconds=60))
    query = "SELECT count(*) FROM number a, number b WHERE a.n <= {} AND b.n > 0"
    assert process.run(str(shop), query.format(10)) == Result(1, [(10_000,)])
    assert process.run(str(shop), query.format(900)) == "over 200000 steps or 60 s"
    process.close()


@pytest.mark.parametrize(
    ("limits", "query"),
    [
        ({"rows": 999}, "SELECT n FROM number"),
        ({"result_bytes": 7_999}, "SELECT n FROM number"),
        ({"value_bytes": 99}, "SELECT zeroblob(100)"),
        ({"sql_bytes": 19}, "SELECT n FROM number"),
    ],
)
def test_the_other_limits(shop, limits, query):
    process = SqlProcess(Limits(**limits))
    assert isinstance(process.run(str(shop), query), str)
    process.close()
    # One more of anything, and it runs.
    process = SqlProcess(Limits(**{name: value + 1 for name, value in limits.items()}))
    assert isinstance(process.run(str(shop), query), Result)
    process.close()
