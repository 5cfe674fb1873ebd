"""The checks of GPUs: whether there is one, its driver, CUDA and capability, who holds its memory.

For: reading what nvidia-smi says. Not for: what fits a GPU (placement/).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from opro_local.doctor.finding import Finding, failure, fine, warning
from opro_local.doctor.machine import Machine

# vLLM's wheels are built for CUDA 13.0 since 0.20, and for these GPUs (docs/engines.md).
LEAST_DRIVER, LEAST_CUDA, LEAST_CAPABILITY = 580, 13.0, 7.5
BFLOAT16 = 8.0  # the capability from which on a GPU computes in it
MIB, GIB = 1 << 20, 1 << 30
MUCH_USED = 0.1  # of a GPU's memory; a desktop takes a few percent
CUDA = re.compile(r"CUDA (?: \s UMD )? \s Version: \s* (?P<version> \d+ \. \d+ )", re.VERBOSE)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
CPU_ONLY = "models run on the processor, which is slow"


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU as nvidia-smi lists it; memory in bytes, None where it is not told."""

    name: str
    driver: str
    capability: float | None
    total: int | None
    free: int | None
    uuid: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A process on a GPU; memory in bytes, None where it is not told."""

    uuid: str
    pid: str
    name: str
    memory: int | None


def check_gpu(machine: Machine) -> Iterator[Finding]:
    """Whether there is a GPU that runs may use."""
    if machine.nvidia is None and machine.devices:
        yield warning(
            "gpu",
            f"the driver's devices are there ({', '.join(machine.devices)}), nvidia-smi is not",
            "in a container, start it with NVIDIA's container toolkit (--gpus all)",
        )
    elif machine.nvidia is None:
        text = f"no NVIDIA GPU here (no nvidia-smi): {CPU_ONLY}"
        yield warning("gpu", text, "take small models, or a machine with one")
    elif machine.nvidia.error:
        yield failure(
            "gpu",
            f"nvidia-smi does not answer: {machine.nvidia.error}",
            "after a change of driver restart the machine; in a container match the host's driver",
        )
    elif not machine.has_gpu:
        yield warning("gpu", f"nvidia-smi lists no GPU: {CPU_ONLY}", "is one passed through?")
    elif machine.visible is not None and (machine.visible or [""])[0] in ("", "-1"):
        yield warning("gpu", "CUDA_VISIBLE_DEVICES hides all GPUs", "unset it to use them")
    else:
        cards = read_cards(machine)
        yield fine("gpu", ", ".join(f"{card.name} ({_gib(card.total)})" for card in cards))


def check_driver(machine: Machine) -> Iterator[Finding]:
    """Whether the driver is new enough for vLLM's wheels."""
    for version in sorted({card.driver for card in read_cards(machine)}):
        major = NUMBER.match(version)
        if major is None:
            yield warning("driver", f"version not told ({version})", "see nvidia-smi")
        elif int(float(major[0])) >= LEAST_DRIVER:
            yield fine("driver", version)
        else:
            yield _too_old(machine, "driver", f"{version}, and vLLM's wheels need {LEAST_DRIVER}")


def check_cuda(machine: Machine) -> Iterator[Finding]:
    """Whether the driver speaks the CUDA version that vLLM is built for."""
    if not machine.has_gpu or machine.nvidia is None:
        return
    said = CUDA.search(machine.nvidia.banner)
    if said is None:
        yield warning("cuda", "nvidia-smi tells no CUDA version", "see the driver's version")
    elif float(said["version"]) >= LEAST_CUDA:
        yield fine("cuda", f"the driver supports {said['version']}")
    else:
        yield _too_old(machine, "cuda", f"{said['version']}, and vLLM's wheels need {LEAST_CUDA}")


def _too_old(machine: Machine, name: str, what: str) -> Finding:
    """A driver that is too old ends a run only where there is a vLLM that needs a newer one."""
    todo = f"install NVIDIA's driver {LEAST_DRIVER} or newer on the host"
    if "vllm" in machine.versions:
        return failure(name, what, todo)
    return warning(name, what, todo)


def check_capability(machine: Machine) -> Iterator[Finding]:
    """Whether vLLM has kernels for the GPU."""
    for name, capability in sorted({(c.name, c.capability) for c in read_cards(machine)}, key=str):
        if capability is None:
            yield warning("capability", f"{name}: not told", "it should be 7.5 (Turing) or newer")
        elif capability < LEAST_CAPABILITY:
            text = f"{name}: {capability}, and vLLM needs {LEAST_CAPABILITY} (Turing) or newer"
            yield warning("capability", text, "run with --engine transformers, or on another GPU")
        elif capability < BFLOAT16:
            text = f"{name}: {capability}, which has no bfloat16"
            yield warning("capability", text, 'set scorer.dtype = "float16" for bfloat16 models')
        else:
            yield fine("capability", f"{name}: {capability}")


def check_gpu_memory(machine: Machine) -> Iterator[Finding]:
    """How much of each GPU is free, and who holds the rest."""
    holders = read_holders(machine)
    for number, card in enumerate(read_cards(machine)):
        name = f"gpu memory {number}"
        if card.total is None or card.free is None:
            yield warning(name, f"{card.name}: not told", "parts of a GPU (MIG) are named in full")
            continue
        text = f"{_gib(card.free)} of {_gib(card.total)} free"
        own = [holder for holder in holders if holder.uuid == card.uuid]
        by = ", ".join(f"{h.name} (pid {h.pid}, {_gib(h.memory)})" for h in own)
        if card.total - card.free <= MUCH_USED * card.total:
            yield fine(name, f"{text}{by and f', held by {by}'}")
        else:
            held = f"held by {by}" if by else "nvidia-smi does not tell who holds the rest"
            yield warning(name, f"{text}; {held}", "end it, or set gpu_memory lower")


def read_cards(machine: Machine) -> list[Card]:
    """The GPUs in nvidia-smi's answer; lines of another form are left out."""
    text = machine.nvidia.gpus if machine.nvidia else ""
    cards = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) >= 6:
            # A name may have a comma; what follows it has none.
            *name, driver, capability, total, free, uuid = (cell.strip() for cell in row)
            sizes = _mib(total), _mib(free)
            cards.append(Card(", ".join(name), driver, _number(capability), *sizes, uuid))
    return cards


def read_holders(machine: Machine) -> list[Holder]:
    """The processes in nvidia-smi's answer; lines of another form are left out."""
    text = machine.nvidia.holders if machine.nvidia else ""
    holders = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) >= 4:
            uuid, pid, *name, memory = (cell.strip() for cell in row)
            holders.append(Holder(uuid, pid, ", ".join(name), _mib(memory)))
    return holders


def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) else None


def _mib(text: str) -> int | None:
    number = _number(text)
    return None if number is None else int(number * MIB)


def _gib(size: int | None) -> str:
    return "not told" if size is None else f"{size / GIB:.1f} GiB"
