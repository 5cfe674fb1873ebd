"""What is true of a setting beside its type: said on the field itself, and asked for by name here.

For: which settings a run may be continued with, which are paths, which reach the engine, and which
are not kept. Not for: types, ranges and defaults, which pydantic holds.

A field says so in its annotation:

    data: Annotated[str | None, Facts(free=True, path="any")] = None
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

# Which values of a setting are paths, that start from the config file's folder:
# "any": all of them.
# "marked": those written as a path ("./x", "../x", "~/x"); others are names.
# "function": those of the form "file.py:function".
# "form": those that end with ".toml"; others are names.
PathKind = Literal["", "any", "marked", "function", "form"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of one setting.

    Attributes:
        free: a run may be continued with another value. Stop rules only decide where it ends, other
            free settings how it is hosted; what they stand for (data, models) is held by digests of
            its own in the store.
        path: which of its values are paths.
        before: what a run did that is older than the setting, where that is not its default. Such a
            run goes on with it.
        added: the setting came after the first stored runs: at its default it leaves no trace in
            the name of a run's folder, so that the same command finds an older run.
        to_engine: the engine gets it as it is (engines/settings.py has a field of the name).
        secret: a table of which a run keeps the names, not the values; they are no part of messages
            either.
    """

    free: bool = False
    path: PathKind = ""
    before: Any = None
    added: bool = False
    to_engine: bool = False
    secret: bool = False


def facts_of(field: FieldInfo) -> Facts:
    """What a field says of itself; nothing is true of one that says nothing."""
    return next((item for item in field.metadata if isinstance(item, Facts)), Facts())


def settings_with_facts(section: type[BaseModel]) -> Iterator[tuple[str, Facts]]:
    """Every setting of a section with what is true of it, in order."""
    for name, field in section.model_fields.items():
        yield name, facts_of(field)
