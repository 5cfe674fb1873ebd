"""A signature over a bundle's SHA256SUMS, by ssh-keygen and a site's own key.

For: signing; `verify.py` checks. Not for: keys, which the site makes and keeps.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from opro_local.bundle.verify import NAMESPACE
from opro_local.errors import DataError, UsageError


def program() -> str:
    """Where ssh-keygen is. Raises UsageError."""
    place = shutil.which("ssh-keygen")
    if not place:
        raise UsageError("ssh-keygen is not here, which signs", "leave --sign out, or install it")
    return place


def sign(sums: Path, key: Path) -> Path:
    """Sign a file of checksums; returns the signature's file, beside it.

    Raises:
        DataError: the key is not there or does not sign (a key with a passphrase needs an agent).
    """
    signature = sums.with_name(sums.name + ".sig")
    signature.unlink(missing_ok=True)
    command = [program(), "-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key), str(sums)]
    answer = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if answer.returncode or not signature.is_file():
        why = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DataError(f"{key}: does not sign ({why[:200]})", "name a private key of ssh-keygen")
    return signature
