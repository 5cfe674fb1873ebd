"""Values that a run does not keep, and of which it yet notices a change: the variables that the
config gives to the user's program.

For: a digest of them under a key that lies elsewhere, and whether two digests tell a change. Not
for: handing the values to the program (programs/).

A plain digest would give short secrets away to whoever tries all of them, and so would a key or a
salt that lies in the run. The key is the user's: 32 random bytes in the folder of the cache, made
when first needed. Where it is missing or another one, values can't be compared, and the run says
so.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import StoreError
from opro_local.files import PRIVATE_FOLDER, open_private
from opro_local.runs import cache

VARIABLES = "environment"  # the digest's name in an identity
HIDDEN = "**********"  # what pydantic writes for a SecretStr that is not empty
KEY = "key"
KEY_BYTES = 32


def seal(values: Mapping[str, str]) -> str:
    """A digest of the values that tells them to nobody without the user's key: "KEY:DIGEST", 16 hex
    digits each; "" where there is no key.
    """
    key = _user_key()
    if key is None:
        return ""
    text = json.dumps(values, sort_keys=True)
    return f"{_digest(key, 'which key')}:{_digest(key, text)}"


def known_identity(
    identity: Mapping[str, str], config: Mapping[str, Any], now: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """A run's identity as it can be compared with what it would be now.

    Args:
        identity, config: as the run keeps them. Builds before 0.1 kept the values in the config.
        now: the identity of the plan that would go on.

    Returns:
        the identity; and a line for the user where the values can't be compared, else "".
    """
    known = dict(identity)
    values = config.get("problem", {}).get("environment") or {}
    if VARIABLES not in known and set(values.values()) - {"", HIDDEN}:
        known[VARIABLES] = seal(values)
    before, after = known.get(VARIABLES), now.get(VARIABLES)
    if before is None or after is None or before == after or _have_one_key(before, after):
        return known, ""
    known[VARIABLES] = after
    return known, (
        "whether the values of problem.environment are those the run began with is not known: "
        f"the key in {KEY} of the cache's folder is another one or missing"
    )


def _have_one_key(before: str, now: str) -> bool:
    return bool(before) and before.partition(":")[0] == now.partition(":")[0]


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def _user_key() -> bytes | None:
    """The user's key, made where there is none; None where it can't be kept or is not theirs."""
    try:
        file = cache.place() / KEY
        if not file.exists():
            _make_key(file)
        handle = open_private(file, os.O_RDONLY)
        with os.fdopen(handle, "rb") as stream:
            is_own = os.fstat(handle).st_uid == os.geteuid()
            key = stream.read(KEY_BYTES + 1)
    except (OSError, StoreError):
        return None
    return key if is_own and len(key) == KEY_BYTES else None


def _make_key(file: Path) -> None:
    """Make the key whole: of two processes that do it at once, both take the first one's."""
    file.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    part = file.with_name(f".{KEY}.{secrets.token_hex(8)}")
    handle = open_private(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(part, file)
    finally:
        part.unlink()
