"""A tiny made-up bundle: two wheels, a model of three files and a table, in milliseconds."""

from __future__ import annotations

import ensurepip
import json
import platform
import sys
import zipfile
from pathlib import Path

import pytest

from opro_local.bundle import lock
from opro_local.bundle.lock import Site
from opro_local.bundle.making import Bundle, make
from opro_local.bundle.request import Request, request

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PLATFORM = f"manylinux_2_17_{platform.machine()}"
PROGRAM = """
import sys
def main():
    print("tiny", *sys.argv[1:])
"""


def wheel(folder: Path, name: str, licence: str = "MIT", code: str = "") -> Path:
    """Write a wheel of one module that installs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": metadata + (f"License: {licence}\n" if licence else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/LICENSE": f"{licence}, all of it",
    }
    if code:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\nopro-local = {name}:main\n"
    files[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in files.items():
            archive.writestr(each, text)
    return path


def pip_wheel() -> Path:
    """The wheel of pip that Python carries; skips the calling test where it carries none."""
    bundled = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not bundled:
        pytest.skip("this Python carries no wheel of pip")
    return bundled[-1]


def empty_lock(folder: Path, monkeypatch, packages: tuple[dict, ...] = ()) -> None:
    """Let the package's lock of the cpu target be another."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {"pythons": [PYTHON], "machines": [platform.machine()], "packages": list(packages)}
    (folder / "cpu.json").write_text(json.dumps(said))
    monkeypatch.setattr(lock, "LOCKS", folder)


def tiny_request(folder: Path, *more: Path) -> Request:
    """A request for two wheels, a model and a table."""
    model = folder / "source" / "model"
    model.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "model-00001.safetensors", "model-00002.safetensors"):
        (model / name).write_bytes(name.encode() * 100)
    table = folder / "source" / "rows.csv"
    table.write_text("text,label\ngood,positive\n")
    place = folder / "source" / "wheels"
    return request(
        Site("cpu", PYTHON, PLATFORM),
        models=[("tiny-model", model)],
        data=[table],
        wheels=[wheel(place, "tiny_one"), *more],
        package=wheel(place, "opro_local", code=PROGRAM),
    )


def tiny_bundle(folder: Path, monkeypatch, *more: Path, key: Path | None = None) -> Bundle:
    """Make it, without a list in CycloneDX."""
    empty_lock(folder / "locks", monkeypatch)
    asked = tiny_request(folder, *more)
    return make(asked, folder / "bundle", lambda line: None, key=key, with_sbom=False)
