"""Two tokens of a model: whether an engine starts here, loads it and answers.

For: the doctor's last line. Not for: a row of one's own data (runs/one_answer.py), or speed
(runs/bench.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.doctor.finding import Finding, failed, failure, fine
from opro_local.engines.start import start_engine
from opro_local.errors import OproError
from opro_local.models.cards import card_for
from opro_local.models.offline import EMBEDDED, find_model
from opro_local.runs.hosting import folder_of, hostings
from opro_local.types import Prompt, Request, Sampling

NAME = "answer"
TOKENS = 2
ASKED = Request(Prompt("Say hello."), Sampling(max_tokens=TOKENS))


def embedded_is_there() -> bool:
    """Whether the embedded model is on disk."""
    try:
        find_model(EMBEDDED)
    except (OproError, OSError):
        return False
    return True


def trial_config(
    model: str | None, engine: str | None = None, overrides: Sequence[str] = ()
) -> Config | None:
    """How the model is hosted that gives a short answer.

    Args:
        model: a folder, a model's name or a repository id on disk, or a served model's name; None
            is what the overrides say, and the embedded model where they say nothing.
        engine: an engine's name; None is "auto".
        overrides: settings, each "section.key=value".

    Returns:
        a config whose scorer is that model; None where none is named and the embedded one is not
        there.

    Raises:
        UsageError: a setting is none.
    """
    # Both roles, as `run --engine` has it: what is missing is the same then.
    hosted = {"engine": engine or "auto"}
    tables = {"scorer": {**hosted, "model": model or ""}, "optimizer": hosted}
    config = reading.build(tables, overrides)
    scorer = config.hosted_as("scorer")
    if scorer.model or scorer.base_url or scorer.script:
        return config
    if not embedded_is_there():
        return None
    return reading.build({**tables, "scorer": {**hosted, "model": EMBEDDED}}, overrides)


def try_model(config: Config) -> Finding:
    """Start an engine with a config's scorer, and have two tokens of it."""
    begun = time.monotonic()
    try:
        scorer = config.hosted_as("scorer")
        folder = folder_of(scorer)
        hosting = hostings(config, {"scorer": card_for(folder)}, {"scorer": folder})["scorer"]
        hosted, notice = start_engine(hosting.settings, hosting.engine)
        try:
            ready = time.monotonic() - begun
            (reply,) = hosted.generate([ASKED])
            name = hosted.fingerprint["engine"]
        finally:
            hosted.close()
    except OproError as error:
        return failed(NAME, error)
    except OSError as error:
        return failure(NAME, f"{error.filename}: {error.strerror or error}", "make it readable")
    model = folder.name or scorer.model or scorer.base_url
    if not reply.completion_tokens:
        return failure(NAME, f"{model} wrote no token on {name}", "try --engine transformers")
    text = (
        f"{model} on {name} wrote {reply.text!r} ({reply.completion_tokens} tokens); it was "
        f"ready after {ready:.0f} s"
    )
    return Finding(NAME, "warning", f"{text}; {notice}") if notice else fine(NAME, text)
