"""What a check came to: one line with its state, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from opro_local.errors import OproError

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        name: what was looked at, such as "driver".
        state: "failure" where a run would end; "warning" where it may be slow or fail later.
        text: what is so, and where it is not well, what to do.
        exit_code: of a failure, as the errors have it.
        value: the same as data, where scripts want it.
    """

    name: str
    state: State
    text: str
    exit_code: int = 0
    value: Any = None

    def to_json(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        line = {"name": self.name, "state": self.state, "text": self.text}
        return line if self.value is None else {**line, "value": self.value}


def fine(name: str, text: str, value: Any = None) -> Finding:
    """All is well."""
    return Finding(name, "ok", text, value=value)


def warning(name: str, text: str, todo: str = "") -> Finding:
    """It may run, and the user should know."""
    return Finding(name, "warning", f"{text}; {todo}" if todo else text)


def failure(name: str, text: str, todo: str, exit_code: int = 3) -> Finding:
    """It won't run."""
    return Finding(name, "failure", f"{text}; {todo}", exit_code)


def failed(name: str, error: OproError) -> Finding:
    """An error that would end a run, as a finding."""
    return Finding(name, "failure", str(error), error.exit_code)
