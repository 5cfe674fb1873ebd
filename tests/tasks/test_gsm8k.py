"""GSM8K in both layouts, the paper's split, and rows that are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.runs import inspection
from opro_local.scoring.choosing import check_gold, make_rule
from opro_local.tasks import gsm8k, loading

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not (SHARED / "gsm8k").is_dir(), reason=f"no GSM8K in {SHARED}")


def settings(**changes):
    return TaskSettings(**({"name": "gsm8k"} | changes))


# Sorted numpy.random.seed(0); choice(7473, 261, replace=False) of
# opro/optimization/optimize_instructions.py.
def test_paper_split():
    chosen = gsm8k.paper_split(7473)
    assert len(chosen) == len(set(chosen)) == 261
    assert chosen[:8] == [29, 33, 38, 39, 42, 49, 72, 98] and chosen[-3:] == [7417, 7424, 7443]


@needs_shared
def test_the_benchmark():
    task = loading.load(settings(data_dir=str(SHARED)))
    assert {split: len(rows) for split, rows in task.splits.items()} == {"train": 261, "test": 1319}
    assert (task.rule, task.notices, task.input_column, task.target_column) == (
        "number",
        (),
        "question",
        "answer",
    )
    assert (task.kind, task.version) == ("number", 1)
    first = task.splits["test"][0]
    assert first.id == "test:0" and first.target == "18" and first.where.endswith("gsm_test.tsv:1")
    assert first.input.startswith("Janet’s ducks lay 16 eggs per day.")
    assert first.columns["solution"].endswith("at the farmer’s market.\n#### 18")
    assert [
        int(row.id.removeprefix("train:")) for row in task.splits["train"]
    ] == gsm8k.paper_split(7473)


@needs_shared
def test_every_gold_answer_scores_one():
    task = loading.load(settings(data_dir=str(SHARED / "gsm8k"), validation_rows=7212))
    assert len(task.splits["validation"]) == 7212
    rule = make_rule(task.rule)
    check_gold(task, rule)
    found = inspection.validate(settings(data_dir=str(SHARED)))
    assert (found["rows"], found["wrong"]) == (7473 + 1319, [])
    # The worked solutions, too, end in their answer.
    for rows in task.splits.values():
        values, failed = rule.score([row.columns["solution"] for row in rows], rows)
        assert values.all() and not failed.any()


@needs_shared
def test_caps_are_nested_and_the_splits_stay_apart():
    few = loading.load(
        settings(data_dir=str(SHARED), train_rows=20, validation_rows=30, test_rows=5)
    ).splits
    more = loading.load(
        settings(data_dir=str(SHARED), train_rows=40, validation_rows=60, test_rows=5)
    ).splits
    ids = {split: {row.id for row in rows} for split, rows in few.items()}
    assert [len(ids[split]) for split in ("train", "validation", "test")] == [20, 30, 5]
    assert ids["train"] <= {row.id for row in more["train"]}
    assert ids["train"] <= {f"train:{index}" for index in gsm8k.paper_split(7473)}
    assert not ids["validation"] & {f"train:{index}" for index in gsm8k.paper_split(7473)}
    other = loading.load(settings(data_dir=str(SHARED), train_rows=20, split_seed=1)).splits
    assert {row.id for row in other["train"]} != ids["train"]


QUESTIONS = [f"What is {n} plus {n}?" for n in range(60)]


def write_tsv(folder, lines):
    folder.mkdir(parents=True, exist_ok=True)
    good = [
        f"{question}\t{2 * n}\tb'{n}+{n}\\n#### {2 * n}'" for n, question in enumerate(QUESTIONS)
    ]
    (folder / "gsm_train.tsv").write_text("\n".join(lines(good)) + "\n")
    (folder / "gsm_test.tsv").write_text("How much?\t1,000\tb'All.\\n#### 1,000'\n")


@pytest.mark.parametrize("subfolder", ["", "gsm8k", "gsm_data", "data/gsm_data"])
def test_tsv(tmp_path, subfolder):
    write_tsv(tmp_path / subfolder, lambda good: good)
    task = loading.load(settings(data_dir=str(tmp_path)))
    assert [row.id for row in task.splits["train"]] == [
        f"train:{index}" for index in gsm8k.paper_split(60)
    ]
    assert len(task.splits["train"]) == 2
    (test,) = task.splits["test"]
    assert test.target == "1000" and test.columns["solution"] == "All.\n#### 1,000"
    assert task.notices == (
        "gsm8k: 60 train rows where the benchmark has 7473: not the paper's split",
    )


HUB_ROWS = {
    "train": [{"question": q, "answer": f"{n}+{n}\n#### {2 * n}"} for n, q in enumerate(QUESTIONS)],
    "test": [{"question": "How much?", "answer": "All.\n#### 1,000"}],
}


def write_parquet(folder, rows=HUB_ROWS):
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True)
    for split, part in rows.items():
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(part), folder / f"{split}-00000-of-00001.parquet"
        )


def write_saved(folder):
    import datasets

    parts = {split: datasets.Dataset.from_list(rows) for split, rows in HUB_ROWS.items()}
    datasets.DatasetDict(parts).save_to_disk(str(folder))


@pytest.mark.parametrize("write", [write_parquet, write_saved])
@pytest.mark.parametrize("subfolder", ["gsm8k", "main", "gsm8k/main", "openai/gsm8k/main"])
def test_both_layouts_give_the_same_rows(tmp_path, write, subfolder, capfd):
    write(tmp_path / "hub" / subfolder)
    write_tsv(tmp_path / "opro", lambda good: good)
    hub = loading.load(settings(data_dir=str(tmp_path / "hub")))
    opro = loading.load(settings(data_dir=str(tmp_path / "opro")))
    for split in ("train", "test"):
        assert [(row.id, row.input, row.target) for row in hub.splits[split]] == [
            (row.id, row.input, row.target) for row in opro.splits[split]
        ]
    assert hub.splits["test"][0].columns["solution"] == "All."


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("What?\t5", "gsm_train.tsv:61: 2 columns, not 3"),
        ("What?\t5\tb'x'\tmore", "gsm_train.tsv:61: 4 columns, not 3"),
        ("", "gsm_train.tsv:61: 1 columns, not 3"),
        ("What?\tfive\tb'x'", "gsm_train.tsv:61: the answer 'five' is not a number"),
        ("What?\t\tb'x'", "gsm_train.tsv:61: the answer '' is not a number"),
        (" \t5\tb'x'", "gsm_train.tsv:61: the question is empty"),
        ("What?\t5\tb'x", "gsm_train.tsv:61: the worked solution is no bytes literal"),
        ("What?\t5\tb'\\xff'", "gsm_train.tsv:61: the worked solution is no bytes literal"),
        ("What?\t5\tb'x'+1", "gsm_train.tsv:61: the worked solution is no bytes literal"),
        ("Wh\0at?\t5\tb'x'", "gsm_train.tsv:61: a NUL byte"),
    ],
)
def test_broken_rows(tmp_path, line, message):
    write_tsv(tmp_path, lambda good: [*good, line])
    with pytest.raises(DataError) as caught:
        loading.load(settings(data_dir=str(tmp_path)))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_broken_hub_row(tmp_path):
    write_parquet(
        tmp_path / "main", {**HUB_ROWS, "test": [{"question": "What?", "answer": "It is 5."}]}
    )
    with pytest.raises(DataError, match=r"test-.*parquet:1: the answer has no '####'"):
        loading.load(settings(data_dir=str(tmp_path)))


@pytest.mark.parametrize("column", ["question", "answer"])
def test_columns_missing_in_parquet(tmp_path, column):
    rows = {
        split: [{name: value for name, value in row.items() if name != column} for row in part]
        for split, part in HUB_ROWS.items()
    }
    write_parquet(tmp_path / "main", rows)
    with pytest.raises(DataError, match=rf"parquet: no column '{column}'; the columns are"):
        loading.load(settings(data_dir=str(tmp_path)))


def test_missing(tmp_path):
    with pytest.raises(UsageError, match=r"set task\.data_dir"):
        loading.load(settings())
    with pytest.raises(DataError, match=r"no GSM8K here; expected gsm_train\.tsv"):
        loading.load(settings(data_dir=str(tmp_path)))
    write_tsv(tmp_path, lambda good: good[:20])
    with pytest.raises(DataError, match="20 train rows are too few"):
        loading.load(settings(data_dir=str(tmp_path)))
    write_tsv(tmp_path, lambda good: good)
    (tmp_path / "gsm_test.tsv").unlink()
    with pytest.raises(DataError, match=r"gsm_test\.tsv: no such file"):
        loading.load(settings(data_dir=str(tmp_path)))
