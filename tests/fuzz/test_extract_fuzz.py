"""Whatever bytes a file holds and whatever text a model writes: a DataError or a value, in linear time."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opro_local.errors import DataError
from opro_local.scoring import make_rule
from opro_local.tasks import table
from opro_local.types import Example

# Derandomized, so that a test that passes here passes everywhere; 500 cases, as deep as a minute allows.
CASES = settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

RULES = ("exact", "labels", "number", "choice", "contains", "regex", "python")
TARGETS = {"number": "42", "choice": "(B)"}


def example(rule):
    target = TARGETS.get(rule, "positive")
    return Example("train:0", {"input": "x", "target": target}, "x", target, "f.csv:2")


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rule.py"
    path.write_text("def score(answer, target, columns):\n    return target in answer if answer else None\n")
    patterns = {"regex": r"is (\w+)", "python": f"{path}:score"}
    return {name: make_rule(name, ("positive", "negative", "very negative"), patterns.get(name)) for name in RULES}


PIECES = [
    *("positive", "Negative", "very negative", "the answer is ", "Answer: ", "ANSWER = ", "####", "\\boxed{", "}", "{"),
    *(
        "(B)",
        "(a)",
        "\nC. ",
        "-",
        "−",
        "$",
        "1,234",
        ".5",
        "3/4",
        "1e5",
        "7" * 30,
        "=",
        "\n",
        " ",
        "\x00",
        "\u2028",
        "ß",
    ),
]
ANSWERS = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=[]), max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=30).map("".join),
)


@pytest.mark.parametrize("name", RULES)
def test_any_answer(rules, name):
    rule, row = rules[name], example(name)
    scorer = rule.prepare([row])

    @CASES
    @given(ANSWERS)
    def check(answer):
        values, failed = scorer.score([answer, answer])
        assert np.isfinite(values).all() and 0 <= values[0] == values[1] <= 1
        assert not (failed & (values > 0)).any()
        found = rule.extract(answer)
        assert found is None or isinstance(found, str)
        if name not in ("python", "regex"):
            assert (found is None) == failed[0]

    check()


HOSTILE = {
    "digits": "9",
    "groups": "1,111,",
    "points": "1.",
    "glued": "a1",
    "slashes": "1/",
    "minuses": "-",
    "dollars": "$",
    "spaces": " ",
    "newlines": "\n",
    "hashes": "####",
    "boxes": "\\boxed{",
    "braces": "{",
    "phrases": "answer ",
    "phrases_that_say": "The answer is ",
    "capitals": "ANSWER",
    "equals": "answer is x=",
    "letters": "(A)(B)",
    "stars": "*",
    "labels": "positive ",
    "glued_labels": "positive",
    "almost_labels": "very ",
    "words": "lorem ipsum dolor ",
    "emoji": "😀",
    "sharp_s": "ß",
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("text", HOSTILE, ids=list(HOSTILE))
def test_a_megabyte_takes_linear_time(rules, name, text):
    answer = (HOSTILE[text] * 1_000_000)[:1_000_000]
    scorer = rules[name].prepare([example(name)])
    start = time.perf_counter()
    values, _ = scorer.score([answer])
    seconds = time.perf_counter() - start
    assert 0 <= values[0] <= 1
    # Linear work takes up to 0.6 s here; anything quadratic takes hours.
    assert seconds < 5


def test_a_random_megabyte(rules):
    source = random.Random(0)
    answer = "".join(source.choice(PIECES) for _ in range(200_000))[:1_000_000]
    for name, rule in rules.items():
        start = time.perf_counter()
        rule.score([answer], [example(name)])
        assert time.perf_counter() - start < 5, name


TOKENS = [b"input", b"target", b",", b"\n", b"\r", b'"', b"a", b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]"]
TOKENS += [b'"input":', b'"target":', b'"b"', b"1", b"1.0", b"null", b"NaN", b"\\ud800", b" ", b"\t", b"{}", b"PAR1"]
BYTES = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join))
HEADS = st.sampled_from([b"", b"input,target\n", b"input\ttarget\n", b'{"input": "a", "target": "b"}\n', b"[", b"PAR1"])


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
