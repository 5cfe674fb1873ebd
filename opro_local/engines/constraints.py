"""What a reply may be: constraints checked before an engine is asked, and compiled for a tokenizer.

For: one dialect for every engine, and the errors of a bad constraint. Not for: drawing tokens.

xgrammar is what holds a model to a constraint, in vLLM and here. It reads over parts of a regex or
a schema that it does not know, and would let a reply through that breaks them; what it can't hold
exactly is refused here instead.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opro_local.errors import EngineError, UsageError
from opro_local.types import Constraint

CACHE_BYTES = 128 << 20
DEPTH = 20  # of nested schemas
SHOWN = 80  # characters of a constraint in a message
# What xgrammar and Python read alike after a backslash, apart from signs.
ESCAPES = "dDsSwWnrtfvxu"
# The parts of a regex in which a dot, ^ or $ is an ordinary character.
_LITERAL = r"""
    \\.                             # an escaped character
    | \[\^?\]?(?:\\.|[^\]\\])*\]     # a set; a ] that stands first belongs to it
"""
LITERAL = re.compile(_LITERAL, re.VERBOSE | re.DOTALL)
LITERAL_OR_DOT = re.compile(rf"(?P<literal>{_LITERAL})|\.", re.VERBOSE | re.DOTALL)
ESCAPE = re.compile(r"\\(?P<character>.)", re.DOTALL)
ROOT = re.compile(r"^\s*root\s*::=", re.MULTILINE)
# JSON schema: the keywords that a reply can be held to, and those that ask nothing of it.
ENFORCED = frozenset(
    [
        "type",
        "enum",
        "const",
        "anyOf",
        "$ref",
        "$defs",
        "definitions",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
    ]
)
NOTES = frozenset(
    ["title", "description", "default", "examples", "deprecated", "$schema", "$id", "$comment"]
)
# xgrammar's errors begin with a time and a place in its own source.
SOURCE_PLACE = re.compile(
    r"""
    ^ \[ (?P<time>[\d:]+) \] [ ]
    (?P<file>\S+) : (?P<line>\d+) : [ ]
    """,
    re.VERBOSE,
)


def check(constraint: Constraint) -> None:
    """Refuse what no engine could hold a reply to. Needs no model.

    Raises:
        UsageError: the constraint is malformed, or asks for something that can't be held exactly.
    """
    kind, value = constraint.kind, constraint.value
    texts = value if kind == "choice" else (value,)
    is_tuple = isinstance(texts, tuple) and len(texts) > 0
    if not is_tuple or not all(isinstance(text, str) for text in texts):
        raise refusal(
            constraint, "not a text", "a choice takes a tuple of texts, every other kind one text"
        )
    if kind == "regex":
        _check_regex(constraint)
    elif kind == "json":
        _check_schema(constraint)
    elif kind == "grammar":
        if not ROOT.search(_text(constraint)):
            raise refusal(
                constraint, "no rule called root", 'write GBNF, such as root ::= "yes" | "no"'
            )
    elif kind != "choice":
        raise refusal(constraint, "an unknown kind", "kinds: choice, regex, json, grammar")


def dialect(constraint: Constraint) -> tuple[str, str]:
    """A checked constraint as xgrammar and vLLM take it: "regex", "json" or "grammar", and its
    text.
    """
    if constraint.kind == "choice":
        # Not vLLM's own `choice`: some versions forget to escape line ends. JSON's escapes are
        # GBNF's.
        texts = (json.dumps(text, ensure_ascii=False) for text in dict.fromkeys(constraint.value))
        return "grammar", "root ::= " + " | ".join(texts)
    if constraint.kind == "regex":
        return "regex", _exact_dot(_text(constraint))
    return constraint.kind, _text(constraint)


def satisfies(constraint: Constraint, text: str) -> bool:
    """Whether the text is what a choice or a regex allows; the other kinds are not looked at."""
    if constraint.kind == "choice":
        return text in constraint.value
    if constraint.kind == "regex":
        return re.fullmatch(_text(constraint), text, re.ASCII) is not None
    return True


def _text(constraint: Constraint) -> str:
    """The value of every kind but a choice."""
    assert isinstance(constraint.value, str)  # `check` has refused anything else
    return constraint.value


def refusal(constraint: Constraint, why: str, hint: str) -> UsageError:
    """The error that names a constraint, shortened to one line."""
    shown = repr(constraint.value)
    if len(shown) > SHOWN:
        shown = shown[:SHOWN] + "..."
    return UsageError(f"{constraint.kind} constraint {shown}: {why}", hint)


class Grammars:
    """Constraints compiled for one tokenizer, kept while the engine lives, up to CACHE_BYTES.

    Args:
        tokenizer: a Hugging Face tokenizer.
        vocabulary: width of the model's logits; it may be larger than the tokenizer's vocabulary.
        ends: ids of the tokens that end a reply; empty leaves the tokenizer's own.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Sequence[int] = ()) -> None:
        self._tokenizer, self._ends = tokenizer, list(ends) or None
        self.vocabulary = vocabulary
        self._compiler: Any = None

    def compiled(self, constraints: Iterable[Constraint | None]) -> Mapping[Constraint, Any]:
        """The xgrammar.CompiledGrammar of each constraint among these; None among them is skipped.

        Raises:
            UsageError: a constraint is malformed, can't be held exactly, or allows no reply at all.
            EngineError: xgrammar is missing.
        """
        distinct = dict.fromkeys(constraint for constraint in constraints if constraint is not None)
        for constraint in distinct:
            check(constraint)
        return {constraint: self._compile(constraint) for constraint in distinct}

    def _compile(self, constraint: Constraint) -> Any:
        xgrammar = _xgrammar()
        self._compiler = self._compiler or self._start(xgrammar)
        kind, text = dialect(constraint)
        try:
            if kind == "json":
                # Free whitespace is where small models lose themselves: they write line ends until
                # max_tokens.
                grammar = self._compiler.compile_json_schema(
                    text, any_whitespace=False, separators=(",", ":")
                )
            elif kind == "regex":
                grammar = self._compiler.compile_regex(text)
            else:
                grammar = self._compiler.compile_grammar(text)
        except (RuntimeError, ValueError) as error:
            raise refusal(
                constraint,
                SOURCE_PLACE.sub("", str(error)).strip(),
                "see docs/engines.md, Constraints",
            ) from error
        # Which tokens a reply may begin with: one bit each.
        first = xgrammar.allocate_token_bitmask(1, self.vocabulary)
        xgrammar.GrammarMatcher(grammar).fill_next_token_bitmask(first)
        if not first.any():
            raise refusal(
                constraint, "nothing satisfies it", "give one that at least one text satisfies"
            )
        return grammar

    def _start(self, xgrammar: Any) -> Any:
        info = xgrammar.TokenizerInfo.from_huggingface(
            self._tokenizer, vocab_size=self.vocabulary, stop_token_ids=self._ends
        )
        return xgrammar.GrammarCompiler(info, cache_limit_bytes=CACHE_BYTES)


