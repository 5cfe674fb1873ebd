"""What a finished run of a prompt problem leaves beside result.json: best.txt and best.json.

For: the text of both. Not for: writing them (run.py), or reading them as seeds (prompt_file.py).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from opro_local.exports.whole_prompt import WholePrompt, json_text, messages

if TYPE_CHECKING:
    from opro_local.runs.run_result import RunResult

# The first line of a best.txt that is not an instruction alone; prompt_file.py refuses it.
WORKED_EXAMPLES = (
    "# This prompt shows worked examples: the whole of it follows, to be read. best.json has it "
    "for programs, and for evaluate --prompts."
)


def winner_files(result: RunResult) -> dict[str, str]:
    """The files by name: best.json, and best.txt with the instruction, or, where worked examples
    are shown with it, the whole prompt as it is read.
    """
    if result.prompt is None:
        return _former_files(result)
    whole = result.prompt
    text = _whole_text(whole) if whole.demonstrations else whole.text
    record = json_text(whole.to_json(), indent=2)
    return {"best.txt": text + "\n", "best.json": record + "\n"}


def _former_files(result: RunResult) -> dict[str, str]:
    """What builds left that kept no whole prompt; old runs are checked against it."""
    files = {"best.txt": result.best.text + "\n"}
    if result.best.demonstrations:
        whole = result.best.file_to_json()
        files["best.json"] = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return files


def _whole_text(whole: WholePrompt) -> str:
    """The prompt to be read, turn by turn."""
    place = f"{whole.input} stands for the row."
    if not whole.prompt.chat:
        return f"{WORKED_EXAMPLES}\n# {place}\n\n{whole.prompt.text}{whole.prompt.prefill}"
    turns = [f"[{one['role']}]\n{one['content']}" for one in messages(whole.prompt)]
    return "\n\n".join((f"{WORKED_EXAMPLES}\n# {place}", *turns))
