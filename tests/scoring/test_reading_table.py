"""The table of answers that scripts/bench_reading.py prints: no wrong answer is scored as right, and
hardly any is left unread."""

import runpy
from collections import Counter

import pytest
from running import ROOT

from opro_local.errors import UsageError
from opro_local.scoring.amounts import Tolerance, meant, options_of
from opro_local.scoring.choosing import make_rule
from opro_local.scoring.reading import numbers
from opro_local.types import Example

BENCH = runpy.run_path(str(ROOT / "scripts" / "bench_reading.py"))


def test_no_wrong_answer_is_scored_as_right_and_few_are_unread():
    counts = Counter(BENCH["outcomes"]())
    assert counts["scored as right"] == counts["wrong"] == 0
    assert counts["unread"] <= 0.02 * sum(counts.values())


def test_the_table_is_wide_enough():
    rows = BENCH["rows"]()
    assert len(rows) >= 580 and len({row["kind"] for row in rows}) >= 27
    assert {row["says"] for row in rows} == {"target", "other", "nothing"}


@pytest.mark.parametrize(
    ("says", "value", "outcome"),
    [
        ("target", 1.0, "right"),
        ("target", 0.0, "wrong"),
        ("target", float("nan"), "unread"),
        ("other", 0.0, "right"),
        ("other", 0.5, "right"),
        ("other", 1.0, "scored as right"),
        ("other", float("nan"), "unread"),
        ("nothing", float("nan"), "right"),
        ("nothing", 0.0, "wrong"),
        ("nothing", 1.0, "scored as right"),
    ],
)
def test_what_becomes_of_an_answer(says, value, outcome):
    assert BENCH["outcome"]({"says": says}, value) == outcome


def earned(answer, target, pattern=None, targets=()):
    rows = [Example(str(i), {}, "", text, "") for i, text in enumerate((target, *targets))]
    rule = make_rule("number", pattern=pattern, examples=rows)
    values, failed = rule.score([answer], rows[:1])
    return None if failed[0] else pytest.approx(float(values[0]), abs=1e-6)


@pytest.mark.parametrize(
    ("pattern", "answer", "target", "value"),
    [
        ("absolute=0.5", "10.5", "10", 1),
        ("absolute=0.5", "10.6", "10", 0),
        ("absolute=0.1", "0.3", "0.2", 1),
        ("relative=0.01", "101", "100", 1),
        ("relative=1%", "102", "100", 0),
        ("absolute=3 relative=0.01", "102", "100", 1),
        ("absolute=2 graded", "101", "100", 0.5),
        ("absolute=2 graded", "103", "100", 0),
        ("relative=10% graded", "100", "100", 1),
        ("relative=10% graded", "97.5", "100", 0.75),
        ("relative=10%", "-95", "-100", 1),
        (", absolute=0.5", "10,4", "10", 1),
        ("absolute=0.5", "ten or so", "10", 1),
        ("absolute=0.5", "no idea", "10", None),
        (None, "100.00001", "100", 1),
        (None, "101", "100", 0),
    ],
)
def test_an_answer_may_be_as_far_off_as_is_asked_for(pattern, answer, target, value):
    assert earned(answer, target, pattern) == value


@pytest.mark.parametrize(
    "pattern", ["absolute", "absolute=-1", "absolute=x", "graded", "x", "relative=inf"]
)
def test_what_is_no_tolerance_is_refused(pattern):
    assert options_of(pattern) is None
    with pytest.raises(UsageError, match=r"absolute=0\.5"):
        make_rule("number", pattern=pattern)


def test_a_tolerance_in_the_settings_is_one_in_the_pattern(tmp_path):
    from opro_local.config.task import TaskSettings
    from opro_local.scoring.choosing import task_rule
    from opro_local.tasks import loading

    table = tmp_path / "t.csv"
    table.write_text("q,a\n" + "".join(f"q{i},{i * 1.5 + 2000}\n" for i in range(20)))
    own = {"data": str(table), "input": "q", "target": "a"}
    for rule in ("auto", "number"):
        settings = TaskSettings(**own, rule=rule, absolute=1.0, graded=True)
        made = task_rule(loading.load(settings), settings)
        row = Example("1", {}, "", "2000", "")
        assert made.name == "number" and made.score(["2000.5"], [row])[0].tolist() == [0.5]


