"""A run's prompt on new rows: as the run asked, in the rows' order, and nothing read into them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_results import made_result, made_search
from running import SCRIPT, SMOL, program, real, write_reviews

import opro_local
from opro_local.cli import predict as cli_predict
from opro_local.config import reading
from opro_local.errors import DataError, StoreError, UsageError
from opro_local.runs.plans import make_plan
from opro_local.runs.predicting import predict_file
from opro_local.runs.prediction import _reader
from opro_local.runs.run import run
from opro_local.types import Example

SCORER = """
usual = answer


def answer(request):
    text = request.prompt.text
    if request.sampling.seed is None and "dunno" in text.rpartition("Q: ")[2]:
        return "Who knows."
    if request.sampling.seed is None and text.count("A:") < 2:
        return "it is " + usual(request)
    if request.sampling.seed is None and "so long" in text.rpartition("Q: ")[2]:
        return "positive " * 30
    return usual(request)
"""


def search(folder, **more):
    """The tables of a small mixed search over reviews, with worked examples."""
    own = Path(SCRIPT.rpartition(":")[0]).read_text()
    (folder / "model.py").write_text(own + SCORER)
    script = {"engine": "scripted", "script": f"{folder / 'model.py'}:answer"}
    data = write_reviews(folder / "reviews.csv")
    task = {"data": str(data), "input": "text", "target": "label", "rule": "labels"}
    return {
        "task": task | more.pop("task", {}),
        "scorer": {**script, "max_tokens": 8, "max_model_len": 400, **more.pop("scorer", {})},
        "optimizer": script,
        "search": {"seeds": ["What is it?"], "steps": 1, "candidates": 2, **more.pop("search", {})},
        "run": {"seed": 3},
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run that shows the model's own answers as worked examples, and its result."""
    folder = tmp_path_factory.mktemp("made")
    own = {"demonstrations": 4, "demonstration_answers": "own", "generic_seeds": 0}
    tables = search(folder, search={**own, "written_seeds": 0, "steps": 3})
    result = run(reading.build(tables), folder / "run")
    return folder, tables, result


def test_it_answers_the_test_rows_as_the_run_did(made):
    folder, tables, result = made
    rows = make_plan(reading.build(tables)).problem.rows["test"]
    assert result.best.demonstrations
    came = result.predict([dict(row.columns) for row in rows], trust_code=True)
    right = sum(row.target == said for row, said in zip(rows, came.values, strict=True))
    assert right / len(rows) == result.test.best.accuracy
    assert came.completion_tokens > 0 and came.unread == came.cut == came.too_long == []
    assert came.notices == () and not list(folder.glob("run/*.part"))
    texts = opro_local.predict(folder / "run", [row.input for row in rows], trust_code=True)
    assert texts.values == came.values


NEW = [
    ('=1+1,"a" {input}\nwas good', "1"),
    ("I dunno, Привет", "007"),
    ("short", " x "),
    ("so long a text", "é"),
    ("x " * 3000, ""),
]


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "note"), *NEW])
    return path


def test_rows_are_written_in_order_and_odd_ones_named(made, new, tmp_path):
    out = tmp_path / "out.csv"
    command = ("predict", "--run", str(made[0] / "run"), "--data", str(new), "--trust-code")
    said = program(*command, "--output", str(out), "--json")
    record = json.loads(said.stdout)
    assert record["rows"] == 5 and record["predicted"] == 3
    assert [place.rpartition(":")[2] for place in record["unread"]] == ["4"]
    assert [place.rpartition(":")[2] for place in record["cut"]] == ["6"]
    assert [place.rpartition(":")[2] for place in record["too_long"]] == ["7"]
    with out.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["text", "note", "prediction"]
    assert [tuple(row[:2]) for row in rows] == NEW
    values = [row[2] for row in rows]
    assert values[1] == values[4] == "" and set(values[:1] + values[2:4]) <= {
        "positive",
        "negative",
    }
    came, text = predict_file(made[0] / "run", new, None, trust_code=True)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["prediction"] for line in lines] == values and lines[1]["note"] == "007"
    assert cli_predict._summary(came)[-1] == (
        f"1 rows: too long for the model's context, not asked: {new}:7"
    )


