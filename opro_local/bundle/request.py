"""What a bundle shall hold, and the parts that makes, with their sizes before anything is fetched.

For: finding what is wrong with a request before a byte is fetched, and `--dry-run`. Not for: making
a bundle (making.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opro_local import __version__
from opro_local.bundle.lock import Site, Wheel, chosen, fits, lock_digest, read_lock
from opro_local.errors import DataError, UsageError

# Wheels that vLLM on CUDA wants and no package index has; `vllm download-kernels` or an admin gets
# them, and --wheel brings them along.
KERNELS = ("flashinfer-cubin", "flashinfer-jit-cache")
KERNELS_OF = "flashinfer-python"  # whose version they must have
LICENCE_BYTES = 25_000  # of one distribution, on average; measured over the cpu target


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bundle: its name, bytes and files; an estimate where it has to be made first."""

    name: str
    bytes: int
    files: int
    estimated: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a bundle shall hold.

    Attributes:
        site: where it will be installed.
        extras: what is chosen of the lock besides the target's own packages.
        models: name and folder of each model.
        data: files and folders that come along as they are.
        wheels: further wheels, which the lock does not hold.
        package: the wheel of this program; None builds it from the checkout.
    """

    site: Site
    extras: tuple[str, ...] = ()
    models: tuple[tuple[str, Path], ...] = ()
    data: tuple[Path, ...] = ()
    wheels: tuple[Path, ...] = ()
    package: Path | None = None

    def identity(self) -> dict[str, Any]:
        """What must be equal for a bundle to go on."""
        return {
            **{"program": __version__, "lock": lock_digest(self.site.target)},
            **{"site": asdict(self.site), "extras": list(self.extras)},
            "models": [name for name, _ in self.models],
            "data": [path.name for path in self.data],
            "wheels": [path.name for path in self.wheels],
        }

    def packages(self) -> list[Wheel]:
        """The files of the lock that the site needs, less what `wheels` replaces. Raises
        UsageError.
        """
        return chosen(read_lock(self.site.target), self.site, self.extras, self.brought())

    def brought(self) -> dict[str, str]:
        """The public version of each package that `wheels` brings; none of the lock's is fetched
        for it.
        """
        from packaging.utils import parse_wheel_filename

        names = [parse_wheel_filename(path.name) for path in self.wheels]
        return {str(name): version.public for name, version, _, _ in names}

    def lacks(self) -> list[str]:
        """The kernels that the CUDA target should have and this request does not bring."""
        version, brought = self.kernels_version(), self.brought()
        if version is None:
            return []
        return [f"{name}=={version}" for name in KERNELS if name not in brought]

    def kernels_version(self) -> str | None:
        """The public version that FlashInfer's kernels must have; None where it does not come."""
        locked = {wheel.package: wheel.version for wheel in self.packages()}
        return self.brought().get(KERNELS_OF, locked.get(KERNELS_OF))


def request(
    site: Site,
    extras: Sequence[str] = (),
    models: Sequence[tuple[str, Path]] = (),
    data: Sequence[Path] = (),
    wheels: Sequence[Path] = (),
    package: Path | None = None,
) -> Request:
    """A request whose files are there and whose names do not meet.

    Raises:
        UsageError: the lock has no such site, or two parts would get one name.
        DataError: a file is not there.
    """
    for path in (*data, *wheels, *([package] if package else ())):
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder", "check the path")
    for name, folder in models:
        if not folder.is_dir():
            raise DataError(f"{folder}: is no model folder", f"opro-local models import {folder}")
        if not name or "/" in name:
            raise UsageError(f"{name!r} is no name of a model", "name it by its last part")
    for path in (*wheels, *([package] if package else ())):
        _refuse_unfit(path, site)
    asked = Request(site, tuple(extras), tuple(models), tuple(data), tuple(wheels), package)
    model_names = [name for name, _ in asked.models]
    for names in (model_names, [path.name for path in data], names_of(asked.wheels)):
        _refuse_twice(names)
    _refuse_other_kernels(asked)  # and what the lock lacks is said now
    return asked


def names_of(wheels: Sequence[Path]) -> list[str]:
    """The packages that some wheels hold, by the wheels' names."""
    return [path.name.partition("-")[0].lower().replace("_", "-") for path in wheels]


