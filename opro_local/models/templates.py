"""The chat templates of a model: those in its folder, by name, and the one that a run is asked
with.

For: finding and choosing Jinja sources, and whether one writes today's date. Not for: rendering
(engines/tokenizer.py), or what a template makes of a thought (thinking.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError, UsageError
from opro_local.files import read_text
from opro_local.models.trust import read_json

DEFAULT = "default"  # transformers' name for the template that is taken unasked
# The one way to the clock in the environment that transformers renders in.
CLOCK = re.compile(r"\bstrftime_now\b")


def chat_template(folder: Path) -> str:
    """The model's chat template, or all of them, to be looked into for words; "" if it has none."""
    return "\n".join(chat_templates(folder))


def chat_templates(folder: Path) -> list[str]:
    """The sources of the chat templates in a model's folder, Jinja; none where it has none.

    Raises:
        ModelError: a file that holds them can't be read.
    """
    file = folder / "chat_template.jinja"
    own = [file, *sorted(folder.glob("additional_chat_templates/*.jinja"))]
    sources = [one.read_text("utf-8", "replace") for one in own if one.is_file()]
    as_json = folder / "chat_template.json"
    if not sources and not as_json.is_file():
        as_json = folder / "tokenizer_config.json"
    return sources + list(_listed(as_json).values())


def named_templates(folder: Path) -> dict[str, str]:
    """The chat templates in a model's folder by name, as transformers names them.

    Raises:
        ModelError: a file that holds them can't be read.
    """
    files = {path.stem: path for path in folder.glob("additional_chat_templates/*.jinja")}
    if (folder / "chat_template.jinja").is_file():
        files[DEFAULT] = folder / "chat_template.jinja"
    if files:
        return {name: path.read_text("utf-8", "replace") for name, path in sorted(files.items())}
    as_json = folder / "chat_template.json"
    return _listed(as_json if as_json.is_file() else folder / "tokenizer_config.json")


def asked_template(folder: Path, wanted: str = "") -> str:
    """The source of the chat template that prompts are made with; "" where there is none.

    Args:
        folder: the model's.
        wanted: a file, written as a path, or a template's name in the folder; "" is the default.

    Raises:
        ModelError: a file that holds the folder's can't be read.
        UsageError: there is no such file or name.
    """
    if wanted.startswith((".", "~", "/")):
        return _from_file(Path(wanted).expanduser())
    named = named_templates(folder)
    names = ", ".join(named)
    if wanted and wanted not in named:
        there = f"its names are {names}" if names else "it has none"
        raise UsageError(
            f"chat_template {wanted!r}: the model has no template of that name; {there}",
            "a file is given as a path: ./template.jinja",
        )
    return named.get(wanted or DEFAULT, "")


def check_default(folder: Path) -> None:
    """Refuse a folder whose chat templates have names and no default, where none was chosen.

    Raises:
        ModelError: lists the names.
    """
    named = named_templates(folder)
    if named and DEFAULT not in named:
        raise ModelError(
            f"{folder}: its chat templates are named {', '.join(named)}, and none is the default",
            f'choose one: scorer.chat_template = "{next(iter(named))}"',
        )


def writes_date(template: str) -> bool:
    """Whether a template may write the day it is rendered on."""
    return CLOCK.search(template) is not None


def _from_file(file: Path) -> str:
    try:
        return read_text(file)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"chat_template {file}: can't be read: {why}", "check the path") from None


def _listed(file: Path) -> dict[str, str]:
    """The templates under the key `chat_template`: a text, or a list of named ones."""
    said: Any = read_json(file) if file.is_file() else {}
    templates = said.get("chat_template") if isinstance(said, dict) else None
    listed = templates if isinstance(templates, list) else [{"template": templates}]
    return {
        str(one.get("name", DEFAULT)): one["template"]
        for one in listed
        if isinstance(one, Mapping) and isinstance(one.get("template"), str) and one["template"]
    }
