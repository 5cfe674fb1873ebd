"""Folders as Hugging Face publishes them, written from rows: what the tests of the benchmarks
share.
"""

from __future__ import annotations


def write_parquet(folder, **splits):
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(rows), folder / f"{split}-00000-of-00001.parquet"
        )


def write_saved(folder, **splits):
    import datasets

    parts = {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}
    datasets.DatasetDict(parts).save_to_disk(str(folder))
