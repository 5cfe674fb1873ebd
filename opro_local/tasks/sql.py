"""Text-to-SQL in Spider's layout (Yu et al. 2018, arXiv 1809.08887), and the small data set of that
shape we ship.

For: questions with their database's schema, gold SQL and the path of the database. Not for: running
SQL (the rule sql does).
"""

# One row of dev.json (query_toks and others are not read):
#   {"db_id": "library", "question": "How many books are there?",
#    "query": "SELECT count(*) FROM book"}
# And what tables.json says about its database:
#   {"db_id": "library", "table_names_original": ["book", ...],
#    "column_names_original": [[-1, "*"], [0, "id"], ...], "column_types": ["text", "number", ...],
#    "primary_keys": [1, ...], "foreign_keys": [[9, 1], ...]}

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opro_local.errors import DataError
from opro_local.tasks import table
from opro_local.tasks.division import divide
from opro_local.tasks.published import text
from opro_local.tasks.rows import Row
from opro_local.tasks.task import Benchmark, Task
from opro_local.tasks.text_file import bytes_of
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

VERSION = 1
SHIPPED = Path(__file__).parents[1] / "data" / "sql"
FOLDERS = ("", "spider", "spider_data", "data")
TRAIN = ("train.json", "train_spider.json", "train_others.json")
EXPECTED = (
    "expected tables.json, dev.json and database/<db_id>/<db_id>.sqlite (or schema.sql), "
    "as Spider has them"
)
# A name that needs no quotes.
PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
FOLDER_NAME = re.compile(r"\w[\w.-]*")


def load(settings: TaskSettings) -> Task:
    """The questions of `data_dir`; without one, those that are shipped.

    train.json (or train_spider.json and train_others.json) is train. With a test.json, dev.json is
    validation and test.json test; without one, dev.json is test. If there is only dev.json, it is
    divided by task.split.

    Raises:
        DataError: a file or database is missing, or a row or schema is malformed: file:line.
    """
    folder = _folder(Path(settings.data_dir)) if settings.data_dir else SHIPPED
    schemas = _schemas(folder)
    splits: dict[Split, list[Example]] = {
        split: _examples(split, paths, folder, schemas)
        for split, paths in _files(folder).items()
        if paths
    }
    if not splits:
        raise DataError(f"{folder}: no questions here", EXPECTED)
    if set(splits) == {"test"}:
        splits = divide(splits["test"], settings.split, settings.split_seed)
    whole = {split: tuple(rows) for split, rows in splits.items()}
    return Task("sql", whole, "sql", "question", "query", version=VERSION, content=_content(whole))


BENCHMARK = Benchmark(load, VERSION)


def _files(folder: Path) -> dict[Split, list[Path]]:
    """The files of each split, of those that there are."""
    train, dev, test = (
        [folder / name for name in names if (folder / name).is_file()]
        for names in (TRAIN, ("dev.json",), ("test.json",))
    )
    if test:
        return {"train": train, "validation": dev, "test": test}
    return {"train": train, "test": dev}


def _content(splits: Mapping[Split, Sequence[Example]]) -> str:
    """16 hex digits over the databases that the rows name."""
    files = {row.columns["database"] for rows in splits.values() for row in rows}
    digests = [hashlib.sha256(bytes_of(Path(file))).digest() for file in sorted(files)]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16]


def _folder(place: Path) -> Path:
    for name in FOLDERS:
        if (place / name / "tables.json").is_file():
            return place / name
    raise DataError(f"{place}: no tables.json here", EXPECTED)


def _examples(
    split: Split, paths: Sequence[Path], folder: Path, schemas: Mapping[str, str]
) -> list[Example]:
    rows = chain.from_iterable(_rows(path) for path in paths)
    databases = {name: _database(folder, name) for name in schemas}
    return [
        _example(f"{split}:{index}", row, schemas, databases, folder)
        for index, row in enumerate(rows)
    ]


def _rows(path: Path) -> Sequence[Row]:
    return table.read(str(path), typed=True)[""].rows


def _example(
    name: str,
    row: Row,
    schemas: Mapping[str, str],
    databases: Mapping[str, Path | None],
    folder: Path,
) -> Example:
    where = row.where
    db_id, question, query = [
        text(where, row.columns, key) for key in ("db_id", "question", "query")
    ]
    if db_id not in schemas:
        raise DataError(
            f"{where}: the db_id {db_id!r} is not in tables.json", f"there are {_listed(schemas)}"
        )
    if databases[db_id] is None:
        hint = f"expected {folder / 'database' / db_id / db_id}.sqlite, or schema.sql beside it"
        raise DataError(f"{where}: no database for the db_id {db_id!r}", hint)
    schema, question = schemas[db_id], question.strip()
    columns = {"question": question, "schema": schema, "query": query, "db_id": db_id}
    columns["database"] = str(databases[db_id])
    return Example(name, columns, f"{schema}\n\n{question}", query.strip(), where)


def _listed(names: Mapping[str, Any]) -> str:
    listed = ", ".join(list(names)[:10])
    return f"{listed}, ..." if len(names) > 10 else listed


def _database(folder: Path, db_id: str) -> Path | None:
    for place in (folder / "database" / db_id, folder / "test_database" / db_id):
        for path in (place / f"{db_id}.sqlite", place / "schema.sql"):
            if path.is_file():
                return path.absolute()
    return None


def _schemas(folder: Path) -> dict[str, str]:
    """Each database's CREATE TABLE lines by db_id, from tables.json and, in newer Spider,
    test_tables.json.
    """
    rows = list(_rows(folder / "tables.json"))
    if (folder / "test_tables.json").is_file():
        rows += _rows(folder / "test_tables.json")
    schemas = {}
    for row in rows:
        db_id = text(row.where, row.columns, "db_id")
        if not FOLDER_NAME.fullmatch(db_id):
            raise DataError(
                f"{row.where}: the db_id {db_id!r} is no name of a folder", "restore the file"
            )
        try:
            schemas[db_id] = "\n".join(_create(row.columns))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            what = "its lists of tables, columns and keys disagree"
            if isinstance(error, KeyError):
                what = f"no {error}"
            raise DataError(
                f"{row.where}: the schema of {db_id!r} is malformed: {what}", "restore the file"
            ) from None
    return schemas


def _create(schema: Mapping[str, Any]) -> list[str]:
    """One compact CREATE TABLE line per table; types are Spider's own words (text, number, time,
    boolean, others).
    """
    tables = [_quoted(name) for name in schema["table_names_original"]]
    columns = [(owner, _quoted(name)) for owner, name in schema["column_names_original"]]
    fields: list[list[str]] = [[] for _ in tables]
    for (owner, name), kind in zip(columns, schema["column_types"], strict=True):
        if owner >= 0:
            fields[owner].append(f"{name} {kind}")
    keys: list[list[str]] = [[] for _ in tables]
    for key in schema["primary_keys"]:
        # Later Spider-shaped sets write a key of several columns as a list.
        for part in key if isinstance(key, list) else [key]:
            keys[columns[part][0]].append(columns[part][1])
    for owner, names in enumerate(keys):
        if names:
            fields[owner].append(f"PRIMARY KEY ({', '.join(names)})")
    for here, there in schema["foreign_keys"]:
        (owner, name), (other, target) = columns[here], columns[there]
        fields[owner].append(f"FOREIGN KEY ({name}) REFERENCES {tables[other]}({target})")
    return [
        f"CREATE TABLE {name} ({', '.join(parts)})"
        for name, parts in zip(tables, fields, strict=True)
    ]


def _quoted(name: str) -> str:
    return name if PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
