"""From settings to a task: splits by file or by fractions, caps, and what the user is told about
the rows.
"""

from __future__ import annotations

import json

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.tasks import benchmarks, loading


def write_csv(path, pairs):
    path.write_text("".join(f"{a},{b}\n" for a, b in [("input", "target"), *pairs]))
    return str(path)


def settings(**changes):
    return TaskSettings(**changes)


def ids(task):
    return {split: [row.id for row in rows] for split, rows in task.splits.items()}


def test_fractions(tmp_path):
    path = write_csv(tmp_path / "t.csv", [(f"q{n}", n) for n in range(100)])
    task = loading.load(settings(data=path))
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 40,
        "validation": 20,
        "test": 40,
    }
    found = [int(name.removeprefix("data:")) for names in ids(task).values() for name in names]
    assert sorted(found) == list(range(100)) and found != sorted(found)
    assert all(
        names == sorted(names, key=lambda name: int(name[5:])) for names in ids(task).values()
    )
    assert ids(task) == ids(loading.load(settings(data=path)))
    assert ids(task) != ids(loading.load(settings(data=path, split_seed=1)))
    assert task.rule == "auto" and task.notices == ()


def test_fractions_of_zero_and_less_than_everything(tmp_path):
    path = write_csv(tmp_path / "t.csv", [(f"q{n}", n) for n in range(10)])
    assert {
        s: len(rows)
        for s, rows in loading.load(settings(data=path, split=(0.5, 0, 0.2))).splits.items()
    } == {
        "train": 5,
        "test": 2,
    }
    assert list(loading.load(settings(data=path, split=(1, 0, 0))).splits) == ["train"]
    for split in ((0, 0.5, 0.5), (0.5, 0.5, 0.5), (1.5, -0.5, 0), (0.5, 0.5), (float("nan"), 0, 0)):
        with pytest.raises(UsageError, match=r"task\.split is .*give three shares"):
            loading.divide([], split, 0)


def test_rows_with_the_same_input_share_a_split(tmp_path):
    path = write_csv(
        tmp_path / "t.csv", [(f"q{n // 4}" + "  \t"[: n % 2], n // 4) for n in range(80)]
    )
    for seed in range(5):
        splits = loading.load(settings(data=path, split_seed=seed)).splits
        inputs = [{row.input.strip() for row in rows} for rows in splits.values()]
        assert sum(map(len, inputs)) == len(set.union(*inputs)) == 20


def test_too_few_rows(tmp_path):
    path = write_csv(tmp_path / "t.csv", [("q1", "a"), ("q2", "b")])
    message = (
        r"2 rows \(2 different inputs\) are too few for the split \(0\.4, 0\.2, 0\.4\): train 1, "
        r"validation 0, test 1"
    )
    with pytest.raises(DataError, match=message):
        loading.load(settings(data=path))
    path = write_csv(tmp_path / "t.csv", [("q1", "a")] * 50)
    with pytest.raises(
        DataError, match=r"50 rows \(1 different inputs\) .* train 50, validation 0, test 0"
    ):
        loading.load(settings(data=path))


def test_splits_by_file(tmp_path):
    train = write_csv(tmp_path / "a.csv", [("q1", "a"), ("q2", "b")])
    test = write_csv(tmp_path / "b.csv", [("q3", "a")])
    assert ids(loading.load(settings(train=train, test=test))) == {
        "train": ["train:0", "train:1"],
        "test": ["test:0"],
    }
    assert ids(loading.load(settings(train=train))) == {"train": ["train:0", "train:1"]}


def test_settings_that_contradict_each_other(tmp_path):
    path = write_csv(tmp_path / "a.csv", [("q1", "a")])
    with pytest.raises(UsageError, match=r"task\.data and task\.test exclude each other"):
        loading.load(settings(data=path, test=path))
    with pytest.raises(UsageError, match=r"the task has no data; set task\.data"):
        loading.load(settings(test=path))
    with pytest.raises(UsageError, match="both name the column 'x'"):
        loading.load(settings(data=path, input="x", target="x"))
    with pytest.raises(
        UsageError, match=r"unknown task 'gsm'; did you mean gsm8k\? task\.name is one of: table, "
    ):
        loading.load(settings(name="gsm"))


def test_caps_are_nested(tmp_path):
    path = write_csv(tmp_path / "t.csv", [(f"q{n}", n) for n in range(100)])
    few, more = (
        ids(loading.load(settings(data=path, train_rows=cap, test_rows=3))) for cap in (5, 10)
    )
    assert [len(names) for names in few.values()] == [5, 20, 3]
    assert (
        set(few["train"])
        < set(more["train"])
        < set(ids(loading.load(settings(data=path)))["train"])
    )
    assert few["test"] == more["test"]
    assert list(loading.load(settings(data=path, validation_rows=0)).splits) == ["train", "test"]
    task = loading.load(settings(data=path, validation_rows=21))
    assert task.notices == ("validation: 21 rows asked for, 20 there",)


def test_notices_name_repeated_and_shared_rows(tmp_path):
    train = write_csv(tmp_path / "a.csv", [("q 1", "a"), ("q2", "b"), ("q  1", "a"), ("q 1", "c")])
    test = write_csv(tmp_path / "b.csv", [("q3", "a"), (" q2", "b")])
    assert loading.load(settings(train=train, test=test)).notices == (
        f"train: 2 of 4 rows repeat an input, 1 of them with another target ({train}:4 "
        f"repeats {train}:2)",
        f"train and test share 1 rows ({train}:3 and {test}:3): the score on test is too good",
    )


FIELDS = st.sampled_from(
    ["input", "target", "question", "options", "correct", "sQuestion", "lSolutions", "final_ans"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["A)1", "A", "Yes"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=2),
    max_leaves=5,
)
FILES = {"bbh/navigate": "navigate.json", "aqua": "AQuA.json", "multiarith": "MultiArith.json"}


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.dictionaries(FIELDS, VALUES) | VALUES, max_size=6) | VALUES,
    st.sampled_from(["array", "lines", "bbh"]),
)
@hypothesis.settings(
    max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_any_json_in_a_benchmark_file_loads_or_is_refused(tmp_path, name, value, form):
    if form == "lines" and isinstance(value, list):
        text = "".join(json.dumps(row) + "\n" for row in value)
    else:
        text = json.dumps({"examples": value} if form == "bbh" else value)
    (tmp_path / FILES[name]).write_text(text)
    try:
        task = loading.load(settings(name=name, data_dir=str(tmp_path)), training=False)
    except DataError as error:
        assert str(error).startswith(f"{tmp_path / FILES[name]}:") and "\n" not in str(error)
    else:
        assert all(row.input and row.target for rows in task.splits.values() for row in rows)


def test_every_line_of_the_table_of_benchmarks_leads_to_one():
    for first in benchmarks.BENCHMARKS:
        assert callable(benchmarks.find(first).load)
    assert benchmarks.accepted() == (
        "gsm8k, bbh/<task>, mmlu/<subject or category>, aqua, multiarith, harness, sql"
    )
    assert {name.partition("/")[0] for name in benchmarks.names()} == benchmarks.versions().keys()
