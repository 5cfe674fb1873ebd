"""The wheelhouse of a bundle: fetched by pip from where pip is set to fetch, each file by its
digest.

For: fetching what is not there yet, building the few packages that have no wheel, this program's
own wheel and its sources. Not for: choosing files (lock.py).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from opro_local.bundle.lock import Site, Wheel
from opro_local.bundle.request import checkout
from opro_local.errors import DataError, UsageError

GROUP = 256 << 20  # bytes fetched by one pip, and so what a kill loses at most, one wheel aside
MOST = 40  # packages fetched by one pip
CPU_BUILDS = "PyPI has no CPU build of PyTorch: name its index with PIP_EXTRA_INDEX_URL"


def fetch(wheels: Sequence[Wheel], folder: Path, site: Site, say: Callable[[str], None]) -> None:
    """Bring the files of a lock into a folder; what is there with the right digest stays.

    Args:
        wheels: what the site needs.
        folder: the wheelhouse.
        site: whose Python and platform pip is told.
        say: is given a line of progress.

    Raises:
        UsageError: pip is not there, or did not get a file.
    """
    part = folder.with_name(".part")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)  # what a kill left half done
    part.mkdir()
    missing = [wheel for wheel in wheels if not is_there(wheel, folder)]
    total, done = sum(wheel.bytes for wheel in missing), 0
    for group in _groups([wheel for wheel in missing if not wheel.is_source]):
        done += sum(wheel.bytes for wheel in group)
        say(f"packages: {len(group)} more, {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")
        _download(group, part, site)
        for wheel in group:
            os.replace(part / wheel.name, folder / wheel.name)
    for wheel in missing:
        if wheel.is_source:
            say(f"packages: building {wheel.package} {wheel.version}, which has no wheel")
            _build(wheel, part, folder)
    shutil.rmtree(part)


def is_there(wheel: Wheel, folder: Path) -> bool:
    """Whether the folder holds the file with the bytes that the lock says."""
    path = folder / wheel.name
    if not path.is_file() or path.stat().st_size != wheel.bytes:
        return False
    return sha256_of(path) == wheel.sha256


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def build_program(folder: Path) -> Path:
    """This program's wheel, with its documentation, built from the checkout.

    Raises:
        UsageError: this is no checkout, or the build failed.
    """
    return _hatch("wheel", folder, "*.whl")


def build_source(folder: Path) -> Path:
    """The sources with the tests, as an archive. Raises UsageError as `build_program` does."""
    return _hatch("sdist", folder, "*.tar.gz")


def _hatch(kind: str, folder: Path, pattern: str) -> Path:
    root = checkout()
    if root is None:
        raise UsageError(
            "the program runs from an installed wheel and can't build itself",
            "name that wheel: --package opro_local-VERSION-py3-none-any.whl",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for older in folder.glob(f"opro_local-{pattern}"):
        older.unlink()
    if importlib.util.find_spec("hatchling"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    elif kind == "wheel":
        command = [*_pip(), "wheel", "--no-deps", "-w", str(folder), str(root)]
    else:
        raise UsageError("hatchling is not installed", "pip install 'opro-local[test]'")
    _run(command, f"the {kind} of opro-local can't be built", root)
    return next(folder.glob(f"opro_local-{pattern}"))


def _groups(wheels: Sequence[Wheel]) -> Iterator[list[Wheel]]:
    """The wheels in groups of limited size; each large one alone."""
    group: list[Wheel] = []
    for wheel in wheels:
        if group and (len(group) == MOST or sum(w.bytes for w in group) + wheel.bytes > GROUP):
            yield group
            group = []
        group.append(wheel)
    if group:
        yield group


def _download(group: Sequence[Wheel], part: Path, site: Site) -> None:
    """Let pip fetch a group; each file is asked for by its digest. Raises UsageError."""
    name = f"cp{site.python.replace('.', '')}"
    command = [*_pip(), "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--implementation", "cp", "--python-version", site.python]
    for abi in (name, "abi3", "none"):
        command += ["--abi", abi]
    for platform in site.platforms:
        command += ["--platform", platform]
    hint = CPU_BUILDS if any("+cpu" in wheel.version for wheel in group) else ""
    _run([*command, *_asked(group, part)], "the packages were not fetched", None, hint)
    for wheel in group:
        if not is_there(wheel, part):
            raise UsageError(f"pip did not bring {wheel.name}", "run the same command again")


def _build(wheel: Wheel, part: Path, folder: Path) -> None:
    """Build a package's wheel from its locked source. Raises UsageError where it is not pure."""
    for older in folder.glob(f"{wheel.package.replace('-', '_')}-{wheel.version}-*.whl"):
        older.unlink()
    command = [*_pip(), "wheel", "--no-deps", "--require-hashes", *_asked([wheel], part)]
    _run(command, f"{wheel.package} {wheel.version} has no wheel and can't be built")
    (built,) = part.glob("*.whl")
    if not built.name.endswith("-none-any.whl"):
        built.unlink()
        raise UsageError(f"{wheel.package} {wheel.version} has no wheel for another machine")
    os.replace(built, folder / built.name)


def _asked(wheels: Sequence[Wheel], part: Path) -> list[str]:
    """What pip is asked for, by way of a file: a command line has an end."""
    lines = [f"{w.package}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels]
    asked = part / "asked.txt"
    asked.write_text("".join(lines), "utf-8")
    folder = "-d" if wheels and not wheels[0].is_source else "-w"
    return ["--quiet", "--no-input", "-r", str(asked), folder, str(part)]


def _pip() -> list[str]:
    if not importlib.util.find_spec("pip"):
        raise UsageError("pip is not in this environment", "python -m ensurepip")
    return [sys.executable, "-m", "pip"]


def _run(command: Sequence[str], what: str, folder: Path | None = None, hint: str = "") -> None:
    answer = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
    )
    if answer.returncode:
        lines = [line for line in answer.stderr.splitlines() if line.startswith("ERROR")]
        why = (lines or answer.stderr.strip().splitlines() or [""])[-1]
        why = why.removeprefix("ERROR: ")
        advice = hint or "check pip's index; the same command goes on where this stopped"
        raise DataError(f"{what} ({why[:300]})", advice)
