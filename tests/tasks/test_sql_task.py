"""The task sql: Spider's layout, the shipped questions, and files that are broken."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError
from opro_local.scoring.choosing import check_gold
from opro_local.scoring.sql.rule import sql as sql_rule
from opro_local.tasks import sql

SCHEMA = {
    "db_id": "shop",
    "table_names_original": ["item", "sale day"],
    "column_names_original": [[-1, "*"], [0, "id"], [0, "name"], [1, "item"], [1, "per cent"]],
    "column_types": ["text", "number", "text", "number", "number"],
    "primary_keys": [1],
    "foreign_keys": [[3, 1]],
}
ROW = {
    "db_id": "shop",
    "question": " How many? ",
    "query": "SELECT count(*) FROM item;",
    "query_toks": ["SELECT"],
}


def settings(folder=None, **changes):
    return TaskSettings(**({"data_dir": str(folder) if folder else None} | changes))


@pytest.fixture
def folder(tmp_path):
    """Spider's layout with one database of two rows and a dev.json of ten questions."""
    place = tmp_path / "database" / "shop"
    place.mkdir(parents=True)
    connection = sqlite3.connect(place / "shop.sqlite")
    connection.executescript(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'a');"
    )
    connection.close()
    write(tmp_path / "tables.json", [SCHEMA])
    write(tmp_path / "dev.json", [ROW | {"question": f"How many? {index}"} for index in range(10)])
    return tmp_path


def write(path: Path, rows: object) -> None:
    if isinstance(rows, list):
        path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    else:
        path.write_text(str(rows))


def test_a_row(folder):
    task = sql.load(settings(folder, split=(1, 0, 0)))
    row = task.splits["train"][3]
    lines = (
        "CREATE TABLE item (id number, name text, PRIMARY KEY (id))\n"
        'CREATE TABLE "sale day" (item number, "per cent" number, FOREIGN KEY (item) REFERENCES item(id))'
    )
    assert (row.columns["schema"], row.input) == (lines, f"{lines}\n\nHow many? 3")
    assert (row.target, row.columns["question"]) == ("SELECT count(*) FROM item;", "How many? 3")
    assert row.columns["database"] == str(folder / "database" / "shop" / "shop.sqlite")
    assert row.where == f"{folder}/dev.json:5"
    assert (task.name, task.rule, task.input_column, task.target_column) == (
        "sql",
        "sql",
        "question",
        "query",
    )
    check_gold(task, sql_rule())


def test_dev_alone_is_divided(folder):
    first, second = (
        sql.load(settings(folder, split=(0.5, 0.2, 0.3), split_seed=seed)) for seed in (0, 1)
    )
    assert {split: len(rows) for split, rows in first.splits.items()} == {
        "train": 5,
        "validation": 2,
        "test": 3,
    }
    assert first.splits["train"] != second.splits["train"]


def test_files_become_splits(folder):
    for name in ("train_spider.json", "train_others.json"):
        write(folder / name, [ROW | {"question": name}])
    task = sql.load(settings(folder))
    assert {split: len(rows) for split, rows in task.splits.items()} == {"train": 2, "test": 10}
    assert [row.id for row in task.splits["train"]] == ["train:0", "train:1"]
    write(folder / "test.json", [ROW])
    task = sql.load(settings(folder))
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 2,
        "validation": 10,
        "test": 1,
    }


def test_spider_may_lie_in_a_folder_of_its_own(folder):
    (folder / "out").mkdir()
    for name in ("tables.json", "dev.json", "database"):
        (folder / name).rename(folder / "out" / name)
    (folder / "out").rename(folder / "spider")
    assert (
        sql.load(settings(folder)).splits["train"][0].where.startswith(f"{folder}/spider/dev.json:")
    )


def broken(folder, name, rows):
    write(folder / name, rows)
    with pytest.raises(DataError) as caught:
        sql.load(settings(folder))
    assert "\n" not in str(caught.value) and caught.value.hint
    return caught.value.message.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"db_id": "shop", "question": "How many?"}, "dev.json:3: query is missing"),
        (ROW | {"query": " "}, "dev.json:3: query is empty"),
        (ROW | {"query": 7}, "dev.json:3: query is 7, not a text"),
        (ROW | {"question": None}, "dev.json:3: question is missing"),
        (ROW | {"db_id": "shoe"}, "dev.json:3: the db_id 'shoe' is not in tables.json"),
        (
            ROW | {"query": "SELECT '\ud800'"},
            "dev.json:3: half a surrogate pair in the column 'query'",
        ),
    ],
)
def test_a_broken_row(folder, row, said):
    assert broken(folder, "dev.json", [ROW, row]) == said


def test_no_json(folder):
    assert broken(folder, "dev.json", f"[{json.dumps(ROW)},\n{{'db_id': 1}}]").startswith(
        "dev.json:2: no JSON"
    )
    assert broken(folder, "tables.json", "CREATE TABLE item").startswith("tables.json:1: no JSON")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"column_types": ["text"]}, "its lists of tables, columns and keys disagree"),
        ({"primary_keys": [9]}, "its lists of tables, columns and keys disagree"),
        ({"foreign_keys": [[1]]}, "its lists of tables, columns and keys disagree"),
        ({"table_names_original": [3]}, "its lists of tables, columns and keys disagree"),
        ({"db_id": "../shop"}, "the db_id '../shop' is no name of a folder"),
    ],
)
def test_a_broken_schema(folder, changes, said):
    found = broken(folder, "tables.json", [SCHEMA | changes])
    assert found.startswith("tables.json:2: ") and found.endswith(said)


