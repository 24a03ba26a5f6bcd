"""A language model behind an OpenAI-compatible server as a judge: `api:MODEL@BASE_URL`.

    pair -> two prompts, one for each order -> two answers -> `both_orders` -> judgement

What a server does is never an error here: it makes a judgement of None, with its cause. A time-out,
429 and 5xx are asked again by the client, which waits as long as the server's Retry-After says, or
a little longer each time. `judge` returns in a bounded time and leaves no thread and no connection
behind: all requests of a call run in one event loop, which ends with it.

The prompt is in `trainer.judge.fence`, the reading of an answer in `trainer.judge.verdict`.
"""

import asyncio
import contextlib
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import openai
from pydantic import ValidationError

from labeler.config.parts.serving import LOOPBACK_HOSTS
from labeler.domain.errors import BadInput
from labeler.domain.judging import Cause, Inconsistent, Judgement, Question, both_orders
from trainer.judge.fence import prompt_for
from trainer.judge.verdict import Answer, Reply, answer_of

log = logging.getLogger(__name__)

TRIES = 3
PAUSE_SECONDS = 1.0
ANSWER_TOKENS = 16
THINKING_TOKENS = 4096  # for a model that thinks before it answers
MAX_ANSWER_BYTES = 4_000_000  # so many tokens, with the log-probs of each, have less
LIKELIEST = 5  # tokens whose log-probs are asked for: some servers give no more
# What a server may refuse, and is then asked without; the ones that go together in one row.
OPTIONS: tuple[dict[str, Any], ...] = (
    {"logprobs": True, "top_logprobs": LIKELIEST},
    {"temperature": 0},
    {"max_tokens": ANSWER_TOKENS},
)
NO_KEY = "none"  # the client wants one, also for a local server that does not
_HOST = r"(?:[\w-]{1,63}\.)*[\w-]{1,63}|\[[\da-f:.]+\]"
_URL = re.compile(rf"https?://(?:{_HOST})(?::\d+)?(?:/\S*)?", re.ASCII | re.IGNORECASE)
_TOO_LONG = re.compile(r"context.?length|maximum context|too many tokens", re.IGNORECASE)


@dataclass
class _Cost:
    """What one answer has cost so far, and the status that the last request got (0: none yet)."""

    requests: int = 0
    tokens: int = 0
    status: int = 0


class _Spent(openai.OpenAIError):
    """The budget is spent: nothing was sent. Of the client's own errors, for it passes these on."""


class _Endless(openai.OpenAIError):
    """An answer is longer than any that was asked for; it is not read to its end."""


class _BoundedClient(openai.DefaultAsyncHttpxClient):
    """Reads at most `MAX_ANSWER_BYTES` of what a server sends, unpacked."""

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """The response with its whole body. Raises _Endless if that is too long."""
        response = await super().send(request, stream=True, **options)
        body = bytearray()
        try:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise _Endless(f"the answer is longer than {MAX_ANSWER_BYTES:,} bytes")
        finally:
            await response.aclose()
        response.headers.pop("content-encoding", None)
        return type(response)(
            response.status_code, headers=response.headers, content=bytes(body), request=request
        )


_cost: ContextVar[_Cost] = ContextVar("cost")


