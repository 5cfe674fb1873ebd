"""A user's own answer marks: read as "Answer:" is, by the rules that read marks."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.errors import UsageError
from opro_local.scoring.choosing import make_rule
from opro_local.types import Example

ROW = Example("train:0", {}, "Pick\n(A) mild\n(B) harsh", "harsh", "f.csv:2")


@pytest.mark.parametrize(
    ("name", "target", "answer", "parsed"),
    [
        ("labels", "harsh", "Not a mild one.\nUrteil: harsh, though mild before", "harsh"),
        ("labels", "harsh", "**Urteil** – harsh (mild before)", "harsh"),
        ("labels", "harsh", "URTEIL = harsh. Mild before", "harsh"),
        ("exact", "harsh", "It is long.\nUrteil: Harsh.", "harsh"),
        ("number", "5", "Urteil: 5 in 3 steps", "5"),
        ("choice", "(B)", "(A) seems mild. Urteil: B", "B"),
        ("boolean", "yes", "no one knows. Urteil: yes, not no", "true"),
        ("labels", "harsh", "my verdict => harsh and not mild", "harsh"),
    ],
)
def test_a_mark_of_ones_own(name, target, answer, parsed):
    rule = make_rule(name, labels=("mild", "harsh"), marks=("Urteil", "my verdict =>"))
    assert rule.parsed(answer, Example("t:0", {}, ROW.input, target, "f:2")) == parsed
    assert rule.score([answer], [Example("t:0", {}, ROW.input, target, "f:2")])[0].tolist() == [1]


def test_a_mark_is_a_whole_word():
    rule = make_rule("labels", labels=("mild", "harsh"), marks=("Urteil",))
    assert rule.extract("Vorurteil: mild or harsh") is None
    assert rule.extract("Urteil: mild or harsh") is None


@pytest.mark.parametrize("name", ["contains", "exact_strict"])
def test_a_rule_without_marks_refuses_them(name):
    with pytest.raises(UsageError, match=f"the rule {name} reads no marks; leave task.marks out"):
        make_rule(name, marks=("Urteil",))


def test_a_blank_mark_is_refused():
    with pytest.raises(UsageError, match="a blank mark"):
        make_rule("exact", marks=(" ",))


def test_score_takes_marks(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({"target": "Paris", "answer": "Long ago.\nUrteil: Paris"}) + "\n")
    for options, accuracy in (((), 0.0), (("--marks", "Urteil"), 1.0)):
        said = CliRunner().invoke(app, ["score", str(file), "--rule", "exact", "--json", *options])
        assert json.loads(said.stdout)["accuracy"] == accuracy
