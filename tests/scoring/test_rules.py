"""What each rule compares, chooses, reports and refuses."""

from __future__ import annotations

import dataclasses
from pkgutil import resolve_name

import numpy as np
import pytest

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.scoring.choosing import RULES, Basis, check_gold, make_rule, task_rule
from opro_local.tasks.task import Task
from opro_local.types import Example


def row(target: str, index: int = 0, **columns: str) -> Example:
    return Example(
        f"train:{index}",
        {"input": "x", "target": target, **columns},
        "x",
        target,
        f"f.csv:{index + 2}",
    )


def rows(*targets: str) -> list[Example]:
    return [row(target, index) for index, target in enumerate(targets)]


def asked(question: str, target: str) -> Example:
    return Example("train:0", {"input": question}, question, target, "f.csv:2")


CITIES = "Which city?\n(A) Paris\n(B) Rome\n(C) New York"
PATTERNS = {"regex": r"is (\w+)", "json": "answer"}


def task(*targets: str) -> Task:
    return Task("table", {"train": tuple(rows(*targets))}, "auto", "input", "target")


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


@pytest.mark.parametrize(
    "name",
    ["exact", "exact_strict", "labels", "number", "choice", "boolean", "contains", "regex", "json"],
)
def test_two_failures_are_never_equal(name):
    rule = make_rule(name, labels=("yes", "no"), pattern=PATTERNS.get(name))
    values, failed = rule.score(["", "  \n"], [row("???"), row(" ")])
    assert values.tolist() == [0, 0] and failed.all()


@pytest.mark.parametrize(
    ("name", "answer", "target", "value"),
    [
        ("exact", " Paris \n", "paris", 1),
        ("exact", "New\n York", "new york", 1),
        ("exact", "Paris.", "Paris", 1),
        ("exact_strict", "Paris.", "Paris", 0),
        ("exact_strict", " New\n York", "new york", 1),
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
        ("number", "fifty", "50%", 1),
        ("number", "50%", "0.5", 1),
        ("number", "so it is a dozen", "12", 1),
        ("choice", "A) dog", "(B)", 0),
        ("choice", "B) dog", "(B)", 1),
        ("boolean", "That is not true.", "No", 1),
        ("boolean", "Yes", "false", 0),
        ("json", '{"answer": 5.0}', "5", 1),
        ("json", '{"answer": "$1,000"}', "1000", 1),
        ("json", '{"answer": "five apples"}', "5", 0),
        ("json", '{"answer": "Rome"}', "rome", 1),
        ("json", '{"answer": false}', "False", 1),
        ("json", '{"answer": null}', "null", 1),
        ("json", '{"answer": null}', "none", 0),
        ("json", '{"answer": ["a", 1]}', '["a", 1.0]', 1),
        ("json", '{"answer": ["a", 1]}', '["a", 2]', 0.5),
        ("json", '{"answer": {"x": "a"}}', '{"x": "A"}', 1),
        ("json", '{"answer": 7}', "007", 0),
    ],
)
def test_verdicts(name, answer, target, value):
    values, failed = make_rule(name, pattern=PATTERNS.get(name)).score([answer], [row(target)])
    assert values.tolist() == [value] and not failed.any()


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
        ([str(n) + " apples" for n in range(21)] * 4, "labels"),
        ([str(n) + " apples" for n in range(21)] + ["0 apples"] * 60, "exact"),
        ([str(n) + " apples" for n in range(20)] * 3, "labels"),
        (["1", "two", "1/2", "50%", "a dozen"], "number"),
        (["1", "2", "two steps"], "exact"),
        (["3,5", "2,75", "10"], "number"),
        (["yes", "No"], "boolean"),
        (["True", "False", "True"], "boolean"),
        (["yes", "false"], "exact"),
        (["yes", "yes"], "exact"),
        ([], "exact"),
    ],
)
def test_auto(targets, name):
    assert make_rule("auto", examples=rows(*targets)).name == name


