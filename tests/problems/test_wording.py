"""What is taken off a reply, and what is no instruction whatever it is dressed in."""

import csv

import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.problems.prompt.generic import first_seed, nameable
from opro_local.problems.prompt.leaks import gives_answer
from opro_local.problems.prompt.wording import is_several, printable, undressed
from opro_local.runs.plans import make_plan
from opro_local.types import Solution

PLAIN = "Say whether the review is good."


@pytest.mark.parametrize(
    "reply",
    [
        PLAIN,
        f"  {PLAIN}\n",
        f'"{PLAIN}"',
        f"“{PLAIN}”",
        f"„{PLAIN}“",
        f"«{PLAIN}»",
        f"'{PLAIN}'",
        f"`{PLAIN}`",
        f'"{PLAIN}',
        f"**{PLAIN}**",
        f"INSTRUCTION: {PLAIN}",
        f"Instruction:\n{PLAIN}",
        f"**Instruction:** {PLAIN}",
        f"### New instruction: {PLAIN}",
        f"New Instruction 3: {PLAIN}",
        f"Improved prompt - {PLAIN}".replace(" - ", " -- "),
        f"Here is the improved instruction: {PLAIN}",
        f"Sure! Here's a new prompt:\n\n{PLAIN}",
        f"1. {PLAIN}",
        f"1) {PLAIN}",
        f"- {PLAIN}",
        f'1. "{PLAIN}"',
        f"```\n{PLAIN}\n```",
        f"```text\n{PLAIN}\n```\n",
        f"~~~\n{PLAIN}\n~~~",
        f"Here is the instruction:\n```\n{PLAIN}\n```",
        f'INSTRUCTION: "{PLAIN}"',
        f"\x1b[1m{PLAIN}\x1b[0m",
        f"\x1b]0;title\x07{PLAIN}",
        f"{PLAIN[:9]}\x00{PLAIN[9:]}",
        f"\ufeff{PLAIN}\u200b",
        f"{PLAIN}\ud83d",
    ],
)
def test_what_a_reply_is_dressed_in_is_taken_off(reply):
    assert undressed(reply) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        'Say "yes" or "no"',
        '"Yes" or "no": which fits?',
        '"Yes" means good, and bad is "no"',
        "Answer with 'good' or 'bad'",
        "Don't guess.",
        "Read it.\n1. Look for praise.\n2. Decide.",
        "1. Look for praise.\n2. Decide.",
        "Classify [positive or negative].",
        "Use ```python``` for code and say what it does.",
        "Follow this instruction: answer briefly.",
        "The prompt says what to do; do it.",
        "Instruction manuals are texts; say what they are about.",
        "Zażółć gęślą jaźń 👩‍👩‍👧.",
        "A\tb\nc",
    ],
)
def test_what_belongs_to_an_instruction_stays(text):
    assert undressed(text) == text


def test_only_characters_that_are_no_text_are_unprintable():
    assert printable("a\x00\x07\x1b[31mb\u202e\ud800\tc\n") == "ab\tc\n"


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("Here are three instructions:\n1. Do this.\n2. Do that.", True),
        ("Some alternatives:\n- Do this.\n- Do that.", True),
        ("Here is an instruction:\n1. Read.\n2. Decide.", False),
        ("1. Read.\n2. Decide.", False),
    ],
)
def test_a_list_of_proposals_is_several(text, several):
    assert is_several(text) is several


def table(tmp_path, rows, **search):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    engine = {"engine": "scripted", "script": SCRIPT, "model": "none"}
    tables = {
        "task": {"data": str(path), "input": "text", "target": "label", **search.pop("task", {})},
        "scorer": engine,
        "optimizer": engine,
        "search": {"seeds": ["What is it?"], **search},
    }
    return make_plan(reading.build(tables))


TOPICS = [f"topic {name}" for name in "abcdefghijkl"]


