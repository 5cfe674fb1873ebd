"""What each scoring rule reads, refuses and compares."""

from __future__ import annotations

import numpy as np
import pytest

from opro_local.errors import DataError, UsageError
from opro_local.scoring import check_gold, extract, make_rule
from opro_local.tasks import Task
from opro_local.types import Example


def row(target: str, index: int = 0, **columns: str) -> Example:
    return Example(f"train:{index}", {"input": "x", "target": target, **columns}, "x", target, f"f.csv:{index + 2}")


def rows(*targets: str) -> list[Example]:
    return [row(target, index) for index, target in enumerate(targets)]


def task(*targets: str) -> Task:
    return Task("table", {"train": tuple(rows(*targets))}, "auto", "input", "target")


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("42", 42),
        ("The answer is -5.", -5),
        ("$-5", -5),
        ("-$5.50", -5.5),
        ("−3", -3),
        ("(-5)", -5),
        ('"-7"', -7),
        ("x=-4", -4),
        ("8 - 5", 5),
        ("8 -5", 5),
        ("5-3", 3),
        ("pages 3–5", 5),
        ("1,234,567", 1234567),
        ("1,234.5 dollars", 1234.5),
        ("costs €1,000.", 1000),
        ("50%", 50),
        ("1/2", 0.5),
        ("-3/4", -0.75),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1.5e-3", 0.0015),
        ("It is 1e5.", 100000),
        ("٤٢", 42),
        ("first 3 then 4", 4),
        ("#### 42", 42),
        ("so 9\n#### 1,042\nwhich took 3 steps", 1042),
        ("#### Step 1\nx is 9", 9),
        ("####-5", -5),
        (r"\boxed{\frac{3}{4}} of 7", 0.75),
        (r"\boxed{1{,}000} (5 steps)", 1000),
        (r"\boxed{none} 5", 5),
        (r"\boxed{\text{7 apples}} in 2 days", 7),
        ("The answer is 12 because 3 x 4 works", 12),
        ("Answer: 5 + 3 = 8", 8),
        ("Answer: x = 5, in 3 steps", 5),
        ("Answer:\n42\nin 17 steps", 42),
        ("ANSWER: 9 then 4", 9),
        ("The answer is 7. This answer has 3 steps", 7),
        ("the answer is **$18**", 18),
        ("the answer is unclear, perhaps\n6", 6),
        ("25 m2", 25),
        ("25 m^2", 25),
        ("3 x_1", 3),
        ("CO2", None),
        ("", None),
        ("none", None),
        ("²", None),
        ("1e999", None),
        ("5/0", None),
        ("9" * 500, None),
    ],
)
def test_number(answer, value):
    assert extract.number(answer) == (None if value is None else pytest.approx(value, rel=1e-12))


def test_number_text():
    assert extract.number_text("it is 1,000.50 now") == "1000.5"
    assert extract.number_text("the answer is 42.0") == "42"
    assert extract.number_text("-") is None


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("(B)", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("b", "B"),
        ("**C**", "C"),
        ("The answer is B", "B"),
        ("the answer is (c).", "C"),
        ("The answer is option (C)", "C"),
        ("(A) is wrong. Answer: **B**.", "B"),
        ("A: B", "B"),
        ("Q: which?\nA: (D)", "D"),
        (r"\boxed{D}", "D"),
        (r"\boxed{\text{(E)}}", "E"),
        ("(B) because\n(B) is right", "B"),
        ("Let me think.\nC) Paris", "C"),
        ("(A) or (B)", None),
        ("A or B", None),
        ("The answer is A or B", None),
        ("The answer is (A) and (B)", None),
        ("A) x\nB) y", None),
        ("the answer is a dog", None),
        ("The answer is A dog", None),
        ("The answer is B because of x", "B"),
        ("The answer is B though it hurts", "B"),
        ("The answer is A because of x", "A"),
        ("The answer is A, because of x", "A"),
        ("(A) looks right. The answer is A or B", None),
        ("(A) looks right. The answer is option (A), (B)", None),
        ("item(s)", None),
        ("I think so", None),
        ("", None),
    ],
)
def test_choice(answer, letter):
    assert extract.choice(answer) == letter


