"""Tables: a corpus of odd and broken files, values as written, splits, caps and notices."""

from __future__ import annotations

import contextlib
import csv
import json

import pytest

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.tasks import loading, table
from opro_local.tasks.rows import MAX_FIELD, TableFormat
from opro_local.types import Example

GOOD = [("a", "b")]
BIG = MAX_FIELD + 1

# name, bytes, and either the (input, target) pairs read or the part of the message after the file's
# name.
CORPUS = [
    ("plain.csv", b"input,target\na,b\n", GOOD),
    ("bom.csv", b"\xef\xbb\xbfinput,target\na,b\n", GOOD),
    ("crlf.csv", b"input,target\r\na,b\r\n", GOOD),
    ("cr.csv", b"input,target\ra,b\r", GOOD),
    ("no_last_newline.csv", b"input,target\na,b", GOOD),
    ("blank_lines.csv", b"\n\ninput,target\n\na,b\n\n\n", GOOD),
    ("header_spaces.csv", b"input , target\na,b\n", GOOD),
    ("upper_suffix.CSV", b"input,target\na,b\n", GOOD),
    (
        "values.csv",
        b"input,target\n007,NA\nNone,null\nnan,1.0\n",
        [("007", "NA"), ("None", "null"), ("nan", "1.0")],
    ),
    ("quoted.csv", b'input,target\n"a,""x""",b\n', [('a,"x"', "b")]),
    ("quoted_newline.csv", b'input,target\n"a\nb",c\n', [("a\nb", "c")]),
    ("stray_quote.csv", b'input,target\n5" pipe,b\n', [('5" pipe', "b")]),
    ("index_column.csv", b",input,target\n0,a,b\n", GOOD),
    ("unicode.csv", "input,target\nä\u2028ö,日本\n".encode(), [("ä\u2028ö", "日本")]),
    ("inner_space.csv", b"input,target\n a , b\n", [(" a ", " b")]),
    ("tabs.tsv", b"input\ttarget\na,x\tb\n", [("a,x", "b")]),
    ("nul.csv", b"input,target\na,b\nc\0,d\n", ":3: a NUL byte; the file is damaged or no text"),
    (
        "latin1.csv",
        b"input,target\na,b\nc,caf\xe9\n",
        ":3: the byte 0xe9 is not UTF-8; save the file as UTF-8",
    ),
    ("bom_latin1.csv", b"\xef\xbb\xbfinput,target\ncaf\xe9,b\n", ":2: the byte 0xe9 is not UTF-8"),
    ("cut_utf8.csv", b"input,target\na,\xe2\x82", ":2: the byte 0xe2 is not UTF-8"),
    ("surrogate.csv", b"input,target\na,\xed\xa0\x80\n", ":2: the byte 0xed is not UTF-8"),
    (
        "utf16.csv",
        "input,target\na,b\n".encode("utf-16"),
        ":1: the file is UTF-16; save it as UTF-8",
    ),
    ("gzip.csv", b"\x1f\x8b\x08\0\0\0\0\0", ": the file is compressed (gzip); unpack it"),
    (
        "short.csv",
        b"input,target,more\na,b,c\na,b\n",
        ":3: 2 fields where the header has 3; add what is missing",
    ),
    (
        "long.csv",
        b"input,target\na,b,c\n",
        ":2: 3 fields where the header has 2; quote fields that hold the",
    ),
    ("after_newline.csv", b'input,target\n"a\n\nb",c\nd\n', ":5: 1 fields where the header has 2"),
    ("space_line.csv", b"input,target\na,b\n \n", ":3: 1 fields where the header has 2"),
    (
        "unclosed.csv",
        b'input,target\na,b\n"c,d\ne,f\n',
        ":3: a quoted field is never closed; double the quotes",
    ),
    (
        "after_quote.csv",
        b'input,target\n"a" x,b\n',
        ":2: text follows a closing quote; double the quotes",
    ),
    ("twins.csv", b"input,target,input\na,b,c\n", ":1: 2 columns are called 'input'; rename them"),
    ("other_twins.csv", b"input,x,target,x\na,1,b,2\n", GOOD),
    ("spaced_twins.csv", b"input,target, target\na,b,c\n", ":1: 2 columns are called 'target'"),
    ("nameless_twins.csv", b"input,target,,\na,b,c,d\n", GOOD),
    ("empty.csv", b"", ": the file is empty; give a file with rows"),
    ("only_bom.csv", b"\xef\xbb\xbf", ": the file is empty"),
    ("only_spaces.csv", b" \n \n", ": the file is empty"),
    ("header_only.csv", b"input,target\n", ":1: no rows; the file needs at least one row"),
    (
        "no_target.csv",
        b"input,label\na,b\n",
        ":1: no column 'target'; the columns are 'input', 'label'",
    ),
    (
        "near.csv",
        b"Input,target\na,b\n",
        ":1: no column 'input'; the columns are 'Input', 'target'; did you mean 'Input'?",
    ),
    ("semicolons.csv", b"input;target\na, b;c\nd;e\n", [("a, b", "c"), ("d", "e")]),
    ("tabs.csv", b"input\ttarget\na\tb\n", GOOD),
    ("pipes.csv", b"input|target\na, b|c\n", [("a, b", "c")]),
    ("spaced.csv", b'input, target\n"a, b", "c"\nd, e\n', [("a, b", "c"), ("d", "e")]),
    ("quote_in_text.csv", b'input,target\nsay "hi", b\n', [('say "hi"', " b")]),
    (
        "raw.tsv",
        b'input\ttarget\n"Hello" she said\ta\nb"\tc\n',
        [('"Hello" she said', "a"), ('b"', "c")],
    ),
    ("open.tsv", b'input\ttarget\n"Hello\ta\nb\tc\n', [('"Hello', "a"), ("b", "c")]),
    ("ragged_semicolons.csv", b"input;target\na;b\nc, d\n", ":3: 2 fields where the header has 1"),
    (
        "one_column.csv",
        b"text;label\na\n",
        "the only column is 'text;label': it seems divided by ';': set task",
    ),
    (
        "empty_target.csv",
        b"input,target\na,b\nc,\n",
        ":3: nothing in the column 'target'; fill it in or remove",
    ),
    ("blank_target.csv", b"input,target\na, \n", ":2: nothing in the column 'target'"),
    ("empty_input.csv", b"input,target\n,b\n", ":2: nothing in the column 'input'"),
    (
        "big.csv",
        b"input,target\na,b\n" + b"x" * BIG + b",b\n",
        ":3: a field is too large (more than 5,000,000 char",
    ),
    ("plain.jsonl", b'{"input": "a", "target": "b"}\n', GOOD),
    ("bom.jsonl", b'\xef\xbb\xbf{"input": "a", "target": "b"}', GOOD),
    ("crlf.jsonl", b'{"input": "a", "target": "b"}\r\n\r\n', GOOD),
    ("plain.ndjson", b'{"input": "a", "target": "b"}\n', GOOD),
    (
        "lines.json",
        b'{"input": "a", "target": "b"}\n{"target": "d", "input": "c"}',
        [("a", "b"), ("c", "d")],
    ),
    (
        "numbers.jsonl",
        b'{"input": 1, "target": 1.0}\n{"input": 1e5, "target": -0}',
        [("1", "1.0"), ("1e5", "-0")],
    ),
    ("bools.jsonl", b'{"input": true, "target": false}', [("true", "false")]),
    ("digits.jsonl", b'{"input": "a", "target": ' + b"9" * 5000 + b"}", [("a", "9" * 5000)]),
    (
        "nested.jsonl",
        b'{"input": {"x": [1, 2.50]}, "target": [1, null]}',
        [('{"x": [1, 2.5]}', "[1, null]")],
    ),
    (
        "other_keys.jsonl",
        b'{"input":"a","target":"b","x":1}\n{"input":"c","target":"d"}',
        [("a", "b"), ("c", "d")],
    ),
    (
        "line_separator.jsonl",
        '{"input": "a\u2028\x85b", "target": "c"}'.encode(),
        [("a\u2028\x85b", "c")],
    ),
    ("escapes.jsonl", b'{"input": "\\ud83d\\ude00", "target": "\\u00e9"}', [("😀", "é")]),
    (
        "array.jsonl",
        b'[{"input": "a", "target": "b"}]',
        ":1: a JSON array, not JSON Lines; write one object a line",
    ),
    ("null.jsonl", b'{"input": "a", "target": null}', ":1: nothing in the column 'target'"),
    (
        "lost_key.jsonl",
        b'{"input":"a","target":"b"}\n{"input":"c"}',
        ":2: nothing in the column 'target'",
    ),
    (
        "string.jsonl",
        b'{"input":"a","target":"b"}\n"x"',
        ":2: a string or a number where an object",
    ),
    ("number.jsonl", b"5", ":1: a string or a number where an object"),
    ("inner_array.jsonl", b'{"input":"a","target":"b"}\n[1]', ":2: an array where an object"),
    ("null_line.jsonl", b"null", ":1: null where an object"),
    (
        "cut.jsonl",
        b'{"input":"a","target":"b"}\n{"input": "c',
        ":2: no JSON: unterminated string starting at at column 11",
    ),
    (
        "single_quotes.jsonl",
        b"{'input': 'a'}",
        ":1: no JSON: expecting property name enclosed in double quotes",
    ),
    (
        "two.jsonl",
        b'{"input":"a","target":"b"} {"input":"c"}',
        ":1: no JSON: extra data at column 28",
    ),
    ("pretty.jsonl", b'{\n"input": "a"\n}', ":1: no JSON: "),
    (
        "nan.jsonl",
        b'{"input": "a", "target": NaN}',
        ":1: nothing in the column 'target'",
    ),
    (
        "infinity.jsonl",
        b'{"input": "a", "target": Infinity}',
        ":1: Infinity is not JSON; write null or a number; correct the row",
    ),
    ("nan_beside.jsonl", b'{"input": "a", "target": "b", "n": NaN}', [("a", "b")]),
    (
        "wide.csv",
        "input,target\na,b".encode("utf-16-le"),
        ":1: the file is UTF-16; save it as UTF-8, or set task.encoding to utf-16-le",
    ),
    (
        "wide_be.csv",
        "input,target\na,b".encode("utf-16-be"),
        ":1: the file is UTF-16; save it as UTF-8, or set task.encoding to utf-16-be",
    ),
    (
        "sheet.csv",
        b"PK\x03\x04\x14\0\x06\0",
        ": the file is a ZIP archive, as Excel files (.xlsx) are",
    ),
    (
        "old_sheet.csv",
        b"\xd0\xcf\x11\xe0\xa1\xb1",
        ": the file is an old Excel file (.xls); open it",
    ),
    ("rows.csv", b"PAR1\x15\x04\x15", ": the file is Parquet; rename it to .parquet"),
    ("rows.tsv", b"\x80\x04\x95abc", ": the file is a pickle, which is never loaded; write"),
    (
        "page.json",
        b"\n<!DOCTYPE html>\n<html>",
        ": the file is a web page; the download went wrong",
    ),
    ("page.csv", b"\xef\xbb\xbf<html><body>", ": the file is a web page"),
    (
        "pointer.parquet",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        ": the file is a pointer of Git LFS and not the file; run git lfs pull",
    ),
    ("rows.csv.gz", b"a", ": files of kind '.gz' are not read; unpack it"),
    ("rows.pkl", b"a", ": files of kind '.pkl' are not read; write the rows with to_csv"),
    ("versions.csv", b"version,input,target\n1,a,b", [("a", "b")]),
    ("pk.csv", b"PK,input,target\n1,a,b", [("a", "b")]),
    (
        "by_text_index.json",
        b'{"r1": {"input": "a", "target": "b"}, "r2": {"input": "c", "target": "d"}}',
        [("a", "b"), ("c", "d")],
    ),
    (
        "by_column.json",
        b'{"input": {"r1": "a", "r2": "c"}, "target": {"r1": "b", "r2": "d"}}',
        [("a", "b"), ("c", "d")],
    ),
    (
        "one_row_by_column.json",
        b'{"input": {"r1": "a"}, "target": {"r1": "b"}}',
        [("a", "b")],
    ),
    (
        "rows_by_id.json",
        b'{"x": {"input": "a", "target": "b"}, "y": {"input": "c", "target": "d", "n": 1}}',
        [("a", "b"), ("c", "d")],
    ),
    (
        "other_columns.json",
        b'{"r1": {"x": "a"}, "r2": {"x": "c"}, "r3": {"x": "c"}}',
        ":1: no column 'input'; the columns are 'x'",
    ),
    (
        "twin_keys.jsonl",
        b'{"input": "a", "input": "b", "target": "c"}',
        ":1: the key 'input' appears twice",
    ),
    (
        "half_pair.jsonl",
        b'{"input": "\\ud800", "target": "c"}',
        ":1: half a surrogate pair in the column 'input'",
    ),
    (
        "half_key.jsonl",
        b'{"\\udc00": 1, "input": "a", "target": "c"}',
        r":1: half a surrogate pair in the column '\udc00'",
    ),
    ("nul_escape.jsonl", b'{"input": "a\\u0000", "target": "c"}', ":1: a NUL character"),
    ("deep.jsonl", b'{"input": ' + b"[" * 100_000, ":1: nested too deep"),
    (
        "latin1.jsonl",
        b'{"input": "a", "target": "b"}\n{"input": "\xe9"}',
        ":2: the byte 0xe9 is not UTF-8",
    ),
    ("big.jsonl", b'{"target": "b", "input": "' + b"x" * BIG + b'"}', ":1: a field is too large"),
    ("empty.jsonl", b"\n\n", ": the file is empty"),
    (
        "array.json",
        b' [ {"input": "a", "target": "b"} ,\n{"input": 1.0, "target": 2}\n]\n',
        [*GOOD, ("1.0", "2")],
    ),
    ("empty_array.json", b"[]", ":1: no rows"),
    (
        "array_of_numbers.json",
        b'[{"input": "a", "target": "b"},\n5]',
        ":2: a string or a number where an object",
    ),
    (
        "open_array.json",
        b'[{"input": "a", "target": "b"}\n',
        ":2: no JSON: a ',' or the end of the array expected",
    ),
    (
        "comma_at_end.json",
        b'[{"input": "a", "target": "b"},\n]',
        ":2: no JSON: an object expected after ','",
    ),
    (
        "no_comma.json",
        b'[{"input": "a", "target": "b"}\n{}]',
        ":2: no JSON: a ',' or the end of the array expected",
    ),
    (
        "after_array.json",
        b'[{"input": "a", "target": "b"}]\n\nx',
        ":3: no JSON: a ',' or the end of the array expected",
    ),
    (
        "broken_item.json",
        b'[{"input": "a", "target": "b"},\n\n{"input": }]',
        ":3: no JSON: expecting value at column 11",
    ),
    (
        "missing_in_array.json",
        b'[{"input": "a", "target": "b"},\n{"input": "c"}]',
        ":2: nothing in the column 'target'",
    ),
    ("object.json", b'{"data": [\n{"input": "a", "target": 1.0}]}', [("a", "1.0")]),
    ("named_list.json", b'{"rows": [{"input": "a", "target": "b"}]}', GOOD),
    (
        "columns.json",
        b'{"input":{"0":"a","1":"c"},"target":{"0":1.50,"1":[1, 2.0]}}',
        [("a", "1.50"), ("c", "[1, 2.0]")],
    ),
    (
        "index.json",
        b'{"0":{"input":"a","target":1},"1":{"input":"c","target":2}}',
        [("a", "1"), ("c", "2")],
    ),
    ("split.json", b'{"columns":["input","target"],"index":[0],"data":[["a","b"]]}', GOOD),
    ("table.json", b'{"schema":{"fields":[]},"data":[{"index":0,"input":"a","target":"b"}]}', GOOD),
    (
        "gap.json",
        b'{"input":{"0":"a","1":null},"target":{"0":"b","1":"c"}}',
        ":2: nothing in the column 'input'",
    ),
    ("ambiguous.json", b'{"1":{"2":"a"},"3":{"2":"b"}}', ":1: no column 'input'"),
    (
        "two_lists.json",
        b'{"train": [{"input": "a"}], "test": [{"input": "b"}]}',
        ":1: no column 'input'",
    ),
    ("garbage.parquet", b"PAR1 but not really", ": no readable Parquet file: "),
    ("empty.parquet", b"", ": no readable Parquet file: "),
    (
        "sheet.xlsx",
        b"PK\x03\x04",
        ": files of kind '.xlsx' are not read; open it in the spreadsheet program and save it as CSV",
    ),
    ("nothing", b"a", ": files of kind '' are not read"),
]


