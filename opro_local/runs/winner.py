"""The solution that a run chose, with all that is needed to ask with it elsewhere.

For: the part `best` of a result, and what best.json holds. Not for: choosing it (search/loop.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opro_local.records import entries


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """A train row that the chosen prompt shows: its id, its input and the answer given there.

    Input and answer are "" where only the id is known.
    """

    id: str
    input: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Winner:
    """The chosen solution.

    Attributes:
        text: the instruction.
        key: of the solution, over text and demonstrations.
        step: the step it came from; 0 for starting solutions, and in an evaluation.
        demonstrations: the worked examples shown with it, in order. An evaluation does not name
            them here but in `prompts`, by id.
        messages: with worked examples, the whole prompt as a chat, "{input}" for the row; else ().
        prompt: with worked examples, the whole prompt as a text to be continued; else None.
        stop: with worked examples, the strings that end the answer.
    """

    text: str
    key: str
    step: int = 0
    demonstrations: tuple[WorkedExample, ...] = ()
    messages: tuple[Mapping[str, str], ...] = ()
    prompt: str | None = None
    stop: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the whole prompt is there, and not the text alone."""
        return bool(self.messages) or self.prompt is not None

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        return {
            "text": self.text,
            **self._demonstrations_to_json(),
            "key": self.key,
            "step": self.step,
            **self._prompt_to_json(),
        }

    def file_to_json(self) -> dict[str, Any]:
        """What best.json holds: all that is needed to ask with it."""
        return {
            "text": self.text,
            **self._demonstrations_to_json(),
            **self._prompt_to_json(),
        }

    def _demonstrations_to_json(self) -> dict[str, Any]:
        if not self.demonstrations:
            return {}
        if not self.is_whole:
            return {"demonstrations": [shown.id for shown in self.demonstrations]}
        shown = [
            {"id": example.id, "input": example.input, "answer": example.answer}
            for example in self.demonstrations
        ]
        return {"demonstrations": shown}

    def _prompt_to_json(self) -> dict[str, Any]:
        if not self.is_whole:
            return {}
        messages = [dict(message) for message in self.messages]
        asked = {"prompt": self.prompt} if self.prompt is not None else {"messages": messages}
        return {**asked, "stop": list(self.stop)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Winner:
        """What `to_json` wrote."""
        return cls(
            text=record["text"],
            key=record["key"],
            step=record.get("step", 0),
            demonstrations=tuple(map(_worked_example, entries(record.get("demonstrations", ())))),
            messages=entries(record.get("messages", ())),
            prompt=record.get("prompt"),
            stop=entries(record.get("stop", ())),
        )


def _worked_example(record: Mapping[str, str] | str) -> WorkedExample:
    if isinstance(record, str):
        return WorkedExample(record)
    return WorkedExample(record["id"], record["input"], record["answer"])
