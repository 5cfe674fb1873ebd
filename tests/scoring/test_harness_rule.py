"""The verdicts of lm-evaluation-harness's filters and of its exact_match."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local.errors import UsageError
from opro_local.scoring.harness import harness
from opro_local.types import Example


def rule_of(filters, **metric):
    plain = {
        "ignore_case": False,
        "ignore_punctuation": False,
        "ignore_numbers": False,
        "regexes_to_ignore": [],
    }
    return harness(json.dumps({"filters": filters, "metric": plain | metric}))


def regex(pattern, select=0, fallback="[invalid]"):
    return {
        "function": "regex",
        "regex_pattern": pattern,
        "group_select": select,
        "fallback": fallback,
    }


def earned(rule, answer, target):
    (value,), (failed,) = rule.score([answer], [Example("t:0", {}, "", target, "")])
    return None if failed else float(value)


# Each expectation follows lm_eval/filters and exact_match_hf_evaluate of lm_eval/api/metrics.py.
@pytest.mark.parametrize(
    ("rule", "answer", "target", "value"),
    [
        (rule_of([]), "Yes", "Yes", 1),
        (rule_of([]), "Yes ", "Yes", 0),
        (rule_of([{"function": "remove_whitespace"}]), " Yes\n", "Yes", 1),
        (rule_of([{"function": "lowercase"}]), "YES", "yes", 1),
        (rule_of([{"function": "lowercase"}]), "YES", "YES", 0),
        (rule_of([{"function": "uppercase"}]), "yes", "YES", 1),
        (rule_of([regex("(a)|(b)")]), "xb", "b", 1),
        (rule_of([regex("(a)|(b)", -1)]), "ab", "b", 1),
        (rule_of([regex("[ab]", 1)]), "ab", "b", 1),
        (rule_of([regex("[ab]", 2)]), "ab", "b", None),
        (rule_of([regex("[ab]", -3)]), "ab", "a", None),
        (rule_of([regex(" [ab] ")]), "x a y", "a", 1),
        (rule_of([regex("x(y?)")]), "x", "", 1),
        (rule_of([regex("x(y?)(z?)")]), "x", "", None),
        (rule_of([regex("[ab]")]), "c", "[invalid]", 1),
        (rule_of([regex("[ab]", fallback="c")]), "z", "c", 1),
        (rule_of([regex("[ab]", fallback="c")]), "z", "a", None),
        (
            rule_of([{"function": "map", "mapping_dict": {"1": "one"}, "default_value": None}]),
            "1",
            "one",
            1,
        ),
        (
            rule_of([{"function": "map", "mapping_dict": {"1": "one"}, "default_value": None}]),
            "2",
            "one",
            None,
        ),
        (
            rule_of([{"function": "map", "mapping_dict": {"1": "one"}, "default_value": "two"}]),
            "2",
            "two",
            1,
        ),
        (
            rule_of(
                [
                    regex("[0-9]"),
                    {"function": "map", "mapping_dict": {"1": "one"}, "default_value": None},
                ]
            ),
            "a1",
            "one",
            1,
        ),
        (rule_of([], ignore_case=True), "yes", "YES", 1),
        (rule_of([], ignore_punctuation=True), "y.e!s", "yes?", 1),
        (rule_of([], ignore_punctuation=True), "yes\u201d", "yes", 0),
        (rule_of([], ignore_numbers=True), "yes1", "2yes", 1),
        (rule_of([], regexes_to_ignore=["A"], ignore_case=True), "Ab", "b", 1),
        (rule_of([], regexes_to_ignore=["a"], ignore_case=True), "Ab", "b", 0),
        (rule_of([], regexes_to_ignore=["a", "b"]), "ab", "ba", 1),
    ],
)
def test_filters_and_metric(rule, answer, target, value):
    assert earned(rule, answer, target) == value


@given(st.text(max_size=40))
def test_an_answer_is_right_for_itself_without_filters(text):
    rule = rule_of([])
    assert earned(rule, text, text) == 1 and rule.extract(text) == text


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_ignored_makes_no_difference(text, target):
    rule = rule_of([], ignore_punctuation=True, ignore_numbers=True)
    assert earned(rule, f"0{text}!", target) == earned(rule, text, f".{target}9")


@pytest.mark.parametrize(
    "pattern", [None, "", "[]", "{}", "5", '{"filters": [{"function": "x"}], "metric": {}}']
)
def test_a_pattern_that_is_none(pattern):
    with pytest.raises(
        UsageError, match=r"the rule harness is for tasks of lm-evaluation-harness; set task\.name"
    ):
        harness(pattern)
