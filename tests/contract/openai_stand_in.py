"""A server on loopback that speaks OpenAI's protocol as `vllm serve` does, with a scripted model."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opro_local.engines.scripted import ScriptedEngine
from opro_local.types import Constraint, Prompt, Request, Sampling

CONTEXT = 512
MODELS = ({"id": "tiny", "owned_by": "vllm", "max_model_len": CONTEXT},)


def prompt_of(body: dict[str, Any]) -> Prompt:
    """The prompt that a body stands for."""
    if "prompt" in body:
        return Prompt(body["prompt"], chat=False)
    said = [(one["role"], one["content"]) for one in body["messages"]]
    system = said.pop(0)[1] if said[0][0] == "system" else None
    goes_on = body.get("continue_final_message") and not body.get("add_generation_prompt", True)
    prefill = said.pop()[1] if goes_on else ""
    *before, (role, text) = said
    assert role == "user"
    texts = [text for _, text in before]
    return Prompt(text, system, prefill, True, tuple(zip(texts[::2], texts[1::2], strict=True)))


def request_of(body: dict[str, Any]) -> Request:
    """The request that a body stands for."""
    constraint = None
    for kind, value in body.get("structured_outputs", {}).items():
        constraint = Constraint(kind, tuple(value) if isinstance(value, list) else value)
    if "response_format" in body:
        schema = body["response_format"]["json_schema"]["schema"]
        constraint = Constraint("json", json.dumps(schema))
    sampling = Sampling(
        max_tokens=body["max_tokens"],
        temperature=body["temperature"],
        top_p=body["top_p"],
        seed=body.get("seed"),
        stop=tuple(body.get("stop", ())),
        constraint=constraint,
    )
    return Request(prompt_of(body), sampling)


class StandIn:
    """What the server answers, and what it was asked: (path, body, Authorization) each."""

    def __init__(self, script: Callable[[Request], str], models: list[dict[str, Any]]) -> None:
        self.engine = ScriptedEngine.of(script, CONTEXT)
        self.models = models
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.busy = 0  # how many more times it says that it is
        self.counts = True
        self._lock = threading.Lock()

    def answer(self, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """The status and body of one answer."""
        with self._lock:
            self.asked.append((path, body, key))
            if path.startswith("/v1/") and body and self.busy:
                self.busy -= 1
                return 503, {"error": {"message": "loading"}}
        if path == "/v1/models":
            return 200, {"object": "list", "data": self.models}
        if path == "/version":
            return 200, {"version": "0.0.1"}
        if path == "/tokenize" and self.counts:
            return 200, {"count": self.engine.count_tokens([prompt_of(body)])[0]}
        if path not in ("/v1/chat/completions", "/v1/completions"):
            return 404, {"detail": "Not Found"}
        with self._lock:
            (said,) = self.engine.generate([request_of(body)])
        if said.finish_reason == "too_long":
            words = f"This model's maximum context length is {CONTEXT} tokens. Please reduce it."
            return 400, {"error": {"message": words, "type": "BadRequestError", "code": 400}}
        is_chat = path.endswith("chat/completions")
        content = {"message": {"content": said.text}} if is_chat else {"text": said.text}
        usage = {
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.completion_tokens,
            "prompt_tokens_details": None,
        }
        return 200, {"choices": [{**content, "finish_reason": said.finish_reason}], "usage": usage}


@contextmanager
def serving(
    script: Callable[[Request], str], *models: dict[str, Any]
) -> Iterator[tuple[str, StandIn]]:
    """Serve on a free port of loopback; gives base_url and the stand-in."""
    stand_in = StandIn(script, list(models or MODELS))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            key = self.headers.get("Authorization", "")
            status, said = stand_in.answer(self.path, body, key)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # connections that wait to be taken

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # Looks often whether it is to end: each test waits for that.
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", stand_in
    finally:
        server.shutdown()
        server.server_close()