@pytest.mark.parametrize(
    ("names", "answer", "label"),
    [
        (("positive", "negative"), "Positive.", "positive"),
        (("positive", "negative"), "**POSITIVE**", "positive"),
        (("positive", "negative"), "positive, positive!", "positive"),
        (("positive", "negative"), "positive, not negative", None),
        (("positive", "negative"), "positively", None),
        (("positive", "negative"), "non-positive", None),
        (("positive", "negative"), "positive-ish", None),
        (("positive", "negative"), "- positive", "positive"),
        (("positive", "negative"), "-positive", "positive"),
        (("positive", "negative"), "seropositive", None),
        (("positive", "negative"), "not positive", "positive"),
        (("positive", "not positive"), "It is NOT  positive", "not positive"),
        (("positive", "not positive"), "It is positive", "positive"),
        (("positive", "not positive"), "positive or not positive", None),
        (("C", "C++"), "I say C++", "c++"),
        (("C", "C++"), "I say C.", "c"),
        (("spam", "not_spam"), "not_spam", "not_spam"),
        (("Straße", "Weg"), "STRASSE", "strasse"),
        (("yes", "no"), "", None),
        (("yes", "no"), "none", None),
    ],
)
def test_labels(names, answer, label):
    assert extract.label_reader(names)(answer) == label


def test_scores_repeat_the_examples_and_count_failures():
    rule = make_rule("number")
    values, failed = rule.prepare(rows("1", "2")).score(["1", "1", "no", "is 2"])
    assert values.tolist() == [1, 0, 0, 1] and values.dtype == np.float32
    assert failed.tolist() == [False, False, True, False] and failed.dtype == bool


def test_answers_that_do_not_fit_the_examples_are_a_bug():
    with pytest.raises(ValueError, match="3 answers are no multiple of 2"):
        make_rule("exact").score(["a", "b", "c"], rows("a", "b"))
    with pytest.raises(ValueError, match="1 answers"):
        make_rule("exact").score(["a"], rows("a", "b"))


def test_no_answers():
    values, failed = make_rule("exact").score([], [])
    assert values.shape == failed.shape == (0,)


@pytest.mark.parametrize("name", ["exact", "labels", "number", "choice", "contains", "regex"])
def test_two_failures_are_never_equal(name):
    rule = make_rule(name, labels=("yes", "no"), pattern=r"is (\w+)")
    values, failed = rule.score(["", "  \n"], [row("???"), row(" ")])
    assert values.tolist() == [0, 0] and failed.all()


@pytest.mark.parametrize(
    ("name", "answer", "target", "value"),
    [
        ("exact", " Paris \n", "paris", 1),
        ("exact", "New\n York", "new york", 1),
        ("exact", "Paris.", "Paris", 0),
        ("exact", "1.0", "1", 0),
        ("contains", "It is  PARIS.", "Paris", 1),
        ("contains", "It is Rome.", "Paris", 0),
        ("regex", "it is Blue", "blue", 1),
        ("regex", "it is red", "blue", 0),
        ("number", "it is $1,000.00", "1000", 1),
        ("number", "1000001", "1000000", 0),
        ("number", "0.33333334", "1/3", 1),
        ("number", "0.333", "1/3", 0),
        ("number", "-5", "5", 0),
        ("number", "0", "-0", 1),
        ("choice", "b) dog", "(B)", 0),
        ("choice", "B) dog", "(B)", 1),
    ],
)
def test_verdicts(name, answer, target, value):
    values, _ = make_rule(name, pattern=r"is (\w+)").score([answer], [row(target)])
    assert values.tolist() == [value]


def test_regex_without_a_group_takes_the_match_and_an_unused_group_is_a_failure():
    assert make_rule("regex", pattern=r"\d+").extract("a 12 b") == "12"
    assert make_rule("regex", pattern=r"x|(y)").extract("x") is None


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        (["1", "-2.5", "$1,000", "3/4"], "number"),
        (["(A)", "B", "C"], "choice"),
        (["pos", "neg", "Pos"] * 3, "labels"),
        (["A", "A", "A"], "exact"),
        (["pos", "neg"], "exact"),
        ([str(n) + " apples" for n in range(21)] * 4, "exact"),
        ([str(n) + " apples" for n in range(20)] * 3, "labels"),
        (["1", "two"], "exact"),
        ([], "exact"),
    ],
)
def test_auto(targets, name):
    assert make_rule("auto", examples=rows(*targets)).name == name


