"""Write the locks that `opro-local bundle` works from: opro_local/bundle/locks/{cpu,cuda}.json.

For: resolving pyproject.toml with uv, once for each target, and keeping of its lock what a bundle
needs: names, versions, markers, and the size and SHA-256 of each file for Linux. Not for: fetching
a single wheel. The addresses in uv's lock are left out, so that a site's own index serves as well
as PyPI.

    python scripts/lock_bundle.py cuda --uv uv
    python scripts/lock_bundle.py cpu --uv uv --torch-wheels URL_OR_FOLDER --pythons 3.11 3.14

PyPI has no CPU build of PyTorch for Linux, so the cpu target names where it is: PyTorch's own index
of CPU wheels, or a folder with the wheel. The lock then holds the Pythons that are found there.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "opro_local" / "bundle" / "locks"
MACHINES = {"cpu": ("x86_64",), "cuda": ("x86_64", "aarch64")}
# Extras that may be added to a target's own. `installer` is pip for the far side, whose Python may
# come without one; it is no extra of pyproject.toml.
EXTRAS = ("math", "text", "lm-eval", "bundle", "test")
INSTALLER = ["pip>=25.1"]
CPU_TORCH = "torch==2.13.0+cpu"
# Wheels for Linux and a CPython that is asked for; no musl, no free-threaded builds.
WHEEL = re.compile(
    r"""
    - (?: py3 | py2\.py3 | (?:cp|py)3(?P<minor>\d+) )  # the interpreter
    - (?: none | abi3 | cp3\d+ )                     # no "t" after it
    - (?: any | (?: (?:many)?linux [\w.]* ) ) \.whl $
    """,
    re.VERBOSE,
)


def described(kind: str, pythons: list[str], torch_wheels: str) -> str:
    """The pyproject.toml that uv resolves for a target."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    own = list(extras[kind])
    if kind == "cpu":
        own = [CPU_TORCH if name.startswith("torch") else name for name in own]
    low, high = pythons[0], pythons[-1]
    after = f"{high.split('.')[0]}.{int(high.split('.')[1]) + 1}"
    tables = {extra: extras[extra] for extra in EXTRAS if extra in extras}
    machines = [
        f"sys_platform == 'linux' and platform_machine == '{machine}'" for machine in MACHINES[kind]
    ]
    lines = [
        *("[project]", 'name = "opro-local"', f"version = {json.dumps(project['version'])}"),
        f'requires-python = ">={low},<{after}"',
        f"dependencies = {json.dumps(project['dependencies'])}",
        "[project.optional-dependencies]",
        f"{kind} = {json.dumps(own)}",
        f"installer = {json.dumps(INSTALLER)}",
        *(f"{extra} = {json.dumps(needs)}" for extra, needs in tables.items()),
        *("[tool.uv]", "package = false", f"environments = {json.dumps(machines)}"),
    ]
    if kind == "cpu":
        shape = 'format = "flat"' if Path(torch_wheels).is_dir() else ""
        lines += ["[[tool.uv.index]]", 'name = "torch-cpu"', f"url = {json.dumps(torch_wheels)}"]
        lines += [shape, "explicit = true", "[tool.uv.sources]", 'torch = { index = "torch-cpu" }']
    return "\n".join(lines) + "\n"


def exported(uv: str, folder: Path, extras: list[str]) -> list[dict[str, Any]]:
    """The packages that some extras need, as pylock.toml says them."""
    command = [uv, "export", "--quiet", "--frozen", "--no-emit-project", "--format", "pylock.toml"]
    for extra in extras:
        command += ["--extra", extra]
    text = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return tomllib.loads(text)["packages"]


def files_of(package: dict[str, Any], minors: set[int]) -> list[list[Any]]:
    """Name, bytes and SHA-256 of a package's wheels for Linux; of its source where there is none."""
    chosen = []
    for wheel in package.get("wheels", []):
        name = unquote(wheel["url"].rpartition("/")[2])
        fits = WHEEL.search(name)
        minor = int(fits["minor"]) if fits and fits["minor"] else 0
        if not fits or (minor and minor not in minors and "-abi3-" not in name):
            continue
        # An index of files says no sizes; a folder is asked for them.
        size = wheel.get("size") or Path(urlsplit(unquote(wheel["url"])).path).stat().st_size
        chosen.append([name, size, wheel["hashes"]["sha256"]])
    source = package.get("sdist")
    if not chosen and source:
        name = unquote(source["url"].rpartition("/")[2])
        chosen.append([name, source["size"], source["hashes"]["sha256"]])
    return sorted(chosen)


def lock(kind: str, uv: str, folder: Path, minors: set[int]) -> list[dict[str, Any]]:
    """Every package of a target with its files and the extras that need it; none named is needed
    always.
    """
    base = {package["name"] for package in exported(uv, folder, [kind])}
    needing: dict[str, list[str]] = {}
    for extra in ("installer", *EXTRAS):
        for package in exported(uv, folder, [kind, extra]):
            if package["name"] not in base:
                needing.setdefault(package["name"], []).append(extra)
    packages = []
    for package in exported(uv, folder, [kind, "installer", *EXTRAS]):
        files = files_of(package, minors)
        if not files:
            sys.exit(f"{package['name']} {package['version']}: no file for Linux")
        packages.append(
            {
                **{"name": package["name"], "version": package["version"]},
                **{"marker": package.get("marker", ""), "extras": needing.get(package["name"], [])},
                "files": files,
            }
        )
    return packages


def written(kind: str, pythons: list[str], packages: list[dict[str, Any]]) -> str:
    """The lock's text: one file a line, so that a change of one is one line of a diff."""
    head = json.dumps(
        {"version": 1, "target": kind, "pythons": pythons, "machines": MACHINES[kind]}
    )
    blocks = []
    for package in packages:
        plain = {key: value for key, value in package.items() if key != "files"}
        rows = ",\n".join("  " + json.dumps(row) for row in package["files"])
        blocks.append(f'{json.dumps(plain)[:-1]}, "files": [\n{rows}]}}')
    return f'{head[:-1]}, "packages": [\n' + ",\n".join(blocks) + "\n]}\n"


def main() -> None:
    """Resolve and write one target's lock."""
    parser = argparse.ArgumentParser(description="Write opro_local/bundle/locks/TARGET.json.")
    parser.add_argument("target", choices=sorted(MACHINES))
    parser.add_argument("--uv", default="uv", help="the program uv")
    parser.add_argument("--torch-wheels", default="", help="where PyTorch's CPU wheels are")
    parser.add_argument("--pythons", nargs=2, default=["3.11", "3.14"], metavar=("LOW", "HIGH"))
    asked = parser.parse_args()
    if asked.target == "cpu" and not asked.torch_wheels:
        parser.error("the cpu target needs --torch-wheels: an index or a folder of CPU wheels")
    low, high = (int(python.split(".")[1]) for python in asked.pythons)
    minors = set(range(low, high + 1))
    pythons = [f"3.{minor}" for minor in sorted(minors)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = described(asked.target, pythons, asked.torch_wheels)
        (folder / "pyproject.toml").write_text(text, "utf-8")
        subprocess.run([asked.uv, "lock", "--quiet"], cwd=folder, check=True)
        packages = lock(asked.target, asked.uv, folder, minors)
    place = LOCKS / f"{asked.target}.json"
    place.write_text(written(asked.target, pythons, packages), "utf-8")
    print(f"{place.relative_to(ROOT)}: {len(packages)} packages")


if __name__ == "__main__":
    main()
