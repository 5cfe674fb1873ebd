"""The list of a bundle's packages in CycloneDX, made by cyclonedx-py.

For: calling that program and adding each package's licence. Not for: making such a list without it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from opro_local.bundle.licences import Licence
from opro_local.errors import UsageError

PROGRAM = "cyclonedx-py"
FILE = "sbom.cdx.json"


def program() -> str:
    """Where cyclonedx-py is: beside this Python, or on the PATH. Raises UsageError."""
    beside = Path(sys.executable).with_name(PROGRAM)
    place = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if not place:
        raise UsageError(
            f"{PROGRAM} is not installed, which lists the packages",
            "pip install 'opro-local[bundle]', or leave the list out with --no-sbom",
        )
    return place


def write(requirements: Path, output: Path, licences: Mapping[str, Licence]) -> int:
    """Write the list of a requirements file's packages; returns how many it holds.

    Raises:
        UsageError: cyclonedx-py is not there, failed, or left a package out.
    """
    command = [program(), "requirements", str(requirements), "--output-reproducible"]
    command += ["--output-format", "JSON", "--output-file", str(output)]
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if answer.returncode:
        why = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UsageError(f"{PROGRAM} failed ({why[:200]})", "or leave the list out: --no-sbom")
    listed = json.loads(output.read_text("utf-8"))
    components = listed.get("components", [])
    names = {normal(component["name"]) for component in components}
    missing = sorted(set(licences).difference(names))
    if missing:
        raise UsageError(f"{PROGRAM} left out {', '.join(missing)}", "this is a fault of the list")
    for component in components:
        row = licences.get(normal(component["name"]))
        if row and row.licence:
            component["licenses"] = [{"license": {"name": row.licence}}]
    output.write_text(json.dumps(listed, indent=1) + "\n", "utf-8")
    return len(components)


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
