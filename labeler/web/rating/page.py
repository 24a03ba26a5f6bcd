"""The page's layout in Gradio: containers and buttons.

No component has an event handler. `static/rating/page.js` fills the containers by their ids and
listens to the buttons, so a vote passes neither Gradio's queue nor `eval`. (`gr.HTML` is not used:
it compiles its template in the browser, which needs 'unsafe-eval'.)
"""

from fastapi import FastAPI

from labeler.web.page_files import PageFiles
from labeler.web.rating.stubs import without_stubs

with without_stubs():
    import gradio as gr

HEAD = """
<link rel="stylesheet" href="page/shared/tokens.css">
<link rel="stylesheet" href="page/rating/frame.css">
<link rel="stylesheet" href="page/rating/cards.css">
<link rel="stylesheet" href="page/shared/text.css">
<link rel="stylesheet" href="page/shared/calibration.css">
<link rel="stylesheet" href="page/rating/choices.css">
<link rel="stylesheet" href="page/rating/panel.css">
<link rel="stylesheet" href="page/rating/dialogs.css">
<link rel="stylesheet" href="page/rating/own_prompts.css">
<link rel="stylesheet" href="page/rating/changes.css">
<link rel="stylesheet" href="page/shared/print.css">
<script type="module" src="page/rating/page.js"></script>
"""


class _Layout(gr.Blocks):  # type: ignore[misc]
    """Blocks without a queue: it looks for events a thousand times a second, and there are none."""

    def run_startup_events(self) -> None:
        """Gradio calls this when the server starts."""
        self.is_running = True


async def mount_layout(app: FastAPI, files: PageFiles) -> None:
    """Put the rating page at `/`. Outside of a loop, Gradio makes loops and leaves them open."""
    gr.mount_gradio_app(
        app,
        rating_page(),
        path="/",
        theme=theme(),
        head=files.with_addresses(HEAD),
        footer_links=[],
        allowed_paths=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )


def rating_page() -> gr.Blocks:
    """The Blocks of the rating page."""
    with _Layout(title="livedpo", analytics_enabled=False, fill_width=True) as page:
        gr.Column(elem_id="top")
        gr.Column(elem_id="alarms")
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="pair"):
                gr.Column(elem_id="ask")
                gr.Column(elem_id="prompt")
                with gr.Row(elem_id="replies"):
                    gr.Column(elem_id="reply-left")
                    gr.Column(elem_id="reply-right")
                _choices()
            with gr.Column(elem_id="side"):
                gr.Column(elem_id="panel")
                gr.Column(elem_id="guidelines")
    return page


def theme() -> gr.themes.Base:
    """System fonts only: the bundled semi-bold one has no letters but A and B."""
    return gr.themes.Default(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def _choices() -> None:
    with gr.Row(elem_id="choices"):
        gr.Button("Reply 1 is better", variant="primary", elem_id="vote-left")
        gr.Button("Reply 2 is better", variant="primary", elem_id="vote-right")
        gr.Button("Much better", elem_id="vote-left-much")
        gr.Button("Much better", elem_id="vote-right-much")
        gr.Button("Tie", elem_id="vote-tie")
        gr.Button("Both bad", elem_id="vote-both-bad")
        gr.Button("Skip", elem_id="vote-skip")
        gr.Button("Undo", elem_id="undo")
        gr.Column(elem_id="saved", min_width=0)
