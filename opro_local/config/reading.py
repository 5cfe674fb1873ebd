"""Reads a config from TOML tables and `--set`, and says in one line what is wrong with it.

For: paths, overrides, messages, and what differs between two configs. Not for: the settings
themselves (settings.py, problem.py, search.py).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from opro_local.config.facts import Facts, PathKind, settings_with_facts
from opro_local.config.model_tables import model_tables, use_model_tables
from opro_local.config.problem import PROBLEMS, Section
from opro_local.config.settings import Config, ModelSettings
from opro_local.config.values import check_values
from opro_local.config.wording import in_words
from opro_local.errors import UsageError
from opro_local.files import read_text

# Settings of earlier versions, with their defaults. A stored run that has the default is the run it
# is without the setting, and goes on; one that has another value can't be repeated here.
REMOVED: Mapping[str, Any] = {"search.pipelined": False}

FUNCTION = re.compile(r".*\.py:\w+")  # "file.py:name"


def _classes_of(section: str, field: FieldInfo) -> tuple[type[Section], ...]:
    """The classes behind a section: one, or for [problem] one a kind."""
    if section == "problem":
        return tuple(PROBLEMS.values())
    assert isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    return (field.annotation,)


SECTIONS: Mapping[str, Sequence[type[Section]]] = {
    section: _classes_of(section, field) for section, field in Config.model_fields.items()
}


def _settings_with(fact: Callable[[Facts], bool]) -> frozenset[str]:
    """The settings of which a fact is true, as "section.key"."""
    return frozenset(
        f"{section}.{name}"
        for section, kinds in SECTIONS.items()
        for kind in kinds
        for name, facts in settings_with_facts(kind)
        if fact(facts)
    )


# The settings that a run may be continued with other values of.
FREE = _settings_with(lambda facts: facts.free)

# Those that came after the first stored runs, with their defaults.
ADDED: Mapping[str, Any] = {
    f"{section}.{name}": kind.model_fields[name].get_default(call_default_factory=True)
    for section, kinds in SECTIONS.items()
    for kind in kinds
    for name, facts in settings_with_facts(kind)
    if facts.added
}

# The tables of which a run keeps the names alone.
SECRET = _settings_with(lambda facts: facts.secret)


# The settings that are paths.
PATHS = _settings_with(lambda facts: bool(facts.path))


def build(
    tables: Mapping[str, Any], overrides: Iterable[str] = (), base: Path | None = None
) -> Config:
    """Build a config from nested tables and `section.key=value` overrides.

    Args:
        tables: as tomllib returns them.
        overrides: each "section.key=value"; the value is read as TOML, else taken as text.
        base: the folder that relative paths in `tables` start from; the working directory if None,
        as in `overrides`.

    Raises:
        UsageError: an unknown key, a wrong type or a value out of range; one line, with the nearest
        name.
    """
    return config_of(merge(tables, overrides, base))


def config_of(merged: Mapping[str, Any]) -> Config:
    """The config that tables make which `merge` has given. Raises UsageError as `build` does."""
    tables = {name: _copied(table) for name, table in merged.items()}
    use_model_tables(tables)
    _drop_removed(tables)
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def merge(
    tables: Mapping[str, Any], overrides: Iterable[str] = (), base: Path | None = None
) -> dict[str, Any]:
    """The tables that `build` makes a config of: with the overrides, and with every path absolute.

    Args:
        tables, overrides, base: see `build`. The tables stay as they are.

    Raises:
        UsageError: a value that no setting can have, or an override of another form.
    """
    check_values(tables, PATHS)
    merged: dict[str, Any] = {name: _copied(table) for name, table in tables.items()}
    _resolve_paths(merged, base or Path.cwd())
    for override in overrides:
        _apply(merged, override)
    check_values(merged, PATHS)
    _resolve_paths(merged, Path.cwd())
    return merged


def _drop_removed(tables: Mapping[str, Any]) -> None:
    """Leave out what earlier versions had as a setting, where it says what is done anyway."""
    for name, default in REMOVED.items():
        section, _, key = name.partition(".")
        table = tables.get(section)
        if isinstance(table, dict) and key in table and table[key] is default:
            del table[key]


def _copied(value: Any) -> Any:
    """A table with its tables copied, so that a caller's own stay as they are; a number of NumPy's
    and the like as Python's own.
    """
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    if isinstance(value, Integral) and not isinstance(value, int):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, (int, float)):
        return float(value)
    return value


def read(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config from a TOML file; see `build`. UsageError if it is missing or not TOML."""
    return build(read_tables(path), overrides, path.resolve().parent)


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. UsageError if it is missing or not TOML."""
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise UsageError(
            f"{path}: can't read the config ({error.strerror})", "give the path of a TOML file"
        ) from None
    except (ValueError, RecursionError) as error:  # tomllib's and UTF-8's errors are ValueErrors
        raise UsageError(f"{path}: not a TOML file ({error})") from None


def stored(config: Mapping[str, Any], overrides: Iterable[str] = ()) -> Config:
    """The config that a run keeps, as this version reads it, with overrides as in `build`. Raises
    UsageError where it can't.

    What stands at its default counts as not given: a run keeps all settings, and a plan may ask
    which were.
    """
    problem = config.get("problem")
    defaults = _defaults(problem.get("kind") if isinstance(problem, dict) else None)
    tables: dict[str, Any] = {}
    for section, table in config.items():
        tables[section] = _copied(table)
        if isinstance(table, dict):
            standing = defaults.get(section, {}).items()
            given = dict(item for item in table.items() if item not in standing)
            older = {key: was for key, was in _before(section).items() if key not in table}
            tables[section] = {**older, **given}
    # Says which settings there are, so that it is given even at its default.
    if isinstance(problem, dict) and "kind" in problem:
        tables["problem"]["kind"] = problem["kind"]
    return build(tables, overrides)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The settings that differ between two dumped configs and would make it another run, as "key:
    old -> new".

    A setting that the old one does not have is newer than it and stood at its default, or at what
    runs did before there was the setting; one that was removed since must have stood at its
    default, too.
    """
    differences = []
    defaults = _defaults(new.get("problem", {}).get("kind"))
    for section in sorted(set(old) | set(new)):
        missing = {**defaults.get(section, {}), **_before(section)}
        before, after = {**missing, **old.get(section, {})}, new.get(section, {})
        for key in sorted(set(before) | set(after)):
            name = f"{section}.{key}"
            was, now = before.get(key), after.get(key)
            if name in SECRET:
                was, now = sorted(was or ()), sorted(now or ())
            if name in REMOVED and key not in after:
                if was != REMOVED[name]:
                    differences.append(
                        f"{name} was {was!r} and is removed: "
                        "finish it with the version that made it"
                    )
            elif not is_free(name, new) and _of_its_own(was) != _of_its_own(now):
                differences.append(f"{name} was {was!r}, now {now!r}")
    return differences


