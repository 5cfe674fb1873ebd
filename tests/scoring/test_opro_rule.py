"""The paper's scoring rule: every recorded verdict, and one line for each thing that is odd about
it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from opro_local.errors import UsageError
from opro_local.scoring.opro import KINDS, kind_of, opro, options, second_prompt
from opro_local.types import Example

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "opro_scorer.jsonl"


def row(target: str, prompt: str = "") -> Example:
    return Example("test:0", {}, prompt, target, "f.jsonl:1")


def earned(kind: str, answer: str, target: str, prompt: str = "", rounds: int = 1) -> float | None:
    """1.0, 0.0, or None for a failed extraction."""
    rule = opro(kind, rounds)
    value = rule.verdict(answer, rule.gold(row(target, prompt)))
    return None if math.isnan(value) else value


@pytest.mark.skipif(
    not VECTORS.exists(), reason="shared/vectors/opro_scorer.jsonl is not beside the checkout"
)
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_verdicts(kind):
    rows = [json.loads(line) for line in VECTORS.read_text("utf-8").splitlines()]
    rows = [vector for vector in rows if vector["kind"] == kind]
    rule = opro(kind)
    values, failed = rule.score(
        [v["answer"] for v in rows], [row(v["target"], v["prompt"]) for v in rows]
    )
    assert [rule.extract(v["answer"]) for v in rows] == [v["parsed"] for v in rows]
    assert values.tolist() == [v["correct"] for v in rows]
    assert failed.tolist() == [v["parsed"] == "" for v in rows]
    assert len(rows) >= 90


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        ("16.4", "16"),
        # Half goes to even.
        ("2.5", "2"),
        ("3.5", "4"),
        ("-0.4", "-0"),
        ("$1,234.56", "1235"),
        ("1e3", "1000"),
        ("1_000", "1000"),
        ("٤٢", "42"),
        ("nan\tx", "nan"),
        ("it is 1e999.", "inf"),
        # Unannounced: the last token that is not all letters. Announced: the first one.
        ("3 apples and 4 pears", "4"),
        ("The answer is 3 apples and 4 pears", "3"),
        ("3 apples and 4 pears is the answer", "3"),
        # Capital letters announce nothing, unless some phrase in small letters stands anywhere.
        ("The Answer Is 3 or 4", "4"),
        ("The Answer Is 3 or 4. The answer is here: 5 or 6", ""),
        ("Answer: 5", ""),
        ("Answer: 5 answer is ", "5"),
        ("Result is: 5 or 6", "5"),
        ("#### 5 or 6", "5"),
        ("Antwort. Schritt-für-Schritt-Antwort: 5 oder 6", "5"),
        ("逐步解答：5 或 6", "5"),
        ("answer is 1 answer: 2 answer is 3 is the answer", "3"),
        ("5\nQ: and 6", "5"),
        ("5\nQuestion : and 6", "5"),
        ("5 Frage: 6", "5"),
        ("5 this is the solution: 6", "5"),
        # A second space is a token without letters.
        ("the answer is  7", "7"),
        ("the answer is about  7", ""),
        ("7  of", ""),
        ("2 + 3 = 5 apples", "5"),
        ("at 5:30", "5"),
        ("156kgs", "156"),
        ("823-yard", "823"),
        ("5--yard", "5"),
        ("--yard", "-"),
        ("the 6th", "6"),
        ("12.5.3", "3"),
        ("1/2", "2"),
        ("5%\n6%", "5"),
        ("12\u00a034", "34"),
        ("²", "²"),
        # A token that is no number keeps its digits in their own script.
        ("x१२-३४!", "३४"),
        ("seven", "7"),
        ("seventeen", "7"),
        ("twelve", "12"),
        ("forty", "40"),
        ("eighty", "8"),
        ("none", "1"),
        ("often", "10"),
        ("twone", "1"),
        ("I do not know.", ""),
        ("nothing (a) 5", "(a)"),
        ("5...'''", "5"),
        ("5'.", "5"),
        ("", ""),
    ],
)
def test_number_reading(answer, reading):
    assert opro("number").extract(answer) == reading


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        ("Yes.", "yes"),
        ("The answer is True. Because", "true"),
        ("1", "true"),
        ("0.", "false"),
        ("0.0", "false"),
        ("0.4", "false"),
        ("0.7", "false"),
        ("it is 0.7", "true"),
        ("one", "true"),
        ("zero apples", "false"),
        ("01", "true"),
        ("2", "2"),
        # Only a Boolean word makes the sentence end at its full stop.
        ("no. I think", "no"),
        ("not so. I think", "not so i think"),
        ("no, never", "no never"),
        ("(n)o", "n"),
        ("１", "true"),
    ],
)
def test_boolean_reading(answer, reading):
    assert opro("boolean").extract(answer) == reading


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        ("(A) apple", "(a)"),
        ("(A) or (a)", "(a)"),
        ("(A) or (B)", "(a) or (b)"),
        ("(I think) (b)", "(i think)"),
        ("((b)", "((b)"),
        ("( x\n(b)", "(b)"),
        ("(1) apple", "(1) apple"),
        ("（A） apple", "（a） apple"),
        ("An apple. A pear", "an apple"),
        ("...", ""),
        (".5", ""),
        ("x'.'", "x'"),
        (":: x :", "x"),
        ("first \nsecond", "first "),
        ("ΟΔΟΣ", "οδος"),
        ("İ", "i\u0307"),
    ],
)
@pytest.mark.parametrize("kind", ["text", "choice"])
def test_text_reading(kind, answer, reading):
    assert opro(kind).extract(answer) == reading


@pytest.mark.parametrize(
    ("kind", "answer", "target", "value"),
    [
        # Punctuation is ignored, and with it the sign and the point.
        ("number", "-5", "5", 1),
        ("number", "12", "1.2", 1),
        ("number", "1240", "1,240", 1),
        ("number", "16", "16.0", 0),
        ("number", "105", "5", 0),
        ("number", "0", "no", 1),
        ("number", "I do not know", "5", None),
        ("number", "", "", 1),
        # Everything but numbers is right where it holds the target anywhere.
        ("boolean", "not sure", "No", 1),
        ("boolean", "invalid", "valid", 1),
        ("boolean", "1", "yes", 1),
        ("boolean", "true", "valid", 1),
        ("boolean", "yes", "True", 0),
        ("boolean", "maybe", "True", 0),
        ("boolean", "", "True", None),
        ("text", "cats and dogs", "cat", 1),
        ("text", "] ) >", "> )", 1),
        ("text", "", "> )", 1),
        ("text", "anything", "", 1),
        ("text", "yes, no", "yes no", 1),
        ("text", "A", "(a)", 1),
        ("text", "", "word", None),
    ],
)
def test_verdicts(kind, answer, target, value):
    assert earned(kind, answer, target) == value


SUN = "Q: Where?\n(A) west\n(B) east\n(C) north-east\n\nA:"


@pytest.mark.parametrize(
    ("answer", "target", "prompt", "value"),
    [
        ("(B)", "(B)", SUN, 1),
        ("B", "(B)", SUN, 1),
        ("b.", "(B)", SUN, 1),
        ("B) it is", "(B)", SUN, 0),
        ("west", "(A)", SUN, 1),
        ("It is in the west", "(A)", SUN, 1),
        ("west or east", "(A)", SUN, 0),
        # "east" is in "north-east": then no other text may be anywhere, and "north-east" is not in
        # the answer.
        ("in the east", "(B)", SUN, 1),
        ("north-east", "(B)", SUN, 0),
        ("in the north-east", "(C)", SUN, 1),
        ("northeast", "(C)", SUN, 0),
        # A target without brackets is held by every answer with its letter.
        ("maybe", "B", SUN, 1),
        ("(c)", "B", SUN, 0),
        ("", "(B)", SUN, None),
        # No letter, or no such option.
        ("east", "east", SUN, 0),
        ("ab", "ab", SUN, 0),
        ("(E)", "(E)", SUN, 0),
        ("(A)", "(A)", "What is it?", 0),
        ("", "(A)", "What is it?", None),
        # Without a prompt it is a text.
        ("(A) or (B)", "(A)", "", 1),
        # Marks are counted, not read: (C) is the second.
        ("dog", "(B)", "(A) cat (C) dog", 1),
        ("dog", "(C)", "(A) cat (C) dog", 0),
        ("cat", "(A)", "A: hello\nQ: (A) cat (B) dog", 0),
        # The others are those whose letters follow each other from A: (C) is not among them.
        ("cat dog", "(A)", "(A) cat (C) dog", 1),
        # A stretch of the alphabet passes for a letter and gets brackets, which its text need not
        # have.
        ("no", "(A)", "(A) (no) (B) yes", 1),
        ("on", "(A)", "(A) (on) (B) yes", 0),
        ("", "(A)", "(A)() (B) yes", 1),
        # An option without a text is in every answer.
        ("dog", "(A)", "(A)\n(B)", 0),
        ("dog", "(A)", "(A)", 1),
        # Punctuation of the answer is ignored beside an option's text, except ! ? and full stops.
        ("ca,t", "(A)", "(A) cat (B) dog", 1),
        ("ca!t", "(A)", "(A) cat (B) dog", 0),
        ("cat", "(A)", "(A) cat\nfoo (B) dog", 1),
        ("cat", "(A)", "(A) cat \nfoo (B) dog", 0),
        ("(a)", "(B)", "(A) x (B) (a)", 0),
    ],
)
def test_choice_verdicts(answer, target, prompt, value):
    assert earned("choice", answer, target, prompt) == value


def test_options_are_seen_from_the_target():
    found = options(SUN, "B")
    assert (found.target, found.letter, found.text) == ("b", "b", "east")
    assert found.others == ("west", "north-east") and not found.distinct
    assert options(SUN, "(A)").distinct
    assert options(SUN, "(D)").text == ""
    assert options(SUN, "(E)") is None


def test_second_prompt_keeps_the_answer_up_to_the_next_question():
    said = second_prompt("Q: 1 + 1?\n\nA:", " It is 2.\n\nQ: 2 + 2?")
    assert said == "Q: 1 + 1?\n\nA: It is 2. So the final answer is"
    assert second_prompt("P", "") == "P  So the final answer is"


@pytest.mark.parametrize(
    ("kind", "answer", "first", "second"),
    [
        ("number", ": 5\n6", "", "5"),
        ("number", " 5 apples.\n\n6 pears", "6", "5"),
        ("text", "::x:y:", "x:y", "x:y"),
        ("choice", "(a)\n(b)", "(a)", "(a)"),
        ("text", "red \nblue", "red ", "red"),
        ("number", "red\n7", "7", ""),
    ],
)
def test_second_answers_are_cut_before_they_are_read(kind, answer, first, second):
    assert opro(kind).extract(answer) == first
    assert opro(kind, rounds=2).extract(answer) == second


def test_a_kind_that_does_not_exist():
    with pytest.raises(
        UsageError, match="no kind 'letters'; accepted: number, boolean, choice, text"
    ):
        opro("letters")


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        (["16", "-3.5", "1,240"], "number"),
        (["0", "1"], "number"),
        (["True", "False"], "boolean"),
        (["yes", "no "], "boolean"),
        (["valid"], "boolean"),
        (["(A)", "(R)"], "choice"),
        (["A", "E"], "choice"),
        (["A", "nan"], "text"),
        (["nan", "inf"], "text"),
        (["a", "b"], "text"),
        (["> )"], "text"),
        (["1", "yes"], "text"),
        ([], "text"),
    ],
)
def test_kind_of(targets, kind):
    assert kind_of(targets) == kind
