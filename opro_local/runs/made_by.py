"""Which version of the program made a run, and what to tell a user whose run another one made.

For: what is kept of a version. Not for: whether a run may go on: its requests decide that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from opro_local import __version__
from opro_local.config.settings import Config
from opro_local.runs.store_file import VERSION


def this_version() -> dict[str, Any]:
    """What makes a run: the program's version, the store's schema, and a digest of the settings
    there are with their defaults.
    """
    settings = json.dumps(Config.model_json_schema(), sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
    return {"program": __version__, "schema": VERSION, "settings": digest}


def is_this_version(made_by: Mapping[str, Any] | None) -> bool:
    """Whether this version made a run that keeps this."""
    return _maker(made_by) == __version__


def other_version(made_by: Mapping[str, Any] | None) -> str:
    """The end of a message about a run that may differ because another version made it; else ""."""
    if is_this_version(made_by):
        return ""
    return f"; it was made by {_maker(made_by)}, this is {__version__}: that version can finish it"


def why_differing(made_by: Mapping[str, Any] | None) -> str:
    """What may have changed in a run whose requests are not those that are stored, and what to
    do.
    """
    if is_this_version(made_by):
        why = "the data, a model's settings or the program changed since"
        return f"{why}; choose another --run folder"
    return (
        f"the run was made by {_maker(made_by)}, this is {__version__}: finish it with the version "
        "that made it, or choose another --run folder"
    )


def _maker(made_by: Mapping[str, Any] | None) -> str:
    """The version; runs are begun with one, so that a store without belongs to no run."""
    return str((made_by or {}).get("program", __version__))
