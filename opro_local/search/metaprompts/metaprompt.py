"""Meta-prompts: what the optimizer is shown, and the solution text in what it answers.

For: rendering a form (a TOML file under metaprompts/, or the user's own) and parsing replies to it.
Not for: choosing what is shown, or judging the text that comes back.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from opro_local.config.numbers import no_truth_for_a_number
from opro_local.config.wording import in_words
from opro_local.errors import UsageError
from opro_local.files import read_text
from opro_local.programs.template import Unrendered, render_all
from opro_local.scoring.reading.thoughts import spoken
from opro_local.types import Constraint, Mistake, Prompt

# The folder of the forms that are shipped: what lies in it is what there is.
FORMS = Path(__file__).parent

# Stands in an exemplar's input where the instruction goes; no real text has it.
MARK = "\x00INS\x00"

# The newest `search.revision`.
REVISION = 6
# What goes on without a space behind the words that a reply was begun with: a mark, "n't", a new
# line, and scripts that put no spaces between words.
CONTINUED = re.compile(
    r"""
      [\r\n,.;:!?%)\]}…'’\-–—/]
    | n['’]t \b
    | [\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]    # Thai, Lao, Burmese, Khmer
    | [\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]    # Chinese and Japanese
    """,
    re.VERBOSE,
)

# What closes what, where a form's marks are brackets.
BRACKETS = {"[": "]", "(": ")", "{": "}"}

ARRANGED = {
    "ascending": "The texts are arranged in ascending order based on their scores,",
    "descending": "The texts are arranged in descending order based on their scores,",
    "random": "The texts are arranged in random order,",
}


@dataclass(frozen=True, slots=True)
class Form:
    """One way to ask for a solution.

    Attributes:
        chat: whether it goes through the chat template.
        template: Jinja source; see docs/metaprompts.md for the names it may use.
        prefill: the first words of the reply, part of what is parsed.
        open, close: what stands around the text in the reply; an empty `open` means from the start,
            and then the end of the reply also closes.
        stop: strings that end the reply.
        max_tokens: new tokens asked for when the config doesn't say.
        needs: what the template can't do without: "pair" (two different parents), "mistakes" (rows
            that the parent got wrong) or "paragraphs" (a parent of several); "" for nothing.
        schema: a JSON schema of the reply, held by constrained decoding; the text is its field
            "instruction".
        temperature: at which replies are drawn when the config doesn't say; the paper's 1.0.
        edits: "paragraph" where the text replaces only that paragraph of the parent which the
            template shows.
        rows: how many train rows it is shown of its own, each label as often as the others; 0 for
            those that all forms of a step show (`search.exemplars`).
        openers: words that a text may be begun with, another for each reply: a small model that
            begins alike goes on alike. In the file either a list or the name of a text file beside
            it, one opener a line.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    chat: bool
    template: str
    open: str
    close: Annotated[str, Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)]
    stop: tuple[str, ...] = ()
    prefill: str = ""
    needs: Literal["", "pair", "mistakes", "paragraphs"] = ""
    schema: str = ""
    edits: Literal["", "paragraph"] = ""
    rows: Annotated[int, Field(ge=0, le=1000)] = 0
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    openers: tuple[str, ...] = ()


CHECKED = TypeAdapter(Form)


@dataclass(frozen=True, slots=True)
class View:
    """What one meta-prompt shows: (text, score) pairs in order, with a None score where scores are
    hidden.

    `best` is the text with the best score so far, `aim` the score a continuation asks for. `parent`
    is the text to be improved, the best unless a search draws others; `other` is a second one,
    `mistakes` are rows the parent got wrong, `rights` some it got right, and `paragraph` is the one
    of the parent that is to be written anew. `opener` is how the reply is begun.
    """

    shown: Sequence[tuple[str, str | None]]
    exemplars: Sequence[Mapping[str, str]]
    order: str
    aim: str
    best: str
    constraint: str = ""
    parent: str = ""
    other: str = ""
    mistakes: Sequence[Mistake] = ()
    rights: Sequence[Mistake] = ()
    paragraph: str = ""
    opener: str = ""


def load(name: str) -> Form:
    """A form by its name, or the user's own by the path of its TOML file.

    Raises:
        UsageError: there is no such form, or its file is not a form.
    """
    own = Path(name)
    path = own if own.suffix == ".toml" else FORMS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FORMS.glob("*.toml")))
        raise UsageError(
            f"search.metaprompt: there is no form {name!r}",
            f"accepted: auto, {known}, or a .toml file",
        )
    try:
        table = tomllib.loads(read_text(path))
        openers = table.get("openers", ())
        if isinstance(openers, str):
            openers = read_text(path.parent / openers).splitlines()
        stripped = [line.strip() for line in openers]
        table["openers"] = tuple(opener for opener in stripped if opener)
        no_truth_for_a_number(Form, table)
        return CHECKED.validate_python({"name": path.stem, **table})
    except ValidationError as error:
        first = error.errors()[0]
        what = in_words(first, [str(part) for part in first["loc"]], Form.__dataclass_fields__)
        raise UsageError(f"{path}: not a meta-prompt form ({what})") from None
    except (
        tomllib.TOMLDecodeError,
        OSError,
        UnicodeDecodeError,
        TypeError,
        RecursionError,
    ) as error:
        raise UsageError(f"{path}: not a meta-prompt form ({error})") from None


def show_score(value: float, buckets: int) -> str | None:
    """A score as the paper shows it: an integer from 0 to 100 on `buckets` steps, or None for 0
    buckets (hidden).

    Values outside [0, 1] are objectives of their own scale and shown as they are, to six digits.
    """
    if buckets == 0:
        return None
    if not 0 <= value <= 1:
        return f"{value:.6g}"
    return str(round(round(value * buckets) / buckets * 100))


