"""YAML of somebody else: read as it is, or refused in one line within seconds."""

from __future__ import annotations

import time

import bombs
import pytest

from opro_local.errors import DataError
from opro_local.tasks import harness_yaml, yaml_file


def written(tmp_path, text, name="t.yaml"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_aliases_that_a_file_can_afford_are_read(tmp_path):
    text = "a: &a {b: [1, 2]}\nc: *a\nd:\n  <<: *a\n  e: 3\n"
    assert yaml_file.document(written(tmp_path, text)) == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": {"b": [1, 2], "e": 3},
    }


@pytest.mark.parametrize("name", bombs.YAML)
def test_a_bomb_is_one_line(tmp_path, name, monkeypatch):
    monkeypatch.setattr(yaml_file, "SECONDS", 1)
    path = written(tmp_path, bombs.YAML[name])
    begun = time.monotonic()
    with pytest.raises(DataError) as caught:
        yaml_file.document(path)
    assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert time.monotonic() - begun < 60  # a busy machine starts the process late


@pytest.mark.parametrize(
    "text",
    [
        'a: !!int ""',
        'a: !!float ""',
        "a: !!bool maybe",
        "a: !!binary '*'",
        "a: 2026-99-99",
        "? [a]\n: b",
        "a: !!python/object:os.system {}",
        "a: !function x.y",
        "a: *b",
        "%YAML 9.9\n---\na: b",
        "a: 0b",
        "a: 0x_",
        "a: " + "9" * 5000,
        "\tb",
        "- - -\n a",
        "a: !!timestamp x",
        "!!set {a, b}",
        "--- a\n--- b",
    ],
)
def test_odd_values_are_read_or_refused_in_one_line(tmp_path, text):
    path = written(tmp_path, text)
    try:
        yaml_file.document(path)
    except DataError as error:
        assert str(error).startswith(str(path)) and len(str(error).splitlines()) == 1


def test_includes_that_multiply_are_refused(tmp_path):
    for level in range(12):
        written(tmp_path, f"include: [{level + 1}.yaml, {level + 1}.yaml]\n", f"{level}.yaml")
    written(tmp_path, "task: x\n", "12.yaml")
    with pytest.raises(DataError, match="includes read more than 100 files"):
        harness_yaml.read(tmp_path / "0.yaml")
