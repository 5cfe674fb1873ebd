"""Asks a server inside the site that speaks OpenAI's protocol: `vllm serve`, SGLang, llama.cpp.

For: sites that already serve a model. All requests of a call are put to the server in their order,
`max_num_seqs` at a time, so that its own batching and prefix cache do the work. Not for: hosts
outside the site, which are refused unless the config names them; runs that must repeat bit by bit,
as a server answers others beside us.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import SplitResult, urlsplit

from opro_local import network
from opro_local.engines.constraints import check
from opro_local.engines.openai_answers import (
    Answer,
    chosen,
    completion_of,
    context_of,
    is_too_long,
    served,
)
from opro_local.engines.settings import EngineSettings
from opro_local.engines.tokenizer import plain_text
from opro_local.errors import EngineError, UsageError
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Constraint, Prompt, Request

AT_ONCE = 64  # requests, where max_num_seqs does not say
BUSY = (429, 503)  # answers of a server that is still loading, or has too many requests
BUSY_SECONDS = 1.0
LARGEST = 64 << 20  # bytes of one answer
REDIRECTS = range(300, 400)
# A rough count for servers that count no tokens: on the safe side for text in most languages.
BYTES_A_TOKEN = 3


class OpenAIEngine(Engine):
    """A model behind `base_url`, asked through /chat/completions and /completions.

    Args:
        settings: `base_url` ends in /v1; `served_model` is the name that the server gives the
            model, and may be left out where it serves one; `max_model_len` is needed where the
            server does not tell.

    Raises:
        EngineError: the server is not reached, serves no such model, or does not tell its context.
        UsageError: the address is outside the site and no setting allows it.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._server = Server(settings)
        listed = self._server.get("models")
        models = served(listed)
        if listed.status != 200 or not models:
            raise EngineError(
                f"{settings.base_url}/models answers {listed.status}: {listed.complaint}",
                "base_url is the address that ends in /v1",
            )
        self._model = chosen(models, settings)
        self.max_model_len = settings.max_model_len or context_of(self._model, settings)
        self._is_vllm = self._model.get("owned_by") == "vllm"
        self._counts_tokens = True
        self.fingerprint = {
            "engine": "openai",
            "engine_version": str(self._server.root("version").body.get("version", "")),
            "torch": None,
            "device": f"server: {self._model.get('owned_by', 'unknown')}",
            "dtype": "unknown",
            "model": str(self._model["id"]),
        }

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        # Before anything is sent: a request that can't be put must not cost the others.
        bodies = [self._body(request) for request in requests]
        done, tokens = 0, 0
        with ThreadPoolExecutor(self._settings.max_num_seqs or AT_ONCE) as pool:
            asked = [
                pool.submit(self._ask, request.prompt, body)
                for request, body in zip(requests, bodies, strict=True)
            ]
            try:
                for answer in as_completed(asked):
                    done, tokens = done + 1, tokens + answer.result().completion_tokens
                    if progress:
                        progress(done, tokens)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [answer.result() for answer in asked]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """As the server counts (vLLM's /tokenize); elsewhere a third of the bytes."""
        with ThreadPoolExecutor(self._settings.max_num_seqs or AT_ONCE) as pool:
            return list(pool.map(self._count, prompts))

    def close(self) -> None:
        """The server is not ours."""

    def _count(self, prompt: Prompt) -> int:
        if self._counts_tokens:
            asked = {"model": self._model["id"], **self._asked(prompt)}
            said = self._server.root("tokenize", asked)
            if said.status == 200 and isinstance(said.body.get("count"), int):
                return int(said.body["count"])
            self._counts_tokens = False
        return len(plain_text(prompt).encode("utf-8", "replace")) // BYTES_A_TOKEN + 1

    def _body(self, request: Request) -> dict[str, Any]:
        """What a request is put as."""
        sampling = request.sampling
        if request.adapter:
            raise EngineError(
                "a server is asked for an adapter by the name it serves it under",
                "put that name in `model` and leave `adapter` out",
            )
        if sampling.labels:
            raise EngineError(
                "a server is not asked how probable labels are",
                "host the model with --engine vllm, or leave task.answer at its default",
            )
        return {
            "model": self._model["id"],
            **self._asked(request.prompt),
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            **({"seed": sampling.seed % (1 << 31)} if sampling.seed is not None else {}),
            **({"stop": list(sampling.stop)} if sampling.stop else {}),
            **(self._constrained(sampling.constraint) if sampling.constraint else {}),
        }

    def _asked(self, prompt: Prompt) -> dict[str, Any]:
        """The prompt in the words of the protocol; a prefill is a turn that the server goes on."""
        if not prompt.chat:
            return {"prompt": plain_text(prompt)}
        system = [] if prompt.system is None else [("system", prompt.system)]
        turns = [
            pair for user, reply in prompt.turns for pair in (("user", user), ("assistant", reply))
        ]
        said = [*system, *turns, ("user", prompt.text)]
        if prompt.prefill:
            said.append(("assistant", prompt.prefill))
        asked: dict[str, Any] = {
            "messages": [{"role": role, "content": text} for role, text in said]
        }
        if prompt.prefill:
            asked |= {"continue_final_message": True, "add_generation_prompt": False}
        if self._settings.template_args:
            asked["chat_template_kwargs"] = dict(self._settings.template_args)
        return asked

    def _constrained(self, constraint: Constraint) -> dict[str, Any]:
        """How the server is held to a constraint.

        Raises:
            UsageError: no engine could hold to it.
            EngineError: nobody knows that this server would hold to it. A server leaves out what it
                does not know without a word.
        """
        check(constraint)
        if constraint.kind == "json":
            schema = {"name": "answer", "schema": json.loads(str(constraint.value))}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        if not self._is_vllm:
            raise EngineError(
                f"only vLLM's server is known to hold answers to a {constraint.kind}; this one is "
                f"{self._model.get('owned_by', 'unknown')!r}",
                "leave the constraint out, or host the model with --engine vllm",
            )
        value = constraint.value if isinstance(constraint.value, str) else list(constraint.value)
        return {"structured_outputs": {constraint.kind: value}}

    def _ask(self, prompt: Prompt, body: Mapping[str, Any]) -> Completion:
        route = "chat/completions" if prompt.chat else "completions"
        answer = self._server.post(route, body)
        if answer.status in (400, 413, 422) and is_too_long(answer):
            return Completion("", "too_long", self._count(prompt), 0, 0)
        if answer.status != 200:
            raise EngineError(
                f"{self._settings.base_url}/{route} answers {answer.status}: {answer.complaint}",
                "the same command resumes the run",
            )
        return completion_of(answer.body, route)


