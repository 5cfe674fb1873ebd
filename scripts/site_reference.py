"""The site's reference, made from what the code says of itself: docstrings, and fields of the config.

For: two pages that build_site.py adds to docs/, `reference/python.md` and `reference/settings.md`.
They are made when the site is built and kept nowhere, so that they are those of this code. Not for:
how a setting is used, which docs/config.md tells by hand.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from opro_local.config.facts import facts_of
from opro_local.config.problem import PROBLEMS
from opro_local.config.reading import SECTIONS
from opro_local.config.search import SeedSettings

# What is described, by chapter: "module:name", in the order of the page.
OBJECTS = {
    "Calls": (
        *("opro_local:optimize", "opro_local:evaluate", "opro_local:check", "opro_local:predict"),
        *("opro_local:apply", "opro_local:write_report", "opro_local:OPRO"),
        *("opro_local:Feedback", "opro_local:Outcome"),
    ),
    "Results": (
        *("opro_local.runs.run_result:RunResult", "opro_local.runs.search_outcome:SearchOutcome"),
        *(
            f"opro_local.runs.figures:{name}"
            for name in ("SplitResult", "Figures", "MetricFigures")
        ),
        *("opro_local.stats:Difference", "opro_local.runs.winner:Winner"),
        *("opro_local.runs.winner:WorkedExample", "opro_local.runs.costs:Costs"),
        "opro_local.runs.evaluation:EvaluationOutcome",
        *("opro_local.runs.evaluation:PromptFigures", "opro_local.runs.evaluation:PairDifference"),
        *("opro_local.runs.checking:Checked", "opro_local.runs.prediction:Predictions"),
        *("opro_local:Optimized", "opro_local.problems.prompt.alarms:Alarm"),
    ),
    "Events": tuple(
        f"opro_local.runs.events:{name}"
        for name in ("Listener", "BatchStart", "BatchProgress", "BatchAnswer")
    ),
    "Errors": tuple(
        f"opro_local.errors:{name}"
        for name in (
            *("OproError", "UsageError", "DataError", "ModelError", "EngineError", "StoreError"),
            *("DamageError", "LockedError"),
        )
    ),
}
HEADS = ("Args", "Attributes", "Returns", "Raises", "Yields", "Example", "Examples")
HEAD = re.compile(rf"(?P<head>{'|'.join(HEADS)}):")
# An entry of a list of arguments: names, and what they are.
ENTRY = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*): (?P<text>.*)")
# What Markdown would take for markup in a docstring's sentence, outside of `code`.
MARKUP = re.compile(r"(?P<code>`[^`]*`)|(?P<mark>[<>*\[\]])")


def write_reference(docs: Path) -> None:
    """Write the two pages into the folder `reference` of a copy of docs/."""
    folder = docs / "reference"
    folder.mkdir()
    (folder / "python.md").write_text(python_page(), "utf-8")
    (folder / "settings.md").write_text(settings_page(), "utf-8")


def python_page() -> str:
    """Every public call and type with its signature and docstring, as Markdown."""
    parts = [
        "# Python reference\n\nMade from the docstrings of this version. How the calls are used: "
        "[python.md](../python.md). Names without a module are in `opro_local`.\n"
    ]
    for chapter, places in OBJECTS.items():
        parts.append(f"## {chapter}\n")
        parts += map(described, places)
    return "\n".join(parts)


def described(place: str) -> str:
    """One call or type as a section.

    Args:
        place: "module:name".
    """
    module, _, name = place.partition(":")
    thing = getattr(import_module(module), name)
    where = "" if module == "opro_local" else f"\n\nIn `{module}`."
    lines = [f"### {name}{where}\n", signature(name, thing), prose(inspect.getdoc(thing) or "")]
    if inspect.isclass(thing):
        lines += [member(name, *pair) for pair in public_members(thing)]
    return "\n".join(lines)


def signature(name: str, thing: Any) -> str:
    """How it is called, a parameter a line where there are many; "" for what is not called."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return ""
    said = inspect.signature(thing)
    taken = [one for one in said.parameters.values() if one.name != "self"]
    words = [_parameter(one) for one in taken]
    kinds = [one.kind for one in taken]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        words.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    gives = "" if said.return_annotation is said.empty else f" -> {said.return_annotation}"
    short = f"{name}({', '.join(words)}){gives}"
    if len(short) > 80:
        inner = "".join(f"    {word},\n" for word in words)
        short = f"{name}(\n{inner}){gives}"
    return f"```python\n{short}\n```\n"


def _parameter(one: inspect.Parameter) -> str:
    kind = "" if one.annotation is one.empty else f": {one.annotation}"
    default = "" if one.default is one.empty else f" = {one.default!r}"
    return f"{one.name}{kind}{default}"


