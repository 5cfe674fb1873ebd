"""The verb `export`: a run's prompt in the form that another program takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.runs import RunArgument
from opro_local.cli.visible import say, write

FORMATS = "openai, python, jinja, markdown, promptfoo, mlflow, lm-eval or dspy (docs/exports.md)."


def export(
    run: RunArgument,
    format_: Annotated[str, typer.Option("--format", help=FORMATS)],
    output: Annotated[
        Path | None, typer.Option("--output", help="A file to write; stdout without it.")
    ] = None,
) -> None:
    """The prompt that a finished run chose, as another program takes it.

    Example: opro-local export runs/mails-3f2a91 --format openai --output prompt.json
    """
    from opro_local.exports import formats
    from opro_local.files import write_whole
    from opro_local.runs.finished_prompt import finished_prompt
    from opro_local.runs.output_place import place_for_run

    place = place_for_run(run, output) if output else None
    text = formats.export(finished_prompt(run), format_)
    if place is None:
        write(text)
        return
    write_whole(place, text)
    say(f"Written: {output}")
