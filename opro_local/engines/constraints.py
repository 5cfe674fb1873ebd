"""What a reply may be: constraints read, refused while the engine is still whole, and compiled for
a tokenizer.

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
DEPTH = 20
SHOWN = 80
# The parts of a regex in which a dot, ^ or $ is an ordinary character.
LITERAL = r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"
# What xgrammar and Python read alike after a backslash, apart from signs.
ESCAPES = "dDsSwWnrtfvxu"
ROOT = re.compile(r"^\s*root\s*::=", re.MULTILINE)
HELD = {
    *("type", "enum", "const", "anyOf", "$ref", "$defs", "definitions", "properties", "required"),
    *(
        "additionalProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "pattern",
        "minLength",
        "maxLength",
    ),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
NOTES = {"title", "description", "default", "examples", "deprecated", "$schema", "$id", "$comment"}
# xgrammar's errors begin with a time and a place in its own source.
PLACE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")


def check(constraint: Constraint) -> None:
    """Refuse what no engine could hold a reply to. Needs no model.

    Raises:
        UsageError: the constraint is malformed, or asks for something that can't be held exactly.
    """
    kind, value = constraint.kind, constraint.value
    texts = value if kind == "choice" else (value,)
    if (
        not isinstance(texts, tuple)
        or not texts
        or not all(isinstance(text, str) for text in texts)
    ):
        raise refusal(
            constraint, "not a text", "a choice takes a tuple of texts, every other kind one text"
        )
    if kind == "regex":
        _check_regex(constraint)
    elif kind == "json":
        _check_schema(constraint)
    elif kind == "grammar" and not ROOT.search(value):
        raise refusal(
            constraint, "no rule called root", 'write GBNF, such as root ::= "yes" | "no"'
        )
    elif kind not in ("choice", "grammar"):
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
        return "regex", _exact_dot(constraint.value)
    return constraint.kind, constraint.value


def satisfies(constraint: Constraint, text: str) -> bool:
    """Whether the text is what a choice or a regex allows; the other kinds are not looked at."""
    if constraint.kind == "choice":
        return text in constraint.value
    return constraint.kind != "regex" or re.fullmatch(constraint.value, text, re.ASCII) is not None


def refusal(constraint: Constraint, why: str, hint: str) -> UsageError:
    """The error that names a constraint, shortened to one line."""
    shown = repr(constraint.value)
    shown = shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."
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
        """The xgrammar.CompiledGrammar of each constraint among these.

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
                constraint, PLACE.sub("", str(error)).strip(), "see docs/engines.md, Constraints"
            ) from error
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
    return re.sub(
        rf"{LITERAL}|\.",
        lambda part: r"[^\n]" if part[0] == "." else part[0],
        pattern,
        flags=re.DOTALL,
    )


def _check_regex(constraint: Constraint) -> None:
    pattern = constraint.value
    try:
        with warnings.catch_warnings():
            # Python warns where others read a set differently: [[:alpha:]], [a--b].
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, FutureWarning) as error:
        raise refusal(constraint, f"not a regex: {error}", "write it in Python's syntax") from error
    unknown = [escape for escape in re.findall(r"\\(.)", pattern, re.DOTALL) if escape.isalnum()]
    unknown = [escape for escape in unknown if escape not in ESCAPES]
    if unknown:
        raise refusal(
            constraint,
            f"\\{unknown[0]} can't be enforced",
            f"only the escapes {' '.join(ESCAPES)} can",
        )
    bare = re.sub(LITERAL, "x", pattern, flags=re.DOTALL)
    if "^" in bare[1:] or "$" in bare[:-1]:
        raise refusal(
            constraint, "^ or $ inside", "the whole reply has to match: leave the anchors out"
        )


def _check_schema(constraint: Constraint) -> None:
    try:
        fault = _fault(json.loads(constraint.value))
    except (ValueError, RecursionError) as error:
        raise refusal(constraint, f"not JSON: {error}", "give a JSON schema as text") from error
    if fault:
        raise refusal(
            constraint, fault, f"keywords that can be enforced: {', '.join(sorted(HELD))}"
        )


def _fault(schema: Any, depth: int = 0) -> str:
    """Why a reply can't be held to the schema; empty if it can."""
    if isinstance(schema, bool):
        return ""
    if not isinstance(schema, dict):
        return f"{schema!r} is not a schema"
    if depth > DEPTH:
        return f"nested more than {DEPTH} deep"
    unknown = sorted(schema.keys() - HELD - NOTES)
    if unknown:
        return f"{', '.join(unknown)} can't be enforced"
    if "pattern" in schema and schema.keys() & {"minLength", "maxLength"}:
        return "pattern can't be enforced together with a length"
    named, asked = schema.get("properties", {}), schema.get("required", [])
    if (
        isinstance(named, dict)
        and isinstance(asked, list)
        and not set(map(str, asked)) <= named.keys()
    ):
        return "required names a property that properties does not"
    return next(filter(None, (_fault(inner, depth + 1) for inner in _inner(schema))), "")


def _inner(schema: Mapping[str, Any]) -> list[Any]:
    """The schemas that stand directly inside a schema. A value of the wrong shape counts as one,
    and is refused so.
    """
    found = [schema[name] for name in ("items", "additionalProperties") if name in schema]
    for name in ("properties", "$defs", "definitions"):
        value = schema.get(name, {})
        found += value.values() if isinstance(value, dict) else [value]
    for name in ("anyOf", "prefixItems"):
        value = schema.get(name, [])
        found += value if isinstance(value, list) else [value]
    return found