def test_auto_takes_decimal_commas_where_points_explain_nothing():
    rule = make_rule("auto", examples=rows("3,5", "2,75", "10"))
    assert rule.score(["Antwort: 3,50", "2.75"], rows("3,5", "2,75"))[0].tolist() == [1, 0]
    assert make_rule("auto", examples=rows("1,234", "5")).score(["1234"], [row("1,234")])[0] == [1]


def test_auto_chooses_among_listed_options():
    listed = [asked(CITIES, "(B)"), asked(CITIES, "Paris"), asked("Pick\nA. 1\nB. 2", "2")]
    assert make_rule("auto", examples=listed).name == "choice"
    assert (
        make_rule("auto", examples=[asked("How many?\nA. 1\nB. 2", "2"), row("3")]).name == "number"
    )
    assert make_rule("auto", examples=[asked(CITIES, "Oslo")]).name == "exact"


def test_the_rules_of_other_modules():
    assert make_rule("opro", examples=rows("1", "2")).name == "opro"
    assert make_rule("opro", kind="text", examples=rows("1")).extract("A b") is not None
    with pytest.raises(UsageError, match="no kind 'colour'"):
        make_rule("opro", kind="colour")
    assert make_rule("sql").name == "sql"
    with pytest.raises((UsageError, DataError)):
        make_rule("harness")


def test_strict_and_lenient_in_one_pass():
    rule = make_rule("number")
    given = ["#### 1", "so it is 2", "1 or 2", "The answer is 2.", "2 it is", "none"]
    both = rule.prepare(rows("1", "2")).both(given)
    assert both.values.tolist() == [1, 1, 0, 1, 0, 0]
    assert both.failed.tolist() == [False, False, True, False, False, True]
    assert both.strict.tolist() == [1, 0, 0, 1, 0, 0]
    assert all(
        part.dtype == kind for part, kind in zip(both, (np.float32, bool, np.float32), strict=False)
    )
    values, failed = rule.score(given, rows("1", "2"))
    assert values.tolist() == both.values.tolist() and failed.tolist() == both.failed.tolist()


def test_rules_without_marks_have_no_strict_values():
    for name in ("exact", "labels", "contains", "regex", "json"):
        rule = make_rule(name, labels=("yes", "no"), pattern=PATTERNS.get(name))
        assert rule.prepare(rows("yes")).both(["yes"]).strict is None
    for name in ("number", "choice", "boolean"):
        assert make_rule(name).prepare(rows("yes")).both([]).strict.shape == (0,)


def test_choice_by_text_and_what_is_reported():
    rule = make_rule("choice")
    examples = [asked(CITIES, "(B)"), asked(CITIES, "New York"), row("(B)")]
    given = ["The answer is Rome.", "(C)", "It is Rome."]
    both = rule.prepare(examples).both(given)
    assert both.values.tolist() == [1, 1, 0] and both.failed.tolist() == [False, False, True]
    assert both.strict.tolist() == [1, 1, 0]
    assert [
        rule.parsed(answer, example) for answer, example in zip(given, examples, strict=True)
    ] == ["B", "C", None]
    assert rule.parsed("Rome or Paris", examples[0]) is None


def test_options_that_do_not_hold_the_target_are_none():
    rule = make_rule("choice")
    assert rule.score(["(E)"], [asked(CITIES, "E")])[0].tolist() == [1]


def test_the_targets_own_words_go_first():
    examples = rows("yes", "no")
    rule = make_rule("boolean", examples=examples)
    answer = "Answer: no, it is true that nobody came"
    assert rule.score([answer], [examples[1]])[0].tolist() == [1]
    assert make_rule("boolean").score(["Answer: true or false"], examples[:1])[1].tolist() == [True]


