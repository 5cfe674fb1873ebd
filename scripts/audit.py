"""Say which installed distributions have known weaknesses, by pip-audit and the advisories of PyPI.

For: scripts/test.sh, which runs this where advisories can be reached and is told aloud where they
can't. New advisories come by themselves, so they are printed and fail nothing, unless `--strict`
asks for it. Not for: the package itself, which reaches no network.

    python scripts/audit.py [--strict]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SECONDS = 10  # for each answer of the index


def main() -> int:
    """Audit this environment; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--strict", action="store_true", help="exit with 1 if there are any")
    strict = parser.parse_args().strict
    if importlib.util.find_spec("pip_audit") is None:
        print("pip-audit SKIPPED: it is not installed (pip install 'opro-local[audit]')")
        return 0
    lines, weak = report(*asked())
    print("\n".join(lines))
    return 1 if strict and weak else 0


def asked() -> tuple[str, str]:
    """What pip-audit says of this environment: JSON, and its complaints."""
    options = [
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--timeout",
        str(SECONDS),
        "--local",
    ]
    command = [sys.executable, "-m", "pip_audit", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


def report(said: str, complaints: str) -> tuple[list[str], int]:
    """The lines to print, and how many weaknesses they name."""
    try:
        dependencies: Sequence[Mapping[str, Any]] = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        dependencies = ()
    known = [one for one in dependencies if "vulns" in one and "skip_reason" not in one]
    if not known:
        reasons = [one["skip_reason"] for one in dependencies if "skip_reason" in one]
        reasons += complaints.strip().splitlines()[-1:]
        why = reasons[0] if reasons else "it said nothing"
        return [f"pip-audit SKIPPED: no advisories were reached ({why[:200]})"], 0
    weak = [
        f"WARNING: {one['name']} {one['version']}: {found['id']}"
        f" (fixed in {', '.join(found['fix_versions']) or 'no version yet'})"
        for one in known
        for found in one["vulns"]
    ]
    unknown = len(dependencies) - len(known)
    counted = (
        f"{len(known)} distributions, {len(weak)} known weaknesses, {unknown} not on the index"
    )
    return [*weak, f"pip-audit: {counted}"], len(weak)


if __name__ == "__main__":
    sys.exit(main())
