"""docs/config.md against the fields: every setting is described in both, with the same default."""

import re
import tomllib
from pathlib import Path

import pytest

from opro_local.config import reading
from opro_local.config.search import SeedSettings

REFERENCE = Path(__file__).parents[2] / "docs" / "config.md"
# The tables of these have only what they don't share with [scorer].
LIKE_THE_SCORER = ("optimizer", "judge")


def rows(section):
    """The rows of a section's table: the settings' names, and the cell with their defaults."""
    text = REFERENCE.read_text("utf-8").partition(f"\n## [{section}]\n")[2].partition("\n## ")[0]
    cells = [re.split(r"\s*\|\s*", line) for line in text.splitlines() if line.startswith("| `")]
    return [(re.findall(r"`(\w+)`", names), default) for _, names, default, *_ in cells]


def fields(section):
    """Every field of a section, by name; [problem] has several of a name."""
    kinds = reading.SECTIONS[section]
    return [(name, field) for kind in kinds for name, field in kind.model_fields.items()]


def default(field):
    """A field's default, as TOML would give it."""
    value = field.get_default(call_default_factory=True)
    return list(value) if isinstance(value, tuple) else value


def literals(cell):
    """The values in a cell, as far as they are written as in TOML; words say what no value does."""
    word = re.fullmatch(r"`(\w+)`", cell)
    plain = cell.replace("`", "").replace("(", "[").replace(")", "]")
    try:
        return tomllib.loads(f"values = [{plain}]")["values"]
    except tomllib.TOMLDecodeError:
        return [word[1]] if word else []


@pytest.mark.parametrize("section", reading.SECTIONS)
def test_the_reference_has_every_setting_and_no_other(section):
    documented = [name for names, _ in rows(section) for name in names]
    assert len(documented) == len(set(documented))
    known = {name for name, _ in fields(section)}
    if section in LIKE_THE_SCORER:
        known -= {name for name, _ in fields("scorer")}
    assert set(documented) == known


@pytest.mark.parametrize("section", reading.SECTIONS)
def test_the_reference_has_the_fields_defaults(section):
    compared = 0
    for names, cell in rows(section):
        values = literals(cell)
        if len(values) != len(names):
            continue
        for name, value in zip(names, values, strict=True):
            plain = [default(field) for known, field in fields(section) if known == name]
            # A default of None is said in words: what the setting comes to then.
            if plain != [None] and value not in (plain[0], str(plain[0])):
                pytest.fail(f"{section}.{name}: {value!r} in the reference, {plain} in the code")
            compared += 1
    assert compared or section in LIKE_THE_SCORER


@pytest.mark.parametrize("section", [*reading.SECTIONS, "seeds"])
def test_every_field_is_described_in_one_line(section):
    known = SeedSettings.model_fields.items() if section == "seeds" else fields(section)
    for name, field in known:
        text = field.description or ""
        assert text.endswith(".") and "\n" not in text and len(text) <= 100, name