def test_auto_follows_what_was_given():
    assert make_rule("auto", labels=("1", "2"), examples=rows("1", "2")).name == "labels"
    assert make_rule("auto", pattern="(a)", examples=rows("1")).name == "regex"


@pytest.mark.parametrize(
    ("name", "pattern", "message"),
    [
        (
            "fuzzy",
            None,
            "unknown scoring rule 'fuzzy'; accepted: auto, exact, exact_strict, labels",
        ),
        ("labels", None, r"1 label\(s\)"),
        ("regex", None, "no pattern"),
        ("regex", "(", "no regular expression"),
        ("number", r"\d+", "',' for decimal commas"),
        ("json", "a..b", "set task.pattern to a field"),
        ("python", None, "file.py:function"),
        ("python", "score", "file.py:function"),
    ],
)
def test_a_rule_that_cannot_be_made(name, pattern, message):
    with pytest.raises(UsageError, match=message):
        make_rule(name, pattern=pattern, examples=rows("yes"))


def split_task(rule: str, **splits: list[str]) -> Task:
    return Task(
        "table",
        {name: tuple(rows(*targets)) for name, targets in splits.items()},
        rule,
        "input",
        "target",
    )


@pytest.mark.parametrize("rule", ["auto", "labels", "judge"])
def test_a_label_that_is_not_in_train_is_one(rule):
    data = split_task(rule, train=["spam", "work"] * 3, validation=["work"], test=["spam", "Legal"])
    made = task_rule(data, TaskSettings())
    assert made.name == "labels" and made.extract("It is legal.") == "legal"
    assert made.extract("spam, or legal?") is None
    check_gold(data, made)


def test_all_rows_decide_the_rule_and_labels_of_train_come_first(monkeypatch):
    given = []

    def noted(names):
        given.append(names)
        return make_rule("exact")

    monkeypatch.setattr("opro_local.scoring.rules.label_set", noted)
    task_rule(
        split_task("labels", train=["b", "c", "a", "b"], test=["a", "z", "c", "y"]), TaskSettings()
    )
    task_rule(split_task("labels", train=["b", "c", "a"], test=["a", "c", "b"]), TaskSettings())
    task_rule(split_task("labels", train=["b", "c"], test=["z"]), TaskSettings(labels=("b", "c")))
    assert given == [("b", "c", "a", "y", "z"), ("b", "c", "a"), ("b", "c")]
    monkeypatch.undo()
    numbers = split_task("auto", train=["1", "2"], test=["three cats"])
    assert task_rule(numbers, TaskSettings()).name == "exact"
    assert task_rule(numbers, TaskSettings(revision=1)).name == "number"


def test_a_rule_that_is_none_is_told_of_the_judge_where_there_is_one():
    accepted = r"'fuzzy'; accepted: auto, exact, .*, sql, judge or file\.py:function"
    with pytest.raises(UsageError, match=accepted):
        task_rule(split_task("fuzzy", train=["a"]), TaskSettings())
    with pytest.raises(UsageError, match=r"harness, sql or file\.py:function"):
        make_rule("fuzzy")


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
    with pytest.raises(
        DataError, match=r"f\.csv:2: .*rules\.py:score raised KeyError: 'huh'; the answer was 'huh'"
    ):
        make_rule(f"{functions}:score").score(["huh"], [row("a")])


@pytest.mark.parametrize("answer", ["two", "nan", "text", "negative"])
def test_python_function_that_returns_no_score(functions, answer):
    with pytest.raises(
        DataError, match=r"f\.csv:2: .*bad returned .*; return True, False, a number from 0 to 1"
    ):
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
        check_gold(task("1", "2 or 3", "3", "four cats and five dogs"), make_rule("number"))
    assert str(caught.value) == (
        "f.csv:3: the target '2 or 3' fails its own rule number (extracted: nothing); so do "
        "1 more; "
        "correct the rows, or set task.rule (and task.labels or task.pattern)"
    )