def test_the_corpus_is_large_enough_and_its_names_differ():
    assert len({name for name, _, _ in CORPUS}) == len(CORPUS) >= 60


@pytest.mark.parametrize(("name", "data", "expected"), CORPUS, ids=[name for name, _, _ in CORPUS])
def test_corpus(tmp_path, name, data, expected):
    path = tmp_path / name
    path.write_bytes(data)
    if isinstance(expected, list):
        assert read_pairs(path) == expected
        return
    with pytest.raises(DataError) as caught:
        read_pairs(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:") and "\n" not in message and ";" in message
    assert expected in message.replace(str(path), "", 1), message


def read_pairs(path):
    columns = TableFormat(columns=("input", "target"))
    (rows,) = table.read(str(path), file_format=columns).values()
    return [(row.input, row.target) for row in table.examples(rows, "data", "input", "target")]


def settings(**changes):
    return TaskSettings(**changes)


def test_examples_carry_ids_columns_and_places(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"q": "a", "y": 1, "hint": null}\n\n{"q": "b", "y": 2, "extra": true}\n')
    (rows,) = table.read(str(path)).values()
    assert table.examples(rows, "train", "q", "y") == [
        Example("train:0", {"q": "a", "y": "1", "hint": "", "extra": ""}, "a", "1", f"{path}:1"),
        Example(
            "train:1", {"q": "b", "y": "2", "hint": "", "extra": "true"}, "b", "2", f"{path}:3"
        ),
    ]


def test_lines_after_a_quoted_newline_are_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('input,target\n"a\n\nb",c\nd,e\n')
    (rows,) = table.read(str(path)).values()
    assert [row.where for row in rows.rows] == [f"{path}:2", f"{path}:5"]


def test_a_bad_line_deep_in_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("input,target\n" + "a,b\n" * 1_000_000 + "a\n")
    with pytest.raises(DataError, match=r"t\.csv:1000002: 1 fields where the header has 2"):
        table.read(str(path))


def test_a_field_of_50_megabytes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"input,target\na," + b"x" * 50_000_000)
    with pytest.raises(DataError, match=r"t\.csv:2: a field is too large"):
        table.read(str(path))