def test_auto_follows_what_was_given():
    assert make_rule("auto", labels=("1", "2"), examples=rows("1", "2")).name == "labels"
    assert make_rule("auto", pattern="(a)", examples=rows("1")).name == "regex"


@pytest.mark.parametrize(
    ("name", "pattern", "message"),
    [
        ("fuzzy", None, "unknown scoring rule 'fuzzy'; accepted: auto, exact, labels"),
        ("labels", None, r"1 label\(s\)"),
        ("regex", None, "no pattern"),
        ("regex", "(", "no regular expression"),
        ("python", None, "file.py:function"),
        ("python", "score", "file.py:function"),
    ],
)
def test_a_rule_that_cannot_be_made(name, pattern, message):
    with pytest.raises(UsageError, match=message):
        make_rule(name, pattern=pattern, examples=rows("yes"))


FUNCTIONS = """
import math
def score(answer, target, columns):
    return {"none": None, "half": 0.5, "true": True, "column": columns["input"] == "x"}[answer]
def bad(answer, target, columns):
    return {"two": 2, "nan": math.nan, "text": "1", "negative": -0.5}[answer]
constant = 3
"""


@pytest.fixture
def functions(tmp_path):
    path = tmp_path / "rules.py"
    path.write_text(FUNCTIONS)
    return path


def test_python_function(functions):
    rule = make_rule("python", pattern=f"{functions}:score")
    values, failed = rule.score(["none", "half", "true", "column"], [row("a")])
    assert values.tolist() == [0, 0.5, 1, 1]
    assert failed.tolist() == [True, False, False, False]
    assert make_rule(f"{functions}:score").name == "python"


def test_python_function_that_raises_names_the_function_and_the_row(functions):
    with pytest.raises(DataError, match=r"f\.csv:2: .*rules\.py:score raised KeyError: 'huh'; the answer was 'huh'"):
        make_rule(f"{functions}:score").score(["huh"], [row("a")])


@pytest.mark.parametrize("answer", ["two", "nan", "text", "negative"])
def test_python_function_that_returns_no_score(functions, answer):
    with pytest.raises(DataError, match=r"f\.csv:2: .*bad returned .*; return True, False, a number from 0 to 1"):
        make_rule(f"{functions}:bad").score([answer], [row("a")])


def test_python_file_that_does_not_load(functions, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        make_rule(f"{tmp_path}/absent.py:score")
    for name in ("absent", "constant"):
        with pytest.raises(DataError, match=f"defines no function '{name}'"):
            make_rule(f"{functions}:{name}")
    (tmp_path / "broken.py").write_text("def score(:")
    with pytest.raises(DataError, match="does not load: SyntaxError"):
        make_rule(f"{tmp_path}/broken.py:score")


def test_gold_that_fails_names_the_first_row_and_counts_the_rest():
    with pytest.raises(DataError) as caught:
        check_gold(task("1", "two", "3", "four"), make_rule("number"))
    assert str(caught.value) == (
        "f.csv:3: the target 'two' fails its own rule number (extracted: nothing); so do 1 more; "
        "correct the rows, or set task.rule (and task.labels or task.pattern)"
    )


def test_gold_that_names_two_labels():
    with pytest.raises(DataError, match=r"f\.csv:2: the target 'yes and no' .*extracted: nothing\)"):
        check_gold(task("yes and no"), make_rule("labels", labels=("yes", "no")))


def test_gold_of_a_pattern():
    check_gold(task("blue", "red"), make_rule("regex", pattern=r"is (\w+)"))
    with pytest.raises(DataError, match=r"'1,000' fails its own rule regex \(extracted: '1'\)"):
        check_gold(task("7", "1,000"), make_rule("regex", pattern=r"(\d+)"))


def test_gold_of_a_function(functions):
    check_gold(task("true"), make_rule(f"{functions}:score"))
    with pytest.raises(DataError, match="the target 'half' fails its own rule python;"):
        check_gold(task("half"), make_rule(f"{functions}:score"))


@pytest.mark.parametrize("name", ["exact", "labels", "number", "choice", "contains"])
def test_gold_that_is_right(name):
    targets = {"number": ("1", "1,000", "-3/4"), "choice": ("(A)", "B")}.get(name, ("yes", "no, never"))
    data = task(*targets)
    check_gold(data, make_rule(name, examples=data.splits["train"]))