def _defaults(kind: Any) -> dict[str, Any]:
    """The default of every setting that has one, by section, for this kind of problem."""
    defaults = Config().model_dump(mode="json")
    if isinstance(kind, str) and kind in PROBLEMS:
        defaults["problem"] = PROBLEMS[kind].model_construct().model_dump(mode="json")
    return defaults


def as_begun(config: Config, stored: Mapping[str, Any]) -> Config:
    """The config with what a stored run did before there were settings for it, so that it goes on;
    or with what such a setting has been since.

    What the user sets stays, and is refused where the run did otherwise.

    Args:
        config: what was asked for now.
        stored: the dumped config that the run was begun with.
    """
    updates = {}
    for section in stored:
        now = getattr(config, section, None)
        given = now.model_fields_set if isinstance(now, Section) else set()
        begun = {**_before(section), **stored[section]}
        older = {name: begun[name] for name in _before(section) if name not in given}
        if older and isinstance(now, Section):
            updates[section] = now.model_copy(update=older)
    return config.model_copy(update=updates)


def _before(section: str) -> dict[str, Any]:
    """What runs did before there were the settings of a section, by the settings' names."""
    facts = [pair for kind in SECTIONS.get(section, ()) for pair in settings_with_facts(kind)]
    return {name: fact.before for name, fact in facts if fact.before is not None}


def is_at_default(name: str, value: Any) -> bool:
    """Whether a setting that came after the first stored runs stands at its default, as a dump."""
    return name in ADDED and value == ADDED[name]


def is_free(name: str, config: Mapping[str, Any]) -> bool:
    """Whether a run may be continued with another value; the number of steps is part of a
    temperature's schedule.
    """
    scheduled = name == "search.steps" and config.get("search", {}).get("schedule") == "linear"
    return name in FREE and not scheduled


