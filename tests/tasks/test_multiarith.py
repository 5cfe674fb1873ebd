"""MultiArith in both layouts, rows to train on, and rows that are broken."""

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
needs_shared = pytest.mark.skipif(
    not (SHARED / "multiarith").is_dir(), reason=f"no MultiArith in {SHARED}"
)


def load(folder, training=False, **changes):
    return loading.load(TaskSettings(name="multiarith", data_dir=str(folder), **changes), training)


def rows_of(count=10):
    return [
        {"iIndex": n, "sQuestion": f" What is {n}? ", "lSolutions": [float(n)]}
        for n in range(count)
    ]


def hub_rows(count=10):
    return [{"question": f"What is {n}?", "final_ans": str(n)} for n in range(count)]


def write(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MultiArith.json").write_text(
        "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
    )


@needs_shared
@pytest.mark.parametrize("place", ["", "multiarith"])
def test_the_benchmark(place):
    task = load(SHARED / place)
    assert {split: len(rows) for split, rows in task.splits.items()} == {"test": 120}
    assert (task.rule, task.kind, task.version) == ("number", "number", 1)
    row = task.splits["test"][0]
    assert (row.id, row.target) == ("test:0", "39") and row.where.endswith("MultiArith.json:2")
    assert row.input.startswith("For Halloween Debby") and row.input.endswith("do they have left?")


@needs_shared
def test_every_gold_answer_scores_one():
    found = inspection.validate(TaskSettings(name="multiarith", data_dir=str(SHARED)))
    assert (found["rows"], found["wrong"]) == (120, [])


def test_rows_to_train_on_must_be_asked_for(tmp_path):
    write(tmp_path, rows_of())
    with pytest.raises(UsageError, match="multiarith has no rows to train on"):
        load(tmp_path, training=True)
    task = load(tmp_path, training=True, train_rows=4)
    assert [row.target for row in task.splits["train"]] == ["2", "4", "8", "9"]
    assert [row.target for row in task.splits["test"]] == ["0", "1", "3", "5", "6", "7"]


@pytest.mark.parametrize("write_hub", [write_parquet, write_saved])
@pytest.mark.parametrize("place", ["", "ChilleD/MultiArith"])
def test_both_layouts_give_the_same_rows(tmp_path, write_hub, place):
    write(tmp_path / "opro" / "data" / "MultiArith-data", rows_of())
    write_hub(tmp_path / "hub" / place, train=hub_rows(20), test=hub_rows())
    opro, hub = load(tmp_path / "opro"), load(tmp_path / "hub")
    assert [(row.id, row.columns, row.input, row.target) for row in opro.splits["test"]] == [
        (row.id, row.columns, row.input, row.target) for row in hub.splits["test"]
    ]
    assert list(hub.splits) == ["test"]
    own = load(tmp_path / "hub", train_rows=20, validation_rows=3)
    assert {split: len(rows) for split, rows in own.splits.items()} == {
        "train": 20,
        "validation": 3,
        "test": 7,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lSolutions": None}, ":12: lSolutions is missing"),
        ({"lSolutions": []}, ":12: lSolutions is [], not a list of one number"),
        ({"lSolutions": [1.0, 2.0]}, ":12: lSolutions is [1.0, 2.0], not a list of one number"),
        ({"lSolutions": 5.0}, ":12: lSolutions is 5.0, not a list of one number"),
        ({"lSolutions": ["five"]}, ":12: the answer 'five' is not a number"),
        ({"lSolutions": [True]}, ":12: the answer True is not a number"),
        ({"lSolutions": [None]}, ":12: the answer None is not a number"),
        ({"sQuestion": None}, ":12: sQuestion is missing"),
        ({"sQuestion": 5}, ":12: sQuestion is 5, not a text"),
        ({"sQuestion": "  "}, ":12: sQuestion is empty"),
    ],
)
def test_broken_rows(tmp_path, change, message):
    write(tmp_path, [*rows_of(), rows_of()[0] | change])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/MultiArith.json{message}") and "\n" not in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty"),
        ("[]", ":1: no rows"),
        ("[5]", ":1: a string or a number where an object"),
        ('[{"sQuestion": "a"}]', ":1: lSolutions is missing"),
        ('[{"sQuestion": "a", "lSolutions": [1e999]}]', ":1: the answer inf is not a number"),
        ('[{"sQuestion": "a"}', ":1: no JSON: "),
    ],
)
def test_broken_files(tmp_path, content, message):
    (tmp_path / "MultiArith.json").write_text(content)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/MultiArith.json{message}")


@pytest.mark.parametrize("column", ["question", "final_ans"])
def test_columns_missing_in_parquet(tmp_path, column):
    write_parquet(
        tmp_path, test=[{k: v for k, v in row.items() if k != column} for row in hub_rows()]
    )
    with pytest.raises(DataError, match=f"parquet: no column '{column}'; the columns are"):
        load(tmp_path)


@pytest.mark.parametrize("value", ["five", None, ""])
def test_broken_hub_answers(tmp_path, value):
    write_parquet(
        tmp_path,
        test=[{"question": "What?", "final_ans": "5"}, {"question": "What?", "final_ans": value}],
    )
    with pytest.raises(DataError, match=r"parquet:2: the answer .* is not a number"):
        load(tmp_path)


def test_missing(tmp_path):
    with pytest.raises(DataError, match=r"no MultiArith here; expected MultiArith\.json"):
        load(tmp_path)