def test_gold_that_names_two_labels():
    with pytest.raises(
        DataError, match=r"f\.csv:2: the target 'yes and no' .*extracted: nothing\)"
    ):
        check_gold(task("yes and no"), make_rule("labels", labels=("yes", "no")))


def test_gold_of_a_pattern():
    check_gold(task("blue", "red"), make_rule("regex", pattern=r"is (\w+)"))
    with pytest.raises(DataError, match=r"'1,000' fails its own rule regex \(extracted: '1'\)"):
        check_gold(task("7", "1,000"), make_rule("regex", pattern=r"(\d+)"))


def test_gold_of_a_function(functions):
    check_gold(task("true"), make_rule(f"{functions}:score"))
    with pytest.raises(DataError, match="the target 'half' fails its own rule python;"):
        check_gold(task("half"), make_rule(f"{functions}:score"))


@pytest.mark.parametrize("name", ["exact", "labels", "number", "choice", "boolean", "contains"])
def test_gold_that_is_right(name):
    numbers = (
        "1",
        "1,000",
        "-3/4",
        "forty-two",
        "a dozen",
        "1/2",
        "50%",
        "1 1/2",
        "½",
        "(5)",
        "($5)",
        "USD5",
        "1e6",
    )
    targets = {"number": numbers, "choice": ("(A)", "B"), "boolean": ("Yes", "no", "not true", "F")}
    targets = targets.get(name, ("yes", "no, never"))
    data = task(*targets)
    check_gold(data, make_rule(name, examples=data.splits["train"]))


def test_gold_that_is_an_option():
    listed = tuple(asked(CITIES, target) for target in ("(A)", "b", "New York", "(B) Rome", "C."))
    check_gold(Task("table", {"train": listed}, "auto", "input", "target"), make_rule("choice"))
    with pytest.raises(
        DataError,
        match=r"f\.csv:2: the target 'Oslo' fails its own rule choice \(extracted: nothing\)",
    ):
        check_gold(
            Task("table", {"train": (asked(CITIES, "Oslo"),)}, "auto", "input", "target"),
            make_rule("choice"),
        )


def test_gold_of_a_field():
    check_gold(task("5", "Rome"), make_rule("json", pattern="answer"))


def test_every_line_of_the_table_of_rules_leads_to_a_function():
    basis = {field.name for field in dataclasses.fields(Basis)} | {
        "targets",
        "all_targets",
        "labels",
    }
    for maker in RULES.values():
        assert callable(resolve_name(f"opro_local.scoring.{maker.place}"))
        assert basis.issuperset(maker.takes)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("3", "3"),
        ("3 stars", "3"),
        ("3 Sterne von 5", "3"),
        ("I would give it 3 out of 5.", "3"),
        ("It is a 3 because they were late", "3"),
        ("Rating: 3. I waited for 2 hours.", "3"),
        ("I waited for 3 hours.", None),
        ("The phone broke after 3 days", None),
        ("We were 4 people", None),
        ("There were 2\u00a0cats", None),
        ("I would not give it 3 stars.", None),
        ("It isn't a 5.", None),
        ("more than 3", None),
        ("Anything but 5", None),
    ],
)
def test_what_is_counted_in_an_answer_is_no_code_of_a_class(answer, code):
    assert make_rule("labels", labels=("1", "2", "3", "4", "5")).extract(answer) == code


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("3 bn", "3000000000"),
        ("3 Tsd.", "3000"),
        ("3 tausend", "3000"),
        ("3 млн", "3000000"),
        ("2.5 миллиарда", "2500000000"),
        ("3 milhões", "3000000"),
        ("12 लाख", "1200000"),
        ("3百万", "3000000"),
        ("3億", "300000000"),
        ("300만 원", "3000000"),
        ("2024年", "2024"),
        ("3万5千", None),
    ],
)
def test_words_of_magnitude_are_part_of_the_number(answer, value):
    assert make_rule("number").extract(answer) == value
