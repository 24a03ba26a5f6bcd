"""A plain Gradio page that asks about pairs, as its documentation would have one written.

    python -m tests.benchmarks.gradio_page PORT PAIRS.jsonl VOTES.jsonl

Each vote is an event that appends a line to a file and returns the next pair.
"""

import json
import sys
from pathlib import Path

import gradio as gr


def page(pairs: list[dict[str, str]], votes: Path) -> gr.Blocks:
    """The Blocks: a prompt, two replies, three buttons."""

    def next_pair(number: int) -> tuple[int, str, str, str]:
        pair = pairs[number]
        return number, pair["prompt"], pair["left"], pair["right"]

    def vote(number: int, choice: str) -> tuple[int, str, str, str]:
        with votes.open("a") as file:
            print(json.dumps({"pair": number, "choice": choice}), file=file)
        return next_pair(number + 1)

    with gr.Blocks(analytics_enabled=False) as blocks:
        number = gr.State(0)
        prompt = gr.Markdown(elem_id="prompt")
        with gr.Row():
            left, right = gr.Markdown(elem_id="left"), gr.Markdown(elem_id="right")
        shown = [number, prompt, left, right]
        with gr.Row():
            for name in ("left", "tie", "right"):
                gr.Button(name, elem_id=f"vote-{name}").click(
                    lambda number, name=name: vote(number, name), number, shown
                )
        blocks.load(next_pair, number, shown)
    return blocks


if __name__ == "__main__":
    port, pairs, votes = sys.argv[1:]
    rows = [json.loads(line) for line in Path(pairs).read_text().splitlines()]
    page(rows, Path(votes)).launch(server_port=int(port), quiet=True)