def test_the_limit_on_csv_fields_is_put_back(tmp_path):
    before = csv.field_size_limit(12_345)
    for data in ("input,target\na,b\n", "input,target\na\n"):
        (tmp_path / "t.csv").write_text(data)
        with contextlib.suppress(DataError):
            table.read(str(tmp_path / "t.csv"))
        assert csv.field_size_limit() == 12_345
    csv.field_size_limit(before)


def test_missing_files_and_folders(tmp_path):
    for name in ("no.csv", "no.jsonl", "no.parquet", "no"):
        with pytest.raises(DataError, match=r"no(\.\w+)?: no such file"):
            table.read(str(tmp_path / name))
    with pytest.raises(
        DataError,
        match="a folder without Parquet files, files named by split or a saved dataset; acc",
    ):
        table.read(str(tmp_path))


def test_text_survives_json_and_csv_alike(tmp_path):
    (tmp_path / "t.jsonl").write_text(json.dumps({"input": "é\n\"x\", 'y'\t", "target": "007"}))
    (tmp_path / "t.csv").write_text('input,target\n"é\n""x"", \'y\'\t",007\n')
    assert read_pairs(tmp_path / "t.csv") == read_pairs(tmp_path / "t.jsonl")


# Parquet and saved datasets


def write_parquet(path, rows, **columns):
    import pyarrow
    import pyarrow.parquet

    data = pyarrow.Table.from_pylist(rows) if rows else pyarrow.table(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(data, path)


def pair(index):
    target = str(index % 2) if isinstance(index, int) else "x"
    return {"input": f"question {index}", "target": target}


def test_parquet_values(tmp_path):
    path = tmp_path / "a=1" / "t.parquet"
    write_parquet(
        path,
        [
            {
                "input": "007",
                "target": 1,
                "f": 1.0,
                "b": True,
                "l": [1, 2],
                "raw": b"x",
                "none": None,
            },
            {
                "input": "NA",
                "target": 2,
                "f": float("nan"),
                "b": False,
                "l": [],
                "raw": b"y",
                "none": None,
            },
        ],
    )
    first, second = table.read(str(path))[""].rows
    plain = {
        "input": "007",
        "target": "1",
        "f": "1.0",
        "b": "true",
        "l": "[1, 2]",
        "raw": "x",
        "none": None,
    }
    assert dict(first.columns) == plain
    assert (second.columns["f"], second.columns["input"], second.where) == (None, "NA", f"{path}:2")


@pytest.mark.parametrize(
    ("value", "message"),
    [(b"\xff", "row 2: 'utf-8' codec can't decode"), (b"a\0", "row 2: a NUL character")],
)
def test_parquet_values_that_are_no_text(tmp_path, value, message):
    path = tmp_path / "t.parquet"
    write_parquet(path, [{"input": b"a", "target": "x"}, {"input": value, "target": "x"}])
    with pytest.raises(DataError) as caught:
        table.read(str(path))
    assert f"{path}: column 'input': {message}" in str(caught.value)


def test_parquet_without_rows_and_with_twin_columns(tmp_path):
    import pyarrow
    import pyarrow.parquet

    write_parquet(tmp_path / "t.parquet", [], input=[], target=[])
    with pytest.raises(DataError, match="no rows"):
        table.read(str(tmp_path / "t.parquet"))
    twins = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["input", "input"])
    pyarrow.parquet.write_table(twins, tmp_path / "twins.parquet")
    with pytest.raises(DataError, match="2 columns are called 'input'"):
        table.read(str(tmp_path / "twins.parquet"))


