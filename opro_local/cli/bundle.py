"""The verb `bundle`: everything that an air-gapped site needs, in one folder, and its check."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opro_local.cli.grouping import grouped
from opro_local.cli.options import JsonOption
from opro_local.cli.visible import say, say_json

if TYPE_CHECKING:
    from opro_local.bundle.making import Bundle
    from opro_local.bundle.request import Request

app = typer.Typer(
    help="Put everything an air-gapped site needs into one folder, or check such a folder."
)


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """Where the bundle is to be installed."""

    target: Annotated[str, typer.Option(help="cpu or cuda.")] = "cuda"
    python: Annotated[
        str | None, typer.Option(help="The site's Python, as 3.11 (default: this one, if locked).")
    ] = None
    platform: Annotated[
        str | None,
        typer.Option(help="manylinux_2_N_MACHINE, by the site's glibc 2.N and `uname -m`."),
    ] = None


@dataclass(frozen=True, slots=True)
class ContentOptions:
    """What comes along."""

    model: Annotated[
        list[str] | None, typer.Option(help="A model on disk to bring along. Repeatable.")
    ] = None
    data: Annotated[
        list[Path] | None, typer.Option(help="A file or folder of data. Repeatable.")
    ] = None
    extra: Annotated[
        list[str] | None,
        typer.Option(help="An extra of the package (default: math and text). Repeatable."),
    ] = None
    wheel: Annotated[
        list[Path] | None, typer.Option(help="A wheel that the lock does not hold. Repeatable.")
    ] = None
    package: Annotated[
        Path | None,
        typer.Option(help="This program's wheel (default: built from the checkout)."),
    ] = None


@dataclass(frozen=True, slots=True)
class FormOptions:
    """What is made of it besides the folder itself."""

    split: Annotated[
        str | None, typer.Option(help="Also cut it into pieces of this size: 4GB.")
    ] = None
    sign: Annotated[
        Path | None, typer.Option(help="Sign it with this private key of ssh-keygen.")
    ] = None
    sbom: Annotated[bool, typer.Option(help="List the packages with cyclonedx-py.")] = True


def bundle(
    *,
    output: Annotated[Path | None, typer.Option(help="The bundle's folder.")] = None,
    site: SiteOptions,
    content: ContentOptions,
    form: FormOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would hold; fetch nothing.")
    ] = False,
    as_json: JsonOption = False,
    context: typer.Context,
) -> None:
    """Put everything an air-gapped site needs into one folder, with checksums.

    The same command goes on where it was stopped. On the other side: sh install.sh

    Example: opro-local bundle --target cuda --python 3.12 --model qwen2.5-7b-instruct --output
    bundle --split 4GB
    """
    if context.invoked_subcommand:
        return
    from opro_local.bundle import pieces
    from opro_local.bundle.making import make
    from opro_local.bundle.request import described
    from opro_local.errors import UsageError

    if output is None:
        raise UsageError("--output is missing", "name the bundle's folder")
    asked = _asked(site, content)
    size = pieces.size_of(form.split) if form.split else None
    if dry_run:
        plan = described(asked)
        if as_json:
            say_json(plan)
            return
        say("\n".join(_plan_lines(plan)))
        return
    made = make(asked, output.absolute(), _tell, form.sign, form.sbom)
    cut = pieces.split(made.folder, size) if size else None
    if as_json:
        said = made.to_json() | {"pieces": str(cut) if cut else None}
        say_json(said)
        return
    say("\n".join([*_lines(made), *([f"pieces: {cut}"] if cut else [])]))


def _tell(line: str) -> None:
    """A line of progress, beside the result."""
    say(line, err=True)


app.callback(invoke_without_command=True)(grouped(bundle))


@app.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="The bundle.")],
    expect: Annotated[str, typer.Option(help="The SHA-256 that SHA256SUMS must have.")] = "",
    signers: Annotated[str, typer.Option(help="ssh-keygen's file of allowed signers.")] = "",
    identity: Annotated[str, typer.Option(help="The signer's name in it.")] = "opro-local",
    as_json: JsonOption = False,
) -> None:
    """Check every file of a bundle; exit code 4 where one is damaged.

    Example: opro-local bundle verify bundle
    """
    from opro_local.bundle import verify as checking
    from opro_local.errors import DamageError, DataError

    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder", "name a bundle's folder")
    try:
        faults = checking.damage(folder)
        if not faults:
            checking.refuse_other_sums(folder, expect)
            checking.refuse_unsigned(folder, signers, identity)
    except checking.Unfit as error:
        raise DamageError(str(error), "take the bundle from its source again") from None
    damaged = [{"file": name, "what": what} for name, what in faults]
    if as_json:
        say_json({"ok": not faults, "damaged": damaged})
    else:
        for name, what in faults:
            say(f"{name}: {what}")
        say("damaged: take it from its source again" if faults else "ok")
    if faults:
        raise typer.Exit(DamageError.exit_code)


def _asked(site: SiteOptions, content: ContentOptions) -> Request:
    """The request that the options make. Raises OproError."""
    from opro_local.bundle.lock import OLDEST, Site, default_python, read_lock
    from opro_local.bundle.request import names_of, request
    from opro_local.models.offline import find_model

    read_lock(site.target)  # an unknown target is said first
    platform = site.platform or OLDEST[site.target]
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    brought = names_of(content.wheel or ())
    python = site.python or default_python(site.target, platform, own, brought)
    there = Site(site.target, python, platform)
    named = [(name, find_model(name)) for name in content.model or ()]
    models = [(Path(name).name or place.name, place) for name, place in named]
    extras = content.extra if content.extra is not None else ("math", "text")
    data, wheels = content.data or (), content.wheel or ()
    return request(there, extras, models, data, wheels, content.package)


def _plan_lines(plan: dict[str, object]) -> list[str]:
    rows = [dict(part) for part in plan["parts"]]  # type: ignore[attr-defined]
    lines = [f"for {plan['target']}, Python {plan['python']}, {plan['platform']}"]
    for row in rows:
        about = "about " if row["estimated"] else ""
        lines.append(
            f"{row['name']:32} {about + format(row['bytes'] / 1e6, ',.1f'):>16} MB  {row['note']}"
        )
    return [*lines, f"{'together':32} {plan['bytes'] / 1e6:>16,.1f} MB"]  # type: ignore[operator]


def _lines(made: Bundle) -> list[str]:
    """What a bundle came to, for people."""
    counts = made.licences
    lines = [
        f"{made.folder}: {made.bytes / 1e6:,.0f} MB",
        f"on the other side: sh install.sh --expect {made.sums}",
        f"licences: {counts['allowed']} allow passing on, {counts['restricted']} restrict it, "
        f"{counts['unread']} unread",
    ]
    if made.head["not_redistributable"]:
        lines.append(f"may not be passed on: {', '.join(made.head['not_redistributable'])}")
    if made.head["lacks"]:
        lines.append(f"lacks: {', '.join(made.head['lacks'])}; bring them with --wheel")
    return lines