def render(form: Form, view: View, variables: Mapping[str, str]) -> Prompt:
    """The prompt that asks for one new solution.

    Args:
        form: how to ask.
        view: what to show.
        variables: what the problem adds to the template's names (see Problem.prompt_variables).

    Raises:
        UsageError: the form's template does not render.
    """
    names = {
        "feedback": {},
        **variables,
        "shown": view.shown,
        "exemplars": view.exemplars,
        "arranged": ARRANGED[view.order],
        "aim": view.aim,
        "best": view.best,
        "parent": view.parent or view.best,
        "other": view.other,
        "mistakes": view.mistakes,
        "rights": view.rights,
        "paragraph": view.paragraph,
        "scored": any(score is not None for _, score in view.shown),
        "constraint": view.constraint.strip().rstrip("."),
        "MARK": MARK,
    }
    text = _fill(form, form.template, names).strip("\n")
    before = form.prefill if form.chat else text + form.prefill
    return Prompt(text, prefill=form.prefill + _spaced(before, view.opener), chat=form.chat)


def _spaced(before: str, opener: str) -> str:
    """An opener as it follows `before`: a word of its own, unless a quotation, a line or a tag
    begins with it.
    """
    return f" {opener}" if opener and before[-1:] not in ("", '"', ">", " ", "\n") else opener


def behind(opener: str, answer: str) -> str:
    """A reply behind the words it was begun with, with one separator between: one space, whether
    the reply begins with none or several, or the mark that it begins with.
    """
    rest = answer.lstrip(" \t")
    if not (opener and rest) or CONTINUED.match(answer):
        return opener + answer
    return f"{opener} {rest}"


def parse(
    form: Form,
    reply: str,
    variables: Mapping[str, str],
    opener: str = "",
    revision: int = REVISION,
) -> str | None:
    """The solution's text in a reply begun with `opener`, stripped, or None when the form's marks
    are not there.

    Args:
        form, reply, opener: what was asked with, what came, and how it was begun.
        variables: see `render`.
        revision: `search.revision`. Before 2 any bracket ended a text in brackets, now it is the
            one that belongs to the first; before 3 a reply was put behind its opener as it came.
    """
    answer = spoken(reply)
    if answer is None:
        return None
    if revision < 3:
        text = form.prefill + opener + answer
    else:
        text = form.prefill + behind(_spaced(form.prefill, opener), answer)
    if form.schema:
        return _field(text)
    start, end = marks(form, variables)
    if start:
        _, mark, text = text.partition(start)
        if not mark or end not in text:
            return None
        if revision >= 2 and BRACKETS.get(start) == end:
            return _to_partner(text, start, end)
    else:
        text = text.lstrip()
    return text.partition(end)[0].strip()


def marks(form: Form, variables: Mapping[str, str]) -> tuple[str, str]:
    """What stands before and behind the text in a reply; "" before where nothing does."""
    return _fill(form, form.open, variables), _fill(form, form.close, variables)


def missing_marks(form: Form, variables: Mapping[str, str]) -> str:
    """What a reply that can't be parsed lacks, in words."""
    if form.schema:
        return 'no JSON object with a text as "instruction"'
    start, end = marks(form, variables)
    return f"no text between {start!r} and {end!r}"


def _to_partner(text: str, opening: str, closing: str) -> str | None:
    """What stands before the bracket that closes the one before the text; None without it."""
    depth = 1
    for place, character in enumerate(text):
        depth += (character == opening) - (character == closing)
        if depth == 0:
            return text[:place].strip()
    return None


def reply_constraint(
    form: Form, variables: Mapping[str, str], required: Sequence[str] = ()
) -> Constraint | None:
    """What keeps a reply in the form's shape: its JSON schema, or its marks with a text between
    them.

    None for forms that a reply can't leave: those that continue, and those whose reply is begun;
    and where a text that must be `required` in it has a character that marks begin with.
    """
    if form.schema:
        return Constraint("json", form.schema)
    start, end = marks(form, variables)
    if not start or form.prefill:
        return None
    if any(mark in text for text in required for mark in (start[0], end[0])):
        return None
    return Constraint(
        "regex", f"{_quoted(start)}[^{_inside(start[0])}{_inside(end[0])}]+{_quoted(end)}"
    )


def _quoted(mark: str) -> str:
    """A mark as a regular expression; only what means something there is escaped."""
    return re.sub(r"([\\.*+?()\[\]{}|^$/])", r"\\\1", mark)


def _inside(character: str) -> str:
    """A character as it is written between the brackets of a character class."""
    return f"\\{character}" if character in "[]^-\\" else character


def _field(text: str) -> str | None:
    """The text in a JSON reply, or None where the reply is not what was asked for."""
    try:
        return str(json.loads(text)["instruction"]).strip()
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _fill(form: Form, source: str, names: Mapping[str, Any]) -> str:
    """A Jinja template of the form with its names filled in."""
    from jinja2 import TemplateError

    if "{" not in source and "\r" not in source:
        return source
    try:
        if source in _shipped():
            return _compiled(source).render(names)
        # A form of the user's may come from someone else.
        return render_all(source, [names], trims=True)[0]
    except (TemplateError, Unrendered) as error:
        raise UsageError(
            f"meta-prompt form {form.name!r}: {error}", "see docs/metaprompts.md for the names"
        ) from None


@lru_cache(maxsize=1)
def _shipped() -> frozenset[str]:
    """The templates of the forms that come with the program, which take milliseconds."""
    forms = [tomllib.loads(file.read_text("utf-8")) for file in FORMS.glob("*.toml")]
    return frozenset(form[part] for form in forms for part in ("template", "open", "close"))


@lru_cache(maxsize=64)
def _compiled(source: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True
    ).from_string(source)
