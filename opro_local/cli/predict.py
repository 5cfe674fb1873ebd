"""The verb `predict`: a run's prompt on new rows."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opro_local.cli.options import EngineOption, JsonOption, SetOption, overrides
from opro_local.cli.visible import say, say_json, write

if TYPE_CHECKING:
    from opro_local.runs.prediction import Predictions

PLAIN_SECONDS = 30.0
# Places that a line of the summary names.
NAMED = 5


def predict(
    run: Annotated[Path, typer.Option("--run", help="The run's folder.")],
    data: Annotated[
        Path, typer.Option("--data", help="The new rows: a file as for optimize; no target needed.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="A .csv or .jsonl to write; JSON Lines on stdout without."),
    ] = None,
    engine: EngineOption = None,
    set_: SetOption = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Code that the run names may be run.")
    ] = False,
    vote: Annotated[
        bool,
        typer.Option("--vote", help="Ask the run's best prompts together; see evaluation.vote."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the prompt that a finished run chose about new rows: the rows in order, with a column
    `prediction`, empty where nothing could be read.

    Example: opro-local predict --run runs/mails-3f2a91 --data new.csv --output predicted.csv
    """
    from opro_local.runs.predicting import predict_file

    changes = overrides(None, None, [*_engine(engine), *(set_ or ())])
    came, text = predict_file(run, data, output, changes, trust_code, _Lines().report, vote)
    if output is None and not as_json:
        write(text)
    if as_json:
        values = {} if output else {"predictions": came.values}
        say_json({**came.to_json(), **values})
        return
    for line in _summary(came):
        say(line, err=output is None)
    if output is not None:
        say(f"Written: {output}")


class _Lines:
    """A plain line on stderr every 30 s, so that stdout holds the rows alone."""

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()

    def report(self, finished: int, tokens: int) -> None:
        """Say how far the engine call is."""
        now = time.monotonic()
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            line = f"{now - self._begun:.0f} s: {finished} rows answered, {tokens} tokens"
            say(line, err=True)


def _engine(engine: str | None) -> list[str]:
    return [] if engine is None else [f"scorer.engine={json.dumps(engine)}"]


def _summary(came: Predictions) -> list[str]:
    """What was predicted, and what was not."""
    record = came.to_json()
    lines = [*came.notices, f"{record['predicted']} of {record['rows']} rows predicted"]
    lines += _named("nothing could be read in the answers to", came.unread)
    lines += _named("answers were cut at the token limit:", came.cut)
    lines += _named("too long for the model's context, not asked:", came.too_long)
    return lines


def _named(what: str, places: Sequence[str]) -> list[str]:
    if not places:
        return []
    more = ", ..." if len(places) > NAMED else ""
    return [f"{len(places)} rows: {what} {', '.join(places[:NAMED])}{more}"]