def public_members(thing: type) -> Iterator[tuple[str, Any]]:
    """The methods and properties of a class that have docstrings, in the order of their source."""
    for name, value in vars(thing).items():
        inner = value.fget if isinstance(value, property) else value
        inner = getattr(inner, "__func__", inner)
        if not name.startswith("_") and inspect.isfunction(inner) and inner.__doc__:
            yield name, value


def member(owner: str, name: str, value: Any) -> str:
    """A method or a property of a class."""
    if isinstance(value, property):
        return f"#### {owner}.{name}\n\n{prose(inspect.getdoc(value.fget) or '')}"
    function = getattr(value, "__func__", value)
    heading = f"#### {owner}.{name}()\n"
    return f"{heading}\n{signature(name, function)}\n{prose(inspect.getdoc(function) or '')}"


def prose(docstring: str) -> str:
    """A Google-style docstring as Markdown: its sentences, and its sections as lists."""
    out: list[str] = []
    head = ""
    for line in docstring.splitlines():
        if section := HEAD.fullmatch(line.strip()):
            head = section["head"]
            out += ["", f"**{head}**", "", *(["```python"] if head.startswith("Example") else [])]
        elif head.startswith("Example"):
            if line.strip() and not line.startswith(" "):
                out += ["```", "", escaped(line)]
                head = ""
            else:
                out.append(line.removeprefix("    "))
        else:
            out.append(_of_section(head, line) if head else _sentence(line))
    if head.startswith("Example"):
        out.append("```")
    return "\n".join(out) + "\n"


def _sentence(line: str) -> str:
    """A line of running text. What is indented there is code, as in the first docstrings."""
    return line if line.startswith("    ") else escaped(line)


def _of_section(head: str, line: str) -> str:
    """A line of a section: of a list an entry's first line, or what goes on."""
    if head in ("Returns", "Yields"):
        return escaped(line.strip())
    entry = ENTRY.fullmatch(line.removeprefix("    "))
    if entry is None or line.startswith("     "):
        return f"    {escaped(line.strip())}" if line.strip() else ""
    names = ", ".join(f"`{name}`" for name in entry["names"].split(", "))
    return f"- {names}: {escaped(entry['text'])}"


def escaped(text: str) -> str:
    """Text in which Markdown sees no markup but `code`."""
    return MARKUP.sub(lambda at: at["code"] or f"\\{at['mark']}", text)


def settings_page() -> str:
    """Every setting with its type, default and what it is, as Markdown."""
    parts = [
        "# Settings, from the code\n\nMade from the fields of this version: names, types, ranges, "
        "defaults. How they are used and what goes together: [config.md](../config.md). "
        "A setting marked *may change* can have another value when a run is continued.\n"
    ]
    for section, kinds in SECTIONS.items():
        parts.append(f"## [{section}]\n")
        names = list(PROBLEMS) if section == "problem" else [""]
        for name, kind in zip(names, kinds, strict=True):
            parts.append((f"### {name}\n\n" if name else "") + settings_table(kind))
    parts.append(f"## A starting text as a table in search.seeds\n\n{settings_table(SeedSettings)}")
    return "\n".join(parts)


def settings_table(kind: Any) -> str:
    """The table of one section's fields."""
    rows = ["| setting | type | default | what | |", "|---|---|---|---|---|"]
    for name, field in kind.model_fields.items():
        change = "*may change*" if facts_of(field).free else ""
        cells = (f"`{name}`", accepted(field), _default(field), field.description or "", change)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def accepted(field: Any) -> str:
    """Which values a field takes: its type, the words it may be, and its bounds."""
    words = [type_name(field.annotation)]
    for bound, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
        limits = [getattr(one, bound) for one in field.metadata if hasattr(one, bound)]
        words += [f"{sign} {limit}" for limit in limits if limit is not None]
    return ", ".join(words)


def type_name(kind: Any) -> str:
    """A type as TOML's users call it."""
    origin = get_origin(kind)
    if origin is Literal:
        return " or ".join(f'`"{word}"`' for word in get_args(kind))
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(one) for one in get_args(kind) if one is not type(None))
    if origin is not None and hasattr(kind, "__metadata__"):
        return type_name(get_args(kind)[0])
    if origin in (tuple, list):
        inner = {type_name(one) for one in get_args(kind) if one is not Ellipsis}
        return f"list of {' or '.join(sorted(inner))}"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return plain.get(kind, "table")


def _default(field: Any) -> str:
    """A field's default as TOML writes it; "" where there is none, or it is worked out."""
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"