def test_types_stay_in_json_lines(made, tmp_path):
    rows = [{"text": "a good one", "n": 7, "tags": ["x"], "none": None}, {"text": "poor"}]
    data, out = tmp_path / "new.jsonl", tmp_path / "out.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    came, text = predict_file(made[0] / "run", data, out, trust_code=True)
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [{**row, "prediction": row["prediction"]} for row in written] == written
    expected = [{**row, "prediction": said} for row, said in zip(rows, came.values, strict=True)]
    assert written == expected and text == out.read_text()


def test_rows_of_a_program(made):
    folder, _, result = made
    rows = [{"text": "It was good"}, {"text": "It was poor", "n": 3}]
    listed = result.predict(rows, trust_code=True)
    assert [row.where for row in listed] == ["row 1", "row 2"]
    framed = opro_local.predict(str(folder / "run"), tuple(rows), trust_code=True)
    assert framed.values == listed.values and listed[0].answer


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["nice", None], "row 2 is of type NoneType, others are texts: None"),
        ([3, "nice"], "row 1 is of type int, others are texts: 3"),
        ([{"text": "nice"}, 3], "row 2 is of type int, no dict: 3"),
        (["nice", "nice \ud800"], "row 2: half a surrogate pair in the column 'text'"),
        ([{"text": "nice \udc00"}], "row 1: half a surrogate pair in the column 'text'"),
    ],
)
def test_an_odd_row_of_a_program_is_named(made, rows, said):
    folder, _, _ = made
    with pytest.raises(DataError) as raised:
        opro_local.predict(folder / "run", rows, trust_code=True)
    assert raised.value.message == said


def test_a_long_call_is_told_of_on_stderr(made, new, monkeypatch, capsys):
    monkeypatch.setattr(cli_predict, "PLAIN_SECONDS", 0.0)
    lines = cli_predict._Lines()
    predict_file(made[0] / "run", new, None, (), True, lines.report)
    said = capsys.readouterr()
    assert said.out == "" and "5 rows answered" in said.err


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("a,b\n1,2\n", "no column 'text'"),
        ("text,prediction\n1,2\n", "a column 'prediction' already"),
        ("text,n\n,2\n", "nothing in the column 'text'"),
        ("text,n\na\n", "bad row|fields"),
        ("text,n,n\na,1,2\n", "several columns are called 'n'"),
    ],
)
def test_rows_that_cannot_be_asked_or_written_are_refused(made, tmp_path, rows, what):
    (tmp_path / "new.csv").write_text(rows)
    with pytest.raises(DataError, match=what):
        predict_file(made[0] / "run", tmp_path / "new.csv", None, trust_code=True)


def test_what_it_was_made_of_must_be_there_and_trusted(made, new, tmp_path):
    folder = made[0]
    place = folder / "run"
    with pytest.raises(UsageError, match=r"model\.py:answer has to be run; add --trust-code"):
        predict_file(place, new, None)
    with pytest.raises(UsageError, match=r"of unknown kind '\.xlsx'"):
        predict_file(place, new, tmp_path / "x.xlsx", trust_code=True)
    with pytest.raises(UsageError, match=r"predicts as it was searched: task\.rule was 'labels'"):
        predict_file(place, new, None, ('task.rule="exact"',), trust_code=True)
    data = folder / "reviews.csv"
    kept = data.read_text()
    data.write_text(kept.replace("Number 1 ", "Number one "))
    try:
        with pytest.raises(UsageError, match="data changed since the run"):
            predict_file(place, new, None, trust_code=True)
        (tmp_path / "moved.csv").write_text(kept)
        change = f"task.data={json.dumps(str(tmp_path / 'moved.csv'))}"
        came, _ = predict_file(place, new, None, (change,), trust_code=True)
        assert came.to_json()["predicted"] == 3
    finally:
        data.write_text(kept)
    with pytest.raises(StoreError, match="there is no run"):
        opro_local.predict(tmp_path / "none", ["x"])


