"""Texts that are compared as a whole, and texts that hold a target as words."""

from __future__ import annotations

import math

import pytest

from opro_local.scoring.choosing import make_rule
from opro_local.types import Example

# The target, the answer and what it earns; None is a failed extraction.
EXACT = [
    ("Paris", "Paris", 1),
    ("Paris", '"Paris"', 1),
    ("Paris", "**Paris**", 1),
    ("Paris", "Paris.", 1),
    ("Paris", "“Paris”.", 1),
    ("Paris", "Answer: Paris", 1),
    ("Paris", "**Answer:** Paris.", 1),
    ("Paris", "The answer is Paris.", 1),
    ("Paris", "Paris\n\nParis is the capital of France.", 1),
    ("Paris", "Paris\nRome\nLondon", 0),
    ("Paris", "Paris, Rome", 0),
    ("Paris", "Antwort: Paris", 1),
    ("Paris", "La réponse est Paris.", 1),
    ("Paris", "答案：Paris", 1),
    ("巴黎", "答案是巴黎。", 1),
    ("it's", "it’s", 1),
    ("St. Louis", "Answer: St. Louis", 1),
    ("1", "1.0", 0),
    ("Paris", "A: Paris", 1),
    ("Paris", "The capital of France is:\n\nParis", 1),
    ("Paris", "Paris\n\nQ: What is the capital of Italy?\nA: Rome", 1),
    ("Paris", "Paris\n\nQuestion: capital of the UK?\nAnswer: London", 1),
    ("London", "Paris\n\nQuestion: capital of the UK?\nAnswer: London", 0),
    ("Paris", "Not Paris", 0),
    ("Paris", "Answer: not Paris", 0),
    ("Paris", "Paris?", 0),
    ("a-b", "a–b", 1),
    ("New York", "new  york", 1),
    ("U.S.", "U.S", 1),
    ("...", "...", 1),
    ("Paris", "", None),
    ("Paris", "Is it Paris?\nNo, I believe it is Rome.", 0),
    ("Paris", "`Paris`", 1),
    ("Paris", "- Paris", 1),
    ("Paris", "# Paris", 1),
    ("-5", "-5", 1),
    ("5", "- 5", 0),
    ("line one\nline two", "line one\nline two", 1),
    ("Paris", "<answer>Paris</answer>", 1),
    ("Paris", "\\boxed{Paris}", 1),
    ("Paris", "\\boxed{\\text{Paris}}", 1),
    ("Paris", "Paris\nExplanation: it is", 1),
    ("Paris", "Answer:\n\nParis", 1),
    ("Paris", "Sure! The answer is: **Paris**.", 1),
    ("Paris", "The answer is Paris. Wait, no, it is Rome.", 0),
    ("Paris", "Paris is the capital", 0),
    ("Tokyo", "東京", 0),
    ("東京", "「東京」", 1),
    ("東京", "答えは東京です。", 0),
]
CONTAINS = [
    ("5", "15", 0),
    ("5", "1.5", 0),
    ("5", "5", 1),
    ("5", "it is 5.", 1),
    ("no", "I know", 0),
    ("no", "No.", 1),
    ("cat", "category", 0),
    ("cat", "a cat.", 1),
    ("Paris", "It is  PARIS.", 1),
    ("New York", "in new\nyork", 1),
    ("5", "5,000", 0),
    ("C++", "I like C++.", 1),
    ("C", "I like C++.", 0),
    ("don't", "don’t", 1),
    ("東京", "答えは東京です", 1),
    ("서울", "서울입니다", 1),
    ("Paris", "Parisian", 0),
    ("art", "start", 0),
    ("Straße", "STRASSE", 1),
    ("a.b", "a.b", 1),
    ("50%", "50% of", 1),
    ("$5", "$50", 0),
    ("$5", "it's $5.", 1),
    ("-5", "-5", 1),
    ("5", "-5", 0),
    ("non", "non-toxic", 1),
    ("yes.", "yes", 1),
]


def earned(name, target, answer):
    rule = make_rule(name)
    example = Example("train:0", {}, "x", target, "f.csv:2")
    value = rule.verdict(answer, rule.gold(example))
    return None if math.isnan(value) else value


@pytest.mark.parametrize(("target", "answer", "value"), EXACT)
def test_exact(target, answer, value):
    assert earned("exact", target, answer) == value


@pytest.mark.parametrize(("target", "answer", "value"), CONTAINS)
def test_contains(target, answer, value):
    assert earned("contains", target, answer) == value