def parts(asked: Request) -> list[Part]:
    """The parts that a bundle will have. Raises UsageError where the lock can't serve the site."""
    packages = asked.packages()
    brought = sum(path.stat().st_size for path in asked.wheels)
    size = sum(wheel.bytes for wheel in packages) + brought
    lacks = asked.lacks()
    note = f"lacks {', '.join(lacks)}: bring them with --wheel" if lacks else ""
    count = len(packages) + len(asked.wheels)
    came = [Part("packages", size, count, note=note), _program(asked)]
    came += [_tree(f"model {name}", folder) for name, folder in asked.models]
    came += [_tree(f"data {path.name}", path) for path in asked.data]
    if "test" in asked.extras:
        came.append(Part("source and tests", _size(checkout(), ("tests", "docs")), 1, True))
    came.append(Part("licences", LICENCE_BYTES * count, count, True))
    return [*came, Part("lists, sums and installer", 300 * count + 20_000, 6, True)]


def files_below(path: Path) -> list[Path]:
    """The files of a model or a data set, hidden ones left out; links are followed to files, as
    the hub's cache is made of them. Raises DataError for anything
    else, and for a folder without files.
    """
    if path.is_file():
        return [path]
    files = []
    for entry in sorted(path.rglob("*")):
        if any(part.startswith(".") for part in entry.relative_to(path).parts):
            continue
        if entry.is_symlink() and not entry.exists():
            raise DataError(f"{entry}: a link that leads to nothing", "remove or restore it")
        if entry.is_symlink() and entry.is_dir():
            raise DataError(f"{entry}: a link to a folder", "put the folder itself there")
        if entry.is_file():
            files.append(entry)
        elif not entry.is_dir():
            raise DataError(f"{entry}: is no regular file", "move it away")
    if not files:
        raise DataError(f"{path}: holds no file", "check the path")
    return files


def checkout() -> Path | None:
    """The folder of the sources that this program runs from, if it runs from a checkout."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def described(asked: Request) -> dict[str, Any]:
    """What `--dry-run --json` prints."""
    came = parts(asked)
    return {
        **asdict(asked.site),
        "extras": list(asked.extras),
        "parts": [asdict(part) for part in came],
        "bytes": sum(part.bytes for part in came),
        "lacks": asked.lacks(),
    }


def as_text(value: Any) -> str:
    """JSON with one value a line, which install.sh can read without Python."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _program(asked: Request) -> Part:
    if asked.package:
        return Part("opro-local", asked.package.stat().st_size, 1)
    # A wheel is compressed: about a third of its files.
    size = _size(checkout(), ("opro_local", "docs")) // 3
    return Part("opro-local", size, 1, True, f"version {__version__} with its documentation")


def _size(root: Path | None, folders: Sequence[str]) -> int:
    """Bytes of the text files in some folders of the checkout; 0 without one."""
    places = [root / folder for folder in folders] if root else []
    files = [file for place in places for file in place.rglob("*") if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file())


def _tree(name: str, path: Path) -> Part:
    files = files_below(path)
    return Part(name, sum(file.stat().st_size for file in files), len(files))


def _refuse_unfit(path: Path, site: Site) -> None:
    """Raise UsageError for a file that is no wheel, or a wheel that does not run at the site."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        tags = parse_wheel_filename(path.name)[3]
    except InvalidWheelFilename:
        raise UsageError(f"{path}: is no wheel by its name", "name a .whl file") from None
    if not fits(tags, site):
        raise UsageError(
            f"{path}: does not run with Python {site.python} on {site.platform}",
            "bring the wheel for the site's Python and platform",
        )


def _refuse_other_kernels(asked: Request) -> None:
    """Raise UsageError for kernels of another version: FlashInfer refuses them when it starts."""
    wanted, brought = asked.kernels_version(), asked.brought()
    for name in KERNELS:
        if wanted and brought.get(name, wanted) != wanted:
            raise UsageError(
                f"{name} {brought[name]} does not fit {KERNELS_OF} {wanted}",
                f"bring {name} {wanted}",
            )


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name!r} comes twice", "give each another name")
