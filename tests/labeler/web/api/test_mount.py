"""What Gradio is spared when the web process starts, and where it may be made."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gradio.routes import App

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.web.app import create_app


def test_gradio_makes_one_app_of_the_endpoints(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it makes three, and the third is the one that serves."""
    made: list[App] = []
    create = App.create_app

    def counted(*args: object, **kwargs: object) -> App:
        made.append(create(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(App, "create_app", counted)
    ours = create_app(Settings(data_dir=tmp_path), store)
    assert [route.app for route in ours.routes if hasattr(route, "app")][-1:] == made


def test_the_app_can_be_made_where_an_event_loop_runs(store: Store, tmp_path: Path) -> None:
    async def made() -> int:
        return len(create_app(Settings(data_dir=tmp_path), store).routes)

    with ThreadPoolExecutor(1) as thread:  # the tests' own may have a loop
        assert thread.submit(asyncio.run, made()).result() > 1
