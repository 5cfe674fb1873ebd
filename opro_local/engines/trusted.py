"""What hosting a model lets in: refused where the settings do not trust it, and else named.

For: an engine's settings as a whole. Not for: a single folder or argument (models/trust.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opro_local.engines.settings import EngineSettings
from opro_local.models import trust


def check_settings(settings: EngineSettings) -> None:
    """Refuse to host what the settings do not trust: the model, its adapters, and the arguments of
    the engine's constructor.

    Raises:
        ModelError, UsageError: see `check` and `check_arguments` of models/trust.py.
    """
    trusted, allow_pickle = settings.trusted_code, settings.allow_pickle
    trust.check_arguments(settings.engine_args, trusted, allow_pickle)
    for folder in (settings.model, *settings.adapters):
        trust.check(Path(folder), trusted, allow_pickle)


def marks(settings: EngineSettings) -> dict[str, Any]:
    """What an engine's fingerprint says of code and pickles that it let in; nothing where it let in
    none.
    """
    folders = [Path(folder) for folder in (settings.model, *settings.adapters)]
    code = sorted({name for folder in folders for name in trust.code_of(folder)})
    said: dict[str, Any] = {"trusted_code": code} if code else {}
    if any(trust.is_pickled(folder) for folder in folders):
        said["pickled_weights"] = True
    return said
