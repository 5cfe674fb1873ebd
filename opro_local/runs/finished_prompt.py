"""What a finished run offers to others: its prompt, from a place that is not damaged.

For: the one look at a run before something is made of it. Not for: agent files (applying.py), or
showing runs (reading.py).
"""

from __future__ import annotations

from pathlib import Path

from opro_local.errors import DamageError, UsageError
from opro_local.exports.whole_prompt import WholePrompt
from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.store import read_store
from opro_local.runs.verification import verify


def finished_prompt(folder: Path) -> WholePrompt:
    """The prompt that a finished run chose.

    Raises:
        StoreError: there is no run, or it is damaged.
        UsageError: it is not finished, chose no prompt, or a build finished it that kept none.
        DataError: a later version wrote the prompt.
    """
    came = verify(folder)
    if not came.ok:
        first = came.damaged[0]
        raise DamageError(
            f"{first.file}: {first.what}",
            f"nothing is taken from a damaged run; see opro-local verify {folder}",
        )
    store = read_store(folder)
    try:
        config, result = store.get("config") or {}, store.get("result") or {}
        state, prompt = store.get("state"), store.get("prompt")
    finally:
        store.close()
    kind = config.get("problem", {}).get("kind", "prompt")
    if kind != "prompt":
        raise UsageError(f"{folder}: a run of kind {kind} has no prompt", "its best is in best.txt")
    if state != "finished" or not result:
        raise UsageError(f"{folder}: the run is not finished", "give its command again")
    if result.get("kind") == EvaluationOutcome.KIND:
        raise UsageError(
            f"{folder}: an evaluation chooses no prompt", "name the run that searched for one"
        )
    if prompt is None:
        raise UsageError(
            f"{folder}: an earlier build finished it, which kept no whole prompt",
            "give its command again: nothing is asked again, and best.json is made",
        )
    return WholePrompt.from_json(prompt)
