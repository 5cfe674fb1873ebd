"""Two tokens of a model: whether an engine starts here, loads it and answers.

For: the doctor's last line. Not for: a row of one's own data (runs/one_answer.py), or speed
(runs/bench.py).
"""

from __future__ import annotations

import time

from opro_local.config import reading
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
    except OproError:
        return False
    return True


def try_model(model: str, engine: str) -> Finding:
    """Start an engine with a model, and have two tokens of it.

    Args:
        model: a folder, a model's name or a repository id on disk.
        engine: "auto" or an engine's name.
    """
    begun = time.monotonic()
    try:
        config = reading.build({"scorer": {"model": model, "engine": engine}})
        folder = folder_of(config.scorer)
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
    if not reply.completion_tokens:
        return failure(NAME, f"{model} wrote no token on {name}", "try --engine transformers")
    text = (
        f"{folder.name} on {name} wrote {reply.text!r} ({reply.completion_tokens} tokens); it was "
        f"ready after {ready:.0f} s"
    )
    return Finding(NAME, "warning", f"{text}; {notice}") if notice else fine(NAME, text)
