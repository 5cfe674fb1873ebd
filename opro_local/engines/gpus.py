"""Which NVIDIA GPUs this process would use, and how much of their memory and of the host's is free.

For: asking the driver's own program and the kernel, so that the run imports no torch. Not for:
deciding what goes where.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
QUERY = "--query-gpu=name,memory.total,memory.free"
SECONDS = 20
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; memory in bytes, `free` of `total`."""

    name: str
    total: int
    free: int


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order; none where nvidia-smi is missing or
    can't tell.
    """
    names = visible_devices()
    program = shutil.which("nvidia-smi")
    if program is None or (names is not None and names[0] in ("", "-1")):
        return ()
    # One call per GPU: given a list, nvidia-smi answers in its own order. Without names, one call
    # tells of all.
    selections = [["-i", name] for name in names or ()] or [[]]
    found: list[Gpu] = []
    for selection in selections:
        try:
            answer = subprocess.run(
                [program, QUERY, "--format=csv,noheader,nounits", *selection],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=True,
            )
            found += [_gpu(line) for line in answer.stdout.splitlines() if line.strip()]
        except (OSError, subprocess.SubprocessError, ValueError):
            return ()
    return tuple(found)


def host_memory() -> int:
    """Bytes of host memory that this process could still take, within its container's limit."""
    lines = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) << 10  # the kernel counts in KiB
    try:
        limit, used = (
            (CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current")
        )
    except OSError:
        return free  # no container, or one without a memory limit of its own
    return free if limit == "max" else max(0, min(free, int(limit) - int(used)))


def visible_devices() -> list[str] | None:
    """The names in CUDA_VISIBLE_DEVICES, in its order; None where it is not set."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if named is None else [part.strip() for part in named.split(",")]


def _gpu(line: str) -> Gpu:
    """Read "NVIDIA H100 80GB HBM3, 81559, 81079": a name, and MiB in total and free. Raises
    ValueError.
    """
    name, total, free = line.rsplit(",", 2)
    return Gpu(name.strip(), int(total) * MIB, int(free) * MIB)