class ApiJudge:
    """Asks a server in both orders, with up to `concurrency` requests at a time."""

    waits = True
    one_by_one = False

    def __init__(
        self,
        spec: str,
        *,
        inconsistent: Inconsistent,
        concurrency: int,
        timeout_seconds: float,
        max_requests: int,
        requests_spent: int = 0,
    ) -> None:
        """Take `api:MODEL@BASE_URL`, and the key from OPENAI_API_KEY, which may be unset.

        `timeout_seconds` is for one request. `max_requests` (0: no limit) counts every request,
        failed and repeated ones too, and the `requests_spent` before this object was made.
        Sends nothing yet. Raises BadInput for a spec or a key that cannot be right.
        """
        self.spec = spec
        self.requests_spent = requests_spent
        self._model, self._url = model_and_url(spec)
        self._key = _key_from_environment()
        self._inconsistent = inconsistent
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds
        self._max_requests = max_requests
        self._options = {name: value for row in OPTIONS for name, value in row.items()}
        self._lock = threading.Lock()
        self._closed = False
        self._one_at_a_time = threading.RLock()  # a pause may ask, too
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        """One judgement a question, in their order.

        It takes at most the time-outs of all requests, `concurrency` at a time, and two more for
        what is asked again; what has not come by then is TIMEOUT.
        """
        with self._in_turn(pause):  # the gate and the queue share the server's patience
            if self._closed or not questions:
                return [Judgement(None, Cause.TIMEOUT)] * len(questions)
            # On a thread of its own: the caller's may have an event loop, as a notebook does.
            with ThreadPoolExecutor(1, "judge-requests") as thread:
                asking = thread.submit(asyncio.run, self._ask_all(questions))
                while pause is not None and not wait([asking], PAUSE_SECONDS).done:
                    pause()
                answers = asking.result()
        self._tell_failures(answers)
        return [
            _combined(forward, backward, self._inconsistent)
            for forward, backward in zip(answers[::2], answers[1::2], strict=True)
        ]

    def close(self) -> None:
        """End a `judge` that another thread waits for: what it lacks is TIMEOUT. Asks no more."""
        with self._lock:
            self._closed = True
            for loop, task in self._waiting:
                loop.call_soon_threadsafe(task.cancel)

    @contextlib.contextmanager
    def _in_turn(self, pause: Callable[[], None] | None) -> Iterator[None]:
        """Nobody else asks meanwhile. There is a pause every so often until then."""
        while not self._one_at_a_time.acquire(timeout=-1 if pause is None else PAUSE_SECONDS):
            if pause is not None:
                pause()
        try:
            yield
        finally:
            self._one_at_a_time.release()

    async def _ask_all(self, questions: Sequence[Question]) -> list[Answer]:
        """Two answers a question, with its first response shown as A, and as B."""
        prompts = [
            prompt_for(messages, *shown)
            for messages, first, second in questions
            for shown in ((first, second), (second, first))
        ]
        rounds = -(-len(prompts) // self._concurrency)
        turns = asyncio.Semaphore(self._concurrency)
        async with self._client() as client:
            tasks = [asyncio.create_task(self._ask(client, turns, prompt)) for prompt in prompts]
            with self._until_closed():
                await asyncio.wait(tasks, timeout=(TRIES - 1 + rounds) * self._timeout_seconds)
            for task in tasks:
                task.cancel()
            return await asyncio.gather(*tasks)

    @contextlib.contextmanager
    def _until_closed(self) -> Iterator[None]:
        """What is awaited within it ends when `close` is called."""
        task = asyncio.current_task()
        assert task is not None
        waiting = (asyncio.get_running_loop(), task)
        with self._lock:
            self._waiting.append(waiting)
            if self._closed:
                task.cancel()
        try:
            yield
        except asyncio.CancelledError:
            if not self._closed:
                raise
        finally:
            with self._lock:
                self._waiting.remove(waiting)

    def _client(self) -> openai.AsyncOpenAI:
        """The client of one call, for a connection cannot outlive its event loop."""
        http = _BoundedClient(
            trust_env=urlsplit(self._url).hostname not in LOOPBACK_HOSTS,
            follow_redirects=False,  # the key is for this server only
            event_hooks={"request": [self._count], "response": [_note_status]},
        )
        return openai.AsyncOpenAI(
            api_key=self._key,
            base_url=self._url,
            timeout=self._timeout_seconds,
            max_retries=TRIES - 1,
            http_client=http,
        )

    async def _count(self, _request: object) -> None:
        """Before a request is sent: count it. Raises _Spent if it would be one too many."""
        if self._max_requests and self.requests_spent >= self._max_requests:
            raise _Spent
        self.requests_spent += 1
        cost = _cost.get()
        cost.requests += 1
        cost.status = 0

    async def _ask(
        self, client: openai.AsyncOpenAI, turns: asyncio.Semaphore, prompt: str
    ) -> Answer:
        """One answer with what it cost; whatever goes wrong, the deadline too, is its cause."""
        cost = _Cost()
        _cost.set(cost)
        try:
            async with turns, asyncio.timeout(TRIES * self._timeout_seconds):
                answer = await self._ask_until_understood(client, prompt, cost)
        except _Spent:
            answer = Answer(None, Cause.BUDGET)
        except openai.OpenAIError as error:
            answer = Answer(None, _cause(error), self._said(error))
        except (TimeoutError, asyncio.CancelledError):
            # While it waited to ask again, the server's last word is the cause.
            waited = cost.status >= 400
            answer = Answer(None, _cause_of_status(cost.status) if waited else Cause.TIMEOUT)
        return replace(answer, requests=cost.requests, tokens=cost.tokens)

    async def _ask_until_understood(
        self, client: openai.AsyncOpenAI, prompt: str, cost: _Cost
    ) -> Answer:
        """Ask; again without an option that the server refuses, and with room to think."""
        while True:
            options = dict(self._options)
            try:
                response = await client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=[{"role": "user", "content": prompt}],
                    extra_body=options,
                )
                reply = Reply.model_validate_json(response.http_response.content)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = _refused(error, options)
                if not refused:
                    raise
                self._options = {
                    name: value for name, value in self._options.items() if name not in refused
                }
                continue
            except ValidationError:
                return Answer(None, Cause.BAD_ANSWER)
            cost.tokens += reply.tokens
            if not (reply.is_cut_thought and options.get("max_tokens") == ANSWER_TOKENS):
                return answer_of(reply)
            self._options = self._options | {"max_tokens": THINKING_TOKENS}

    def _tell_failures(self, answers: Sequence[Answer]) -> None:
        failed = [answer for answer in answers if answer.cause not in (None, Cause.BUDGET)]
        if not failed:
            return
        causes = Counter(str(answer.cause) for answer in failed)
        told = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
        said = next((f" ({answer.said})" for answer in failed if answer.said), "")
        log.warning(
            "No verdict in %d of %d answers of %s: %s%s",
            *(len(failed), len(answers), self.spec, told, said),
            extra={"about": self.spec},  # the counts differ, the trouble is the same
        )

    def _said(self, error: openai.OpenAIError) -> str:
        """The server's own words in a short line, without the key if it repeats it."""
        words = " ".join(str(error).split())
        return words.replace(self._key, "(key)")[:200] if self._key != NO_KEY else words[:200]


