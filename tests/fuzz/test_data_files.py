"""Generated data files, most of them damaged: a task with rows that score 1 against themselves, or
one line that names the file.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.scoring import choosing
from opro_local.tasks import loading

KINDS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
VALUES = (
    *("positive", "negative", "yes", "no", "(A)", "(B)", "42", "-1,234.5", "3/4", "1e5", "½", "٤٢"),
    *("", " ", "\t", "null", "None", "NA", "nan", "true", "007", "x" * 3000, "ß", "😀", "e\u0301"),
    *(
        'say "hi"',
        "a,b",
        "a;b",
        "a\tb",
        "line\nbreak",
        "line\r\nbreak",
        "=1+1",
        "{",
        "[1, 2]",
        '{"a": 1}',
    ),
    *(
        "\u2028",
        "\ufeff",
        "\u202e",
        "\x1b[31m",
        "\x07",
        "{instruction}",
        "{{ 1 }}",
        "<script>",
        "..",
        "%s",
    ),
)
NUMBERS = (
    0,
    -1,
    1.5,
    1e300,
    float("inf"),
    float("nan"),
    10**30,
    True,
    None,
    [],
    {},
    [1, "a"],
    {"b": {}},
)
COLUMNS = ("input", "target", "id", "Input", "target ", "input\n", "", "αβγ", "a.b", "0")
NOISE = (
    b'"',
    b"'",
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
)
NOISE += (
    b"[",
    b"]",
    b":",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"NaN",
    b"1e999",
    b"PAR1",
    b"\xff\xfe",
    b" ",
    b"#",
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-32")


def rows(source):
    """Column names and rows, more or less as a table has them."""
    names = ["input", "target"]
    for _ in range(source.randrange(3)):
        names.insert(source.randrange(len(names) + 1), source.choice(COLUMNS))
    if source.randrange(12) == 0:
        names.remove(source.choice(names))
    targets = source.sample(VALUES, source.randint(1, 3))
    typed = source.randrange(3) == 0
    made = []
    for number in range(source.choice([0, 5, 12, 12, 30, 30])):
        row = {name: source.choice(NUMBERS if typed else VALUES) for name in names}
        if source.randrange(8):
            row |= {"input": f"question {number}", "target": source.choice(targets)}
        made.append({name: row[name] for name in names})
    return names, made


def written(source, kind):
    """The bytes of a file of some kind."""
    names, made = rows(source)
    encoding = source.choice([*["utf-8"] * 30, *ENCODINGS])
    if kind == ".parquet":
        columns = {
            name: [None if row[name] is None else str(row[name]) for row in made] for name in names
        }
        sink = io.BytesIO()
        parquet.write_table(pyarrow.table(columns), sink)
        return sink.getvalue()
    if kind in (".jsonl", ".json"):
        lines = [json.dumps(row, ensure_ascii=bool(source.randrange(2))) for row in made]
        text = "\n".join(lines)
        if kind == ".json" and source.randrange(8):
            text = f"[{', '.join(lines)}]"
        return text.encode(encoding, "replace")
    out = io.StringIO(newline="")
    delimiter = source.choice(["\t" if kind == ".tsv" else ",", ";"])
    writer = csv.writer(out, delimiter=delimiter, lineterminator=source.choice(["\n", "\r\n"]))
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in made)
    return out.getvalue().encode(encoding, "replace")


def damaged(source, content):
    """The bytes with up to three places changed; often as they were."""
    content = bytearray(content)
    for _ in range(source.choice([0, 0, 0, 0, 1, 1, 2])):
        at = source.randrange(len(content) + 1)
        kind = source.randrange(4)
        if kind == 0:
            content[at:at] = source.choice(NOISE) * source.choice([1, 1, 2, 300])
        elif kind == 1:
            del content[at : at + source.choice([1, 1, 5, 200])]
        elif kind == 2:
            content[at : at + 1] = source.randbytes(1)
        else:
            content[at:at] = content[: source.randrange(200)]
    return bytes(content)


def outcome(path: Path, source) -> str:
    """What comes of a file: "task", or the error's first words."""
    settings = TaskSettings(
        data=str(path),
        bad_rows=source.choice(["stop", "stop", "skip"]),
        rule=source.choice(
            ["auto", "auto", "exact", "number", "labels", "choice", "boolean", "contains"]
        ),
        encoding=source.choice([*[None] * 8, "latin-1", "utf-16"]),
    )
    try:
        task = loading.load(settings)
        rule = choosing.task_rule(task, settings)
        choosing.check_gold(task, rule)
    except (DataError, UsageError) as error:
        said = str(error)
        assert len(said.splitlines()) <= 11 and len(said) < 4000, ascii(said)
        assert error.hint, ascii(said)
        # What is wrong with the file starts with its name.
        assert said.startswith(str(path)) or "task." in said or "rule" in said, ascii(said)
        return "refused"
    assert task.splits["train"]
    for examples in task.splits.values():
        assert all(row.input.strip() and row.target.strip() for row in examples)
        json.dumps([dict(row.columns) for row in examples]).encode("ascii")
    return "task"


def try_files(folder, seeds):
    """How many files came to what."""
    counted = Counter()
    for seed in seeds:
        source = random.Random(seed)
        kind = KINDS[seed % len(KINDS)]
        path = folder / f"{seed}{kind}"
        path.write_bytes(damaged(source, written(source, kind)))
        try:
            counted[outcome(path, source)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}") from error
    return counted


def test_a_hundred_and_fifty_data_files(tmp_path):
    counted = try_files(tmp_path, range(150))
    assert counted["task"] > 15 and counted["refused"] > 60, counted


@pytest.mark.nightly
def test_two_thousand_data_files(tmp_path):
    counted = try_files(tmp_path, range(1000, 3000))
    assert counted.total() == 2000
    print(dict(counted))