def test_cut_parquet(tmp_path):
    write_parquet(tmp_path / "t.parquet", [pair(index) for index in range(100)])
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(data[:-20])
    with pytest.raises(DataError, match=r"t\.parquet: no readable Parquet file: "):
        table.read(str(tmp_path / "t.parquet"))


def test_parquet_folder_with_named_splits(tmp_path):
    write_parquet(tmp_path / "train-00000-of-00002.parquet", [pair(0)])
    write_parquet(tmp_path / "train-00001-of-00002.parquet", [pair(1)])
    write_parquet(tmp_path / "dev.parquet", [pair(2)])
    write_parquet(tmp_path / "unsupervised.parquet", [pair(3)])
    task = loading.load(settings(data=str(tmp_path)))
    assert {split: [row.id for row in rows] for split, rows in task.splits.items()} == {
        "train": ["train:0", "train:1"],
        "validation": ["validation:0"],
    }
    assert task.notices == (f"{tmp_path}: not used: the splits unsupervised",)


def test_parquet_folder_without_named_splits_is_one_table(tmp_path):
    write_parquet(tmp_path / "part-0.parquet", [pair(index) for index in range(5)])
    write_parquet(tmp_path / "part-1.parquet", [pair(index) for index in range(5, 10)])
    task = loading.load(settings(data=str(tmp_path)))
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 4,
        "validation": 2,
        "test": 4,
    }
    write_parquet(tmp_path / "part-2.parquet", [{"input": "a", "label": "b"}])
    with pytest.raises(
        DataError, match=r"part-2\.parquet: other columns than .*part-0\.parquet: input, label"
    ):
        loading.load(settings(data=str(tmp_path)))


