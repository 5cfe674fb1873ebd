"""The server of `view`: reads only, on this machine's own address unless another is asked for.

For: HTTP; which URL is which page, and what every answer says of itself. Not for: who may ask
(access.py) or what is answered (listing.py, pages.py, list_page.py).

Nothing of a URL becomes a path: a run is looked for by its name among those that the listing found.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from opro_local.errors import UsageError
from opro_local.report.view.access import Access, address
from opro_local.report.view.line import UNREAD, Line
from opro_local.report.view.list_page import (
    link_to,
    list_page,
    refused_page,
    version_of,
)
from opro_local.report.view.listing import Listing
from opro_local.report.view.pages import Pages
from opro_local.report.view.process import Reader

IDLE_SECONDS = 15.0  # a connection that says nothing is closed
MOST_CONNECTIONS = 64
FIRST_SECONDS = 0.4  # the first page waits so long for runs that were not read
LINE_WAIT = 2.0  # and the version of one run
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


class Server(socketserver.ThreadingTCPServer):
    """The runs of a folder on one address.

        with Server(Path("runs"), "127.0.0.1", 0, "") as server:
            print(server.access.url())
            server.serve_forever()

    Attributes:
        access: where it is, and who may ask.
        listing, pages: what it shows.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, folder: Path, host: str, port: int, token: str) -> None:
        """Bind the address and begin to read the folder.

        Args:
            folder: with runs, or a run.
            host: an address or a name.
            port: 0 for any that is free.
            token: what has to be known; "" where nothing has.

        Raises:
            UsageError: no such folder or address, or the port is in use.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder", "name the folder with the runs")
        family, place = address(host)
        self.address_family = socket.AddressFamily(family)
        # Before the address: the base class closes what it can't bind.
        self._readers = (Reader(), Reader())
        self.listing = Listing(folder, self._readers[0])
        self.pages = Pages(self.listing, self._readers[1])
        try:
            super().__init__((place, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"{host} port {port} can't be used ({why})", "--port 0 takes one that is free"
            ) from None
        self.access = Access(host, self.server_address[1], token)
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.listing.start()
        self._readers[1].start()

    def server_close(self) -> None:
        """Close the address and end what reads."""
        super().server_close()
        self.listing.close()
        for reader in self._readers:
            reader.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; one connection too many is closed."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread of one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news; anything else is a bug, and shows as one."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = IDLE_SECONDS
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = TEXT

    def do_GET(self) -> None:
        """Answer with what the URL names."""
        access = self.server.access
        if not access.is_own(self.headers.get("Host")):
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "this server has another name")
            return
        url = urlsplit(self.path)
        if access.is_token(parse_qs(url.query).get("token", [""])[0]):
            self._admit(url.path)
        elif access.is_admitted(dict(self.headers.items())):
            self._route(url.path)
        else:
            self._say(HTTPStatus.FORBIDDEN, "open the URL that opro-local view printed")

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse; of a method that the server does not have, say which it has."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._say(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD", {"Allow": "GET, HEAD"})
            return
        super().send_error(code, message, explain)

    def end_headers(self) -> None:
        """What every answer says of itself."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        # A page's own policy stands in the page; both hold.
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'; base-uri 'none'")
        super().end_headers()

    def version_string(self) -> str:
        """What the Server header says."""
        return "opro-local"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who looks at what is nobody's business."""

    def _admit(self, path: str) -> None:
        """Take a browser that knows the token to the same page without it in the URL."""
        access = self.server.access
        self.send_response(HTTPStatus.SEE_OTHER)
        # Of the path only what is a page here: "//elsewhere" would lead away.
        name = self._name(path)
        self.send_header("Location", "/" if name is None else link_to(name))
        self.send_header(
            "Set-Cookie", f"{access.cookie}={access.token}; Path=/; HttpOnly; SameSite=Lax"
        )
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _route(self, path: str) -> None:
        listing = self.server.listing
        if path == "/":
            lines = listing.lines(FIRST_SECONDS)
            self._answer(HTML, list_page(os.fspath(listing.folder), lines))
        elif path == "/version":
            self._answer(JSON, json.dumps({"version": version_of(listing.lines())}))
        elif (name := self._name(path)) is not None:
            if path.endswith("/version"):
                self._version(name)
            else:
                self._page(name)
        else:
            self._say(HTTPStatus.NOT_FOUND, "there is no such page")

    def _name(self, path: str) -> str | None:
        """The run, sweep, store or cell that a URL's path names; None where it names none."""
        parts = path.removesuffix("/version").split("/")
        if len(parts) not in (3, 4) or parts[:2] != ["", "run"]:
            return None
        names = [os.fsdecode(unquote_to_bytes(part)) for part in parts[2:]]
        # A slash in a name would be a path.
        if any("/" in name for name in names) or self._line("/".join(names)) is None:
            return None
        return "/".join(names)

    def _line(self, name: str, wait: float = 0.0) -> Line | None:
        """What is known of a run, sweep or store of this name, or of a cell of a sweep."""
        sweep, _, cell = name.partition("/")
        listing = self.server.listing
        return listing.cell(sweep, cell) if cell else listing.line(name, wait)

    def _version(self, name: str) -> None:
        line = self._line(name, LINE_WAIT)
        self._answer(JSON, json.dumps({"version": line.version if line else ""}))

    def _page(self, name: str) -> None:
        line = self._line(name, LINE_WAIT)
        why = line.error if line else ""
        html = ""
        if line is not None and (not why or line.state == UNREAD):
            # A cell's line is not kept, so that its page can't follow it.
            at = "" if "/" in name else f"{link_to(name)}/version"
            html, why = self.server.pages.page(name, line.kind, at)
        self._answer(HTML, html or refused_page(name, why))

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _say(self, status: HTTPStatus, line: str, headers: dict[str, str] | None = None) -> None:
        body = f"{line}\n".encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", TEXT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
