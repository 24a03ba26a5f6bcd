"""Fixtures that several folders use."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from labeler.store import Store
from labeler.store.database import Database
from tests.support.browser import chromium
from tests.support.empty_store import new_store
from tests.support.quick_databases import share_statements, wait_for_no_disk
from tests.support.tiny import save_tiny_policy
from tests.support.warm import open_nursery

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
gc.disable()  # until all is imported
share_statements()
wait_for_no_disk()


def pytest_collection_finish() -> None:
    """What is imported stays: it is not searched for garbage again, and roles need not load it."""
    gc.freeze()
    open_nursery()
    gc.enable()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the test has its database: a real SQLite file."""
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    opened = new_store(url)
    yield opened
    opened.close()


@pytest.fixture
def database(url: str, store: Store) -> Iterator[Database]:
    """The tables of `store`, past its verbs."""
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a chat template, as a policy folder."""
    return save_tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this process: Playwright allows no second one."""
    with chromium() as started:
        yield started