def test_folder_without_a_train_split(tmp_path):
    write_parquet(tmp_path / "test.parquet", [pair(0)])
    write_parquet(tmp_path / "validation.parquet", [pair(1)])
    with pytest.raises(
        DataError, match="no split is called train; its splits are: test, validation"
    ):
        loading.load(settings(data=str(tmp_path)))


@pytest.fixture
def labelled():
    import datasets

    features = datasets.Features(
        {"input": datasets.Value("string"), "target": datasets.ClassLabel(names=["neg", "pos"])}
    )
    rows = [{"input": f"text {index}", "target": index % 2} for index in range(10)]
    return datasets.Dataset.from_list(rows, features=features)


def test_saved_dataset(tmp_path, labelled):
    labelled.save_to_disk(str(tmp_path / "saved"))
    task = loading.load(settings(data=str(tmp_path / "saved")))
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 4,
        "validation": 2,
        "test": 4,
    }
    assert {row.target for rows in task.splits.values() for row in rows} == {"neg", "pos"}


def test_saved_dataset_dict(tmp_path, labelled):
    import datasets

    parts = {"train": labelled, "test": labelled.select([3, 1]), "extra": labelled}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    task = loading.load(settings(data=str(tmp_path / "saved")))
    assert [(row.id, row.input, row.target) for row in task.splits["test"]] == [
        ("test:0", "text 3", "pos"),
        ("test:1", "text 1", "pos"),
    ]
    assert task.splits["test"][0].where == f"{tmp_path}/saved/test:1"
    assert task.notices[0] == f"{tmp_path}/saved: not used: the splits extra"
    with pytest.raises(
        DataError, match=r"holds several splits \(train, test, extra\); give it as task\.data"
    ):
        loading.load(settings(train=str(tmp_path / "saved")))


