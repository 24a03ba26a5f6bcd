"""A web server for the tests: a real SQLite file with made-up pairs, and a real server on it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import ConsoleMessage, Error, Page, Request, Route, expect

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.store.records import NewPair
from labeler.web.app import create_app
from tests.support.empty_store import new_store
from tests.support.page import cast
from tests.support.patience import wait_until
from tests.support.service import free_port


def open_test_store(folder: Path) -> Store:
    """A store whose base policy is adopted and live as version 0."""
    store = new_store(f"sqlite:///{folder / 'livedpo.sqlite'}")
    store.versions.adopt_base(base="test", fingerprint="f", now=1.0)
    return store


def new_pair(number: int, prompt_id: int, version: int = 0, **changed: Any) -> NewPair:
    """A pair whose responses say which is which, to the test only."""
    fields: dict[str, Any] = {
        "prompt_id": prompt_id,
        "version_id": version,
        "response_a": f"alpha response {number}",
        "response_b": f"beta response {number}",
        "prompt_tokens": [1],
        "tokens_a": [2, number],
        "tokens_b": [3, number],
        "finish_a": "stop",
        "finish_b": "stop",
        "reference_logp_a": -1.0,
        "reference_logp_b": -2.0,
        "sampling": {"seed": number},
    }
    return NewPair(**{**fields, **changed})


def add_questions(store: Store, count: int, *, version: int = 0, **changed: Any) -> None:
    """Queue pairs, each on a new prompt that names it."""
    first = len(store.prompts.all()) + 1
    names = range(first, first + count)
    store.prompts.add([[{"role": "user", "content": f"Question {n}?"}] for n in names], now=1.0)
    prompts = store.prompts.all()[-count:]
    pairs = [
        new_pair(name, prompt.id or 0, version, **changed)
        for name, prompt in zip(names, prompts, strict=True)
    ]
    assert store.queue.add(pairs, now=1.0) == count


class WebServer:
    """The web app on a loopback port; it can be killed and started again on the same port."""

    def __init__(self, store: Store, folder: Path, **settings: Any) -> None:
        self.store = store
        self.settings = Settings(data_dir=folder, **{"port": free_port(), **settings})
        self.port = self.settings.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.app: FastAPI | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in a thread, and return once connections are taken."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.started, "the server")

    def _run(self) -> None:
        self.app = create_app(self.settings, self.store)
        config = uvicorn.Config(
            self.app,
            port=self.port,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._server.run()

    def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = None


@contextmanager
def serving(store: Store, folder: Path, **settings: Any) -> Iterator[WebServer]:
    """A running service."""
    service = WebServer(store, folder, **settings)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def standing(store: Store) -> Sequence[Any]:
    """The rows of the votes that count, oldest first."""
    return [row for row in store.reports.votes() if row.vote.superseded_by is None]


def log_in(page: Page, name: str, password: str) -> None:
    """On the login page, which is open, by keyboard."""
    page.locator("#go:enabled").wait_for()
    page.fill("#name", name)
    page.fill("#password", password)
    page.keyboard.press("Enter")


class Screen:
    """The rating page in a browser, with everything that it asked for and complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.may_lose_connection = False
        self._last: str | None = None
        page.on("request", self._note_request)
        page.on("pageerror", self._note_error)
        page.on("console", self._listen)

    def leave(self) -> None:
        """Listen no more: the page is going to show something else."""
        self.page.remove_listener("request", self._note_request)
        self.page.remove_listener("pageerror", self._note_error)
        self.page.remove_listener("console", self._listen)

    def _note_request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _note_error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, *, is_new: bool = False) -> None:
        """Load the page and wait for a pair; a newcomer is offered practice."""
        if not is_new:
            self.page.add_init_script("localStorage.setItem('livedpo.practised.local', '1')")
        self.page.goto(self.url)
        self.page.wait_for_selector("#reply-left .text")

    def prompt(self) -> str:
        return self.page.inner_text("#prompt .text")

    def left(self) -> str:
        return self.page.inner_text("#reply-left .text")

    def right(self) -> str:
        return self.page.inner_text("#reply-right .text")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def vote(self, key: str) -> None:
        """Press a key that votes, once the pair counts as seen."""
        cast(self.page, key, after=self._last)
        self._last = key

    def wait_seen(self) -> None:
        """Until the pair has been on screen for long enough for any vote."""
        self.page.wait_for_selector("body[data-takes=all]")

    def refresh(self) -> None:
        """What happens when the rater comes back to the window."""
        self.page.evaluate("window.dispatchEvent(new Event('focus'))")

    def hold(self, route: str) -> Callable[[], None]:
        """Keep the next requests of a route waiting; returns what lets them go."""
        held: list[Route] = []
        is_held = True

        def keep(request: Route) -> None:
            if is_held:
                held.append(request)
            else:
                request.continue_()

        def let_go() -> None:
            nonlocal is_held
            is_held = False
            for request in held:
                request.continue_()

        self.page.route(route, keep)
        return let_go

    def wait_saved(self) -> None:
        expect(self.page.locator("#saved .mark")).to_have_attribute("data-kind", "saved")

    def expect_prompt(self, text: str) -> None:
        expect(self.page.locator("#prompt .text")).to_have_text(text)

    def expect_mark(self, text: str) -> None:
        expect(self.page.locator("#saved .mark")).to_contain_text(text)

    def assert_clean(self) -> None:
        """Nothing left the machine, and the browser had nothing to complain of."""
        foreign = [url for url in self.requests if not url.startswith((self.url, "data:"))]
        assert foreign == []
        complaints = self.complaints
        if self.may_lose_connection:
            complaints = [text for text in complaints if "ERR_" not in text]
        assert complaints == []
