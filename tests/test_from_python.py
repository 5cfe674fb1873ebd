"""`evaluate` and `check` from Python, and what a notebook shows of runs and results."""

from __future__ import annotations

import csv
import json
import logging
import sys
import types

import pytest
from documented import python, write_files
from running import sets, write_reviews
from test_optimize import QUICK, frame
from typer.testing import CliRunner

import opro_local
from opro_local.cli.main import app
from opro_local.errors import DataError, UsageError
from opro_local.runs.notebook import in_notebook

HOSTILE = '<script>alert(1)</script>\u202egood\x1b[31m & "it\'s"'


@pytest.fixture
def rows(tmp_path):
    with write_reviews(tmp_path / "reviews.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


GIVEN = {"input": "text", "target": "label", "model": "none", "set": QUICK}


def evaluate(data, **more):
    return opro_local.evaluate(data, **{**GIVEN, "prompt": ["What is it?", "Is it good?"], **more})


@pytest.mark.parametrize("kind", [list, frame])
def test_rows_in_memory_are_evaluated_as_their_file(rows, kind, tmp_path):
    ours = evaluate(kind(rows)).to_json()
    theirs = evaluate(tmp_path / "reviews.csv").to_json()
    for name in ("prompts", "pairs", "split", "rule"):
        assert ours[name] == theirs[name]
    assert ours["split"] == "test" and len(ours["prompts"]) == 2


def test_an_evaluation_is_what_the_command_gives(rows, tmp_path):
    ours = evaluate(tmp_path / "reviews.csv", run=tmp_path / "ours")
    changes = sets(*(f"{name}={json.dumps(value)}" for name, value in QUICK.items()))
    given = ("--data", "reviews.csv", "--input", "text", "--target", "label", "--model", "none")
    prompts = ("--prompt", "What is it?", "--prompt", "Is it good?", "--json")
    said = CliRunner().invoke(app, ["evaluate", *given, *prompts, *changes])
    assert json.loads(said.stdout)["prompts"] == ours.to_json()["prompts"]


def test_every_answer_is_at_hand(rows):
    def close(answer, target, columns):
        return float(answer == target)

    for metric in (None, close):
        result = evaluate(rows, metric=metric)
        answers = result.answers()
        for prompt in result.evaluation.prompts:
            own = [one for one in answers if one["prompt"] == prompt.number]
            assert len(own) == prompt.figures.n
            share = sum(one["correct"] for one in own) / len(own)
            assert share == pytest.approx(prompt.figures.accuracy)
        texts = {row["text"]: row["label"] for row in rows}
        assert all(texts[one["input"]] == one["target"] for one in answers)
        assert {"answer", "parsed", "correct", "id"} <= set(answers[0])
    with pytest.raises(UsageError, match="has no rows"):
        opro_local.optimize(rows, **GIVEN).answers()


def test_equal_prompts_are_said_to_be_scored_once(rows):
    result = evaluate(rows, prompt=["a?", "b?", "a?", "c?", "a?"])
    assert [prompt.text for prompt in result.evaluation.prompts] == ["a?", "b?", "c?"]
    said = "prompt 3 is the same as prompt 1; prompt 5 is the same as prompt 1: scored once"
    assert [line for line in result.notices if said in line]
    assert not [line for line in evaluate(rows).notices if "the same" in line]


class Own(Exception):
    """A class that only a user has."""


def leave(*given):
    sys.exit("enough")


def fail(*given):
    raise Own("two\nlines")


@pytest.mark.parametrize(("metric", "said"), [(leave, "SystemExit: enough"), (fail, "Own: two")])
def test_a_metric_that_leaves_ends_in_one_line_and_the_run_is_kept(rows, metric, said, tmp_path):
    calls = []

    def late(answer, target, columns):
        calls.append(answer)
        return answer == target if len(calls) <= len(rows) else metric()

    with pytest.raises(DataError, match=said) as raised:
        evaluate(rows, metric=late, run=tmp_path / "run")
    assert len(str(raised.value).splitlines()) == 1
    assert (tmp_path / "run" / "run.sqlite").is_file()


@pytest.mark.parametrize(("model", "said"), [(leave, "SystemExit"), (fail, "Own: two")])
def test_a_callable_model_that_leaves_ends_in_one_line(model, said):
    with pytest.raises(opro_local.OproError, match=said) as raised:
        opro_local.OPRO(lambda text: 1.0, model, n_iterations=1).optimize("a")
    assert len(str(raised.value).splitlines()) == 1


HALF = "nice \ud800"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [*rows, 3], r"row \d+ is of type int, no dict: 3"),
        (lambda rows: [rows[0], "text"], "row 2 is of type str, no dict: 'text'"),
        (lambda rows: [None, *rows], "row 1 is of type NoneType, no dict: None"),
        (lambda rows: [*rows[:2], {**rows[2], "text": HALF}], "row 3: half a surrogate pair"),
        (lambda rows: [{**rows[0], "\udfff": "x"}], "row 1: half a surrogate pair"),
        (lambda rows: [{**rows[0], "text": [HALF]}], "row 1: half a surrogate pair"),
    ],
)
def test_a_row_that_is_none_is_named(rows, change, said):
    with pytest.raises(DataError, match=said):
        evaluate(change(rows))


