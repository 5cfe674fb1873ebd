"""Where an instruction and its demonstrations stand relative to the row that is asked.

For: turning (instruction, demonstrations, row) into a prompt. Not for: choosing any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from opro_local.types import Example, Prompt

PLACES = {
    "before_Q": "before the question",
    "Q_begin": "at the beginning of the question",
    "Q_end": "at the end of the question",
    "A_begin": "at the beginning of the answer",
    "system": "in the system message",
    "template": "in the prompt",
}

COLUMN = re.compile(r"\{(?P<name>\w+)\}")  # a place in a template
PLACE = re.compile(r"(?<!\{) \{ (?P<name>\w+) \} (?!\})", re.VERBOSE)  # a place in an instruction
INPUT = "input"  # what is asked, whatever its column is called
# Where an instruction is said once before all rows of a text; elsewhere it stands with each row.
ONCE = ("Q_begin", "before_Q", "system")

Worked = Sequence[tuple[Example, str]]  # demonstrations: rows, and the answer each is shown with


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the instruction stands relative to the row (paper section 5.1).

    Attributes:
        position: one of `PLACES`.
        chat: whether the scorer is a chat model.
        qa: whether "Q:" and "A:" are written around the row, as for pre-trained models.
        template: for the position "template", the prompt with {instruction} and columns in it.
        turns: whether demonstrations are earlier turns of a chat. Otherwise, and for models that
            don't chat, they stand in one text that the model continues, the row as the last of
            them.
        named: columns whose names in braces an instruction may hold, for the row's own values.
        asked: those of them that are what is asked: with one, the row stands nowhere else.
    """

    position: str
    chat: bool
    qa: bool
    template: str | None = None
    turns: bool = True
    named: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()

    def prompt(self, instruction: str, example: Example) -> Prompt:
        """The prompt for one row. An empty instruction leaves no blank line behind."""
        if self._places(instruction):
            holds_row = bool(self._places(instruction) & self.asked)
            instruction = self._with_columns(instruction, example)
            if holds_row and self.position != "template":
                return Prompt(instruction, chat=self.chat)
        if self.position == "template":
            return Prompt(self._from_template(instruction, example), chat=self.chat)
        if self.position == "system":
            text = self._with("", example.input, "")
            return Prompt(text, system=instruction or None, chat=self.chat)
        if self.position == "A_begin":
            text = self._with("", example.input, "")
            space = " " if self.qa and instruction else ""  # after "A:"
            return Prompt(text, prefill=space + instruction, chat=self.chat)
        if self.position == "Q_end":
            return Prompt(self._with("", example.input, instruction), chat=self.chat)
        return Prompt(self._with(instruction, example.input, ""), chat=self.chat)

    def prompts(
        self,
        instruction: str,
        worked: Worked,
        examples: Sequence[Example],
        instead: Callable[[Example], Worked | None] = lambda example: None,
    ) -> list[Prompt]:
        """The prompt for each row, with demonstrations before it.

        Args:
            instruction, worked: the solution; no demonstrations give what `prompt` gives.
            examples: the rows.
            instead: the demonstrations of a row that is asked with others; None for those of all.
        """
        if not worked:
            return [self.prompt(instruction, example) for example in examples]
        whole = self._before(instruction, worked)
        prompts = []
        for example in examples:
            others = instead(example)
            before = whole if others is None else self._before(instruction, others)
            prompts.append(self._after(before, instruction, example))
        return prompts

    def _places(self, instruction: str) -> frozenset[str]:
        """The columns that an instruction names."""
        if not self.named:
            return self.named
        return self.named & {place["name"] for place in PLACE.finditer(instruction)}

    def _with_columns(self, instruction: str, example: Example) -> str:
        """The instruction with the row's values where it names columns."""
        values = {INPUT: example.input, **example.columns}

        def value(place: re.Match[str]) -> str:
            name = place["name"]
            return values.get(name, place[0]) if name in self.named else place[0]

        return PLACE.sub(value, instruction)

    @property
    def _as_turns(self) -> bool:
        return self.chat and self.turns

    def _before(self, instruction: str, worked: Worked) -> tuple[tuple[str, str], ...] | str:
        """What stands before the row: turns, or a text."""
        if self._as_turns:
            asked = [(self.prompt(instruction, example), answer) for example, answer in worked]
            return tuple((prompt.text, _spaced(prompt.prefill, answer)) for prompt, answer in asked)
        once = instruction if self.position in ONCE and not self._places(instruction) else ""
        text = f"{once}\n\n" if once else ""
        for row, answer in worked:
            text += f"{_spaced(self._asked(instruction, row), answer)}\n\n"
        return text

    def _after(
        self, before: tuple[tuple[str, str], ...] | str, instruction: str, example: Example
    ) -> Prompt:
        if isinstance(before, str):
            return Prompt(before + self._asked(instruction, example), chat=False)
        return replace(self.prompt(instruction, example), turns=before)

    def _asked(self, instruction: str, example: Example) -> str:
        """A row in a text of demonstrations, up to where its answer begins."""
        head, places = "", self._places(instruction)
        if places:
            instruction = self._with_columns(instruction, example)
            head = f"{instruction}\n" if self.position in ONCE else ""
        if self.position == "template":
            return self._from_template(instruction, example)
        if places & self.asked:
            return instruction
        tail = f"\n{instruction}" if self.position == "Q_end" and instruction else ""
        start = f" {instruction}" if self.position == "A_begin" and instruction else ""
        return f"{head}Q: {example.input}{tail}\nA:{start}"

    def _with(self, before: str, question: str, after: str) -> str:
        head = f"{before}\n" if before else ""
        tail = f"\n{after}" if after else ""
        if not self.qa:
            return f"{head}{question}{tail}"
        if self.position == "before_Q":
            return f"{head}Q: {question}{tail}\n\nA:"
        return f"Q: {head}{question}{tail}\n\nA:"

    def _from_template(self, instruction: str, example: Example) -> str:
        names = {**example.columns, "instruction": instruction}
        # Braces around anything else are text.
        return COLUMN.sub(lambda place: names.get(place["name"], place[0]), self.template or "")

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end an answer, the same with demonstrations and without: a text that is
        continued would go on with a next row, and that is how it begins.

        An answer may well begin with a line end, so that no line end alone is one of them.
        """
        if self._as_turns:
            return ()
        if self.position != "template":
            return ("\nQ:",)
        lines = (self.template or "").splitlines()
        begins = (COLUMN.split(line)[0].strip() for line in lines)
        return next(((f"\n{begin}",) for begin in begins if len(begin) > 1), ("\n\n",))

    def stop_after(self, answers: Sequence[str]) -> tuple[str, ...]:
        """What ended an answer after demonstrations before revision 2, and no other answer."""
        if self._as_turns:
            return ()
        several_lines = any("\n" in answer.strip() for answer in answers)
        return ("\nQ:",) if several_lines else ("\n",)


def _spaced(start: str, answer: str) -> str:
    """A reply that begins with `start` and goes on with the answer."""
    return f"{start} {answer}" if start and not start.endswith((" ", "\n")) else start + answer
