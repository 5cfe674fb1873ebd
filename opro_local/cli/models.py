"""`opro-local models`: what models are known and on disk, and looking after those that are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from opro_local.cli.models_import import import_
from opro_local.cli.models_plan import plan_
from opro_local.cli.options import JsonOption
from opro_local.cli.visible import say, say_json

NameArgument = Annotated[str, typer.Argument(help="A model's name: opro-local models list.")]
ModelArgument = Annotated[
    str, typer.Argument(help="A model's name (opro-local models list), or its folder as a path.")
]

app = typer.Typer(
    no_args_is_help=True,
    help="List models, import and check them, plan a GPU's memory.",
)
app.command("import")(import_)
app.command("plan")(plan_)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the models on disk and the model cards.

    Example: opro-local models list --json
    """
    from opro_local.models.inventory import LEFTOVER, known_models

    rows = known_models()
    if as_json:
        say_json(rows)
        return
    left = [row for row in rows if row["form"] == LEFTOVER]
    _print_models([row for row in rows if row["path"] and row not in left])
    if left:
        say(f"\n{in_bytes(sum(row['bytes'] for row in left))} that are no model:")
    for row in left:
        say(f"{row['name']} ({in_bytes(row['bytes'])}): {row['state']}")
    missing = [row for row in rows if not row["path"]]
    if missing:
        say(f"\n{len(missing)} cards of models that are not on disk:")
    for row in missing:
        say(f"{row['name']:28} {row['repository']}")


def _print_models(rows: list[dict[str, Any]]) -> None:
    from opro_local.cli.tables import print_table, stdout_console

    if not rows:
        say("no model on disk; opro-local models import brings one")
        return
    cells = [
        (row["name"], in_bytes(row["bytes"]), row["form"], row["state"], row["path"])
        for row in rows
    ]
    names = ("model", "size", "form", "state", "path")
    print_table(stdout_console(), names, cells, {"model", "form", "state", "path"})


@app.command("show")
def show_(name: ModelArgument, as_json: JsonOption = False) -> None:
    """Show what is known of a model without loading it: card, size, licence, chat template, code
    and manifest.

    Example: opro-local models show smollm2-135m-instruct
    """
    from opro_local.engines.chat_template import text_change
    from opro_local.models.inventory import described
    from opro_local.models.templates import asked_template

    facts = described(name)
    template = facts["template"]
    source = asked_template(Path(facts["path"])) if template["names"] else ""
    template["changes"] = text_change(source, template["arguments"])
    if as_json:
        say_json(facts)
        return
    for line in _fact_lines(facts):
        say(line)


def _fact_lines(facts: Mapping[str, Any]) -> list[str]:
    manifest, template = facts["manifest"], facts["template"]
    written = "none: opro-local models import PATH --name NAME writes it"
    if manifest:
        written = f"{manifest['files']} files, from {manifest['source']}, {manifest['digest'][:16]}"
    size = in_bytes(facts["bytes"])
    if facts["parameters"]:
        size += f", {facts['parameters'] / 1e9:.3g} billion parameters"
    lines = {
        "path": facts["path"],
        "card": facts["card"] or "none",
        "repository": facts["repository"] or "unknown",
        "license": facts["license"] or "unknown",
        "size": size,
        "form": facts["form"],
        "context": f"{facts['context']:,} tokens",
        "metaprompt": facts["metaprompt"],
        "template": ", ".join(template["names"]) or "none",
        "arguments": json.dumps(template["arguments"]) if template["arguments"] else "",
        "text": template["changes"] and f"of its chat template: {template['changes']}",
        "date": "its template writes today's date" if template["writes_date"] else "",
        "code": ", ".join(facts["code"]) and f"runs only if trusted: {', '.join(facts['code'])}",
        "manifest": written,
        "signature": "there" if facts["signed"] else "none",
        "tested": facts["tested"] or "not tested",
    }
    shown = [f"{name:12} {value}" for name, value in lines.items() if value]
    return [facts["name"], *shown, *(f"note         {quirk}" for quirk in facts["quirks"])]


@app.command("sign")
def sign_(
    name: ModelArgument,
    key: Annotated[Path, typer.Option(help="A private key on an elliptic curve, as PEM.")],
) -> None:
    """Sign a model, once it was verified, with a key of your own.

    Example: opro-local models sign qwen --key site.pem
    """
    from opro_local.cli.reading import Reading
    from opro_local.errors import ModelError
    from opro_local.models.inventory import model_at
    from opro_local.models.signing import require_folder, sign_model
    from opro_local.models.verification import verify_model

    folder = model_at(name)
    require_folder(folder)
    with Reading("verifying") as reading:
        came = verify_model(folder, reading.advance)
    if not came.ok:
        first = came.damaged[0]
        raise ModelError(f"{folder / first.file}: {first.what}", "what is damaged is not signed")
    say(f"{sign_model(folder, key)}")


@app.command("verify")
def verify_(
    name: ModelArgument,
    public_key: Annotated[
        Path | None, typer.Option(help="Check the signature too, with this key as PEM.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check every byte of a model against its manifest. Exit code 3 where something differs.

    Example: opro-local models verify smollm2-135m-instruct
    """
    from opro_local.cli.reading import Reading
    from opro_local.models.inventory import model_at
    from opro_local.models.signing import signature_fault
    from opro_local.models.verification import verify_model

    folder = model_at(name)
    fault = signature_fault(folder, public_key) if public_key else None
    with Reading("verifying") as reading:
        came = verify_model(folder, reading.advance)
    came = replace(came, damaged=(*came.damaged, *([fault] if fault else [])))
    if as_json:
        say_json(came.to_json())
    else:
        for damage in came.damaged:
            say(f"{damage.file}: {damage.what}")
        said = came.to_json()
        good = f"ok: {said['files']} files, {in_bytes(said['bytes'])}"
        say(good if came.ok else "damaged: import it again from where it came")
    if not came.ok:
        raise typer.Exit(3)


@app.command("remove")
def remove_(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove a model from the models folder; of a link, the link alone.

    Example: opro-local models remove smollm2-135m-instruct --yes
    """
    from opro_local.errors import UsageError
    from opro_local.models.inventory import named_model, remove_model

    path = named_model(name)
    what = f"the link {path}" if path.is_symlink() else str(path)
    if not yes:
        import sys

        if not sys.stdin.isatty():
            raise UsageError(f"{what} is removed for good", "give --yes if that is meant")
        if not typer.confirm(f"Remove {what}?"):
            say("nothing was removed")
            return
    remove_model(name)
    say(f"removed {what}")


def in_bytes(size: int) -> str:
    """ "271.3 MB", in units of a thousand as disks are sold."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"
