"""The endpoints in Gradio's server mode: its API engine without its pages.

`gradio.Server` starts a server of its own; ours has one, so the same engine is mounted there. What
else Gradio brings along is closed, see `labeler.web.door.access`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI

from labeler.web.api.stubs import without_stubs

with without_stubs():
    import gradio as gr

IDLE_SECONDS = 0.02
NO_DOCS = {"docs_url": None, "redoc_url": None, "openapi_url": None}


class _Api(gr.Blocks):  # type: ignore[misc]
    """Blocks whose queue looks for calls fifty times a second, not a thousand."""

    def run_startup_events(self) -> None:
        """Gradio calls this when the server starts."""
        self._queue.sleep_when_free = IDLE_SECONDS
        self._queue.progress_update_sleep_when_free = 1.0  # no endpoint tells of its progress
        super().run_startup_events()


@contextmanager
def _without_apps() -> Iterator[None]:
    """While endpoints are described, no app is made of them.

    Gradio makes one when its queue is set, one when the description ends, and one when it is
    mounted. Each takes as long as all of our own pages.
    """
    app = gr.blocks.App
    gr.blocks.App = SimpleNamespace(create_app=lambda *_, **__: None)
    try:
        yield
    finally:
        gr.blocks.App = app


async def mount_api(app: FastAPI, endpoints: Sequence[Callable[..., Any]]) -> None:
    """Put the endpoints beside the pages. Outside of a loop, Gradio makes loops and leaves them."""
    with _without_apps(), _Api(title="livedpo", mode="server", analytics_enabled=False) as blocks:
        for endpoint in endpoints:
            gr.api(endpoint, concurrency_limit=None)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        allowed_paths=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        app_kwargs=NO_DOCS,
    )
    blocks.app = app.routes[-1].app  # type: ignore[attr-defined]  # whose queue asks for it
