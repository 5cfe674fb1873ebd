"""Files that readers never see half written.

For: the results that lie in a run's folder. Not for: the store, which has SQLite's own guarantees.
"""

from __future__ import annotations

import os
from pathlib import Path

from opro_local.errors import StoreError


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all, in UTF-8.

    It is written beside its place and moved there, which costs its size on disk once more for a
    moment. After a crash there may be a `.part` file beside an old, whole one. Nothing is flushed
    to disk: what a power cut may take can be made again from the store.

    Raises:
        StoreError: it can't be written.
    """
    part = path.with_suffix(path.suffix + ".part")
    try:
        # A lone surrogate, which a reply may hold, is no UTF-8 and becomes a question mark.
        part.write_text(text.encode("utf-8", "replace").decode(), "utf-8")
        os.replace(part, path)
    except OSError as error:
        raise StoreError(f"{path}: can't be written ({error.strerror})") from None