def test_an_instruction_may_name_all_of_many_labels(tmp_path):
    problem = table(tmp_path, [(f"Row {n} of it", TOPICS[n % 12]) for n in range(72)]).problem
    assert problem.nameable == set(TOPICS)
    assert problem.parse(f"one of: {', '.join(TOPICS)}") == Solution(f"One of: {', '.join(TOPICS)}")


def test_codes_of_classes_may_stand_in_an_instruction_whatever_the_rule(tmp_path):
    rows = [(f"Row {n} of it", str(n % 5 + 1)) for n in range(60)]
    for rule in ("auto", "number"):
        problem = table(tmp_path, rows, task={"rule": rule}).problem
        assert problem.parse("Rate it from 1 to 5.") == Solution("Rate it from 1 to 5.")
    measured = [(f"Row {n} of it", str(n * 37)) for n in range(60)]
    problem = table(tmp_path, measured, task={"rule": "number"}).problem
    assert problem.parse("It is 74.") == "digits in it"


@pytest.mark.parametrize(
    ("targets", "rule", "expected"),
    [
        (["a", "b", "c"], "labels", {"a", "b", "c"}),
        ([f"label {n}" for n in range(40)], "labels", {f"label {n}" for n in range(40)}),
        (["Rome", "Oslo", "Bern"] * 9, "exact", {"Rome", "Oslo", "Bern"}),
        ([f"{n}" for n in range(40)], "number", set()),
        ([f"{n % 9}" for n in range(40)], "number", set("012345678")),
    ],
)
def test_what_an_instruction_may_name(targets, rule, expected):
    assert nameable(targets, rule) == expected


@pytest.mark.parametrize(
    ("text", "is_given"),
    [
        ("cat: animal, oak: plant. Now you.", True),
        ("A cat is an animal, so say so.", True),
        ("The cat -> animal", True),
        ("Is it an animal or a plant?", False),
        ("A cat may stand in the text; then say what the text is about, an animal or not.", False),
        ("Say animal for a cat.", False),
    ],
)
def test_an_answer_given_for_a_shown_row_is_a_leak_although_it_is_a_label(text, is_given):
    shown = [{"question": "cat", "target": "animal"}]
    assert (gives_answer(text, shown) is not None) is is_given


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("...", "empty"),
        ("\x00\x1b[0m", "empty"),
        ('""', "empty"),
        ("INSTRUCTION:", "empty"),
        ("Here are two prompts:\n1. Do this.\n2. Do that.", "several"),
        ("Answer the ticket.", "missing"),
        ("Answer <INS> {{ticket}}", "placeholder tag in it"),
    ],
)
def test_what_is_no_instruction(tmp_path, text, reason):
    rows = [(f"Row {n} of it", "yes" if n % 2 else "no") for n in range(40)]
    required = ["{{ticket}}"]
    plan = table(tmp_path, rows, seeds=["Answer {{ticket}}."], required=required)
    assert plan.problem.parse(text).partition(":")[0] == reason
    kept = plan.problem.parse("Read {{ticket}} and answer.")
    assert kept == Solution("Read {{ticket}} and answer.")
    assert plan.problem.generic() == []


def test_the_first_seed_of_a_table_is_made_from_its_labels():
    assert first_seed(["no", "yes", "no"], "labels") == "Classify the text: no or yes."
    assert first_seed(["a", "b"], "labels_set") == "Name all that apply: a or b."
    assert first_seed(["3", "4"], "number") == "Answer the question."
    assert first_seed([f"a long label {n}" for n in range(99)], "labels") == "Answer the question."


