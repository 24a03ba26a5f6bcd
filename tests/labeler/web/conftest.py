"""A store with pairs, a server on it, and a browser before it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from labeler.store import Store
from tests.support.page import leave
from tests.support.people import client_of
from tests.support.service import free_port
from tests.support.web import Screen, WebServer, add_questions, open_test_store, serving

SIZE: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The database of a service whose data dir is the test's folder."""
    return f"sqlite:///{tmp_path / 'livedpo.sqlite'}"


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def port() -> int:
    """One port for all services, one after the other, so that the browser's cache helps."""
    return free_port()


@pytest.fixture
def service(store: Store, tmp_path: Path, port: int) -> Iterator[WebServer]:
    """A running service with twelve ready pairs; an update is due at four labels."""
    add_questions(store, 12)
    with serving(store, tmp_path, port=port, labels_per_update=4) as running:
        yield running


@pytest.fixture
def client(service: WebServer) -> Iterator[httpx.Client]:
    """A client of the running service."""
    with client_of(service) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of one service for all the tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    with contextlib.closing(open_test_store(folder)) as store:
        add_questions(store, 12)
        with serving(store, folder) as running, client_of(running) as client:
            yield client


@pytest.fixture(scope="session")
def profile(browser: Browser) -> BrowserContext:
    """A browser profile; what a test leaves in its storage belongs to leases long gone."""
    return browser.new_context(viewport=SIZE)


@pytest.fixture(scope="session")
def kept_tab(profile: BrowserContext) -> Page:
    """One tab for all tests: in a new one, scripts are compiled anew."""
    return profile.new_page()


@pytest.fixture
def tab(profile: BrowserContext, kept_tab: Page) -> Iterator[Page]:
    """A tab of the profile, left as a new one is."""
    yield kept_tab
    kept_tab.unroute_all(behavior="ignoreErrors")
    leave(kept_tab)
    kept_tab.evaluate("localStorage.clear(); sessionStorage.clear()")
    profile.clear_cookies()
    kept_tab.set_viewport_size(SIZE)
    kept_tab.emulate_media(color_scheme="null")
    for page in profile.pages:
        if page is not kept_tab:
            page.close()


@pytest.fixture
def unopened(service: WebServer, tab: Page) -> Iterator[Screen]:
    """The page of the service, which the test is still to open."""
    shown = Screen(tab, service.url)
    yield shown
    shown.leave()
    shown.assert_clean()


@pytest.fixture
def screen(unopened: Screen) -> Screen:
    """The page of the service, with its first pair on screen."""
    unopened.open()
    return unopened
