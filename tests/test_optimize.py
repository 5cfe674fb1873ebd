"""`optimize` from Python: rows of every kind that a program holds, a metric of one's own, folders."""

from __future__ import annotations

import csv
import json
import math
from datetime import date

import numpy as np
import pytest
from running import SCRIPT, write_reviews

import opro_local
from opro_local.errors import DataError, UsageError
from opro_local.tasks.in_memory import json_lines

QUICK = {
    "scorer.engine": "scripted",
    "scorer.script": SCRIPT,
    "optimizer.engine": "scripted",
    "optimizer.script": SCRIPT,
    "search.steps": 1,
    "search.candidates": 2,
    "search.metaprompt": "continuation",
    "search.demonstrations": 0,
}


@pytest.fixture
def rows(tmp_path):
    with write_reviews(tmp_path / "reviews.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def optimize(data, **more):
    given = {"input": "text", "target": "label", "model": "none", "prompt": "What is it?"}
    return opro_local.optimize(data, **{**given, "set": QUICK, **more})


def frame(rows):
    return pytest.importorskip("pandas").DataFrame(rows)


def dataset(rows):
    return pytest.importorskip("datasets").Dataset.from_list(rows)


def arrow(rows):
    return pytest.importorskip("pyarrow").Table.from_pylist(rows)


@pytest.mark.parametrize("kind", [list, tuple, frame, dataset, arrow])
def test_rows_in_memory_give_what_their_file_gives(rows, kind, tmp_path):
    ours = optimize(kind(rows), run=tmp_path / "ours")
    theirs = optimize(tmp_path / "reviews.csv", run=tmp_path / "theirs")
    # The ids of rows and the digest of their order are the same; only the name differs.
    assert ours.to_json()["best"] == theirs.to_json()["best"]
    assert ours.to_json()["test"] == theirs.to_json()["test"]


def test_the_same_call_finds_its_run_again_and_other_rows_do_not(rows, tmp_path):
    first = optimize(rows)
    (folder,) = (tmp_path / "runs").glob("run-*")
    assert optimize(list(rows)).to_json() == first.to_json()
    assert list((tmp_path / "runs").glob("run-*")) == [folder]
    optimize(rows[:-1])
    assert len(list((tmp_path / "runs").glob("run-*"))) == 2
    kept = sorted((tmp_path / "runs" / "data").iterdir())
    assert len(kept) == 2 and all(file.stat().st_mode & 0o777 == 0o600 for file in kept)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "prompt is '': it says nothing; leave prompt out"),
        (" \n\t", "it says nothing"),
        ("\u3000", "it says nothing"),
        (["Is it good?", ""], "it says nothing"),
        (5, "prompt is 5, no text"),
        (b"Is it good?", "prompt is b'Is it good\\?', no text"),
        (["Is it good?", 5], "prompt is 5, no text"),
        (["Is it good?", None], "prompt is None, no text"),
        ({"a": "Is it good?"}, "no text"),
        ("Is it\0good?", "prompt has a NUL in it"),
        ("Is it \ud800good?", "half a character"),
    ],
)
def test_a_prompt_that_is_none_is_refused(rows, prompt, message, tmp_path):
    with pytest.raises(UsageError, match=message) as caught:
        optimize(rows, prompt=prompt)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_rows_that_are_left_out_are_all_listed_in_the_folder(rows, tmp_path):
    data = tmp_path / "some.csv"
    lines = [f"{row['text']},{row['label']}" for row in rows]
    bad = [f"no label {n}," for n in range(12)]
    data.write_text("\n".join(["text,label", *bad, *lines, "lonely"]) + "\n", "utf-8")
    skip = {**QUICK, "task.bad_rows": "skip"}
    result = optimize(data, run=tmp_path / "run", set=skip)
    assert result.skipped_rows == result.to_json()["skipped_rows"] == 13
    listed = (tmp_path / "run" / "skipped_rows.txt").read_text("utf-8").splitlines()
    assert listed[0].endswith(f"some.csv:{14 + len(rows)}: 1 fields where the header has 2")
    assert [line.partition(": ")[2] for line in listed[1:]] == [
        "nothing in the column 'label'"
    ] * 12
    assert type(result).from_json(result.to_json()).skipped_rows == 13
    whole = optimize(rows, run=tmp_path / "whole")
    assert whole.skipped_rows == 0 and "skipped_rows" not in whole.to_json()
    assert not (tmp_path / "whole" / "skipped_rows.txt").exists()


def test_splits_by_name(rows):
    parts = {"train": rows[:30], "dev": rows[30:44], "test": rows[44:]}
    result = optimize(parts)
    assert (result.train.best.n, result.validation.best.n, result.test.best.n) == (30, 14, 16)
    with pytest.raises(DataError, match="a split called 'extra'; accepted: train, validation, te"):
        optimize({"train": rows, "extra": rows})


def test_a_metric_of_ones_own_scores_and_is_part_of_the_run(rows, tmp_path):
    def first_letter(answer, target, columns):
        assert set(columns) == {"text", "label"}
        return answer.strip()[:1].lower() == target[:1] if answer else None

    result = optimize(rows, metric=first_letter, run=tmp_path / "run")
    assert result["rule"] == "python" and result.test.best.accuracy > 0
    again = optimize(rows, metric=first_letter, run=tmp_path / "run")
    assert again.to_json() == result.to_json()
    with pytest.raises(UsageError, match="rule"):
        optimize(rows, metric=lambda answer, target, columns: 1, run=tmp_path / "run")