ROUNDS = '''
usual = answer


def answer(request):
    """A thought, an answer, and in a second round the answer alone."""
    prompt = request.prompt
    if request.sampling.seed is not None:
        return usual(request)
    said = usual(request)
    if "final answer" in prompt.prefill:
        return f" {said}."
    return f"<think>Is it negative or positive?</think>\\nIt is {said}, I think."
'''


@pytest.mark.parametrize("second_round", [False, True])
def test_thoughts_are_left_out_and_second_rounds_asked(tmp_path, second_round):
    tables = search(
        tmp_path,
        task={"second_round": second_round},
        scorer={"max_tokens": 40, "thinking_tokens": 30},
        search={"mode": "opro", "metaprompt": "continuation"},
    )
    own = Path(SCRIPT.rpartition(":")[0]).read_text()
    (tmp_path / "model.py").write_text(own + ROUNDS)
    result = run(reading.build(tables), tmp_path / "run")
    rows = make_plan(reading.build(tables)).problem.rows["test"]
    came = result.predict([row.input for row in rows], trust_code=True)
    right = sum(row.target == said for row, said in zip(rows, came.values, strict=True))
    assert right / len(rows) == result.test.best.accuracy > 0 and came.unread == []
    assert not any("think>" in one.answer for one in came)
    assert (result.prompt.second_round is not None) is second_round


def test_a_functions_metric_leaves_the_answer_as_it_is(tmp_path):
    tables = search(tmp_path, search={"mode": "opro", "metaprompt": "continuation"})
    result = opro_local.optimize(
        tables, metric=lambda answer, target, columns: target in answer, run=tmp_path / "run"
    )
    assert result.prompt.rule["name"] == "python"
    came = result.predict(["It was good"], trust_code=True)
    assert came.values == [came[0].answer] and came[0].answer.startswith("it is ")


# By rule: targets, and by answer what is predicted.
READ = {
    "labels": (("Positive", "Negative "), {"It is **positive**.": "Positive", "both?": None}),
    "choice": (("A", "B"), {"(B)": "B", "The second one": "B", "no": None}),
    "number": (("1", "2,000"), {"About 7.50 in all": "7.5", "none": None}),
    "boolean": (("yes", "no"), {"Yes, it is.": "yes", "True": "yes", "hm": None}),
    "exact": (("one", "two"), {" The One. ": "The One.", " ": None}),
}


@pytest.mark.parametrize("rule", READ)
def test_answers_are_read_by_the_runs_rule(tables, tmp_path, rule):
    targets, answers = READ[rule]
    lines = [
        {"text": f"{n}: (A) the first one (B) the second one", "label": targets[n % 2]}
        for n in range(40)
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tables["task"] |= {"data": str(tmp_path / "d.jsonl"), "rule": rule}
    plan = make_plan(reading.build(tables))
    result = made_result(made_search())
    whole = plan.whole_prompt(replace(result, rule=plan.rule))
    read = _reader(plan.problem, whole)
    row = Example("", {}, "x: (A) the first one (B) the second one", "", "")
    assert {answer: read(answer, row) for answer in answers} == answers


@pytest.mark.real
def test_the_embedded_model_predicts_as_it_was_tested(tmp_path):
    real("transformers")
    data = write_reviews(tmp_path / "r.csv")
    tables = {
        "task": {
            "data": str(data),
            "input": "text",
            "target": "label",
            "test_rows": 6,
            "train_rows": 8,
            "validation_rows": 6,
        },
        "scorer": {"model": str(SMOL), "engine": "transformers", "max_tokens": 8},
        "search": {"steps": 1, "candidates": 2},
    }
    result = run(reading.build(tables), tmp_path / "run")
    rows = make_plan(reading.build(tables)).problem.rows["test"]
    came = result.predict([dict(row.columns) for row in rows] + [{"text": "long " * 20000}])
    right = sum(row.target == said for row, said in zip(rows, came.values, strict=False))
    assert right / len(rows) == result.test.best.accuracy and came.too_long == ["row 7"]
