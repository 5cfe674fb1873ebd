"""Who may ask the server: what a browser of this machine sends, and who knows the token.

For: the address that is bound, the Host header, the token and its cookie. Not for: HTTP
(server.py).

A page of another site can have this machine's browser ask a name of its own that leads to 127.0.0.1
(DNS rebinding), and would then read the answers. Such a request has that name in its Host header.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from opro_local.errors import UsageError

_HOST = re.compile(
    r"""
    (?: \[ (?P<six> [0-9A-Fa-f:.]+ ) \] | (?P<name> [^:\[\]]+ ) )
    (?: : (?P<port> [0-9]{1,5} ) )?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Access:
    """Where the server is, and who may ask it.

    Attributes:
        host: the address or name that it was to be bound to.
        port: its port.
        token: what has to be known; "" where everyone who reaches it may ask.
    """

    host: str
    port: int
    token: str

    @property
    def cookie(self) -> str:
        """The cookie's name. Cookies don't tell ports apart; two servers need two names."""
        return f"opro_local_view_{self.port}"

    def url(self) -> str:
        """What to open, with the token if there is one."""
        host = self.host
        if host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        elif ":" in host:
            host = f"[{host}]"
        asked = f"?token={self.token}" if self.token else ""
        return f"http://{host}:{self.port}/{asked}"

    def is_own(self, header: str | None) -> bool:
        """Whether a Host header names this server."""
        match = _HOST.fullmatch(header or "")
        if match is None or int(match["port"] or 80) != self.port:
            return False
        name = (match["six"] or match["name"]).lower().rstrip(".")
        if is_loopback(self.host):
            return name == "localhost" or _is_loopback_address(name)
        # An address is no name that somebody else could point here.
        return _is_address(name) or name in (self.host.lower(), socket.gethostname().lower())

    def is_token(self, text: str) -> bool:
        """Whether a text is the token; never where there is none."""
        return bool(self.token) and hmac.compare_digest(text.encode(), self.token.encode())

    def is_admitted(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers hold what has to be known."""
        if not self.token:
            return True
        try:
            cookies = SimpleCookie(headers.get("Cookie", ""))
        except CookieError:
            return False
        kept = cookies.get(self.cookie)
        return kept is not None and self.is_token(kept.value)


def new_token() -> str:
    """A token of 256 random bits."""
    return secrets.token_urlsafe(32)


def is_loopback(host: str) -> bool:
    """Whether an address or name leads to this machine alone."""
    return host.lower() == "localhost" or _is_loopback_address(host)


def address(host: str) -> tuple[int, str]:
    """The family and the address to bind for what a user named. Raises UsageError."""
    if host.lower() == "localhost":
        host = "127.0.0.1"
    if _is_address(host):
        is_six = ipaddress.ip_address(host).version == 6
        return (socket.AF_INET6 if is_six else socket.AF_INET), host
    try:
        # None as the port: only the address is looked for.
        places = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UsageError(
            f"--host {host}: no address of this machine", "leave it out for 127.0.0.1"
        ) from None
    family, _, _, _, place = places[0]
    return family, str(place[0])


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback_address(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