def test_a_metric_that_fails_names_the_row(rows):
    def broken(answer, target, columns):
        return columns["no such column"]

    with pytest.raises(DataError, match=r"\.jsonl:\d+: .*broken raised KeyError: 'no such column'"):
        optimize(rows, metric=broken)


@pytest.mark.parametrize(
    ("set_", "steps"),
    [({**QUICK, "search.steps": 2}, 2), ([f"{k}={json.dumps(v)}" for k, v in QUICK.items()], 1)],
)
def test_settings_as_a_mapping_or_as_texts(rows, set_, steps):
    assert optimize(rows, set=set_).steps == steps


def test_a_model_table_can_be_set(rows):
    result = optimize(
        rows, model="mine", set={**QUICK, "models.mine.model": "none", "models.mine.script": SCRIPT}
    )
    assert result.steps == 1


def test_several_prompts_to_start_from(rows):
    result = optimize(rows, prompt=["What is it?", "Read the text carefully"])
    assert result.train.baseline.n == 24


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "data of type int is not read; accepted: a path, a list of dicts"),
        ([1, 2], "row 1 is of type int, no dict: 1; accepted: a path, a list of dicts"),
        ([], "the data has no rows"),
        (iter([{}]), "data of type list_iterator is not read"),
        ([{"text": "a\0", "label": "b"}], "row 1: a NUL character"),
    ],
)
def test_what_is_no_data_is_said_in_one_line(data, message):
    with pytest.raises(DataError, match=message):
        optimize(data)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("007", "007"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (math.nan, None),
        (None, None),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (np.bool_(False), "false"),
        (np.array([1, 2]), "[1, 2]"),
        (["a", 1], '["a", 1]'),
        (date(2026, 11, 28), "2026-11-28"),
        (b"raw", "raw"),
    ],
)
def test_values_become_the_text_that_a_file_would_have(value, text):
    (lines,) = json_lines([{"x": value}]).values()
    assert json.loads(lines) == {"x": text}


def test_pandas_values(rows):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {"n": [1, None], "when": pandas.to_datetime(["2026-01-02", None]), "c": ["a", None]}
    )
    table["c"] = table["c"].astype("category")
    (lines,) = json_lines(table).values()
    first, second = map(json.loads, lines.splitlines())
    assert first == {"n": "1.0", "when": "2026-01-02 00:00:00", "c": "a"}
    assert second == {"n": None, "when": None, "c": None}
    with pytest.raises(DataError, match="2 columns are called 'n'"):
        json_lines(pandas.DataFrame([[1, 2]], columns=["n", "n"]))


@pytest.mark.parametrize("kind", ["Int64", "boolean", "string", "Float64", "category", object])
def test_missing_values_of_every_kind_of_column_are_missing(kind):
    pandas = pytest.importorskip("pandas")
    first = {"boolean": True, "string": "a", "category": "a", object: "a"}.get(kind, 1)
    table = pandas.DataFrame({"x": pandas.Series([first, None], dtype=kind)})
    (lines,) = json_lines(table).values()
    assert json.loads(lines.splitlines()[1]) == {"x": None}
    assert json.loads(lines.splitlines()[0])["x"] in ("1", "1.0", "true", "a")


def test_a_missing_target_is_a_bad_row_and_can_be_skipped(rows):
    pandas = pytest.importorskip("pandas")
    missing = [None, float("nan"), pandas.NaT, pandas.NA, np.float64("nan")]
    rows = [*rows, *({"text": f"row {n}", "label": value} for n, value in enumerate(missing))]
    with pytest.raises(DataError, match=r"nothing in the column 'label'; 5 bad rows"):
        optimize(rows)
    assert optimize(rows, set={**QUICK, "task.bad_rows": "skip"}).skipped_rows == 5


def test_class_labels_become_their_names():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, -1]}, features=features)
    lines = json_lines(datasets.DatasetDict({"train": part, "validation": part}))
    assert list(lines) == ["train", "validation"]
    assert [json.loads(line)["label"] for line in lines["train"].splitlines()] == ["yes", None]


def test_lists_of_class_labels_become_their_names():
    datasets = pytest.importorskip("datasets")
    labels = datasets.Sequence(datasets.ClassLabel(names=["no", "yes"]))
    features = datasets.Features({"text": datasets.Value("string"), "label": labels})
    rows = [{"text": "a", "label": [1]}, {"text": "b", "label": [0, 1]}]
    (lines,) = json_lines(datasets.Dataset.from_list(rows, features=features)).values()
    kept = [json.loads(line)["label"] for line in lines.splitlines()]
    assert kept == ['["yes"]', '["no", "yes"]']


def test_a_changed_metric_and_other_parts_get_folders_of_their_own(rows, tmp_path):
    optimize(rows)
    optimize(rows, metric=lambda answer, target, columns: answer == target)
    optimize(rows, metric=lambda answer, target, columns: target in answer)
    optimize({"train": rows[:30], "test": rows[30:]})
    optimize({"train": rows[:30], "validation": rows[30:40], "test": rows[40:]})
    assert len(list((tmp_path / "runs").glob("run-*"))) == 5


def test_a_metric_by_its_name_is_a_setting(rows):
    with pytest.raises(UsageError, match=r"no function; .*task\.metric"):
        optimize(rows, metric="macro_f1")