def test_a_schema_without_a_part(folder):
    schema = {name: value for name, value in SCHEMA.items() if name != "foreign_keys"}
    assert broken(folder, "tables.json", [schema]).endswith(
        "the schema of 'shop' is malformed: no 'foreign_keys'"
    )


def test_what_is_missing(folder):
    (folder / "database" / "shop" / "shop.sqlite").rename(folder / "elsewhere.sqlite")
    assert broken(folder, "dev.json", [ROW]) == "dev.json:2: no database for the db_id 'shop'"
    (folder / "dev.json").unlink()
    with pytest.raises(DataError, match="no questions here"):
        sql.load(settings(folder))
    (folder / "tables.json").unlink()
    with pytest.raises(DataError, match=r"no tables\.json here"):
        sql.load(settings(folder))


@pytest.mark.parametrize(
    "query", ["SELECT nme FROM item", "DROP TABLE item", "SELECT date('now')", "how many?"]
)
def test_a_gold_that_does_not_run(folder, query):
    write(folder / "dev.json", [ROW, ROW | {"query": query, "question": "Which?"}])
    task = sql.load(settings(folder, split=(1, 0, 0)))
    with pytest.raises(DataError, match=r"dev\.json:3: the gold SQL does not run: "):
        check_gold(task, sql_rule())


@pytest.mark.parametrize(
    "content", [b"no database at all", b"", b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_a_file_that_is_no_database(folder, content):
    (folder / "database" / "shop" / "shop.sqlite").write_bytes(content)
    with pytest.raises(
        DataError, match=r"shop\.sqlite: |dev\.json:2: the gold SQL does not run: no such table"
    ):
        check_gold(sql.load(settings(folder, split=(1, 0, 0))), sql_rule())


def test_a_database_with_changes_beside_it(folder):
    (folder / "database" / "shop" / "shop.sqlite-wal").write_bytes(b"x" * 100)
    with pytest.raises(DataError, match=r"shop\.sqlite-wal holds changes"):
        check_gold(sql.load(settings(folder, split=(1, 0, 0))), sql_rule())


@pytest.mark.parametrize(
    "script", ["CREATE TABLE item (", "ATTACH 'evil.db' AS e; CREATE TABLE e.x (a);"]
)
def test_a_script_that_does_not_run(folder, script, monkeypatch):
    monkeypatch.chdir(folder)
    place = folder / "database" / "shop"
    (place / "shop.sqlite").unlink()
    (place / "schema.sql").write_text(script)
    with pytest.raises(DataError, match=r"schema\.sql: "):
        check_gold(sql.load(settings(folder, split=(1, 0, 0))), sql_rule())
    assert not (folder / "evil.db").exists()


def test_the_shipped_questions():
    task = sql.load(settings())
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 24,
        "validation": 16,
        "test": 20,
    }
    rows = [row for part in task.splits.values() for row in part]
    assert Counter(row.columns["db_id"] for row in rows) == {
        "seed_bank": 20,
        "ferry_line": 20,
        "repair_cafe": 20,
    }
    assert len({row.input for row in rows}) == len({row.target for row in rows}) == 60
    check_gold(task, sql_rule())


def test_every_shipped_question_has_an_answer_of_its_own():
    """A gold with no rows could be met by any wrong filter."""
    rows = [row for part in sql.load(settings()).splits.values() for row in part]
    rule = sql_rule()
    golds = [rule.gold(row) for row in rows]
    assert all(gold.result.rows for gold in golds)
    for gold, row in zip(golds, rows, strict=True):
        right = [other for other in rows if other.columns["db_id"] == row.columns["db_id"]]
        assert sum(rule.verdict(other.target, gold) for other in right) == 1, row.target


def test_the_shipped_schemas_are_those_of_the_databases():
    for schema in json.loads((sql.SHIPPED / "tables.json").read_text()):
        connection = sqlite3.connect(":memory:")
        connection.executescript(
            (sql.SHIPPED / "database" / schema["db_id"] / "schema.sql").read_text()
        )
        tables, columns = schema["table_names_original"], schema["column_names_original"]
        found = [[-1, "*"]]
        keys = []
        for owner, name in enumerate(tables):
            for _, column, _, _, _, primary in connection.execute(f"PRAGMA table_info({name})"):
                keys += [len(found)] * bool(primary)
                found.append([owner, column])
        foreign = [
            [columns.index([owner, row[3]]), columns.index([tables.index(row[2]), row[4]])]
            for owner, name in enumerate(tables)
            for row in connection.execute(f"PRAGMA foreign_key_list({name})")
        ]
        assert (columns, schema["primary_keys"], sorted(foreign)) == (
            found,
            keys,
            schema["foreign_keys"],
        )
        connection.close()
