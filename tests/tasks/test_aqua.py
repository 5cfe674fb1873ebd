"""AQuA in both layouts, the reference's rendering, rows to train on, and rows that are broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub import write_parquet, write_saved

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.runs import inspection
from opro_local.tasks import loading

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not (SHARED / "aqua").is_dir(), reason=f"no AQuA in {SHARED}")


def load(folder, training=False, **changes):
    return loading.load(TaskSettings(name="aqua", data_dir=str(folder), **changes), training)


def rows_of(count=10):
    options = ["A)1", "B)2", "C)3", "D)4", "E)None of these"]
    return [
        {
            "question": f"What is {n}?",
            "options": options,
            "rationale": f"It is {n}.",
            "correct": "ABCDE"[n % 5],
        }
        for n in range(count)
    ]


def write(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "AQuA.json").write_text("".join(json.dumps(row) + "\n" for row in rows))


@needs_shared
@pytest.mark.parametrize("place", ["", "aqua"])
def test_the_benchmark(place):
    task = load(SHARED / place)
    assert {split: len(rows) for split, rows in task.splits.items()} == {"test": 60}
    assert (task.rule, task.kind, task.version) == ("choice", "choice", 1)
    assert task.notices[0] == "aqua: 60 test rows where the benchmark has 254"
    row = task.splits["test"][0]
    assert row.input.endswith("\n(E)None of these\nWhat's the answer in (A) (B) (C) (D) (E)?")
    assert row.input.startswith("A car is being driven") and "\n(A)5(√3 + 1)\n(B)6" in row.input
    assert (row.id, row.target) == ("test:0", "A") and row.where.endswith("AQuA.json:1")


@needs_shared
def test_every_gold_answer_scores_one():
    found = inspection.validate(TaskSettings(name="aqua", data_dir=str(SHARED)))
    assert (found["rows"], found["wrong"]) == (60, [])


def test_rows_to_train_on_must_be_asked_for(tmp_path):
    write(tmp_path, rows_of())
    with pytest.raises(
        UsageError, match=r"aqua has no rows to train on, as in the paper; set task\.train_rows"
    ):
        load(tmp_path, training=True)
    task = load(tmp_path, training=True, train_rows=4, validation_rows=2)
    # np.random.seed(0); np.sort(np.random.choice(10, 4, replace=False))
    assert [row.id for row in task.splits["train"]] == ["test:2", "test:4", "test:8", "test:9"]
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 4,
        "validation": 2,
        "test": 4,
    }
    assert len({row.id for rows in task.splits.values() for row in rows}) == 10
    with pytest.raises(DataError, match=r"AQuA\.json:1: 10 rows, 11 wanted for train"):
        load(tmp_path, train_rows=11)


@pytest.mark.parametrize("write_hub", [write_parquet, write_saved])
@pytest.mark.parametrize("place", ["", "raw", "deepmind/aqua_rat/raw"])
def test_both_layouts_give_the_same_rows(tmp_path, write_hub, place):
    write(tmp_path / "opro" / "data" / "AQuA-data", rows_of())
    write_hub(tmp_path / "hub" / place, test=rows_of(), train=rows_of(30), validation=rows_of(5))
    opro, hub = load(tmp_path / "opro"), load(tmp_path / "hub")
    assert [(row.id, row.columns, row.input, row.target) for row in opro.splits["test"]] == [
        (row.id, row.columns, row.input, row.target) for row in hub.splits["test"]
    ]
    assert list(hub.splits) == ["test"]
    own = load(tmp_path / "hub", train_rows=7, validation_rows=5)
    assert {split: len(rows) for split, rows in own.splits.items()} == {
        "train": 7,
        "validation": 5,
        "test": 10,
    }
    assert {row.id.partition(":")[0] for row in own.splits["train"]} == {"train"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct": "F"}, ":11: correct is 'F', the options are A, B, C, D, E"),
        ({"correct": "a"}, ":11: correct is 'a', the options are"),
        (
            {"correct": "D", "options": ["A)1", "B)2", "C)3"]},
            ":11: correct is 'D', the options are A, B, C",
        ),
        ({"correct": None}, ":11: correct is missing"),
        ({"correct": 1}, ":11: correct is 1, not a text"),
        ({"correct": ["A"]}, ":11: correct is ['A'], not a text"),
        ({"options": "A)1"}, ":11: options is 'A)1', not a list of texts"),
        ({"options": []}, ":11: options is [], not a list of texts"),
        ({"options": None}, ":11: options is None, not a list of texts"),
        ({"options": ["A)1", 2]}, ":11: option 2 is 2, not a text"),
        ({"options": ["A)1", "two"]}, ":11: the option 'two' has no letter; write it as 'A)11'"),
        ({"question": 5}, ":11: question is 5, not a text"),
        ({"question": " "}, ":11: question is empty"),
    ],
)
def test_broken_rows(tmp_path, change, message):
    write(tmp_path, [*rows_of(), rows_of()[0] | change])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/AQuA.json{message}") and "\n" not in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty"),
        ('{"question": "a"', ":1: no JSON: "),
        ("5", ":1: a string or a number where an object with named columns is expected"),
        ("[]", ":1: no rows"),
        ('{"options": ["A)1"], "correct": "A"}', ":1: question is missing"),
    ],
)
def test_broken_files(tmp_path, content, message):
    (tmp_path / "AQuA.json").write_text(content)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/AQuA.json{message}")


@pytest.mark.parametrize("column", ["question", "options", "correct"])
def test_columns_missing_in_parquet(tmp_path, column):
    write_parquet(
        tmp_path, test=[{k: v for k, v in row.items() if k != column} for row in rows_of()]
    )
    with pytest.raises(DataError, match=f"parquet: no column '{column}'; the columns are"):
        load(tmp_path)


def test_missing(tmp_path):
    with pytest.raises(DataError, match=r"no AQuA here; expected AQuA\.json"):
        load(tmp_path)
