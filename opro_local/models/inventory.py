"""What models there are in the models folder, what is known of each, and taking one out.

For: `models list`, `show` and `remove`. Not for: finding the model that a reference stands for
(offline.py), or checking its bytes (verification.py). No package but the standard library is
needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError, StoreError, UsageError
from opro_local.files import alone
from opro_local.models import leftovers, templates, trust
from opro_local.models.cards import Card, card_for, cards, named_card
from opro_local.models.completeness import SAFETENSORS, whole
from opro_local.models.footprint import footprint, header_bytes
from opro_local.models.manifest import SIGNATURE, Manifest, read_manifest
from opro_local.models.offline import WEIGHTS, hub_snapshot, is_path, models_folder
from opro_local.models.size import parameters

# What quantized weights are called, in a config's quantization_config.
QUANTIZERS = ("quant_method", "quant_algo")
# The form of what is no model.
LEFTOVER = "leftover"
PACKING = {"*.bin": "pickle", "*.gguf": "gguf"}


@dataclass(frozen=True, slots=True)
class Inventory:
    """A model in the models folder, from its names and small files.

    Attributes:
        name: what `--model` calls it.
        folder: where it is.
        size: in bytes.
        form: how its weights are kept: "safetensors bfloat16", "awq", "pickle", "gguf".
        state: "manifest", "no manifest", or what is wrong, such as a file that can't be read.
        is_signed: whether a signature lies in it.
    """

    name: str
    folder: Path
    size: int
    form: str
    state: str
    is_signed: bool

    def to_json(self) -> dict[str, Any]:
        """As `models list --json` prints it."""
        return {
            "name": self.name,
            "path": str(self.folder),
            "bytes": self.size,
            "form": self.form,
            "state": self.state,
            "signed": self.is_signed,
        }


def inventories(folder: Path | None = None) -> list[Inventory]:
    """Every model in the models folder, by name; those of an owner's folder as "owner/name".

    Args:
        folder: instead of `models_folder()`.
    """
    place = folder or models_folder()
    return [_inventory(place, path) for path in sorted(_models_in(place))]


def _models_in(place: Path) -> Iterator[Path]:
    for path in _folders_in(place):
        yield from _owned(path) or [path]


def _owned(path: Path) -> list[Path]:
    """The models of an owner's folder; none of a model's own, and of one that can't be read."""
    if os.path.isfile(path / "config.json"):
        return []
    try:
        return [one for one in _folders_in(path) if os.path.isfile(one / "config.json")]
    except OSError:
        return []


def _folders_in(place: Path) -> Iterator[Path]:
    """The folders, and the links that lead nowhere: a disk may not be mounted."""
    if not place.is_dir():
        return
    for path in place.iterdir():
        is_lost = path.is_symlink() and not os.path.exists(path)
        if not path.name.startswith(".") and (is_lost or os.path.isdir(path)):
            yield path


def _inventory(place: Path, path: Path) -> Inventory:
    """What is known of a model; one that can't be read hides no other."""
    name = path.relative_to(place).as_posix()
    if path.is_symlink() and not os.path.exists(path):
        state = f"a link that leads nowhere, to {os.readlink(path)}"
        return Inventory(name, path, 0, "none", state, is_signed=False)
    try:
        return _read_inventory(name, path)
    except OSError as error:
        state = f"{error.filename or path}: can't be read ({error.strerror or error})"
        return Inventory(name, path, 0, "unread", state, is_signed=False)


def _read_inventory(name: str, path: Path) -> Inventory:
    """Raises OSError."""
    return Inventory(
        name=name,
        folder=path,
        size=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        form=form(path),
        state=_state(path),
        is_signed=(path / SIGNATURE).is_file(),
    )


def _state(folder: Path) -> str:
    try:
        whole(folder)
        return "manifest" if read_manifest(folder) else "no manifest"
    except ModelError as error:
        return error.message


def form(folder: Path) -> str:
    """How a model's weights are kept: the quantizer's name, or the format and the numbers' type."""
    try:
        config = trust.read_json(folder / "config.json")
    except ModelError:
        config = {}
    config = config if isinstance(config, dict) else {}
    quantized = config.get("quantization_config")
    if isinstance(quantized, dict):
        names = [str(quantized[key]) for key in QUANTIZERS if quantized.get(key)]
        return names[0] if names else "quantized"
    for kind in WEIGHTS:
        files = sorted(folder.glob(kind))
        if files:
            return f"safetensors {_stored_as(files)}" if kind == SAFETENSORS else PACKING[kind]
    return "no weights"


def _stored_as(files: Sequence[Path]) -> str:
    """The type that most bytes of the weights have, as safetensors calls it."""
    stored: Counter[str] = Counter()
    try:
        for file in files:
            stored.update(header_bytes(file))
    except ModelError:
        return "damaged"
    return max(stored, key=lambda kind: stored[kind], default="empty")


def named_model(name: str) -> Path:
    """The folder of a model in the models folder by its name.

    Raises:
        UsageError: the name leads out of the folder.
        ModelError: there is none.
    """
    place = models_folder()
    if not name or any(not part.strip(".") or "\0" in part for part in name.split("/")):
        raise UsageError(f"{name!r}: a model's name is wanted", "opro-local models list")
    path = place / name
    if not os.path.lexists(path):
        there = [one.name for one in inventories()]
        names = ", ".join([*there, *(one.name for one in leftovers.leftovers())])
        raise ModelError(f"{path}: there is no such model", f"there are: {names or 'none'}")
    return path


