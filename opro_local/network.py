"""What keeps the process off the network, and says who would have gone there.

For: environment switches set before any heavy import, and a guard that refuses every connection off
this machine and names the line that asked for it. Not for: models on disk (models/offline.py), or
servers that a config names (engines/openai_server.py).

The guard sees Python's own sockets and name lookups. What a library does in C it does not see; a
network namespace is the proof there (docs/air-gap.md).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from types import FrameType
from typing import Any

from opro_local.errors import OproError

# A port that nothing listens on: a fetch from there fails at once, without leaving the machine.
NOWHERE = "http://127.0.0.1:9"
SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_USE_MODELSCOPE": "False",
    # FlashInfer fetches kernels, and vLLM asks whether their host is there
    # (has_nvidia_artifactory in vllm/utils/flashinfer.py).
    "FLASHINFER_NO_DOWNLOAD": "1",
    "FLASHINFER_CUBINS_REPOSITORY": NOWHERE,
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",  # trackio is built on gradio
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "true",
}
# What these read from the environment when they were imported, where they were imported before.
CONSTANTS = {
    "huggingface_hub.constants": ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"),
    "datasets.config": ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"),
}
# Says in the environment that the guard is on, and which hosts it lets through: this process's
# workers read it.
GUARD = "OPRO_LOCAL_GUARD"
QUESTION = "opro_local.guard"  # the event by which the guard is asked whether it is up
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")
# Sockets whose every address is looked at, and those that stay in this machine. All others speak to
# a network card, a hypervisor or a bus: AF_PACKET, AF_VSOCK, AF_BLUETOOTH, AF_CAN and the like.
INTERNET = (socket.AF_INET, socket.AF_INET6)
LOCAL = (socket.AF_UNIX, socket.AF_NETLINK, socket.AF_ALG)
OF_A_DESCRIPTOR = -1  # what Python calls the family of a socket that exists already


class NetworkError(OproError):
    """Something tried to leave the machine while the guard was on."""

    exit_code = 3


def switch_off_network() -> None:
    """Set the offline switches of every library used, in those too that are imported already."""
    os.environ.update(SWITCHES)
    for module, names in CONSTANTS.items():
        for name in names:
            if hasattr(sys.modules.get(module), name):
                setattr(sys.modules[module], name, True)


def guard(hosts: Collection[str] = ()) -> None:
    """From now on refuse every connection and name lookup off this machine, in this process and in
    the workers that it starts.

    There is no way back for as long as the process lives. A second call adds hosts.

    Args:
        hosts: names or addresses that may be spoken to all the same.
    """
    known = [*os.environ.get(GUARD, "").split(","), *hosts]
    os.environ[GUARD] = ",".join(sorted({host for host in known if host}))
    if not is_guarded():
        sys.addaudithook(_refuse_off_machine())


def guard_if_asked() -> None:
    """Put the guard up if the environment says so: a parent's guard is its workers' too."""
    if GUARD in os.environ:
        guard()


def is_guarded() -> bool:
    """Whether the guard is up in this process."""
    answers: list[bool] = []
    sys.audit(QUESTION, answers)
    return bool(answers)


def _refuse_off_machine() -> Callable[[str, tuple[Any, ...]], None]:
    """The audit hook; it looks hosts up that the environment names when it first meets an address.

    Its own lookups pass: of names that are let through alone.
    """
    addresses: dict[str, set[str]] = {}

    def allowed() -> set[str]:
        hosts = os.environ.get(GUARD, "")
        if hosts not in addresses:
            names = {host for host in hosts.split(",") if host}
            # Kept before the lookup, which comes by here again.
            addresses[hosts] = names
            addresses[hosts] = names.union(*map(addresses_of, names))
        return addresses[hosts]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        # Called for everything that is opened, imported or run: quick where nothing is to be said.
        if not event.startswith("socket."):
            if event == QUESTION:
                arguments[0].append(True)
            return
        host = _asked_host(event, arguments)
        if host and not is_here(host) and host not in allowed():
            culprit = _culprit(sys._getframe(1))
            message = f"the guard refused a connection to {host!a}, asked for by {culprit}"
            # Said here too, as libraries may swallow what is raised.
            sys.stderr.write(f"opro-local: {message}\n")
            raise NetworkError(message, "name the host in run.allowed_hosts if it may be spoken to")

    return hook


def _asked_host(event: str, arguments: tuple[Any, ...]) -> str:
    """The host that an audit event of sockets is about; "" for none."""
    if event in LOOKUPS:
        host = arguments[0]
    elif event == "socket.getnameinfo":  # asks a name server whose address it is
        host = arguments[0][0]
    elif event == "socket.__new__":
        host = "" if arguments[1] == OF_A_DESCRIPTOR else _foreign_family(arguments[1])
    elif event in SENDING and arguments[0].family in INTERNET:
        host = arguments[1][0] if arguments[1] else ""
    elif event in SENDING:
        host = _foreign_family(arguments[0].family)
    else:
        return ""
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def _foreign_family(family: int) -> str:
    """The name of a family of sockets that speak to something else than this machine or the
    internet; "" for the others.
    """
    if family in (*INTERNET, *LOCAL):
        return ""
    names = {int(known): known.name for known in socket.AddressFamily}
    return names.get(family, f"a socket of family {family}")


def is_here(host: str) -> bool:
    """Whether a host is this machine, by loopback address or by name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.rstrip(".").casefold() in ("localhost", os.uname().nodename.casefold())
    address = getattr(address, "ipv4_mapped", None) or address
    # The unspecified address, connected to, is this machine.
    return address.is_loopback or address.is_unspecified


def is_private(address: str) -> bool:
    """Whether an address is this machine's or one of a private network, which no router of the
    internet knows (RFC 1918, RFC 4193, link-local).
    """
    known = ipaddress.ip_address(address.partition("%")[0])
    known = getattr(known, "ipv4_mapped", None) or known
    return known.is_private


def addresses_of(host: str) -> set[str]:
    """The addresses that a host has, itself if it is one; none where it is not known here."""
    with suppress(ValueError):
        return {str(ipaddress.ip_address(host))}
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _culprit(frame: FrameType | None) -> str:
    """The innermost line of code outside the standard library's sockets, and the first of this
    package that led there.
    """
    lines = []
    while frame is not None:
        code = frame.f_code
        lines.append(f"{code.co_filename}:{frame.f_lineno} ({code.co_name})")
        frame = frame.f_back
    own = [line for line in lines if "opro_local" in line and not line.startswith(__file__)]
    others = [line for line in lines if not line.startswith((__file__, socket.__file__))]
    return " from ".join(dict.fromkeys([*others[:1], *own[:1]]))