def _of_its_own(value: Any) -> Any:
    """A setting's value without the folder of a user's function or form: a project may move with
    them.

    A function's file is held by a digest of its own, what a form says by the requests made of it.
    """
    if isinstance(value, list):
        return [_of_its_own(one) for one in value]
    own = isinstance(value, str) and (FUNCTION.fullmatch(value) or value.endswith(".toml"))
    return Path(value).name if own else value


def _apply(tables: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    _, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        raise UsageError(
            f"--set {override}: not of the form section.key=value",
            "for example --set search.steps=10",
        )
    put(tables, name.strip(), _value(value), f"--set {override}")


def put(tables: dict[str, Any], name: str, value: Any, where: str) -> None:
    """Set "section.key", or "models.NAME.key", in a config's tables.

    Args:
        where: where that was asked for, as a message begins.

    Raises:
        UsageError: the section is none.
    """
    section, _, key = name.partition(".")
    table = tables.setdefault(section, {})
    if section == "models" and "." in key and isinstance(table, dict):
        model, _, key = key.partition(".")
        table = table.setdefault(model, {})
    if not isinstance(table, dict):
        raise UsageError(f"{where}: {section} is not a section")
    table[key] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _resolve_paths(tables: dict[str, Any], base: Path) -> None:
    """Let every path in the tables start from the base folder."""
    for section, kinds in SECTIONS.items():
        _resolve_table(tables.get(section), kinds, base)
    for table in model_tables(tables).values():
        _resolve_table(table, (ModelSettings,), base)


def _resolve_table(table: Any, kinds: Sequence[type[Section]], base: Path) -> None:
    if not isinstance(table, dict):
        return
    paths = {name: kind for one in kinds for name, kind in _path_kinds(one).items()}
    for key in table.keys() & paths.keys():
        value = table[key]
        if isinstance(value, list):
            table[key] = [_resolved(table, key, one, paths[key], base) for one in value]
        else:
            table[key] = _resolved(table, key, value, paths[key], base)


@cache
def _path_kinds(kind: type[Section]) -> Mapping[str, PathKind]:
    """Which values of each setting of a section are paths."""
    return {name: facts.path for name, facts in settings_with_facts(kind)}


def _resolved(table: Mapping[str, Any], key: str, value: Any, kind: PathKind, base: Path) -> Any:
    # A pattern names a function only under the rule that calls one.
    if key == "pattern" and table.get("rule") != "python":
        return value
    is_path = isinstance(value, str) and value and _is_path(value, kind)
    return str(base / Path(value).expanduser()) if is_path else value


def _is_path(value: str, kind: PathKind) -> bool:
    """Whether a value is a path, by what kind of paths its setting takes."""
    if kind == "marked":
        return value in (".", "..") or value.startswith(("./", "../", "~"))
    if kind == "function":
        return FUNCTION.fullmatch(value) is not None
    if kind == "form":
        return value.endswith(".toml")
    return kind == "any"


def _explain(error: ValidationError) -> str:
    """One line about the first thing that is wrong: where, what is accepted, and the value seen."""
    first = _first_meant(error.errors(include_url=False))
    # pydantic names the type it tried as a part of the place.
    where = [str(part) for part in first["loc"]]
    where = [part for part in where if part != "str" and "SeedSettings" not in part]
    if first["type"].startswith("union_tag"):
        kind = first["input"].get("kind") if isinstance(first["input"], dict) else first["input"]
        return f"problem.kind: accepted: {', '.join(PROBLEMS)}, got {kind!r}"
    section: Mapping[str, Any] = Config.model_fields
    if where[:1] == ["problem"] and len(where) > 1:
        kind = where.pop(1)  # pydantic names the kind as a part of the place
        section = PROBLEMS[kind].model_fields
    elif len(where) > 1 and where[0] in section:
        section = section[where[0]].annotation.model_fields
    name = ".".join(where)
    if name in REMOVED:
        return (
            f"{name} was removed: leave it out; a run made with it needs the version that made it"
        )
    return in_words(first, where, section, secret=".".join(where[:2]) in SECRET)


def _first_meant(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """The first error, but of a seed, which may be a text or a table, the one about what was meant.

    pydantic tries both and complains of both; that a table is no text helps nobody.
    """
    for one in errors:
        is_no_text = one["loc"][-1:] == ("str",)
        if not (is_no_text and isinstance(one["input"], dict)):
            return one
    return errors[0]
