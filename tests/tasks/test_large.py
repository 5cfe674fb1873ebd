"""Files that are small on disk and large in memory are refused before they are unpacked."""

from __future__ import annotations

import json
import os
import resource

import pyarrow
import pytest
from datasets import Dataset
from pyarrow import parquet

from opro_local.errors import DataError
from opro_local.tasks import arrow, table, text_file


def refused(path, **options):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught:
        table.examples(table.read(str(path), **options)[""], "data", "input", "target")
    assert len(str(caught.value).splitlines()) == 1 and str(path) in str(caught.value)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < 300, f"{grown} MiB"
    return str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.json", "t.parquet"])
def test_a_file_over_the_limit_is_not_read(tmp_path, name):
    with open(tmp_path / name, "wb") as file:
        file.truncate(3 << 30)  # a sparse file takes no room
    assert "3.0 GiB of rows, at most 1 GiB are read" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "no file but a device, pipe or socket" in refused(tmp_path / name)


def rows(text, count, kind=None):
    inputs = pyarrow.array([text], kind).take(pyarrow.array([0] * count))
    return pyarrow.table({"input": inputs, "target": pyarrow.array(["a"] * count)})


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("kind", ["string", "large_string", "binary", "dictionary"])
def test_one_long_text_in_every_row_of_parquet(tmp_path, monkeypatch, kind, typed):
    monkeypatch.setattr(arrow, "MOST_BYTES", 40_000_000)
    text = b"x" * 50_000 if kind == "binary" else "x" * 50_000
    if kind == "dictionary":
        whole = rows("", 1000)
        coded = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1000), [text])
        whole = whole.set_column(0, "input", coded)
    else:
        whole = rows(text, 1000, getattr(pyarrow, kind)())
    parquet.write_table(whole, tmp_path / "t.parquet", compression="zstd")
    assert os.path.getsize(tmp_path / "t.parquet") < 10_000
    refused(tmp_path / "t.parquet", typed=typed)


def test_the_size_that_parquet_states_is_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "MOST_BYTES", 40_000_000)
    whole = rows("x" * 50_000, 1000)
    parquet.write_table(whole, tmp_path / "t.parquet", compression="zstd", use_dictionary=False)
    refused(tmp_path / "t.parquet")


def test_many_rows_of_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "MOST_ROWS", 1_000_000)
    parquet.write_table(rows("", 2_000_000), tmp_path / "t.parquet")
    assert "2,000,000 rows; at most 1,000,000 are read" in refused(tmp_path / "t.parquet")


def test_a_saved_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "MOST_BYTES", 10_000)
    Dataset.from_dict({"input": ["x" * 5000] * 4, "target": ["a"] * 4}).save_to_disk(tmp_path / "d")
    refused(tmp_path / "d")


def test_rows_of_json_with_a_column_of_their_own_each(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MOST_CELLS", 1_000_000)
    lines = [json.dumps({"input": "a", "target": "b", f"c{i}": 1}) for i in range(2000)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert "2,000 rows of 2,002 columns" in refused(tmp_path / "t.jsonl")


def test_texts_of_parquet_are_what_was_written(tmp_path):
    whole = pyarrow.table(
        {
            "input": ["a", None, "b", "a"],
            "target": pyarrow.array(["p", "q", "p", None]).dictionary_encode(),
            "large": pyarrow.array(["é", "", "é", None], pyarrow.large_string()),
            "bytes": [b"1", b"2", None, b"1"],
            "list": [["a"], ["a", "b"], [], None],
            "number": [1, 2, 3, 4],
        }
    )
    parquet.write_table(whole, tmp_path / "t.parquet")
    read = [
        dict(row.columns) for row in table.read(str(tmp_path / "t.parquet"), typed=True)[""].rows
    ]
    assert read == whole.to_pylist()


def test_the_limit_of_text_files_is_the_one_of_parquet():
    assert arrow.MOST_BYTES == text_file.MOST_BYTES == 1 << 30
