"""The licences of what a bundle holds: identifiers and texts, taken from the wheels themselves.

For: one row per distribution with its licence, its texts, and whether it may be passed on. Not for:
legal advice: a row says what the package says of itself, and `unread` where it says nothing known.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath
from typing import Any

from opro_local.bundle.request import as_text
from opro_local.errors import DataError

# What a licence that allows passing on is called, in any of the ways that packages say it.
OPEN = re.compile(
    r"""
    \b (?: MIT (?:-0|-CMU)? | (?:0)?BSD | Apache | Python[ ]Software | PSF | Python-2\.0 | CNRI
    | ISC | MPL | Mozilla | L?GPL | GNU | Unlicense | Zlib | CC0 | HPND | Public[ ]Domain
    | BSL | Artistic | Boost | Historical ) (?: \b | - )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What speaks against it, whatever else is named.
CLOSED = re.compile(
    r"""
    NVIDIA | Proprietary | LicenseRef | EULA | Commercial | All[ ]rights[ ]reserved
    | Non-?Commercial | CC-BY-NC
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Packages by NVIDIA that say nothing of a licence are not passed on.
BY_NVIDIA = re.compile(r"(nvidia|cuda)[-_.]", re.IGNORECASE)
TEXTS = re.compile(r"(licen[cs]e|copying|notice|authors|eula)", re.IGNORECASE)
LONGEST = 4 << 20  # bytes of a licence text


@dataclass(frozen=True, slots=True)
class Licence:
    """What one distribution says of its licence.

    Attributes:
        name: of the distribution, or of the model or data.
        version: empty where there is none.
        licence: an SPDX expression, or the words used; empty where nothing is said.
        redistribution: `allowed`, `restricted` or `unread`.
        texts: files below the bundle's folder licences/.
    """

    name: str
    version: str
    licence: str
    redistribution: str
    texts: tuple[str, ...] = ()


def of_wheel(wheel: Path, folder: Path) -> Licence:
    """A wheel's licence; its texts are written below `folder`. Raises DataError where it is no
    wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = archive.namelist()
            (metadata,) = [
                name for name in inside if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
            ]
            described = Parser().parsestr(archive.read(metadata).decode("utf-8", "replace"))
            name, version = str(described["Name"]), str(described["Version"])
            place = folder / f"{name}-{version}"
            home = metadata.partition("/")[0]
            texts = [each for each in inside if each.startswith(home) and _is_text(each)]
            kept = [_keep(archive, each, home, place) for each in texts]
    except (zipfile.BadZipFile, ValueError, KeyError):
        raise DataError(
            f"{wheel}: is no whole wheel", "remove it and run the command again"
        ) from None
    said = licence_of(described)
    found = [path.relative_to(folder).as_posix() for path in kept]
    return Licence(name, version, said, redistribution(name, said), tuple(sorted(found)))


def licence_of(described: Message) -> str:
    """The licence that a distribution's metadata names: the expression, else the classifiers, else
    the old field's first line.
    """
    expression = described.get("License-Expression")
    if expression:
        return str(expression).strip()
    classified = []
    for value in described.get_all("Classifier") or []:
        parts = [part.strip() for part in str(value).split("::")]
        if parts[0] == "License" and parts[-1] != "OSI Approved" and len(parts) > 1:
            classified.append(parts[-1])
    field = str(described.get("License") or "").strip()
    first = field.splitlines()[0][:100] if field else ""
    return "; ".join(classified) or (first if first != "UNKNOWN" else "")


def redistribution(name: str, licence: str) -> str:
    """Whether a distribution may be passed on, as far as its licence's name says."""
    if CLOSED.search(licence):
        return "restricted"
    if OPEN.search(licence):
        return "allowed"
    return "restricted" if BY_NVIDIA.match(name) else "unread"


def write(rows: Sequence[Licence], folder: Path) -> list[str]:
    """Write licences/index.json; returns the names of what may not simply be passed on."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(rows, key=lambda row: row.name.lower())
    (folder / "index.json").write_text(as_text([asdict(row) for row in ordered]), "utf-8")
    return [row.name for row in ordered if row.redistribution == "restricted"]


def counted(rows: Sequence[Licence]) -> Mapping[str, Any]:
    """How many of each kind, and the names of the unread."""
    kinds = [row.redistribution for row in rows]
    return {
        **{kind: kinds.count(kind) for kind in ("allowed", "restricted", "unread")},
        "unread_names": sorted(row.name for row in rows if row.redistribution == "unread"),
    }


def _is_text(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(TEXTS.search(path.name)) or "licenses" in path.parts[1:-1]


def _keep(archive: zipfile.ZipFile, name: str, home: str, place: Path) -> Path:
    """Write one text; parts of its name can't lead out of the place."""
    if name.endswith("/"):
        return place
    inner = [part for part in name.removeprefix(home).split("/") if part.strip(".")]
    target = place.joinpath(*inner)
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as stream:
        target.write_bytes(stream.read(LONGEST))
    return target
