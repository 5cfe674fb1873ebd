"""Whatever bytes a file holds and whatever text a model writes: a DataError or a value, in linear
time.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from timing import cpu_seconds, keeps_within

from opro_local.errors import DataError
from opro_local.scoring.choosing import make_rule
from opro_local.tasks import table
from opro_local.types import Example

# Derandomized, so that a test that passes here passes everywhere; 500 cases, as deep as a minute
# allows.
CASES = settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

RULES = (
    "exact",
    "labels",
    "number",
    "comma",
    "choice",
    "boolean",
    "contains",
    "regex",
    "json",
    "python",
)
TARGETS = {"number": "42", "comma": "42", "choice": "(B)", "boolean": "yes"}
QUESTION = "Which?\n(A) red\n(B) positive\n(C) 42"


def example(rule):
    target = TARGETS.get(rule, "positive")
    question = QUESTION if rule == "choice" else "x"
    return Example("train:0", {"input": question, "target": target}, question, target, "f.csv:2")


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rule.py"
    path.write_text(
        "def score(answer, target, columns):\n    return target in answer if answer else None\n"
    )
    patterns = {"regex": r"is (\w+)", "python": f"{path}:score", "json": "a", "comma": ","}
    labels = ("positive", "negative", "very negative")
    return {
        name: make_rule("number" if name == "comma" else name, labels, patterns.get(name))
        for name in (*RULES, "labels_set")
    }


PIECES = [
    *(
        "positive",
        "Negative",
        "very negative",
        "the answer is ",
        "Answer: ",
        "ANSWER = ",
        "####",
        "\\boxed{",
        "}",
        "{",
    ),
    *(
        "(B)",
        "(a)",
        "\nC. ",
        "Option A",
        "-",
        "−",
        "$",
        "USD",
        "1,234",
        ".5",
        "3/4",
        "1e5",
        "½",
        "7" * 30,
        "=",
        "%",
    ),
    *(
        "forty",
        "-two",
        " and ",
        "a dozen",
        "half",
        " million",
        "\\frac{1}{2}",
        "\\frac12",
        "10^",
        " or ",
        ", ",
        "x",
    ),
    *(
        "yes",
        "No",
        "not ",
        "true",
        "isn't ",
        "false.",
        "necessarily ",
        "Wait, ",
        "I made a mistake",
        '{"a": ',
        '"b"',
        "[",
    ),
    *("\n", " ", "\x00", "\u2028", "ß", "İ", "\ud800", "😀", "٤", "\u202f", "**", "`", "```json\n"),
]
ANSWERS = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=[]), max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=30).map("".join),
    # Up to a megabyte: a short text that is repeated, between two others.
    st.builds(
        lambda head, body, times, tail: f"{head}{(body * times)[:1_000_000]}{tail}",
        st.lists(st.sampled_from(PIECES), max_size=3).map("".join),
        st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=6).map("".join),
        st.sampled_from([10, 100, 1000, 5000]),
        st.lists(st.sampled_from(PIECES), max_size=3).map("".join),
    ),
)


def check_answer(name, rule, row, answer):
    scorer = rule.prepare([row])
    # Linear work takes up to 0.5 s a megabyte; anything quadratic takes minutes.
    limit = 0.5 + 5e-6 * len(answer)
    assert keeps_within(limit, lambda: scorer.score([answer])), (name, len(answer), answer[:100])
    values, failed = scorer.score([answer])
    assert np.isfinite(values).all() and 0 <= values[0] <= 1
    assert not (failed & (values > 0)).any()
    both = scorer.both([answer, answer])
    assert (
        both.values.tolist() == values.tolist() * 2 and both.failed.tolist() == failed.tolist() * 2
    )
    # Strict never earns more, and earns the same where it reads.
    assert both.strict is None or (both.strict <= both.values).all()
    found = rule.parsed(answer, row)
    assert found is None or isinstance(found, str)
    if name not in ("python", "regex", "json"):
        assert (found is None) == failed[0]


@pytest.mark.parametrize("name", RULES)
def test_any_answer(rules, name):
    @CASES
    @given(ANSWERS)
    def check(answer):
        check_answer(name, rules[name], example(name), answer)

    check()


@pytest.mark.long
@pytest.mark.parametrize("name", RULES)
def test_two_thousand_answers(rules, name):
    @settings(CASES, max_examples=2000, derandomize=False)
    @given(ANSWERS)
    def check(answer):
        check_answer(name, rules[name], example(name), answer)

    check()


HOSTILE = {
    "digits": "9",
    "groups": "1,111,",
    "list": "1,",
    "spaced_list": "1, ",
    "points": "1.",
    "dots": "1.111.",
    "glued": "a1",
    "slashes": "1/",
    "mixed": "1 1/2 ",
    "minuses": "-",
    "dollars": "$",
    "currencies": "USD",
    "spaces": " ",
    "spaced_words": "one ",
    "ands": "one and ",
    "scales": "hundred and ",
    "halves": "half a ",
    "newlines": "\n",
    "hashes": "####",
    "hash_lines": "#### \n",
    "boxes": "\\boxed{",
    "filled_boxes": "\\boxed{1}",
    "joined_boxes": "\\boxed{1} or ",
    "fractions": "\\frac{1}",
    "commands": "\\x",
    "braces": "{",
    "objects": '{"a":',
    "lists": '{"a":[',
    "open_strings": '{"a":"',
    "bad_objects": '{"b":1}{',
    "numbers": '{"a":' + "9" * 5000,
    "phrases": "answer ",
    "phrases_that_say": "The answer is ",
    "phrases_with_gaps": "answer to ",
    "phrase_lines": "Answer:\n",
    "capitals": "ANSWER",
    "equals": "answer is x=",
    "letters": "(A)(B)",
    "one_letter": "(B) ",
    "options": "Option B ",
    "letter_lines": "B.\n",
    "option_texts": "red ",
    "stars": "*",
    "labels": "positive ",
    "glued_labels": "positive",
    "almost_labels": "very ",
    "nots": "not ",
    "yeses": "yes ",
    "noes": "no ",
    "trues": "is true ",
    "waits": "Wait, ",
    "hints": "ait",
    "words": "lorem ipsum dolor ",
    "emoji": "😀",
    "sharp_s": "ß",
    "dotted_i": "İ",
}


def hostile(text, size):
    return (HOSTILE[text] * (size // len(HOSTILE[text]) + 1))[:size]


def read(scorer, answer):
    assert 0 <= scorer.both([answer]).values[0] <= 1


@pytest.mark.parametrize("name", (*RULES, "labels_set"))
def test_hostile_answers_take_linear_time(rules, name):
    scorer = rules[name].prepare([example(name)])
    for text in HOSTILE:
        answer = hostile(text, 100_000)
        # Linear work takes up to 0.6 s here, on a busy core 1; anything quadratic takes minutes.
        assert keeps_within(3, lambda answer=answer: read(scorer, answer)), text


@pytest.mark.long
@pytest.mark.parametrize("name", RULES)
def test_a_megabyte_takes_linear_time(rules, name):
    scorer = rules[name].prepare([example(name)])
    for text in HOSTILE:
        # Linear work takes up to 0.6 s here, 1.5 s for the strict and lenient pass; anything
        # quadratic takes hours.
        answer = hostile(text, 1_000_000)
        assert keeps_within(6, lambda answer=answer: read(scorer, answer)), text


@pytest.mark.long
@pytest.mark.parametrize("name", RULES)
def test_twice_the_text_takes_about_twice_the_time(rules, name):
    scorer = rules[name].prepare([example(name)])
    for text in HOSTILE:
        short, long = (
            min(cpu_seconds(lambda answer=answer: read(scorer, answer)) for _ in range(3))
            for answer in (hostile(text, 100_000), hostile(text, 400_000))
        )
        # Quadratic time would be sixteen times as much; 20 ms are noise.
        assert long < 0.02 + 9 * short, text


def test_a_random_megabyte(rules):
    source = random.Random(0)
    answer = "".join(source.choice(PIECES) for _ in range(200_000))[:1_000_000]
    for name, rule in rules.items():
        rows = [example(name)]
        assert keeps_within(5, lambda rule=rule, rows=rows: rule.score([answer], rows)), name


TOKENS = [
    b"input",
    b"target",
    b",",
    b"\n",
    b"\r",
    b'"',
    b"a",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[",
    b"]",
]
TOKENS += [
    b'"input":',
    b'"target":',
    b'"b"',
    b"1",
    b"1.0",
    b"null",
    b"NaN",
    b"\\ud800",
    b" ",
    b"\t",
    b"{}",
    b"PAR1",
]
BYTES = st.one_of(
    st.binary(max_size=300), st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join)
)
HEADS = st.sampled_from(
    [b"", b"input,target\n", b"input\ttarget\n", b'{"input": "a", "target": "b"}\n', b"[", b"PAR1"]
)


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_any_file(tmp_path, kind):
    path = tmp_path / f"t{kind}"

    @CASES
    @given(HEADS, BYTES)
    def check(head, body):
        path.write_bytes(head + body)
        try:
            read = table.read(str(path))[""]
            rows = table.examples(read, "data", "input", "target")
        except DataError as error:
            message = str(error)
            assert message.startswith(f"{path}:") and error.hint and len(message.splitlines()) == 1
            return
        assert rows and len(rows) == len(read.rows)
        for row in rows:
            assert row.input.strip() and row.target.strip() and row.where.startswith(f"{path}:")
            row.input.encode() + row.target.encode()

    check()


@CASES
@given(st.data())
def test_a_damaged_parquet_file(tmp_path_factory, data):
    import io

    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    rows = [{"input": f"question {index}", "target": str(index)} for index in range(20)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    damaged = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    path.write_bytes(damaged)
    try:
        table.read(str(path))
    except DataError as error:
        assert str(path) in str(error)
