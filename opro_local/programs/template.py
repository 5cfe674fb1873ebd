"""Jinja templates of a user or of a file, rendered in a sandbox and within limits.

For: the forms of a user, the templates of a harness task, a trial of a model's chat template. Not
for: the forms that come with the program, which are rendered without a process of their own
(search/metaprompts).

Jinja's sandbox keeps a template from the program's objects, not from time and memory:
`{{ 'x' * 10**9 }}` and two nested loops are enough. So the whole of it, compiling included, is
contained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from opro_local.programs.contained import Exceeded, contained

AT_ONCE = 1000  # rows in one process
SECONDS = 4  # of processor time for so many
# What a template or a value of its row may raise while it is rendered, beside Jinja's own errors.
RENDERING = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    re.error,
)

# A text with names in it and no more; it takes no more than its values.
PLAIN = re.compile(r"[^{]* (?: \{\{ [ ]* \w+ [ ]* \}\} [^{]* )*", re.VERBOSE)

Filters = Mapping[str, Callable[..., Any]]
NO_FILTERS: Filters = MappingProxyType({})


class Unrendered(Exception):
    """A template does not compile, does not render for a row, or takes too much.

    Attributes:
        row: the place of the row among those given; None where it is no row's.
    """

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


def render_all(
    source: str,
    rows: Sequence[Mapping[str, Any]],
    trims: bool = False,
    filters: Filters = NO_FILTERS,
) -> list[str]:
    """The template with each row's names filled in.

    Args:
        source: Jinja; a name that a row has not is an error, a line end at the end is kept.
        rows: the names and their values.
        trims: whether a line with nothing but a block leaves no empty line (trim_blocks and
            lstrip_blocks).
        filters: further filters.

    Raises:
        Unrendered: see there.
    """
    import jinja2.sandbox  # noqa: F401  here, so that no copy of this process has to

    is_plain = PLAIN.fullmatch(source) is not None
    texts: list[str] = []
    for start in range(0, max(1, len(rows)), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        render = partial(_rendered, source, part, trims, filters)
        try:
            done, fault, row = render() if is_plain else contained(render, SECONDS)
        except Exceeded as error:
            raise Unrendered(f"rendering it takes {error}") from None
        if fault is not None:
            raise Unrendered(fault, None if row is None else start + row)
        texts += done
    return texts


def _rendered(
    source: str, rows: Sequence[Mapping[str, Any]], trims: bool, filters: Filters
) -> tuple[list[str], str | None, int | None]:
    """The texts, what is wrong (None if nothing is), and the row it is wrong for."""
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=trims,
        lstrip_blocks=trims,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    texts: list[str] = []
    row = None
    try:
        template = environment.from_string(source)
        for row, names in enumerate(rows):  # noqa: B007
            texts.append(template.render(names))
    except (TemplateError, *RENDERING) as error:
        return [], str(error) or type(error).__name__, row
    return texts, None, None