@pytest.mark.parametrize("label", ["{text}", "{label}", "{b}", "#{x}"])
def test_a_first_seed_has_no_places_for_columns(tmp_path, label):
    """Put in for the row's text or answer, a label would be neither."""
    assert first_seed(["a", label], "labels") == "Answer the question."
    assert first_seed(["a", "{{b}}"], "labels") == "Classify the text: a or {{b}}."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {"seeds": ["Say {label}."]}}, r"the prompt names \{label\}, which is every"),
        ({"search": {"seeds": ["a", "It is {copy}."]}}, r"the prompt names \{copy\}"),
        ({"task": {"template": "{instruction}\n{text} {label}"}}, r"task.template names \{label\}"),
        ({"task": {"template": "{instruction}\n{text} {copy}"}}, r"task.template names \{copy\}"),
    ],
)
def test_a_column_that_is_the_right_answer_is_put_into_no_prompt(tmp_path, changes, words):
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        texts = [f"row {n}" for n in range(40)]
        rows = [
            (t, "ab"[n % 2], f" {'ab'[n % 2]}", "ab"[n % 3 == 0], t) for n, t in enumerate(texts)
        ]
        csv.writer(stream).writerows([("text", "label", "copy", "other", "again"), *rows])
    task = {"data": str(tmp_path / "rows.csv"), "input": "text", "target": "label"}
    model = {"engine": "scripted", "script": SCRIPT}

    def plan(search=(), **more):
        search = {"seeds": ["Say which."], **dict(search)}
        given = {**task, **more.get("task", {})}
        made = {"task": given, "search": search, "optimizer": model, "scorer": model}
        return make_plan(reading.build(made))

    with pytest.raises(UsageError, match=words):
        plan(**changes)
    plan({"seeds": ["Mind {other} and {{label}}."]})
    # What is asked may be what is right: a text to be copied.
    plan(task={"target": "again", "rule": "exact", "template": "{instruction}\n{text}"})


def test_a_table_without_a_seed_starts_from_its_labels_and_says_so(tmp_path):
    rows = [(f"Row {n} of it", "yes" if n % 2 else "no") for n in range(40)]
    plan = table(tmp_path, rows, seeds=["x"])
    bare = plan.config.model_dump(exclude_unset=True)
    del bare["search"]["seeds"]
    plan = make_plan(reading.build(bare))
    (seed,) = plan.config.search.texts
    assert seed in ("Classify the text: yes or no.", "Classify the text: no or yes.")
    assert [line for line in plan.notices if repr(seed) in line]
    bare["search"]["revision"] = 1
    assert make_plan(reading.build(bare)).config.search.texts == ("Let's solve the problem.",)


@pytest.mark.parametrize(
    ("seed", "prompt"),
    [
        ("Is it good? {text}", "Is it good? Row 3 of it"),
        ("Is it good? {input}", "Is it good? Row 3 of it"),
        ("Is {{text}} good?", "Is {{text}} good?\nRow 3 of it"),
        ('Say {"label": 1}.', 'Say {"label": 1}.\nRow 3 of it'),
    ],
)
def test_a_column_in_a_prompt_is_the_rows_value(tmp_path, seed, prompt):
    rows = [(f"Row {n} of it", "yes" if n % 2 else "no") for n in range(40)]
    problem = table(tmp_path, rows, seeds=[seed]).problem
    (row,) = [row for own in problem.rows.values() for row in own if row.input == "Row 3 of it"]
    request = problem.requests(Solution(seed), "train", [row])[0]
    text = request.prompt.text.removeprefix("Q: ").removesuffix("\n\nA:")
    assert text == prompt
    # A proposal without the place has the row where it stands otherwise.
    other = problem.requests(Solution("Is it good?"), "train", [row])[0].prompt.text
    assert "Is it good?\nRow 3 of it" in other


def test_a_column_that_does_not_exist_is_named(tmp_path):
    rows = [(f"Row {n} of it", "yes" if n % 2 else "no") for n in range(40)]
    with pytest.raises(UsageError) as error:
        table(tmp_path, rows, seeds=["Is it good? {review}"])
    assert "{review}" in error.value.message and "text" in error.value.hint
    with pytest.raises(UsageError, match="lacks"):
        table(tmp_path, rows, seeds=["Is it good?"], required=["{{ticket}}"])