def test_class_names_in_parquet(tmp_path, labelled):
    labelled.to_parquet(str(tmp_path / "t.parquet"))
    assert read_pairs(tmp_path / "t.parquet")[:2] == [("text 0", "neg"), ("text 1", "pos")]


def test_damaged_saved_dataset(tmp_path, labelled):
    labelled.save_to_disk(str(tmp_path / "saved"))
    for name, data in (("state.json", "{}"), ("dataset_info.json", "nonsense")):
        (tmp_path / "saved" / name).write_text(data)
        with pytest.raises(DataError, match="saved: no readable dataset: "):
            table.read(str(tmp_path / "saved"))


# Bad rows, encodings, snapshots


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return str(path)


def ragged(rows, bad):
    """A table of that many rows, of which those numbers lack their target."""
    lines = [f"text {i},{'' if i in bad else i % 2}" for i in range(rows)]
    return "input,target\n" + "\n".join(lines) + "\n"


def test_bad_rows_are_listed_up_to_ten(tmp_path):
    data = write(tmp_path / "t.csv", ragged(40, range(0, 24, 2)))
    with pytest.raises(DataError) as caught:
        loading.load(settings(data=data))
    listed = [f"{line}: nothing in the column 'target'" for line in range(4, 22, 2)]
    assert str(caught.value) == (
        f"{data}:2: nothing in the column 'target'; 12 bad rows, also {'; '.join(listed)}; ...; "
        'fill it in or remove the row, or set task.bad_rows = "skip"'
    )


