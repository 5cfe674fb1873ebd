"""The options that the verbs of `opro-local feedback` share: the store, and how to print.

For: opening the store and printing one result. Not for: verbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.cli.options import JsonOption
from opro_local.cli.visible import say, say_json

if TYPE_CHECKING:
    from opro_local.feedback import Feedback

FeedbackOption = Annotated[
    Path, typer.Option("--feedback", help="The feedback store, an SQLite file.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the history.")]
ShareOption = Annotated[float, typer.Option("--share", help="The challenger's part of the users.")]
STORE = Path("feedback.sqlite")


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Which store, and whether its answer is printed as JSON."""

    feedback: FeedbackOption = STORE
    as_json: JsonOption = False

    def opened(self, new: bool = False) -> Feedback:
        """The store, opened; `new` makes it where it is missing. Raises StoreError."""
        from opro_local.feedback import Feedback

        return Feedback(self.feedback, new=new)

    def show(self, record: Any, lines: Sequence[str]) -> None:
        """Print a record as JSON, or else its lines."""
        if self.as_json:
            say_json(record)
        else:
            say("\n".join(lines))
