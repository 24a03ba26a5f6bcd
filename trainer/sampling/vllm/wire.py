"""Requests to vLLM servers, in one event loop on a thread of its own, for as long as a batch takes.

Whoever waits for an answer says signs of life meanwhile, and may end it all: what is under way is
cancelled then, its connection closes, and vLLM stops working on it.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from anyio.from_thread import start_blocking_portal

from labeler.config.parts.serving import LOOPBACK_HOSTS
from labeler.domain.errors import BadInput

KEY_VARIABLE = "VLLM_API_KEY"
LOOK_SECONDS = 0.5
CONNECT_SECONDS = 10.0
SAID_CHARACTERS = 300

logging.getLogger("httpx").setLevel(logging.WARNING)  # or it logs a line a request


class Trouble(Exception):
    """Why a server cannot be used, in a sentence that names it.

    `status` is what it answered, and `said` its own words; 0 and "" if it did not answer.
    """

    def __init__(self, sentence: str, status: int = 0, said: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.said = said


class Wire:
    """Sends requests to servers, given by their base URLs. `pulse` is called while one waits.

    The key of the servers, if they want one, is in the environment as VLLM_API_KEY.
    """

    def __init__(
        self, urls: Collection[str], *, timeout_seconds: float, pulse: Callable[[], None]
    ) -> None:
        self._urls = urls
        self._timeout_seconds = timeout_seconds
        self._pulse = pulse
        self._key = api_key()
        self._open: set[Future[httpx.Response]] = set()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {self._key}"} if self._key else None,
            timeout=httpx.Timeout(self._timeout_seconds, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None),
            verify=any(
                url.startswith("https:") for url in self._urls
            ),  # which takes time to set up
            trust_env=any(urlsplit(url).hostname not in LOOPBACK_HOSTS for url in self._urls),
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            for future in self._open:
                future.cancel()
            wait(self._open)
            self._portal.call(self._client.aclose)

    def send(self, method: str, url: str, body: Any = None) -> Future[httpx.Response]:
        """Begin a request. `answer` has what comes of it."""
        future = self._portal.start_task_soon(self._request, method, url, body)
        self._open.add(future)
        return future

    def ask(self, method: str, url: str, body: Any = None) -> bytes:
        """Send and wait. Raises Trouble if the answer is not one of success, or none comes."""
        [answer] = self._wait_for([self.send(method, url, body)], url)
        return answer

    def ask_all(self, url: str, bodies: Sequence[Any]) -> list[bytes]:
        """Post all of them together, and wait for the answers. Raises Trouble likewise."""
        return self._wait_for([self.send("POST", url, body) for body in bodies], url)

    def _wait_for(self, futures: Sequence[Future[httpx.Response]], url: str) -> list[bytes]:
        while missing := [future for future in futures if not future.done()]:
            for _ in self.done(missing):
                pass
        return [self.answer(future, url) for future in futures]

    def done(self, futures: Collection[Future[httpx.Response]]) -> Iterator[Future[httpx.Response]]:
        """Those that are done, after a wait for one of them, with a pulse before and after."""
        self._pulse()
        finished, _ = wait(futures, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        self._pulse()
        yield from finished

    def cancel(self, future: Future[httpx.Response]) -> None:
        """End a request that nobody waits for."""
        future.cancel()

    def answer(self, future: Future[httpx.Response], url: str) -> bytes:
        """The body that a finished request got. Raises Trouble."""
        self._open.discard(future)
        try:
            response = future.result()
        except httpx.TimeoutException as error:
            raise Trouble(f"The server {_host(url)} does not answer in time.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise Trouble(f"The server {_host(url)} does not answer ({why}).") from error
        if response.is_success:
            return response.content
        said = self._said(response)
        sentence = f"The server {_host(url)} answers with {response.status_code}: {said}"
        raise Trouble(sentence, response.status_code, said)

    async def _request(self, method: str, url: str, body: Any) -> httpx.Response:
        return await self._client.request(method, url, json=body)

    def _said(self, response: httpx.Response) -> str:
        """The server's own words in a short line, without the key if it repeats it."""
        try:
            body = response.json()
        except ValueError:
            body = response.text
        if isinstance(body, dict):
            error = body.get("error", body)
            body = error.get("message", error.get("detail", "")) if isinstance(error, dict) else ""
        words = " ".join(str(body).split())[:SAID_CHARACTERS] or "nothing"
        words = words.replace(self._key, "(key)") if self._key else words
        return words if words[-1] in ".!?" else f"{words}."


def api_key() -> str:
    """The key of the servers; "" for none. Raises BadInput if it cannot be one."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise BadInput(f"{KEY_VARIABLE} holds characters that no key has; set it again.")
    return key


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