def _xgrammar() -> Any:
    try:
        import xgrammar
    except ImportError as error:
        raise EngineError(
            f"xgrammar can't be imported: {error}", "pip install 'opro-local[cpu]'"
        ) from error
    return xgrammar


def _exact_dot(pattern: str) -> str:
    """The regex with each dot spelt out: xgrammar's own matches line ends too."""
    return LITERAL_OR_DOT.sub(lambda part: part["literal"] or r"[^\n]", pattern)


def _check_regex(constraint: Constraint) -> None:
    pattern = _text(constraint)
    try:
        with warnings.catch_warnings():
            # Python warns where others read a set differently: [[:alpha:]], [a--b].
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, FutureWarning) as error:
        raise refusal(constraint, f"not a regex: {error}", "write it in Python's syntax") from error
    escapes = [escape for escape in ESCAPE.findall(pattern) if escape.isalnum()]
    unknown = [escape for escape in escapes if escape not in ESCAPES]
    if unknown:
        raise refusal(
            constraint,
            f"\\{unknown[0]} can't be enforced",
            f"only the escapes {' '.join(ESCAPES)} can",
        )
    bare = LITERAL.sub("x", pattern)
    if "^" in bare[1:] or "$" in bare[:-1]:
        raise refusal(
            constraint, "^ or $ inside", "the whole reply has to match: leave the anchors out"
        )


def _check_schema(constraint: Constraint) -> None:
    try:
        fault = _fault(json.loads(_text(constraint)))
    except (ValueError, RecursionError) as error:
        raise refusal(constraint, f"not JSON: {error}", "give a JSON schema as text") from error
    if fault:
        raise refusal(
            constraint, fault, f"keywords that can be enforced: {', '.join(sorted(ENFORCED))}"
        )


def _fault(schema: Any, depth: int = 0) -> str:
    """Why a reply can't be held to the schema; empty if it can."""
    if isinstance(schema, bool):
        return ""
    if not isinstance(schema, dict):
        return f"{schema!r} is not a schema"
    if depth > DEPTH:
        return f"nested more than {DEPTH} deep"
    unknown = sorted(schema.keys() - ENFORCED - NOTES)
    if unknown:
        return f"{', '.join(unknown)} can't be enforced"
    if "pattern" in schema and schema.keys() & {"minLength", "maxLength"}:
        return "pattern can't be enforced together with a length"
    properties, required = schema.get("properties", {}), schema.get("required", [])
    well_shaped = isinstance(properties, dict) and isinstance(required, list)
    if well_shaped and not set(map(str, required)) <= properties.keys():
        return "required names a property that properties does not"
    faults = (_fault(inner, depth + 1) for inner in _inner_schemas(schema))
    return next(filter(None, faults), "")


def _inner_schemas(schema: Mapping[str, Any]) -> list[Any]:
    """The schemas that stand directly inside a schema. A value of the wrong shape counts as one,
    and is refused so.
    """
    inner = [schema[name] for name in ("items", "additionalProperties") if name in schema]
    for name in ("properties", "$defs", "definitions"):
        value = schema.get(name, {})
        inner += value.values() if isinstance(value, dict) else [value]
    for name in ("anyOf", "prefixItems"):
        value = schema.get(name, [])
        inner += value if isinstance(value, list) else [value]
    return inner