def model_and_url(spec: str) -> tuple[str, str]:
    """MODEL and BASE_URL of `api:MODEL@BASE_URL`; a model's name may hold / and @.

    Raises BadInput; for a password in the URL too, for the spec is shown and kept.

    >>> model_and_url("api:org/judge@2@http://127.0.0.1:8000/v1")
    ('org/judge@2', 'http://127.0.0.1:8000/v1')
    """
    model, _, url = spec.removeprefix("api:").rpartition("@")
    if "://" in model:
        raise BadInput("The URL of the api: judge holds a password; put it into OPENAI_API_KEY.")
    if not model or not _is_url(url):
        raise BadInput(f"The judge '{spec}' is not of the form api:MODEL@http://HOST:PORT/v1.")
    return model, url


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        in_range = parts.port is None or parts.port > 0
    except ValueError:  # an address or a port that cannot be
        return False
    return in_range and bool(_URL.fullmatch(url))


def _key_from_environment() -> str:
    key = os.environ.get("OPENAI_API_KEY", "").strip() or NO_KEY
    if not (key.isascii() and key.isprintable()):
        raise BadInput("OPENAI_API_KEY holds characters that no key has; set it again.")
    return key


async def _note_status(response: Any) -> None:
    _cost.get().status = response.status_code


def _combined(forward: Answer, backward: Answer, inconsistent: Inconsistent) -> Judgement:
    """One judgement of the answers with the first response as A, and as B."""
    if forward.probability is None or backward.probability is None:
        judgement = Judgement(None, forward.cause or backward.cause)
    else:
        judgement = both_orders(forward.probability, 1 - backward.probability, inconsistent)
    return replace(
        judgement,
        requests=forward.requests + backward.requests,
        tokens=forward.tokens + backward.tokens,
    )


def _cause(error: openai.OpenAIError) -> Cause:
    if isinstance(error, openai.APITimeoutError):
        return Cause.TIMEOUT
    if isinstance(error, openai.APIConnectionError):
        return Cause.UNREACHABLE
    if isinstance(error, openai.APIStatusError):
        return (
            Cause.TOO_LONG if _TOO_LONG.search(str(error)) else _cause_of_status(error.status_code)
        )
    return Cause.BAD_ANSWER


def _cause_of_status(status: int) -> Cause:
    if status == 408:
        return Cause.TIMEOUT
    if status == 429:
        return Cause.RATE_LIMITED
    return Cause.SERVER_ERROR if status >= 500 else Cause.REFUSED


def _refused(error: openai.APIStatusError, options: dict[str, Any]) -> set[str]:
    """Names of the options that were sent and that the server complains of."""
    if _TOO_LONG.search(str(error)):
        return set()
    complaint = str(error).lower()
    named = [row for row in OPTIONS if any(name in complaint for name in row)]
    return {name for row in named for name in row if name in options}
