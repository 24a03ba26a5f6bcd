import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.web.app import create_app


def test_nothing_looks_for_events_while_nobody_asks(store: Store, tmp_path: Path) -> None:
    """What is left is the task in which Gradio forgets old sessions, once a second."""

    def tasks() -> set[str]:
        app = create_app(Settings(data_dir=tmp_path), store)

        async def running() -> set[str]:
            async with app.router.lifespan_context(app):
                return {task.get_coro().__name__ for task in asyncio.all_tasks()}

        return asyncio.run(running())

    with ThreadPoolExecutor(1) as thread:  # that of a browser's tests has a loop already
        assert thread.submit(tasks).result() == {"running", "_delete_state"}
