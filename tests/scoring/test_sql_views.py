"""What stands in a database's own definitions: views and generated columns work, and open nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from opro_local.scoring.sql.process import Limits, Result, SqlProcess

LOANS = """
CREATE TABLE loan (day TEXT, year GENERATED ALWAYS AS (strftime('%Y', day)), note GENERATED ALWAYS AS (upper(day)));
INSERT INTO loan VALUES ('2020-03-01'), ('2021-05-06'), ('2021-07-08');
CREATE VIEW per_year AS SELECT strftime('%Y', day) year, count(*) n FROM loan GROUP BY 1;
CREATE VIEW latest AS SELECT date(max(day), '+1 day') FROM loan;
"""
# What a view made by a stranger may ask for.
CALLS = (
    *(
        "load_extension('x')",
        "readfile('/etc/passwd')",
        "writefile('x', 'y')",
        "edit('x')",
        "fts3_tokenizer('simple')",
    ),
    *(
        "rtreecheck('loan')",
        "sqlite_version()",
        "total_changes()",
        "random()",
        "date('now')",
        "current_timestamp",
    ),
)
VIRTUAL = (
    "pragma_table_list",
    "pragma_function_list",
    "dbstat",
    "sqlite_stmt",
    "fts3tokenize",
    "boxes",
)
BOXES = """
CREATE VIRTUAL TABLE boxes USING rtree (id, low, high);
INSERT INTO boxes VALUES (1, 2, 3);
"""


@pytest.fixture(params=["sqlite", "sql"])
def database(request, tmp_path):
    """A function that makes a database of a script: a file, or the script as it is."""

    def make(script: str) -> str:
        path = tmp_path / f"loans.{request.param}"
        if request.param == "sql":
            path.write_text(script)
        else:
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(script)
        return str(path)

    return make


@pytest.fixture
def process():
    process = SqlProcess(Limits())
    yield process
    process.close()


def test_date_functions_work_in_views_and_generated_columns(database, process):
    path = database(LOANS)
    for query, rows in {
        "SELECT * FROM per_year": [("2020", 1), ("2021", 2)],
        "SELECT * FROM latest": [("2021-07-09",)],
        "SELECT year FROM loan WHERE year > '2020'": [("2021",), ("2021",)],
        "SELECT note FROM loan LIMIT 1": [("2020-03-01",)],
    }.items():
        assert process.run(path, query) == Result(len(rows[0]), rows), query


@pytest.mark.parametrize("call", CALLS)
def test_a_view_calls_nothing_that_a_statement_may_not(database, process, call):
    path = database(f"{LOANS} CREATE VIEW trap AS SELECT {call};")
    assert isinstance(process.run(path, "SELECT * FROM trap"), str)
    assert process.run(path, "SELECT count(*) FROM loan") == Result(1, [(3,)])


@pytest.mark.parametrize("call", ["date('now')", "date()", "strftime('%s', x'4e4f57')", "date(a)"])
def test_a_generated_column_does_not_read_the_clock(database, process, call):
    added = f"ALTER TABLE trap ADD COLUMN b GENERATED ALWAYS AS ({call});"
    path = database(f"CREATE TABLE trap (a); INSERT INTO trap VALUES ('now'); {added}")
    assert process.run(path, "SELECT a FROM trap") == Result(1, [("now",)])
    assert (
        process.run(path, "SELECT b FROM trap") == "a date function that reads the clock, or fails"
    )


def rtree() -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        return ("rtree",) in connection.execute("PRAGMA module_list").fetchall()


@pytest.mark.parametrize("columns", ["*", "count(*)"])
@pytest.mark.parametrize("name", VIRTUAL)
def test_virtual_tables_are_refused_in_a_view_and_outside(database, process, name, columns):
    if name == "boxes" and not rtree():
        pytest.skip("this SQLite has no rtree")
    own = BOXES if name == "boxes" else ""
    path = database(f"{LOANS} {own} CREATE VIEW trap AS SELECT {columns} FROM {name};")
    for query in (
        f"SELECT {columns} FROM {name}",
        "SELECT * FROM trap",
        "SELECT count(*) FROM trap",
    ):
        assert isinstance(process.run(path, query), str), query


def test_a_virtual_table_that_says_it_is_a_plain_one_is_refused(database, process):
    if not rtree():
        pytest.skip("this SQLite has no rtree")
    disguise = (
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 2 WHERE name = 'boxes';"
    )
    path = database(f"{LOANS} {BOXES} CREATE VIEW trap AS SELECT * FROM boxes; {disguise}")
    for query in ("SELECT * FROM boxes", "SELECT * FROM trap"):
        assert isinstance(process.run(path, query), str), query


def test_a_with_table_may_have_any_name_that_is_free(database, process):
    query = "WITH c AS (SELECT 1), per AS (SELECT 2) SELECT count(*) FROM c, per"
    assert process.run(database(LOANS), query) == Result(1, [(1,)])
