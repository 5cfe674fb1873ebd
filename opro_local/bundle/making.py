"""Making a bundle: parts one after the other, the checksums last.

For: a folder that is whole or can go on. A file is there under its name only when all of it is;
SHA256SUMS is written last, so that a bundle without it is unfinished. Not for: choosing what comes
in (request.py).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opro_local import __version__
from opro_local.bundle import licences, sbom, signing, wheels
from opro_local.bundle.licences import Licence
from opro_local.bundle.request import Request, as_text, files_below, parts
from opro_local.bundle.verify import HEAD, REQUIREMENTS, SIGNATURE, SUMS, damage, digest, entries
from opro_local.errors import DamageError, ModelError, StoreError, UsageError
from opro_local.files import alone, read_text
from opro_local.models.manifest import (
    MANIFEST,
    Manifest,
    hash_files,
    names_in,
    read_manifest,
    write_manifest,
)
from opro_local.models.manifest import SIGNATURE as MODEL_SIGNATURE
from opro_local.models.verification import verify_model

UNFINISHED = ".request.json"  # what a bundle was asked to hold, until it is whole
LOCK = ".lock"
MANIFESTS = (MANIFEST, MODEL_SIGNATURE)  # hidden, so that they change no run
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was made: its folder, what it says of itself, and the digest of SHA256SUMS."""

    folder: Path
    head: dict[str, Any]
    sums: str
    bytes: int
    licences: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            **{"path": str(self.folder), "sums": self.sums, "bytes": self.bytes},
            **{"licences": self.licences, "bundle": self.head},
        }


def make(
    asked: Request, folder: Path, say: Say, key: Path | None = None, with_sbom: bool = True
) -> Bundle:
    """Make a bundle, or go on with one that was begun with the same request.

    Args:
        asked: what it shall hold.
        folder: where; it is empty, not there, or an unfinished bundle of the same request.
        say: is given a line of progress.
        key: a private key of ssh-keygen that signs SHA256SUMS.
        with_sbom: whether cyclonedx-py lists the packages.

    Raises:
        UsageError: the folder holds something else, or a program is missing.
        DataError: a file could not be fetched.
        StoreError: the disk is too small, or can't be written.
        LockedError: another process is making it.
    """
    if with_sbom:
        sbom.program()
    if key:
        signing.program()
    folder.mkdir(parents=True, exist_ok=True)
    refusal = f"{folder}: another process is making this bundle"
    with alone(folder / LOCK, refusal, "wait"):
        _begin(asked, folder)
        _refuse_full_disk(asked, folder)
        _bring_packages(asked, folder, say)
        _bring_models_and_data(asked, folder, say)
        rows = _write_lists(asked, folder, with_sbom, say)
        head = _write_head(asked, folder, rows, with_sbom)
        _write_installer(folder)
        (folder / UNFINISHED).unlink()
    (folder / LOCK).unlink()
    sums = _write_sums(folder)
    if key:
        signing.sign(folder / SUMS, key)
    size = sum((folder / name).stat().st_size for name, _ in entries(folder))
    return Bundle(folder, head, sums, size, dict(licences.counted(rows)))


def _begin(asked: Request, folder: Path) -> None:
    """Say what the folder will hold, or find that it was begun so. Raises UsageError."""
    begun = folder / UNFINISHED
    wanted = asked.identity()
    if (folder / HEAD).is_file() and not begun.is_file():
        begun_as = json.loads(read_text(folder / HEAD)).get("request")
    elif begun.is_file():
        begun_as = json.loads(read_text(begun))
    else:
        others = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
        if others:
            raise UsageError(f"{folder}: holds {others[0]}", "name an empty folder with --output")
        begun_as = wanted
    differing = sorted(key for key in wanted if not begun_as or begun_as.get(key) != wanted[key])
    if differing:
        raise UsageError(
            f"{folder}: was begun with another {', '.join(differing)}", "name another --output"
        )
    begun.write_text(as_text(wanted), "utf-8")
    # Until it is whole again, nothing may take it for whole.
    for name in (SUMS, SIGNATURE):
        (folder / name).unlink(missing_ok=True)


def _refuse_full_disk(asked: Request, folder: Path) -> None:
    there = sum((folder / name).stat().st_size for name, kind in entries(folder) if kind == "file")
    needed = sum(part.bytes for part in parts(asked)) - there
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{folder}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free",
            "free space, or name another --output",
        )


def _bring_packages(asked: Request, folder: Path, say: Say) -> None:
    house = folder / "wheels"
    wheels.fetch(asked.packages(), house, asked.site, say)
    for path in (*asked.wheels, *([asked.package] if asked.package else ())):
        _copy(path, house / path.name)
    if asked.package is None:
        say("packages: building opro-local")
        wheels.build_program(house)
    if "test" in asked.extras:
        wheels.build_source(folder / "source")