def test_check_says_whether_there_is_anything_to_gain(rows):
    looked = opro_local.check(rows, **GIVEN, answer=False, headroom=True)
    probe = looked.headroom
    assert probe.verdict in ("yes", "no sign of it", "nothing left to gain")
    assert looked.lines[-len(probe.words) :] == list(probe.words)
    assert "varied instructions score from" in looked._repr_html_()
    assert looked.to_json()["headroom"] == probe.to_json()
    assert "headroom" not in opro_local.check(rows, **GIVEN, answer=False).to_json()


def test_a_search_of_a_function_shows_itself_as_text():
    def model(prompt):
        return f"<TEXT>{HOSTILE}</TEXT>"

    found = opro_local.OPRO(len, model, n_iterations=1, batch_size=2).optimize("Buy.")
    html = found._repr_html_()
    assert "<script" not in html and "\u202e" not in html and "\x1b" not in html
    assert f"best score {found.score:.6g}, " in html and "<td>4</td><td>Buy.</td>" in html


def test_a_split_and_a_metric_of_ones_own(rows):
    train = evaluate(rows, split="train")
    assert train.to_json()["split"] == "train"
    assert {prompt.figures.n for prompt in train.evaluation.prompts} == {24}
    exact = evaluate(rows).evaluation.prompts[0].figures.accuracy
    own = evaluate(rows, metric=lambda answer, target, columns: (1 - (answer != target) / 4, "no"))
    graded = own.evaluation.prompts[0].figures.accuracy
    assert graded == pytest.approx(exact + 0.75 * (1 - exact)) and graded > exact
    assert own.rule == "python" and own.folder != evaluate(rows).folder
    with pytest.raises(UsageError, match="split"):
        evaluate(rows, split="dev")


def test_the_same_evaluation_is_found_again_and_a_metric_with_other_values_is_another(rows):
    def close(limit):
        return lambda answer, target, columns: len(answer) - len(target) < limit

    first = evaluate(rows, metric=close(5))
    assert evaluate(rows, metric=close(5)).folder == first.folder
    assert evaluate(rows, metric=close(50)).folder != first.folder
    evaluate(rows, metric=close(5), run="mine")
    with pytest.raises(UsageError, match="rule: variable 'limit' around it changed"):
        evaluate(rows, metric=close(50), run="mine")


@pytest.mark.parametrize("call", [opro_local.optimize, opro_local.evaluate, opro_local.check])
def test_a_metric_that_is_no_plain_function_is_refused(rows, call):
    async def later(answer, target, columns):
        return 1.0

    with pytest.raises(UsageError, match=r"metric is async: .*later; give a plain function"):
        call(rows, **GIVEN, metric=later)
    with pytest.raises(UsageError, match=r"metric is 'macro_f1', no function; .*task\.metric"):
        call(rows, **GIVEN, metric="macro_f1")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "returned nan; return True, False"),
        (2, "returned 2; return"),
        ("good", "returned 'good'; return"),
        ((1.0, 5), "returned 5 as its remark"),
    ],
)
def test_a_metric_that_gives_no_score_ends_in_one_line(rows, value, message):
    with pytest.raises(DataError, match=message) as caught:
        evaluate(rows, metric=lambda answer, target, columns: value)
    assert "\n" not in str(caught.value)


def test_check_says_what_a_run_would_be_made_of(rows, tmp_path):
    looked = opro_local.check(rows, **GIVEN)
    assert dict(looked.rows) == {"train": 24, "validation": 12, "test": 24}
    assert looked.rule == "labels" and looked.answer.target in ("negative", "positive")
    assert looked.to_json()["answer"]["answer"] == looked.answer.answer
    assert "rule: labels; every target scores 1 under it" in looked.lines
    assert not list((tmp_path / "runs").glob("*/run.sqlite"))
    bare = opro_local.check(tmp_path / "reviews.csv", **GIVEN, answer=False)
    assert bare.answer is None and "one answer" not in "".join(bare.lines)
    with pytest.raises(DataError, match="no column 'labl'"):
        opro_local.check(rows, **{**GIVEN, "target": "labl"})


