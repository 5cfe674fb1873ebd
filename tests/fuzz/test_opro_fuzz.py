"""The paper's rule on whatever a model may write: a verdict for every answer, in linear time."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from timing import keeps_within

from opro_local.scoring.opro import KINDS, opro
from opro_local.scoring.reading import paper as words
from opro_local.types import Example

CASES = settings(
    max_examples=2000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
FEW = settings(CASES, max_examples=300)

TARGETS = {"number": "16", "boolean": "No", "choice": "(B)", "text": "> ) ]"}
PROMPT = "Q: Where?\n(A) west\n(B) east\n(C) north-east\n\nA:"

PIECES = (
    *(
        *words.ANSWER_HEADINGS,
        *words.ANSWER_PHRASES,
        *words.CLOSING_PHRASES,
        *words.NEXT_QUESTION,
        words.RATIONALE,
    ),
    *(word for word, _ in words.NUMBER_WORDS),
    *(
        "The answer is ",
        "Answer: ",
        " are: ",
        "yes",
        "No",
        "invalid",
        "True",
        "0",
        "1",
        "west",
        "east",
        "north-east",
    ),
    *(
        "B",
        "no",
        "hi",
        "(a)",
        "(B)",
        "(x y)",
        "(",
        ")",
        "((b))",
        "（B）",
        "16",
        "-16",
        "1,6",
        "$1.5",
        "5%",
        "1e400",
    ),
    *(
        "nan\t",
        "-inf ",
        "1_0",
        "５",
        "४२",
        "²",
        "½",
        "=",
        ":",
        ".",
        "'",
        "-",
        ",",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\u00a0",
    ),
    *("\u2028", "\x00", "ß", "İ", "Σ", "K", "ﬀ", "e\u0301", "你好", "🙂", "\ud800"),
)
SHORT = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=[]), max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=30).map("".join),
)
# One answer in fifty is long, up to a megabyte; the number is one that hypothesis does not favour.
LONG = st.tuples(SHORT.filter(bool), st.integers(0, 1_000_000), SHORT).map(
    lambda parts: (parts[0] * (parts[1] // len(parts[0]) + 1))[: parts[1]] + parts[2]
)
ANSWERS = st.integers(0, 49).flatmap(lambda number: LONG if number == 29 else SHORT)


def example(kind: str) -> Example:
    return Example("test:0", {}, PROMPT, TARGETS[kind], "f.jsonl:1")


@pytest.mark.parametrize("kind", KINDS)
def test_any_answer(kind):
    rule, second = opro(kind), opro(kind, rounds=2)
    gold = rule.gold(example(kind))

    @CASES
    @given(ANSWERS)
    def check(answer):
        reading = rule.extract(answer)
        assert reading == reading.lower() and "\n" not in reading
        value = rule.verdict(answer, gold)
        assert value in (0.0, 1.0) if reading else value == 1.0 or math.isnan(value)
        if kind != "number" and TARGETS[kind].lower() in reading:
            assert value == 1.0
        if len(answer) < 1000:
            assert math.isnan(second.verdict(answer, gold)) <= (second.extract(answer) == "")

    check()


@FEW
@given(st.integers(-(10**15), 10**15), st.text("lorem ipsum 17.\n", max_size=80))
def test_an_announced_number_is_read_whatever_stands_before_it(number, before):
    for written in (f"{number}", f"${number:,}.", f"{number} apples", f"x = {number}"):
        assert opro("number").extract(f"{before}The answer is {written}") == str(number)


@FEW
@given(SHORT, SHORT)
def test_nothing_behind_a_next_question_counts(answer, after):
    # The phrases are chosen by the whole answer, so what follows has none.
    after = after.replace("answer", "reply")
    for kind in KINDS:
        read = opro(kind).extract
        assert read(f"{answer}Q:{after}") == read(f"{answer}Q:")


@pytest.mark.parametrize("letter", ["a", "b", "z"])
def test_a_letter_is_accepted_in_every_usual_form(letter):
    prompt = "".join(f"({chr(65 + number)}) option {number}\n" for number in range(26))
    rule = opro("choice")
    gold = rule.gold(Example("", {}, prompt, f"({letter.upper()})", ""))
    for answer in (
        letter,
        letter.upper(),
        f"({letter})",
        f"the answer is ({letter.upper()}).",
        f"{letter}.",
    ):
        assert rule.verdict(answer, gold) == 1.0


REPEATED = (
    "(",
    "(a",
    "(a)",
    "9",
    "9a",
    "9\n",
    "-",
    ".",
    "'",
    "=",
    "one",
    "answer is ",
    "q:",
    " is the answer",
    "🙂",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", REPEATED)
def test_a_megabyte_takes_linear_time(kind, piece):
    rule = opro(kind)
    gold = rule.gold(example(kind))
    answer = (piece * 1_000_000)[:1_000_000]
    # Linear work takes up to 0.2 s; anything quadratic takes hours.
    assert keeps_within(3, lambda: rule.verdict(answer, gold))