def _bring_models_and_data(asked: Request, folder: Path, say: Say) -> None:
    for name, place in asked.models:
        say(f"model {name}")
        _bring_model(name, place, folder / "models" / name)
    for path in asked.data:
        say(f"data {path.name}")
        for file in files_below(path):
            inner = file.relative_to(path) if path.is_dir() else Path()
            _copy(file, folder / "data" / path.name / inner)


def _bring_model(name: str, place: Path, target: Path) -> None:
    """Copy a model with its manifest, or with a new one where it has none. Raises ModelError where
    a file is not what the manifest says.
    """
    manifest = read_manifest(place)
    hidden = [file.name for file in manifest.files] if manifest else []
    names = {file.relative_to(place).as_posix() for file in files_below(place)}
    for each in sorted(names.union(hidden, MANIFESTS)):
        if (place / each).is_file():
            _copy(place / each, target / each)
    if manifest is None:
        files = hash_files(target, sorted(names_in(target)))
        write_manifest(target, Manifest(name, "a folder without a manifest", tuple(files)))
    for fault in verify_model(target).damaged:
        raise ModelError(f"{place / fault.file}: {fault.what}", "import the model again")


def _copy(source: Path, target: Path) -> None:
    """Copy a file whole; one of the same size and bytes stays."""
    is_alike = target.is_file() and target.stat().st_size == source.stat().st_size
    if is_alike and digest(target) == digest(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    shutil.copyfile(source, part)
    os.replace(part, target)


def _write_lists(asked: Request, folder: Path, with_sbom: bool, say: Say) -> list[Licence]:
    """requirements.txt, licences/ and the list in CycloneDX; returns the licences."""
    say("licences, lists and checksums")
    house = folder / "wheels"
    shutil.rmtree(folder / "licences", ignore_errors=True)
    rows, pins = [], []
    for wheel in sorted(house.glob("*.whl")):
        row = licences.of_wheel(wheel, folder / "licences")
        rows.append(row)
        pins.append(f"{row.name}=={row.version} --hash=sha256:{digest(wheel)}")
    _refuse_strays(asked, house, len(rows))
    (folder / REQUIREMENTS).write_text("\n".join(sorted(pins, key=str.lower)) + "\n", "utf-8")
    if with_sbom:
        named = {sbom.normal(row.name): row for row in rows}
        sbom.write(folder / REQUIREMENTS, folder / sbom.FILE, named)
    models = [Licence(name, "", "", "unread") for name, _ in asked.models]
    licences.write([*rows, *models], folder / "licences")
    return [*rows, *models]


def _refuse_strays(asked: Request, house: Path, count: int) -> None:
    """Raise UsageError where the wheelhouse has a file that nobody asked for."""
    expected = len(asked.packages()) + len(asked.wheels) + 1
    if count != expected or len(list(house.iterdir())) != expected:
        raise UsageError(
            f"{house}: holds {len(list(house.iterdir()))} files, and {expected} were asked for",
            "remove the folder wheels and run the command again",
        )


def _write_head(
    asked: Request, folder: Path, rows: list[Licence], with_sbom: bool
) -> dict[str, Any]:
    """BUNDLE.json: for whom the bundle is and what it holds."""
    restricted = [row.name for row in rows if row.redistribution == "restricted"]
    head = {
        **{"version": 1, "program": __version__, "target": asked.site.target},
        **{"python": asked.site.python, "machine": asked.site.machine},
        **{"glibc": asked.site.glibc, "extras": list(asked.extras)},
        **{"parts": [asdict(part) for part in parts(asked)], "lacks": asked.lacks()},
        **{"not_redistributable": restricted, "request": asked.identity()},
        "sbom": sbom.FILE if with_sbom else None,
    }
    (folder / HEAD).write_text(as_text(head), "utf-8")
    return head


def _write_installer(folder: Path) -> None:
    here = Path(__file__).parent
    for name in ("install.sh", "verify.py"):
        _copy(here / name, folder / name)


def _write_sums(folder: Path) -> str:
    """Write SHA256SUMS over every file; returns its own digest."""
    lines = []
    for name, kind in sorted(entries(folder)):
        if kind != "file" or name.endswith(".part") or "\n" in name or "\\" in name:
            raise UsageError(f"{folder / name}: no bundle holds such a file", "remove it")
        lines.append(f"{digest(folder / name)}  {name}\n")
    part = folder / f"{SUMS}.part"
    with part.open("w", encoding="utf-8") as stream:
        stream.writelines(lines)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, folder / SUMS)
    faults = damage(folder)
    if faults:
        raise DamageError(f"{folder / faults[0][0]}: {faults[0][1]}", "run the same command again")
    return digest(folder / SUMS)