@pytest.mark.parametrize(
    ("name", "text", "bad"),
    [
        ("t.csv", ragged(20, (3, 5)) + "lonely\na,b,c\n", [5, 7, 22, 23]),
        (
            "t.jsonl",
            "".join(f'{{"input": "{i}", "target": "b"}}\n' for i in range(9))
            + '{"input": "a"}\n{"input"\n[1]\n',
            [10, 11, 12],
        ),
    ],
)
def test_skipped_rows_are_told_and_the_others_kept(tmp_path, name, text, bad):
    data = write(tmp_path / name, text)
    task = loading.load(settings(data=data, bad_rows="skip"))
    kept = sum(len(rows) for rows in task.splits.values())
    total = text.count("\n") - (name == "t.csv")
    assert kept == total - len(bad)
    notice = next(line for line in task.notices if "skipped" in line)
    assert notice.startswith(f"{data}:1: {len(bad)} bad rows skipped, {kept} kept: ")
    assert all(f"{data}:{line}: " in notice for line in bad)


def test_a_row_keeps_its_id_when_another_is_skipped(tmp_path):
    data = write(tmp_path / "t.csv", ragged(6, (2,)))
    (rows,) = table.read(data, keep_bad=True).values()
    made, bad = table.usable_examples(rows, "data", "input", "target")
    assert [row.id for row in made] == [f"data:{i}" for i in (0, 1, 3, 4, 5)] and len(bad) == 1


def test_a_table_of_bad_rows_alone_names_them_even_to_be_skipped(tmp_path):
    data = write(tmp_path / "t.csv", "input,target\na,b,c\n")
    for bad_rows in ("stop", "skip"):
        with pytest.raises(DataError, match=r"t\.csv:2: 3 fields where the header has 2"):
            loading.load(settings(data=data, bad_rows=bad_rows))