@pytest.mark.parametrize(
    ("answer", "target", "targets", "value"),
    [
        ("4/5", "4", ("1", "5"), 1),
        ("4/5", "5", ("1", "5"), 0),
        ("4/5", "0.8", (), 1),
        ("4/5", "4", ("0.5",), 0),
        ("4/5", "4", ("12",), 0),
        ("3/4", "3", (), 0),
        ("9/10", "9", ("10",), 1),
        ("4 out of 5", "4", ("12",), 1),
        ("4 out of 5", "0.8", (), 1),
        ("4 out of 5", "5", (), 0),
    ],
)
def test_the_targets_decide_what_a_rating_is(answer, target, targets, value):
    assert earned(answer, target, targets=targets) == value


def test_a_share_and_a_percentage_are_the_same_only_where_one_side_says_so():
    assert meant(numbers.lenient("50%"), 0.5) == 0.5
    assert meant(numbers.lenient("50%"), 50.0) == 50
    assert meant(numbers.lenient("0.5"), numbers.lenient("50%")) == 50
    assert meant(numbers.lenient("0.5%"), numbers.lenient("0.5%")) == 0.5
    assert Tolerance(0.01).earned(0.499, 0.5) == 1


@pytest.mark.parametrize("text", ["007", "00", "4012888888881881", "1 234 567 890 123 456"])
def test_digits_that_are_a_name_are_no_number(text):
    assert numbers.is_identifier(text) and not numbers.is_number(text)
    assert make_rule("auto", examples=[Example("1", {}, "", text, "")]).name == "exact"


@pytest.mark.parametrize("text", ["0", "0.07", "-5", "123456789012345", "1,000,000", "1e30"])
def test_amounts_are_numbers(text):
    assert numbers.is_number(text) and not numbers.is_identifier(text)


JSON_TARGET = (
    '{"name": "Ann", "age": 31, "tags": ["a", "b"], "home": {"city": "Rome"}, "fax": null}'
)


@pytest.mark.parametrize(
    ("pattern", "answer", "value"),
    [
        (None, JSON_TARGET, 1),
        (None, JSON_TARGET.replace("31", "30"), 5 / 6),
        (None, JSON_TARGET.replace(', "fax": null', ""), 5 / 6),
        (None, JSON_TARGET.replace("{", '{"more": 1, ', 1), 6 / 7),
        (None, '{"name": "Bob"}\n' + JSON_TARGET, 1),
        (None, JSON_TARGET[:-1], None),
        (None, "Ann", None),
        ("name, home.city", JSON_TARGET, 1),
        ("name, home.city", '{"name": "ann", "home": {"city": "Bonn"}}', 0.5),
        ("name, home.city", '{"name": "ann"}', 0.5),
        ("name, home.city", '{"age": 31}', None),
        ("tags, fax", JSON_TARGET, 1),
        ("tags, fax", '{"tags": ["a", "c"], "fax": "1"}', 1 / 3),
    ],
)
def test_fields_earn_their_share(pattern, answer, value):
    row = Example("1", {}, "", JSON_TARGET, "")
    values, failed = make_rule("json", pattern=pattern).score([answer], [row])
    assert (None if failed[0] else float(values[0])) == (
        None if value is None else pytest.approx(value)
    )


def test_targets_in_json_choose_the_rule_json():
    rows = [Example(str(i), {}, "", f'{{"n": {i}}}', "") for i in range(9)]
    assert make_rule("auto", examples=rows).name == "json"
    assert make_rule("auto", examples=[*rows, Example("x", {}, "", "{n}", "")]).name != "json"
