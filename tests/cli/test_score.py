"""`opro-local score`: rows in, the same rows with what was read and earned out, and nothing
half-written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from opro_local.cli import score as verb
from opro_local.errors import DataError, OproError, StoreError, UsageError
from opro_local.scoring.answer_file import read_answers
from opro_local.scoring.answers import score_file

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "opro_scorer.jsonl"

ROWS = [
    {"id": 7, "kind": "number", "target": "5", "answer": "The answer is 5.", "note": None},
    {"kind": "number", "target": "5", "answer": "I do not know", "parsed": "old", "correct": 3},
    {"kind": "boolean", "prompt": "Q: so?", "target": "no", "answer": "not sure 你"},
    {"kind": "choice", "prompt": "(A) cat (B) dog", "target": "(B)", "answer": "the cat"},
]


@pytest.fixture
def file(tmp_path):
    return written(tmp_path / "answers.jsonl", *ROWS)


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(*arguments: object):
    app = typer.Typer()
    app.command()(verb.score)
    return CliRunner().invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=False
    )


def test_rows_come_back_in_order_with_their_fields(file, tmp_path):
    score_file(file, "opro", tmp_path / "out.jsonl")
    found = read(tmp_path / "out.jsonl")
    assert [(row["parsed"], row["correct"]) for row in found] == [
        ("5", 1.0),
        ("", 0.0),
        ("not sure 你", 1.0),
        ("the cat", 0.0),
    ]
    assert [{**row, "parsed": 0, "correct": 0} for row in found] == [
        {**row, "parsed": 0, "correct": 0} for row in ROWS
    ]
    assert list(found[1])[:3] == ["kind", "target", "answer"]
    assert "你" in (tmp_path / "out.jsonl").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.jsonl", "out.jsonl"]


def test_the_figures(file):
    found = score_file(file, "opro")
    assert list(found) == [
        "rule",
        "accuracy",
        "n",
        "interval",
        "extraction_failures",
        "by_kind",
        "unreadable_targets",
        "groups",
    ]
    assert found["groups"] == []
    assert (found["rule"], found["accuracy"], found["n"]) == ("opro", 0.5, 4)
    # Wilson's interval of 2 in 4.
    assert found["interval"] == pytest.approx([0.15004, 0.84996], abs=1e-5)
    assert found["extraction_failures"] == 1 and found["unreadable_targets"] == 0
    assert list(found["by_kind"]) == ["number", "boolean", "choice"]
    number = found["by_kind"]["number"]
    assert (number["accuracy"], number["n"], number["extraction_failures"]) == (0.5, 2, 1)
    assert list(number) == ["accuracy", "n", "interval", "extraction_failures"]


def test_a_rule_that_knows_marks_reports_its_strict_accuracy(tmp_path):
    rows = [
        {"target": "5", "answer": answer}
        for answer in ("The answer is 5.", "perhaps 5", "6", "none")
    ]
    found = score_file(written(tmp_path / "a.jsonl", *rows), "number", tmp_path / "out.jsonl")
    assert (found["accuracy"], found["strict"], found["extraction_failures"]) == (0.5, 0.25, 1)
    assert [row["parsed"] for row in read(tmp_path / "out.jsonl")] == ["5", "5", "6", None]
    assert found["by_kind"] == {}


def test_a_row_s_own_kind_beats_the_option(tmp_path):
    rows = [{"kind": "text", "target": "5", "answer": "x 5 y"}, {"target": "5", "answer": "x 5 y"}]
    found = score_file(
        written(tmp_path / "a.jsonl", *rows), "opro", tmp_path / "out.jsonl", kind="number"
    )
    assert [row["parsed"] for row in read(tmp_path / "out.jsonl")] == ["x 5 y", "5"]
    assert list(found["by_kind"]) == ["text", "number"]
    assert score_file(tmp_path / "a.jsonl", "exact", kind="other")["by_kind"].keys() == {
        "text",
        "other",
    }


def test_targets_decide_the_kind_of_the_rows_that_name_none(tmp_path):
    rows = [{"kind": "boolean", "target": "yes", "answer": "1"}]
    rows += [{"target": target, "answer": "12 or 5"} for target in ("5", "12")]
    found = score_file(written(tmp_path / "a.jsonl", *rows), "opro")
    assert found["by_kind"]["number"]["n"] == 2 and found["accuracy"] == pytest.approx(2 / 3)


def test_auto_labels_pattern_and_function(tmp_path):
    file = written(
        tmp_path / "a.jsonl", *({"target": t, "answer": f"it is {t}!"} for t in ("red", "blue") * 3)
    )
    assert score_file(file)["rule"] == "labels"
    assert score_file(file, "labels", labels=("red", "blue"))["accuracy"] == 1.0
    assert score_file(file, "regex", pattern=r"is (\w+)")["accuracy"] == 1.0
    (tmp_path / "half.py").write_text(
        "def f(answer, target, columns):\n    return None if target == 'red' else "
        "len(columns) / 8\n"
    )
    found = score_file(file, f"{tmp_path / 'half.py'}:f", tmp_path / "out.jsonl")
    assert (found["accuracy"], found["extraction_failures"]) == (0.125, 3)
    assert [row["correct"] for row in read(tmp_path / "out.jsonl")] == [0.0, 0.25] * 3
    assert [row["parsed"] for row in read(tmp_path / "out.jsonl")] == [None, "it is blue!"] * 3


def test_targets_that_no_answer_can_meet_are_counted(tmp_path):
    rows = [{"target": target, "answer": "5"} for target in ("5", "many")]
    found = score_file(written(tmp_path / "a.jsonl", *rows), "number")
    assert (found["accuracy"], found["unreadable_targets"]) == (0.5, 1)
    rows = [
        {"kind": "choice", "prompt": "(A) x", "target": target, "answer": "(B)"}
        for target in ("(A)", "(B)")
    ]
    found = score_file(written(tmp_path / "b.jsonl", *rows), "opro")
    assert (found["accuracy"], found["unreadable_targets"]) == (0.0, 1)


@pytest.mark.parametrize(
    ("rule", "pattern", "targets", "unreadable"),
    [
        ("choice", None, ("5", "6", "(B)"), 2),
        ("number", None, ("5 or 6", "many", "5"), 2),
        ("json", "answer", (" ", "5"), 1),
        ("boolean", None, ("yes", "perhaps"), 1),
        ("exact", None, (" ", "5"), 1),
        ("labels", None, ("cat", "dog", " "), 1),
    ],
)
def test_targets_that_say_nothing_are_counted_under_every_rule(
    tmp_path, rule, pattern, targets, unreadable
):
    file = written(tmp_path / "a.jsonl", *({"target": target, "answer": "5"} for target in targets))
    assert score_file(file, rule, pattern=pattern)["unreadable_targets"] == unreadable


def test_blank_lines_bom_and_lone_surrogates(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(
        b'\xef\xbb\xbf{"target": "a", "answer": "\\ud800"}\r\n\n \n{"target":"a","answer":"a"}'
    )
    score_file(tmp_path / "a.jsonl", "exact", tmp_path / "out.jsonl")
    assert [(row["answer"], row["correct"]) for row in read(tmp_path / "out.jsonl")] == [
        ("\ud800", 0.0),
        ("a", 1.0),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "no JSON: Expecting property name"),
        (b"[1]", r"\[1\] is no JSON object"),
        (b"null", "null is no JSON object"),
        (b'{"answer": "a"}', "no field 'target'"),
        (b'{"target": "a"}', "no field 'answer'"),
        (b'{"target": null, "answer": "a"}', "the field 'target' is null, not text"),
        (b'{"target": "a", "answer": "a", "kind": 1}', "the field 'kind' is 1, not text"),
        (
            b'{"target": "a", "answer": "a", "prompt": ["x"]}',
            r"the field 'prompt' is \[\"x\"\], not text",
        ),
        (b'{"target": "\xff", "answer": "a"}', "the byte 0xff is not UTF-8"),
        (
            b'{"target": "(A)", "answer": "a", "kind": "choice"}',
            "no field 'prompt'; the rule opro reads the options",
        ),
        (
            b'{"target": "a", "answer": "a", "kind": "letters"}',
            "no kind 'letters'; accepted: number, boolean",
        ),
        (b"[" * 100_000, "no JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "no JSON"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path, line, message):
    (tmp_path / "a.jsonl").write_bytes(
        b'{"kind": "text", "target": "a", "answer": "a"}\n\n' + line + b"\n"
    )
    with pytest.raises(DataError, match=r"a\.jsonl:3: .*" + message):
        score_file(tmp_path / "a.jsonl", "opro", tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("row", "read_as"),
    [
        ({"target": 5, "answer": 5}, ("5", "5")),
        ({"target": 1.50, "answer": "a"}, ("1.5", "a")),
        ({"target": True, "answer": False}, ("true", "false")),
        ({"target": ["a", 1], "answer": {"x": 2}}, ('["a", 1]', '{"x": 2}')),
    ],
)
def test_numbers_and_lists_are_taken_as_their_text(tmp_path, row, read_as):
    (found,) = read_answers(written(tmp_path / "a.jsonl", row))
    assert (found.target, found.answer) == read_as and found.fields == row


def test_numbers_keep_their_digits(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"target": 1.50, "answer": 1e2}')
    (found,) = read_answers(tmp_path / "a.jsonl")
    assert (found.target, found.answer) == ("1.50", "1e2")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "answer,target,n\nThe answer is 5.,5,1\n6,5,2\n"),
        ("a.tsv", "answer\ttarget\tn\nThe answer is 5.\t5\t1\n6\t5\t2\n"),
    ],
)
def test_tables_are_scored(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = score_file(tmp_path / name, "number", tmp_path / "out.jsonl")
    assert (found["accuracy"], found["n"]) == (0.5, 2)
    assert [(row["n"], row["correct"]) for row in read(tmp_path / "out.jsonl")] == [
        ("1", 1.0),
        ("2", 0.0),
    ]
    (tmp_path / f"bad{name}").write_text(text.replace("target", "gold"))
    with pytest.raises(DataError, match=rf"bad{name}:2: no field 'target'"):
        score_file(tmp_path / f"bad{name}", "number")


def test_samples_of_the_harness_are_scored(tmp_path):
    sample = {
        "doc_id": 0,
        "doc": {"question": "2 + 3?"},
        "target": "5",
        "arguments": {"gen_args_0": {"arg_0": "Q: 2 + 3?\nA:", "arg_1": {"until": ["\n"]}}},
        "resps": [["The answer is 5."]],
        "filtered_resps": ["5"],
    }
    older = {**sample, "arguments": [["Q: 2 + 3?\nA:", {"until": ["\n"]}]], "target": ["6"]}
    file = written(tmp_path / "samples.jsonl", sample, older)
    assert [(row.target, row.answer, row.prompt) for row in read_answers(file)] == [
        ("5", "The answer is 5.", "Q: 2 + 3?\nA:"),
        ("6", "The answer is 5.", "Q: 2 + 3?\nA:"),
    ]
    assert score_file(file, "number")["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("resps", "arguments"),
    [
        # As the harness holds them, and as it writes them to a file: everything a text.
        ([[[-1.5, False]], [[-0.5, True]]], {"gen_args_0": {"arg_0": "Q", "arg_1": " a"}}),
        ([[["-1.5", "False"]], [["-0.5", "True"]]], {"gen_args_0": {"arg_0": "Q", "arg_1": " a"}}),
        ([["-1.5", "False"]], [["Q", " a"]]),
        ([["-123.4"]], {"gen_args_0": {"arg_0": "a whole text"}}),
        ([[-123.4]], None),
    ],
)
def test_log_probabilities_are_no_answers(tmp_path, resps, arguments):
    sample = {"doc": {}, "target": "0", "arguments": arguments, "resps": resps}
    message = r"a\.jsonl:1: a sample of a task that compares log-probabilities \(multiple_choice\)"
    with pytest.raises(DataError, match=message) as caught:
        score_file(written(tmp_path / "a.jsonl", sample), "number")
    assert "acc in the harness's own results" in (caught.value.hint or "")


def test_of_several_targets_of_a_sample_any_is_right(tmp_path):
    sample = {"doc": {}, "arguments": [["Q", {"until": []}]], "resps": [["Lutetia"]]}
    rows = [{**sample, "target": target} for target in ("['Paris', 'Lutetia']", ["Rome", "Roma"])]
    rows += [{**sample, "target": "[Paris]"}]
    found = score_file(written(tmp_path / "a.jsonl", *rows), "exact", tmp_path / "out.jsonl")
    assert [row["correct"] for row in read(tmp_path / "out.jsonl")] == [1.0, 0.0, 0.0]
    assert found["n"] == 3


@pytest.mark.parametrize("rule", ["number", "exact", "auto"])
def test_an_answer_that_was_not_given_is_unread_and_named(tmp_path, rule):
    rows = [{"target": "5", "answer": answer} for answer in ("5", None, "5", None)]
    file = written(tmp_path / "a.jsonl", *rows)
    found = score_file(file, rule, tmp_path / "out.jsonl")
    assert (found["accuracy"], found["extraction_failures"], found["not_given"]) == (0.5, 2, 2)
    assert found["not_given_rows"] == [f"{file}:2", f"{file}:4"]
    assert "truncated" not in found
    assert [row["parsed"] for row in read(tmp_path / "out.jsonl")] == ["5", None, "5", None]
    lines = run(file, "--rule", rule).stdout.splitlines()
    assert lines[0].endswith("2 extraction failures, 2 of them not given")
    assert (
        lines[1] == f"Answers that were not given (null) count as unread, first {file}:2, {file}:4"
    )


@pytest.mark.parametrize("resps", [[[None]], [[]], []])
def test_a_sample_without_a_response_is_an_answer_not_given(tmp_path, resps):
    sample = {"doc": {}, "target": "5", "arguments": [["Q", {"until": []}]], "resps": resps}
    found = score_file(written(tmp_path / "a.jsonl", sample), "number")
    assert (found["not_given"], found["accuracy"]) == (1, 0.0)


def test_a_table_s_missing_answer_is_not_given(tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [{"target": "5", "answer": "5"}, {"target": "5", "answer": None}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert score_file(tmp_path / "a.parquet", "number")["not_given"] == 1
    (tmp_path / "nan.jsonl").write_text('{"target": "5", "answer": NaN}')
    assert score_file(tmp_path / "nan.jsonl", "number")["not_given"] == 1


def sample(name: str, filtered: str, right: float, answer: str = "The answer is 5.") -> dict:
    return {
        "doc": {},
        "target": "5",
        "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": {"until": []}}},
        "resps": [[answer]],
        "filtered_resps": [filtered],
        "filter": name,
        "metrics": ["exact_match"],
        "exact_match": right,
    }


def test_filters_of_the_harness_have_a_figure_each(tmp_path):
    rows = [sample("strict-match", "[invalid]", 0.0), sample("strict-match", "5", 1.0)]
    rows += [sample("flexible-extract", "5", 1.0), sample("flexible-extract", "6", 0.0, "6")]
    file = written(tmp_path / "samples.jsonl", *rows)
    found = score_file(file, "number", tmp_path / "out.jsonl")
    assert (found["accuracy"], found["interval"], found["n"]) == (None, None, 4)
    strict, flexible = found["groups"]
    assert strict["group"] == {"filter": "strict-match"}
    assert (strict["accuracy"], strict["n"], strict["recorded"]) == (1.0, 2, {"exact_match": 0.5})
    assert (flexible["accuracy"], flexible["n"]) == (0.5, 2)
    assert [row["correct"] for row in read(tmp_path / "out.jsonl")] == [1.0, 1.0, 1.0, 0.0]
    lines = run(file, "--rule", "number").stdout.splitlines()
    assert lines[0] == "4 answers in 2 groups by filter:"
    assert lines[1].startswith("  filter strict-match: rule number: 100.0 % of 2 answers are right")
    assert lines[2] == "    recorded by lm-eval: exact_match 0.5"


EVALUATED = {"instruction": "Answer.", "input": "so?", "target": "yes"}


@pytest.mark.parametrize(
    ("rows", "by", "groups"),
    [
        # What evaluate writes: prompts are counted.
        ([{**EVALUATED, "prompt": n} for n in (1, 2, 1)], None, [{"prompt": "1"}, {"prompt": "2"}]),
        # A prompt that is text is the question, unless there is an input beside it.
        ([{"target": "yes", "prompt": "so?"}, {"target": "yes", "prompt": "no?"}], None, []),
        (
            [{"target": "yes", "prompt": p, "input": "so?"} for p in ("a", "b")],
            None,
            [{"prompt": "a"}, {"prompt": "b"}],
        ),
        # One value divides nothing; several columns divide together.
        ([{"target": "yes", "task": "t", "model": "m"}] * 2, None, []),
        (
            [{"target": "yes", "task": t, "model": m} for t in "ab" for m in "mn"],
            None,
            [{"task": t, "model": m} for t in "ab" for m in "mn"],
        ),
        # More than ten values with fewer than two rows each are ids.
        ([{"target": "yes", "task": f"t{n}"} for n in range(11)], None, []),
        (
            [{"target": "yes", "task": f"t{n}"} for n in range(10)],
            None,
            [{"task": f"t{n}"} for n in range(10)],
        ),
        (
            [{"target": "yes", "task": f"t{n}"} for n in range(11)] * 2,
            None,
            [{"task": f"t{n}"} for n in range(11)],
        ),
        # A row without the value is a group of its own.
        (
            [{"target": "yes", "model": "m"}, {"target": "yes"}],
            None,
            [{"model": "m"}, {"model": None}],
        ),
        ([{"target": "yes", "my column": n, "task": n} for n in (1, 2)], ["none"], []),
        (
            [{"target": "yes", "my column": n, "task": 1 - n} for n in (0, 1)],
            ["my column"],
            [{"my column": "0"}, {"my column": "1"}],
        ),
    ],
)
def test_what_divides_a_file(tmp_path, rows, by, groups):
    file = written(tmp_path / "a.jsonl", *({**row, "answer": "yes"} for row in rows))
    found = score_file(file, "exact", by=by)
    assert [group["group"] for group in found["groups"]] == groups
    assert found["accuracy"] == (None if groups else 1.0)
    assert found["n"] == len(rows)


def test_each_task_of_a_file_has_the_rule_of_its_own_targets(tmp_path):
    rows = [{"task": "sums", "target": str(n), "answer": f"it is {n}."} for n in range(40)]
    rows += [{"task": "moods", "target": t, "answer": f"{t}!"} for t in ("good", "bad") * 20]
    file = written(tmp_path / "a.jsonl", *rows)
    found = score_file(file)
    assert found["rule"] is None
    assert [(part["rule"], part["accuracy"]) for part in found["groups"]] == [
        ("number", 1.0),
        ("labels", 1.0),
    ]
    kinds = score_file(file, "opro")
    assert [list(part["by_kind"]) for part in kinds["groups"]] == [["number"], ["text"]]


def test_a_column_that_no_row_has_divides_nothing(tmp_path):
    file = written(tmp_path / "a.jsonl", {"target": "yes", "answer": "yes"})
    with pytest.raises(UsageError, match="--by: no row has a column 'colour'"):
        score_file(file, "exact", by=["colour"])


def test_what_evaluate_writes_is_scored(tmp_path):
    row = {
        "prompt": 2,
        "instruction": "Answer.",
        "input": "(A) cat (B) dog",
        "target": "(B)",
        "answer": "(B)",
    }
    file = written(tmp_path / "rows.jsonl", row)
    assert score_file(file, "opro", kind="choice")["accuracy"] == 1.0
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "rows.parquet")
    assert score_file(tmp_path / "rows.parquet", "opro", kind="choice")["accuracy"] == 1.0


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        score_file(tmp_path / "none.jsonl", "opro")
    with pytest.raises(DataError, match="is no regular file"):
        score_file(tmp_path, "exact")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"empty\.jsonl: no rows"):
        score_file(tmp_path / "empty.jsonl", "opro", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_the_input_is_never_written_over(file, tmp_path):
    before = file.read_bytes()
    os.link(file, tmp_path / "hard.jsonl")
    (tmp_path / "soft.jsonl").symlink_to(file)
    for output in (
        file,
        tmp_path / "hard.jsonl",
        tmp_path / "soft.jsonl",
        tmp_path / "x" / ".." / "answers.jsonl",
    ):
        with pytest.raises(UsageError, match="is the input; name a file of its own"):
            score_file(file, "opro", output)
    assert file.read_bytes() == before


def test_outputs_that_can_be_none(file, tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        score_file(file, "opro", tmp_path)
    with pytest.raises(UsageError, match="in a folder that does not exist"):
        score_file(file, "opro", tmp_path / "none" / "out.jsonl")
    with pytest.raises(UsageError, match="is no regular file"):
        score_file(file, "opro", Path("/dev/null"))
    with pytest.raises(StoreError, match="can't be written"):
        score_file(file, "opro", Path("/proc/self/out.jsonl"))
    with pytest.raises(UsageError, match="File name too long"):
        score_file(file, "opro", tmp_path / ("x" * 300))


def test_an_old_output_stays_until_the_new_one_is_whole(file, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("old")
    bad = written(tmp_path / "bad.jsonl", ROWS[0], {"target": "a"})
    with pytest.raises(DataError):
        score_file(bad, "opro", output)
    assert output.read_text() == "old"
    score_file(file, "opro", output)
    assert len(read(output)) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rule", "fuzzy"), "unknown scoring rule 'fuzzy'"),
        (
            ("--rule", "opro", "--kind", "letters"),
            "no kind 'letters'; accepted: auto, number, boolean, choice, text",
        ),
        (("--rule", "regex"), "has no pattern"),
        (("--rule", "none.py:f"), "no such file"),
    ],
)
def test_rules_that_cannot_be_made(file, options, message):
    with pytest.raises(OproError, match=message) as caught:
        run(file, *options)
    assert caught.value.exit_code == 2


def test_what_is_printed(file, tmp_path):
    result = run(file, "--rule", "opro", "--output", tmp_path / "out.jsonl")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "rule opro: 50.0 % of 4 answers are right (95 % interval 15.0 to 85.0), 1 extraction "
        "failures"
    )
    assert [line.split(":")[0] for line in lines[1:4]] == ["  number", "  boolean", "  choice"]
    assert lines[4] == f"Saved in {tmp_path / 'out.jsonl'}"
    assert json.loads(run(file, "--rule", "opro", "--json").stdout) == score_file(file, "opro")
    labels = run(file, "--rule", "labels", "--labels", " cat , dog,", "--json")
    assert json.loads(labels.stdout)["extraction_failures"] == 3


@pytest.mark.skipif(
    not VECTORS.exists(), reason="shared/vectors/opro_scorer.jsonl is not beside the checkout"
)
def test_the_recorded_verdicts_come_out_as_they_went_in(tmp_path):
    score_file(VECTORS, "opro", tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl") == read(VECTORS)