def test_check_shows_hostile_text_as_text(rows):
    rows = [{**row, "text": f"{row['text']} {HOSTILE}"} for row in rows]
    html = opro_local.check(rows, **GIVEN)._repr_html_()
    assert "<script>" not in html and "\u202e" not in html and "\x1b" not in html
    assert "&lt;script&gt;" in html


def test_results_show_hostile_text_as_text(rows):
    searched = opro_local.optimize(rows, **GIVEN, prompt=HOSTILE)
    evaluated = evaluate(rows, prompt=[HOSTILE, "Is it good?"])
    for result in (searched, evaluated):
        html = result._repr_html_()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egood\\x1b[31m &amp; &quot;it" in html
        assert "<script" not in html and html.count("<table>") == 1
        assert f"Kept in {result.folder}" in html
        assert result.summary[0].split()[0] in html
    assert "<td>test, best</td>" in searched._repr_html_()
    assert "<td>2</td>" in evaluated._repr_html_()


def test_the_folder_is_said_where_nobody_named_one(rows, caplog):
    with caplog.at_level(logging.WARNING, "opro_local"):
        result = evaluate(rows)
        assert f"the run is kept in {result.folder}" in caplog.messages
        caplog.clear()
        evaluate(rows, run="mine")
        assert not [line for line in caplog.messages if "kept in" in line]


class Display:
    """IPython's display handle, which keeps what it was shown."""

    def __init__(self):
        self.shown = []

    def __call__(self, data, raw, display_id):
        assert raw and display_id
        self.shown.append(data)
        return self

    def update(self, data, raw):
        assert raw
        self.shown.append(data)


@pytest.fixture
def notebook(monkeypatch):
    """A program that looks like a notebook's kernel."""
    display = Display()
    shell = types.SimpleNamespace(kernel=object())
    package = types.ModuleType("IPython")
    package.get_ipython = lambda: shell
    part = types.ModuleType("IPython.display")
    part.display = display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", part)
    return display


def test_a_notebook_shows_a_run_while_it_goes_on(rows, notebook, monkeypatch, caplog):
    monkeypatch.setattr("opro_local.runs.notebook.SECONDS", 0.0)
    assert in_notebook()
    result = opro_local.optimize(rows, **GIVEN, prompt=HOSTILE)
    texts = [data["text/plain"] for data in notebook.shown]
    assert texts[0].splitlines()[0] == f"run, kept in {result.folder}"
    assert any("1/propose: 0 of 2 prompts" in text for text in texts)
    assert any("step 1: 2 scored" in text for text in texts)
    assert texts[-1].endswith("ended") and len(texts) > 6
    assert all("<script>" not in data["text/html"] for data in notebook.shown)
    assert all("\x1b" not in text and "\u202e" not in text for text in texts)
    assert not caplog.messages


def test_a_function_for_events_takes_the_place_of_the_display(rows, notebook):
    events = []
    evaluate(rows, report=events.append)
    assert events and notebook.shown == []


def test_no_notebook_is_none():
    assert not in_notebook()


def test_the_page_of_the_documentation_runs_as_printed(tmp_path, capsys):
    """Its model is the scripted one here, and its rows are enough for three splits."""
    blocks = python(write_files("python.md", tmp_path))
    assert len(blocks) == 6
    names: dict = {"QUICK": QUICK}
    for block in blocks:
        code = block.replace("    # ...\n", f"    *{TEAMS!r},\n")
        set_here = "" if "set={" in code else ", set=QUICK"
        code = code.replace('model="./my-model"', f'model="none"{set_here}')
        exec(code.replace("set={", "set={**QUICK, "), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "Our coffee is roasted here every single morning. 0.0 -5.0"
    assert names["result"].rule == "python"
    assert [prompt.number for prompt in names["scored"].evaluation.prompts] == [1, 2]
    assert names["looked"].rows == {"train": 13, "validation": 6, "test": 13}


TEAMS = [
    {"text": f"Case {number}: {about}", "label": label}
    for number in range(15)
    for about, label in (("it came late", "delivery"), ("I paid twice", "billing"))
]