def test_half_a_table_is_not_skipped(tmp_path):
    data = write(tmp_path / "t.csv", ragged(10, range(5)))
    with pytest.raises(DataError, match=r"5 bad rows, also .*are delimiter and encoding right"):
        loading.load(settings(data=data, bad_rows="skip"))


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-8"])
def test_an_encoding_of_ones_own(tmp_path, encoding):
    data = write(tmp_path / "t.csv", "input,target\ncafé,ä\nthé,ö\nx,ü\n", encoding)
    task = loading.load(settings(data=data, encoding=encoding, split=(1, 0, 0)))
    assert [row.input for row in task.splits["train"]] == ["café", "thé", "x"]


@pytest.mark.parametrize("encoding", ["utf-9", "base64", "rot13", ""])
def test_no_encoding(tmp_path, encoding):
    data = write(tmp_path / "t.csv", "input,target\na,b\n")
    with pytest.raises(UsageError, match="there is no text encoding"):
        loading.load(settings(data=data, encoding=encoding))


def test_a_delimiter_of_ones_own(tmp_path):
    data = write(tmp_path / "t.csv", "input^target\na,b;c^d\ne^f\ng^h\n")
    task = loading.load(settings(data=data, delimiter="^", split=(1, 0, 0)))
    assert [row.input for row in task.splits["train"]] == ["a,b;c", "e", "g"]
    tabs = write(tmp_path / "tabs.csv", "input\ttarget\na,b\tc\nd\te,f\n")
    for name in ("tab", "\t", "\\t"):
        task = loading.load(settings(data=tabs, delimiter=name, split=(1, 0, 0)))
        assert [row.target for row in task.splits["train"]] == ["c", "e,f"]
    for name in ("", "ab", '"', "\n", " "):
        with pytest.raises(UsageError, match=r"task\.delimiter is"):
            loading.load(settings(data=data, delimiter=name))


def test_how_a_file_was_taken_is_told(tmp_path):
    data = write(tmp_path / "t.csv", "input;target\na, x;b\nc;d\ne;f\n")
    task = loading.load(settings(data=data, split=(1, 0, 0)))
    assert task.notices == (f"{data}: fields are divided by semicolon",)


@pytest.mark.parametrize("below", ["", "data"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_snapshots_of_repositories(tmp_path, below, kind):
    for split, rows in (("train", 9), ("test", 4)):
        place = tmp_path / below / f"{split}.{kind}"
        pairs = [pair(f"{split}{i}") | {"target": str(i % 2)} for i in range(rows)]
        if kind == "parquet":
            write_parquet(place, pairs)
        elif kind == "jsonl":
            write(place, "\n".join(map(json.dumps, pairs)))
        else:
            body = "".join(f"{one['input']},{one['target']}\n" for one in pairs)
            write(place, "input,target\n" + body)
    write(tmp_path / "README.json", "{}")
    task = loading.load(settings(data=str(tmp_path)))
    sizes = {split: len(rows) for split, rows in task.splits.items()}
    assert sizes == {"train": 6, "validation": 3, "test": 4}
    notice = "the data has no validation split: 3 of its 9 train rows are taken for it"
    assert task.notices == (notice,)
    whole = loading.load(settings(data=str(tmp_path), validation_rows=0))
    assert {split: len(rows) for split, rows in whole.splits.items()} == {"train": 9, "test": 4}


def test_matched_validation_is_validation(tmp_path):
    for name in ("train", "validation_matched", "validation_mismatched", "test_matched"):
        write_parquet(tmp_path / f"{name}-00000-of-00001.parquet", [pair(name)])
    task = loading.load(settings(data=str(tmp_path)))
    assert {split: rows[0].input for split, rows in task.splits.items()} == {
        "train": "question train",
        "validation": "question validation_matched",
        "test": "question test_matched",
    }
    assert task.notices == (f"{tmp_path}: not used: the splits validation_mismatched",)


def test_one_split_in_two_kinds_of_files_is_refused(tmp_path):
    write(tmp_path / "train.csv", "input,target\na,b\n")
    write(tmp_path / "train.jsonl", '{"input": "a", "target": "b"}')
    with pytest.raises(
        DataError, match=r"the same split in files of several kinds, as train\.jsonl"
    ):
        table.read(str(tmp_path))
