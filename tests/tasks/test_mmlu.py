"""MMLU by subject and by category in both layouts, the reference's split and rendering, and rows
that are broken.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hub import write_parquet, write_saved

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.runs import inspection
from opro_local.tasks import loading, mmlu

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not (SHARED / "mmlu").is_dir(), reason=f"no MMLU in {SHARED}")


def load(name, folder, **changes):
    return loading.load(TaskSettings(name=f"mmlu/{name}", data_dir=str(folder), **changes))


def rows_of(subject, count=10):
    return [
        [f"{subject} {n}?", "one", "two", "three, or four", "five", "ABCD"[n % 4]]
        for n in range(count)
    ]


def write_csv(folder, subject, rows):
    import csv

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{subject}_test.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def hub_rows(subject, rows):
    return [
        {
            "question": row[0],
            "subject": subject,
            "choices": row[1:5],
            "answer": "ABCD".index(row[5]),
        }
        for row in rows
    ]


def test_the_category_map():
    sizes = {category: len(subjects) for category, subjects in mmlu.CATEGORIES.items()}
    assert sizes == {"STEM": 18, "humanities": 13, "social sciences": 12, "other": 14}
    assert len(mmlu.SUBJECTS) == len(set(mmlu.SUBJECTS)) == 57


@needs_shared
def test_the_benchmark():
    task = load("anatomy", SHARED)
    assert {split: len(rows) for split, rows in task.splits.items()} == {"train": 108, "test": 27}
    # np.random.seed(0); choice(135, 108), then choice of 27 of the others, as
    # optimize_instructions.py draws.
    assert [row.id for row in task.splits["test"][:6]] == [
        f"anatomy:{n}" for n in (9, 12, 20, 21, 25, 36)
    ]
    assert (task.rule, task.kind, task.notices, task.version) == ("choice", "choice", (), 1)
    row = task.splits["train"][2]
    assert row.input == (
        "Which of the following best describes the structure that collects urine in the "
        "body?\n(A) Bladder\n"
        "(B) Kidney\n(C) Ureter\n(D) Urethra\nWhat's the answer in (A) (B) (C) (D)?"
    )
    assert (row.target, row.columns["B"], row.columns["subject"]) == ("A", "Kidney", "anatomy")
    assert row.where.endswith("anatomy_test.csv:3")


@needs_shared
@pytest.mark.parametrize(
    "path", sorted((SHARED / "mmlu").glob("*.csv")), ids=lambda path: path.stem
)
def test_every_gold_answer_scores_one(path):
    found = inspection.validate(
        TaskSettings(name=f"mmlu/{path.stem.removesuffix('_test')}", data_dir=str(SHARED))
    )
    assert found["wrong"] == [] and found["rows"] >= 100


@needs_shared
def test_the_reference_validates_on_what_is_test_here():
    task = load("anatomy", SHARED, validation_rows=10)
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 108,
        "validation": 10,
        "test": 17,
    }
    everything = load("anatomy", SHARED, validation_rows=27)
    assert "test" not in everything.splits
    assert everything.splits["validation"] == load("anatomy", SHARED).splits["test"]


@pytest.mark.parametrize("name", ["STEM", "stem"])
def test_a_category_is_its_subjects_in_alphabetical_order(tmp_path, name):
    for subject in ("machine_learning", "astronomy", "anatomy"):
        write_csv(tmp_path / "MMLU-data" / "test", subject, rows_of(subject))
    task = load(name, tmp_path, validation_rows=100)
    found = sorted(row.id for rows in task.splits.values() for row in rows)
    assert found == sorted(
        f"{subject}:{n}" for subject in ("astronomy", "machine_learning") for n in range(10)
    )
    drawn = np.random.RandomState(0).choice(20, 16, replace=False)
    names = [f"{subject}:{n}" for subject in ("astronomy", "machine_learning") for n in range(10)]
    assert [row.id for row in task.splits["train"]] == [names[index] for index in sorted(drawn)]
    assert task.notices[0] == f"mmlu/{name}: 2 of its 18 subjects are here: not the paper's split"


def test_the_names_of_categories(tmp_path):
    write_csv(tmp_path, "sociology", rows_of("sociology"))
    write_csv(tmp_path, "anatomy", rows_of("anatomy"))
    for name in ("social sciences", "social_sciences", "other", "other (business, health, misc.)"):
        assert len(load(name, tmp_path).splits["train"]) == 8
    with pytest.raises(
        UsageError,
        match=r"unknown task 'mmlu/anatomie'; did you mean mmlu/anatomy\? its categories: STEM",
    ):
        load("anatomie", tmp_path)
    with pytest.raises(DataError, match=r"no mmlu/humanities here; expected <subject>_test\.csv"):
        load("humanities", tmp_path)


@pytest.mark.parametrize("write_hub", [write_parquet, write_saved])
@pytest.mark.parametrize("place", ["", "mmlu", "cais/mmlu"])
def test_both_layouts_give_the_same_rows(tmp_path, write_hub, place):
    write_csv(tmp_path / "opro" / "data" / "MMLU-data" / "test", "anatomy", rows_of("anatomy"))
    other = hub_rows("anatomy", rows_of("other", 3))
    write_hub(
        tmp_path / "hub" / place / "anatomy",
        test=hub_rows("anatomy", rows_of("anatomy")),
        dev=other,
    )
    assert_equal_rows(load("anatomy", tmp_path / "opro"), load("anatomy", tmp_path / "hub"))


def assert_equal_rows(opro, hub):
    assert {split: len(rows) for split, rows in opro.splits.items()} == {"train": 8, "test": 2}
    for split, rows in opro.splits.items():
        assert [(row.id, row.columns, row.input, row.target) for row in rows] == [
            (row.id, row.columns, row.input, row.target) for row in hub.splits[split]
        ]


def test_all_subjects_in_one_folder(tmp_path):
    write_csv(tmp_path / "opro", "anatomy", rows_of("anatomy"))
    both = hub_rows("virology", rows_of("virology", 5)) + hub_rows("anatomy", rows_of("anatomy"))
    write_parquet(tmp_path / "hub" / "all", test=both)
    assert_equal_rows(load("anatomy", tmp_path / "opro"), load("anatomy", tmp_path / "hub"))
    assert len(load("other", tmp_path / "hub", validation_rows=1).splits["train"]) == 12


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("What?,a,b,c,d,E", ":11: the answer 'E' is not one of A, B, C, D"),
        ("What?,a,b,c,d,AB", ":11: the answer 'AB' is not one of"),
        ("What?,a,b,c,d,", ":11: the answer '' is not one of"),
        ("What?,a,b,c,d,e,E", ":11: 7 columns, not 6; a row is question, A, B, C, D, letter"),
        ("What?,a,b,c,A", ":11: 5 columns, not 6"),
        (",a,b,c,d,A", ":11: question is empty"),
        ("What?,a,,c,d,A", ":11: option B is empty"),
        ('"What?,a,b,c,d,A', ":11: a quoted field is never closed"),
    ],
)
def test_broken_rows(tmp_path, line, message):
    write_csv(tmp_path, "anatomy", rows_of("anatomy"))
    path = tmp_path / "anatomy_test.csv"
    path.write_text(path.read_text() + line + "\n")
    for name in ("anatomy", "other"):
        with pytest.raises(DataError) as caught:
            load(name, tmp_path)
        assert str(caught.value).startswith(f"{path}{message}") and "\n" not in str(caught.value)


def test_an_empty_file(tmp_path):
    (tmp_path / "anatomy_test.csv").write_text("")
    with pytest.raises(DataError, match=r"anatomy_test\.csv: the file is empty"):
        load("anatomy", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 4}, "parquet:1: the answer 4 is not one of A, B, C, D"),
        ({"answer": -1}, "parquet:1: the answer -1 is not one of"),
        ({"answer": None}, "parquet:1: the answer None is not one of"),
        (
            {"choices": ["a", "b", "c"]},
            r"parquet:1: choices is \['a', 'b', 'c'\], not a list of four",
        ),
        ({"choices": "abcd"}, "parquet:1: choices is 'abcd', not a list of four"),
        ({"choices": ["a", "b", "c", None]}, "parquet:1: option D is missing"),
        ({"question": None}, "parquet:1: question is missing"),
    ],
)
def test_broken_hub_rows(tmp_path, change, message):
    write_parquet(tmp_path / "anatomy", test=[hub_rows("anatomy", rows_of("anatomy"))[0] | change])
    with pytest.raises(DataError, match=message):
        load("anatomy", tmp_path)


@pytest.mark.parametrize("column", ["question", "choices", "answer"])
def test_columns_missing_in_parquet(tmp_path, column):
    rows = hub_rows("anatomy", rows_of("anatomy"))
    write_parquet(
        tmp_path / "anatomy", test=[{k: v for k, v in row.items() if k != column} for row in rows]
    )
    with pytest.raises(DataError, match=f"parquet: no column '{column}'; the columns are"):
        load("anatomy", tmp_path)


def test_all_subjects_in_one_folder_need_their_names(tmp_path):
    rows = [
        {k: v for k, v in row.items() if k != "subject"}
        for row in hub_rows("anatomy", rows_of("anatomy"))
    ]
    write_parquet(tmp_path / "all", test=rows)
    with pytest.raises(DataError, match="parquet: no column 'subject'; the columns are"):
        load("anatomy", tmp_path)
