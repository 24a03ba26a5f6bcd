"""An OpenAI-compatible server on loopback that does what a test's script says, and a proxy."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


@dataclass(frozen=True)
class Asked:
    """A request as it came; `number` counts from 0, `at` is a monotonic time in seconds."""

    number: int
    at: float
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        return str(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Response:
    """What goes back. `until` holds it back, `promised` is a length that the body may not have.

    `drip_seconds` lie between two of its bytes, if not 0.
    """

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    until: threading.Event | None = None
    promised: int | None = None
    drip_seconds: float = 0.0


Script = Callable[[Asked], Response]


def says(content: Any, **choice: Any) -> Response:
    """A whole chat completion with this content."""
    message = {"role": "assistant", "content": content}
    return Response(
        completion([{"index": 0, "message": message, "finish_reason": "stop"} | choice])
    )


def completion(choices: Any) -> bytes:
    return json.dumps(
        {"id": "1", "object": "chat.completion", "choices": choices, "usage": {"total_tokens": 100}}
    ).encode()


def likely(token: str, **logprobs: float) -> dict[str, Any]:
    """The log-probs of one answered token, and of others at its place."""
    others = [{"token": name, "logprob": value} for name, value in logprobs.items()]
    own = logprobs.get(token, -0.1)
    return {"content": [{"token": token, "logprob": own, "top_logprobs": others}]}


def fails(status: int, message: str = "no", **headers: str) -> Response:
    """An error as OpenAI words it, to be tried again at once unless the headers say otherwise."""
    soon = {"retry-after-ms": "1"}
    body = json.dumps({"error": {"message": message, "code": status}}).encode()
    return Response(
        body, status, headers={k.replace("_", "-"): v for k, v in headers.items()} or soon
    )


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256  # with 5, the client's ninth connection waits for a second


class Server:
    """Serves a script, one thread a request. `max_at_once` is how many it had at a time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.max_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Listener(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _note(self, headers: dict[str, str], body: bytes) -> Asked:
        with self._lock:
            asked = Asked(len(self.asked), time.monotonic(), headers, json.loads(body))
            self.asked.append(asked)
            self._at_once += 1
            self.max_at_once = max(self.max_at_once, self._at_once)
        return asked

    def _respond(self, asked: Asked) -> Response:
        try:
            response = self.script(asked)
            if response.until is not None:
                assert response.until.wait(60)
            return response
        finally:
            with self._lock:
                self._at_once -= 1

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                response = server._respond(server._note(dict(self.headers), body))
                promised = len(response.body) if response.promised is None else response.promised
                headers = {"content-type": "application/json", "content-length": str(promised)}
                try:
                    self.send_response(response.status)
                    for name, value in (headers | response.headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self._send(response)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it did not wait for the response

            def _send(self, response: Response) -> None:
                if not response.drip_seconds:
                    self.wfile.write(response.body)
                    return
                for byte in response.body:
                    self.wfile.write(bytes([byte]))
                    threading.Event().wait(response.drip_seconds)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def proxy(upstream: str, faults: dict[int, Response]) -> Server:
    """A proxy to a real server at `upstream`; some requests, by number, get a fault instead."""

    def forward(asked: Asked) -> Response:
        if asked.number in faults:
            return faults[asked.number]
        real = httpx.post(
            f"{upstream}/chat/completions",
            json=asked.body,
            timeout=60,
            trust_env=False,
            verify=False,
        )
        return Response(real.content, real.status_code)

    return Server(forward)