def model_at(reference: str) -> Path:
    """The folder of a model by its name in the models folder, or by a path.

    Args:
        reference: what `--model` takes too, but for repository ids: "qwen", "./qwen", "/srv/qwen".

    Raises:
        UsageError, ModelError: see `named_model`; ModelError where a path leads to no folder.
    """
    if not is_path(reference):
        return named_model(reference)
    folder = Path(reference).expanduser()
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such folder", "give a model's folder, or its name")
    return folder.resolve()


def remove_model(name: str) -> Path:
    """Remove a model from the models folder; of a link, the link alone.

    It loses its name first, so that a kill leaves no half of a model under it. The name may be that
    of a leftover (leftovers.py); a model that an import was replacing is put back.

    Returns:
        what was removed.

    Raises:
        UsageError: another name in the models folder is a link to it, or it holds other models.
        ModelError: there is none.
        LockedError: it is the leftover of an import that is under way.
        StoreError: it can't be removed.
    """
    path = named_model(name)
    try:
        if path.is_symlink():
            path.unlink()
            return path
        _refuse_used(path)
        with _held(path):
            gone = path.with_name(f".{path.name}.removing")
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
            shutil.rmtree(gone)
    except OSError as error:
        raise StoreError(f"{path}: can't be removed: {error}", "check its permissions") from error
    return path


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """What an import left is held while it goes, and the model that it was replacing is put back.

    Raises:
        LockedError: the import is under way.
        OSError: it can't be held.
    """
    if not leftovers.is_leftover(path) or path.name.endswith(".removing"):
        yield
        return
    refusal = f"{path}: an import is under way"
    with alone(path / leftovers.LOCK, refusal, "wait until it ends, or stop it"):
        leftovers.put_back(path)
        yield


def _refuse_used(path: Path) -> None:
    """Raise UsageError where more than this model would be gone."""
    place, end = models_folder(), path.resolve()
    if not end.is_relative_to(place.resolve()):
        raise UsageError(f"{path}: lies in {end}, not in {place}", "remove it there by hand")
    if not path.is_dir():
        raise UsageError(f"{path}: a file, not a model", "remove it by hand")
    inner = [one.name for one in _folders_in(path) if (one / "config.json").is_file()]
    is_owner = not (leftovers.is_leftover(path) or (path / "config.json").is_file())
    if inner and is_owner:
        raise UsageError(f"{path}: models of {path.name}", f"name one: {path.name}/{inner[0]}")
    for other in (*place.iterdir(), *place.glob("*/*")):
        if other.is_symlink() and other.resolve().is_relative_to(end):
            raise UsageError(f"{path}: {other} is a link to it", "remove the link first")


def described(name: str) -> dict[str, Any]:
    """All that is known of a model without loading it, as `models show --json` prints it.

    Args:
        name: see `model_at`.

    Raises:
        ModelError: there is none, or a file of it can't be read.
    """
    folder = model_at(name)
    place = models_folder() if folder.is_relative_to(models_folder()) else folder.parent
    card, listed = card_for(folder), _inventory(place, folder)
    manifest = read_manifest(folder)
    known = named_card([folder.name]) is not None
    return {
        **listed.to_json(),
        "card": card.name if known else None,
        "repository": card.repository,
        "license": card.license or None,
        "parameters": parameters(folder),
        "context": footprint(folder).context,
        "metaprompt": card.metaprompt,
        "template": _template_facts(folder, card),
        "quirks": list(card.quirks),
        "tested": card.tested if known else None,
        "code": trust.code_of(folder),
        "manifest": manifest and _manifest_facts(manifest),
    }


def _template_facts(folder: Path, card: Card) -> dict[str, Any]:
    named = templates.named_templates(folder)
    source = named.get(templates.DEFAULT, "")
    return {
        "names": list(named),
        "writes_date": templates.writes_date(source),
        "arguments": dict(card.template_args),
        "switches": dict(card.switches),
        "thinks": card.thinks,
    }


def _manifest_facts(manifest: Manifest) -> dict[str, Any]:
    return {"digest": manifest.digest, "files": len(manifest.files), "source": manifest.source}


def known_models() -> list[dict[str, Any]]:
    """Every model on disk, then every card of one that is not, as `models list --json` prints them.

    On disk means in the models folder, or in the hub's cache and with a card. What a stopped import
    or removal left is among them, with the form LEFTOVER.
    """
    rows = [_known(named_card([one.folder.name]), one) for one in inventories()]
    rows += [_known(None, _left(one)) for one in leftovers.leftovers()]
    for card in cards():
        if any(row["card"] == card.name for row in rows):
            continue
        cached = _cached(card)
        rows.append(_known(card, _inventory(cached.parent, cached) if cached else None))
    return sorted(rows, key=lambda row: (row["path"] is None, row["name"]))


def _left(one: leftovers.Leftover) -> Inventory:
    return Inventory(one.name, one.folder, one.size, LEFTOVER, one.state, is_signed=False)


def _cached(card: Card) -> Path | None:
    """A card's model in the hub's cache; None where there is none, or not all of it."""
    try:
        return hub_snapshot(card.repository) if card.repository else None
    except ModelError:
        return None


def _known(card: Card | None, one: Inventory | None) -> dict[str, Any]:
    place = one.to_json() if one else dict.fromkeys(("path", "bytes", "form", "state", "signed"))
    is_here = one is not None and one.folder.is_relative_to(models_folder())
    name = one.name if one and is_here else (card.name if card else "")
    return {
        **place,
        "name": name,
        "card": card.name if card else None,
        "repository": card.repository if card else "",
        "tested": card.tested if card else "not tested",
        "license": card.license if card else "",
        "family": card.family if card else "",
        "thinks": card.thinks if card else None,
        "metaprompt": card.metaprompt if card else "",
        "switches": dict(card.switches) if card else {},
        "quirks": list(card.quirks) if card else [],
    }
