"""What a constraint may say, before any engine is asked, and that scripts can't lie about it."""

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opro_local.engines import constraints
from opro_local.engines.scripted import ScriptedEngine
from opro_local.engines.wire import pack, unpack
from opro_local.errors import EngineError, UsageError
from opro_local.types import Completion, Constraint, Prompt, Request, Sampling

YES = Constraint("choice", ("yes", "no"))
PAIR = Constraint("regex", "[0-9]{1,2}, [0-9]{1,2}")


def answered(constraint, reply):
    return ScriptedEngine.of(lambda request: reply).generate(
        [Request(Prompt("q"), Sampling(9, constraint=constraint))]
    )


@pytest.mark.parametrize(
    "constraint, reply", [(YES, "maybe"), (YES, "yes "), (PAIR, "1, 2, 3"), (PAIR, "123, 4")]
)
def test_a_script_that_breaks_its_constraint_is_found(constraint, reply):
    for given_back in (reply, Completion(reply, "stop", 1, 0, 1)):
        with pytest.raises(EngineError, match=re.escape(repr(reply))):
            answered(constraint, given_back)
    assert answered(constraint, Completion(reply, "length", 1, 0, 1))[0].text == reply


def test_a_script_that_obeys_passes():
    assert [answered(c, text)[0].text for c, text in ((YES, "no"), (PAIR, "1, 22"))] == [
        "no",
        "1, 22",
    ]


@pytest.mark.parametrize(
    "constraint", [None, YES, PAIR, Constraint("json", "{}"), Constraint("choice", ("\ud800", ""))]
)
def test_a_constraint_survives_the_pipe(constraint):
    requests = [
        Request(Prompt("a"), Sampling(5, 0.5, 0.9, 3, ("x",), c)) for c in (constraint, None, YES)
    ]
    assert unpack(json.loads(json.dumps(pack(requests)))) == requests


@pytest.mark.parametrize(
    "pattern",
    [
        r"\Aa",
        r"a\Z",
        r"\bno\b",
        r"(a)\1",
        r"[\b]",
        r"\0",
        "a^b",
        "[[:alpha:]]",
        "a$b",
        "(a$)",
        "a$\\.",
    ],
)
def test_a_regex_that_would_be_read_over_is_refused(pattern):
    with pytest.raises(UsageError, match=r"^regex constraint"):
        constraints.check(Constraint("regex", pattern))


@pytest.mark.parametrize(
    "pattern", ["", "^a|b$", r"\^\$", "[$^]+", "[^$]", r"[\]^]", r"\d\w\s\x41\u00e9\.", "(?:a|b)*?"]
)
def test_a_regex_that_is_read_alike_passes(pattern):
    constraints.check(Constraint("regex", pattern))


@pytest.mark.parametrize(
    "keyword, schema",
    [
        ("not", {"anyOf": [{"not": {}}]}),
        ("oneOf", {"$defs": {"a": {"oneOf": []}}}),
        ("uniqueItems", {"items": {"type": "array", "uniqueItems": True}}),
        ("multipleOf", {"prefixItems": [{"multipleOf": 2}]}),
        ("format", {"additionalProperties": {"format": "email"}}),
        ("pattern", {"properties": {"a": {"pattern": "a", "maxLength": 3}}}),
        ("required", {"properties": {"a": {}}, "required": ["b"]}),
        ("not a schema", {"properties": 3}),
        ("not a schema", {"items": [{}]}),
    ],
)
def test_what_a_schema_asks_in_vain_is_named(keyword, schema):
    with pytest.raises(UsageError, match=f"^json constraint .*{keyword}"):
        constraints.check(Constraint("json", json.dumps(schema)))


def test_a_property_may_have_a_keywords_name():
    schema = {
        "properties": {"not": {"const": {"oneOf": 1}}, "format": True},
        "required": ["not"],
        "title": "x",
    }
    constraints.check(Constraint("json", json.dumps(schema)))


def test_depth_is_bounded():
    schema = {}
    for _ in range(constraints.DEPTH + 1):
        schema = {"items": schema}
    with pytest.raises(UsageError, match="deep"):
        constraints.check(Constraint("json", json.dumps(schema)))
    constraints.check(Constraint("json", json.dumps(schema["items"])))


@pytest.mark.parametrize("text", ["[" * 100_000, "("])
@pytest.mark.parametrize("kind", ["json", "regex"])
def test_hostile_text_ends_in_one_line(kind, text):
    with pytest.raises(UsageError) as caught:
        constraints.check(Constraint(kind, text))
    assert "\n" not in str(caught.value) and len(caught.value.message) < 400


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.integers(0, 4))
@example(["\x00\x7f\u2028", 'a"b\\', "\r\n\t\b\f"], 0)
def test_every_choice_can_be_written_and_nothing_else(texts, index):
    xgrammar = pytest.importorskip("xgrammar")
    testing = pytest.importorskip("xgrammar.testing")
    kind, text = constraints.dialect(Constraint("choice", tuple(texts)))
    grammar = xgrammar.Grammar.from_ebnf(text)
    wanted = texts[index % len(texts)]
    assert kind == "grammar"
    assert testing._is_grammar_accept_string(grammar, wanted)
    assert testing._is_grammar_accept_string(grammar, wanted[:-1]) == (wanted[:-1] in texts)


@settings(deadline=None)
@given(
    st.from_regex(r"([ab.\\d]|\[[ab.]\]|\.\*|\\\.){1,6}", fullmatch=True),
    st.text("ab.5\n", max_size=4),
)
@example(".", "\n")
@example(r"\\.", "\\\n")
@example("[.]", "a")
def test_a_regex_means_what_it_means_in_python(pattern, text):
    xgrammar = pytest.importorskip("xgrammar")
    testing = pytest.importorskip("xgrammar.testing")
    constraint = Constraint("regex", pattern)
    try:
        constraints.check(constraint)
        grammar = xgrammar.Grammar.from_regex(constraints.dialect(constraint)[1])
    except (UsageError, RuntimeError):
        return
    assert testing._is_grammar_accept_string(grammar, text) == constraints.satisfies(
        constraint, text
    )
