"""What kind of file system a folder is on.

For: choosing SQLite's journal. A write-ahead log needs memory that all processes share, which a
network's file system does not give: two machines would damage the file. Not for: anything else
about disks.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from opro_local.runs.database import Journal

MOUNTS = Path("/proc/self/mountinfo")
# Names as the kernel gives them; every user-space file system begins with "fuse.".
NETWORK = re.compile(
    r"""
    nfs\d* | cifs | smb\d* | smbfs | lustre | gpfs | beegfs | ceph | afs | ncpfs | 9p | virtiofs
    | gfs2 | ocfs2 | pvfs2 | orangefs | glusterfs | panfs | wekafs | fuse (?: \. .* )?
    """,
    re.VERBOSE,
)
# The journal that is used whatever the mount says: "wal" or "delete".
FORCED = "OPRO_JOURNAL"


def journal_for(path: Path) -> tuple[Journal, str]:
    """The journal for a file in this folder.

    Returns:
        the journal, and the network file system that is the reason for "delete", else "".
    """
    forced = os.environ.get(FORCED, "")
    if forced == "wal":
        return "wal", ""
    if forced == "delete":
        return "delete", f"a file system treated as a network's ({FORCED}=delete)"
    kind = network_kind(path)
    return ("delete", kind) if kind else ("wal", "")


def network_kind(path: Path) -> str:
    """The type of the network file system that holds the path; empty for a disk of this machine."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    place, kind = "", ""
    for line in lines:
        mount, type_ = _mount(line)
        # Of mounts on one place the last one is what is seen.
        if len(mount) >= len(place) and _is_under(os.path.realpath(path), mount):
            place, kind = mount, type_
    return kind if NETWORK.fullmatch(kind) else ""


def _mount(line: str) -> tuple[str, str]:
    """Where a line of mountinfo mounts what type; see proc(5)."""
    own, _, rest = line.partition(" - ")
    fields, types = own.split(" "), rest.split(" ")
    if len(fields) < 5 or not types[0]:
        return "", ""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]), types[0]


def _is_under(path: str, mount: str) -> bool:
    return bool(mount) and (path == mount or path.startswith(mount.rstrip("/") + "/"))