class Server:
    """The way to one server: a connection per thread, kept open; no proxies, no redirects."""

    def __init__(self, settings: EngineSettings) -> None:
        self._place = check_inside(settings.base_url, settings.allowed_hosts)
        self._allowed = settings.allowed_hosts
        self._seconds = settings.stall_seconds
        self._threads = threading.local()
        key = os.environ.get(settings.api_key_variable, "") if settings.api_key_variable else ""
        if settings.api_key_variable and not key:
            raise EngineError(
                f"the environment has no {settings.api_key_variable}, which api_key_variable names",
                f"export {settings.api_key_variable}=...",
            )
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def get(self, route: str) -> Answer:
        """GET a route under base_url."""
        return self._patiently("GET", f"{self._place.path.rstrip('/')}/{route}", None)

    def post(self, route: str, body: Mapping[str, Any]) -> Answer:
        """POST a body to a route under base_url."""
        return self._patiently("POST", f"{self._place.path.rstrip('/')}/{route}", body)

    def root(self, route: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Ask what servers offer beside the protocol, next to /v1. Whatever fails is status 0."""
        before = self._place.path.rstrip("/").removesuffix("/v1")
        try:
            return self._once("GET" if body is None else "POST", f"{before}/{route}", body)
        except EngineError:
            return Answer(0, {})

    def _patiently(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        """Ask again while the server says that it is busy, for as long as a call may stall."""
        end = time.monotonic() + self._seconds
        while (answer := self._once(method, path, body)).status in BUSY and time.monotonic() < end:
            time.sleep(BUSY_SECONDS)
        return answer

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        fresh = not hasattr(self._threads, "connection")
        try:
            return self._exchange(method, path, data)
        except (http.client.HTTPException, OSError) as error:
            self._drop()
            # A server may close a connection that was idle; a new one tells whether it is there.
            if fresh or isinstance(error, TimeoutError):
                raise self._unreached(error) from error
        try:
            return self._exchange(method, path, data)
        except (http.client.HTTPException, OSError) as error:
            self._drop()
            raise self._unreached(error) from error

    def _exchange(self, method: str, path: str, data: bytes | None) -> Answer:
        connection = self._connection()
        connection.request(method, path, data, self._headers)
        response = connection.getresponse()
        content = response.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise http.client.HTTPException(f"an answer of more than {LARGEST} bytes")
        # Read in parts, what is cut off raises nothing.
        if response.length:
            raise http.client.IncompleteRead(content, response.length)
        if response.status in REDIRECTS:
            # Not followed: it may lead out of the site. It is named, as no answer says it.
            to = response.getheader("Location", "nowhere")
            return Answer(response.status, {"message": f"a redirect, not followed, to {to}"})
        try:
            body = json.loads(content) if content.strip() else {}
        except (ValueError, RecursionError):
            body = {"message": content[:400].decode("utf-8", "replace")}
        return Answer(response.status, body if isinstance(body, Mapping) else {"message": body})

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._threads, "connection"):
            self._threads.connection = self._connected()
        connection: http.client.HTTPConnection = self._threads.connection
        return connection

    def _connected(self) -> http.client.HTTPConnection:
        """A new connection, inside the site.

        Raises:
            UsageError: the host's name leads out of the site by now, which it did not when it was
                looked up first. Nothing was sent.
        """
        host, port = self._place.hostname or "", self._place.port
        if self._place.scheme == "https":
            secure = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self._seconds, context=secure
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._seconds)
        # By itself it would connect anew when the server has closed it, without this look.
        connection.auto_open = 0
        connection.connect()
        address = connection.sock.getpeername()[0]
        if not is_allowed(host, self._allowed) and not network.is_private(address):
            connection.close()
            raise _outside(host, [address])
        return connection

    def _drop(self) -> None:
        # It may not have come about.
        if hasattr(self._threads, "connection"):
            self._threads.connection.close()
            del self._threads.connection

    def _unreached(self, error: Exception) -> EngineError:
        where = self._place._replace(path="", query="", fragment="").geturl()
        return EngineError(
            f"no answer from {where}: {type(error).__name__}: {' '.join(str(error).split())[:400]}",
            "start the server, or name another in base_url; the same command resumes the run",
        )


def check_inside(base_url: str, allowed: Sequence[str] = ()) -> SplitResult:
    """The parts of a server's address.

    Raises:
        UsageError: it is no http address, or the host is neither this machine nor one with a
            private address, nor among those allowed.
        EngineError: nobody here knows the host.
    """
    hint = "such as http://127.0.0.1:8000/v1"
    try:
        place = urlsplit(base_url)
        host, _ = place.hostname or "", place.port
    except ValueError as error:
        raise UsageError(f"base_url = {base_url!r}: {error}", hint) from error
    if place.scheme not in ("http", "https") or not host or place.username or place.password:
        raise UsageError(f"base_url = {base_url!r} is no address of a server", hint)
    if is_allowed(host, allowed) or network.is_here(host):
        return place
    addresses = network.addresses_of(host)
    if not addresses:
        raise EngineError(f"the host of base_url is not known here: {host}", "give its address")
    outside = sorted(one for one in addresses if not network.is_private(one))
    if outside:
        raise _outside(host, outside)
    return place


def is_allowed(host: str, allowed: Sequence[str]) -> bool:
    """Whether a host is among those that the config names; names have no case."""
    return host.casefold() in {one.casefold() for one in allowed}


def _outside(host: str, addresses: Sequence[str]) -> UsageError:
    return UsageError(
        f"base_url leads to {host} ({', '.join(addresses)}), which is outside the site",
        f"if that is meant, name it: run.allowed_hosts = [{host!r}]",
    )
