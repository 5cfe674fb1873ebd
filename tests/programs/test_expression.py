"""Expressions of users: Python's syntax, read as Python reads it, and never for long."""

from __future__ import annotations

import json
import logging
import re
import time

import pytest

from opro_local.errors import UsageError
from opro_local.programs import expression as module
from opro_local.programs.expression import Expression, TooSlow
from opro_local.scoring.choosing import make_rule
from opro_local.types import Example

SLOW = "(a|aa)+$"
ANSWER = "a" * 4000 + "!"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.05)


PATTERNS = [
    r"(\d+)",
    r"#### (\-?[0-9\.\,]+)",
    r"a{2,3}",
    r"a{,2}b",
    r"a{2",
    "{}",
    r"\{(?P<a>[^{}]*)\}",
    # Only `regex` reads these as "with one error".
    r"(?:yes){e<=1}",
    r"(?:yes){i}",
    r"[{]e<=1}",
    r"[]{e}]+",
    r"\N{DIGIT ONE}{e}",
    r"(?x) yes # {e}",
    r"(?i)STRASSE|ǆ",
    r"(?s).*?(?=b)",
    r"(a)|(b)",
    r"^|$",
    r"(?<=a)b(?!c)",
    r"(\w)\1",
    r"[[]",
    r"[[:alpha:]]",
    r"[^[:digit:]]+",
    r"[\]\[[a]",
    r"[a||b]",
    r"[a&&b]+",
    r"\bno\b",
]
TEXTS = [
    "",
    "yes yeS {e<=1} yes{e<=1}yes{i}",
    "#### -1,234.5 aab aaab",
    "a{2 {} {x{y}}",
    "1{e}",
    "straße",
    "l] a] [:[a -|&ab",
]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_finds_what_re_finds(pattern):
    ours, theirs = Expression(pattern), re.compile(pattern)
    assert ours.groups == theirs.groups
    for text in TEXTS:
        match, expected = ours.search(text), theirs.search(text)
        assert (match and (match.span(), match.groups())) == (
            expected and (expected.span(), expected.groups())
        )
        assert ours.findall(text) == theirs.findall(text)
        assert ours.sub("<>", text) == theirs.sub("<>", text)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a",
        "*",
        r"\p{L}",
        r"\K",
        r"(?|a|b)",
        r"\L<names>",
        "x{99999999999}",
        "(" * 500 + ")" * 500,
        "a" * 10_001,
        # They take gigabytes to compile.
        "(?:(?:a{1000}){1000}){1000}",
        "((((a{9999}){9999}){9999}){9999})",
    ],
)
def test_what_re_does_not_take_or_what_takes_too_much_is_refused(pattern):
    begun = time.monotonic()
    with pytest.raises(ValueError) as caught:
        Expression(pattern)
    assert len(str(caught.value).splitlines()) == 1 and time.monotonic() - begun < 60
    with pytest.raises(UsageError, match="no regular expression"):
        make_rule("regex", pattern=pattern)


@pytest.mark.parametrize("pattern", [SLOW, r"(\w+\s?)+$"])
def test_a_text_that_takes_too_long_is_no_match_and_is_said(pattern, quick, caplog):
    one = Expression(pattern)
    with caplog.at_level(logging.WARNING):
        for _ in range(30):  # the same text costs its time once
            with pytest.raises(TooSlow):
                one.findall(ANSWER)
    assert len(caplog.records) == 1 and "such answers are unread" in caplog.text
    assert one.timeouts == 1 and one.notices()[0].startswith("1 answer unread: the expression")
    assert one.search("aab!") is None or pattern != SLOW


def test_an_expression_that_is_always_slow_ends_the_run_in_one_line(quick):
    one = Expression(SLOW)
    with pytest.raises(UsageError, match=r"took more than 0\.05 s on 20 texts; nested repeats"):
        for number in range(50):
            with pytest.raises(TooSlow):
                one.search(ANSWER + str(number))
    assert one.timeouts == 20


def example(target):
    return Example("train:0", {}, "x", target, "f.csv:2")


def test_slow_answers_are_unread_under_the_rule_regex(quick):
    rule = make_rule("regex", pattern=SLOW)
    values, failed = rule.score([ANSWER, "aaa", "b"], [example("a")] * 3)
    assert values.tolist() == [0, 1, 0] and failed.tolist() == [True, False, True]
    assert rule.notices() == rule.expressions[0].notices() != []


@pytest.mark.parametrize("place", ["filter", "metric"])
def test_slow_answers_are_unread_under_the_rule_harness(quick, place):
    filters = [{"function": "regex", "regex_pattern": SLOW, "group_select": 0, "fallback": "[]"}]
    said = {
        "filters": filters if place == "filter" else [],
        "metric": {
            "ignore_case": False,
            "ignore_punctuation": False,
            "ignore_numbers": False,
            "regexes_to_ignore": [SLOW] if place == "metric" else [],
        },
    }
    rule = make_rule("harness", pattern=json.dumps(said))
    values, failed = rule.score([ANSWER, "baa"], [example("b")] * 2)
    assert failed.tolist() == [True, False]
    assert values.tolist() == [0, 1 if place == "metric" else 0]
    # A target is normalised too; one that takes too long is met by no answer.
    values, _ = rule.score([ANSWER, "b"], [example(ANSWER)] * 2)
    assert values.tolist() == [0, 0] and len(rule.notices()) == 1
