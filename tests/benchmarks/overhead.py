"""What a vote costs beside reading: here, on a plain Gradio page (`gradio_page`), in Label Studio.

    make bench-overhead ARGS="--peer-env FOLDER"

FOLDER is where Label Studio is, or is installed (`load_peer`); without it that page is left out.
A script sits at each page in Chromium, with the same pairs. It reads what is new at 250 words a
minute, votes for the left reply by the fewest acts that the page takes, and waits until another
pair can be read. That wait is the overhead. Nothing trains meanwhile. An act is a press or a click;
what a hand takes for it is not measured but counted at HAND_SECONDS, the same at both pages.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page

from tests.benchmarks.load_peer import install, label_studio
from tests.support.browser import chromium
from tests.support.patience import wait_until
from tests.support.service import free_port
from tests.support.web import new_pair, open_test_store, serving

WORDS_PER_MINUTE = 250
HAND_SECONDS = 0.3
WARM_UP = 2
ASKED = ["How do I make tea", "What shall I read", "Where do swallows sleep", "Why is the sky blue"]
SAID = ["Boil water, and pour it over the leaves.", "Ask somebody who knows about such things."]
# A promise of the milliseconds from the next press or click until there is another text to read.
WATCH = """() => {
    const shown = () => SHOWN;
    const old = shown();
    let begin = null;
    const act = (event) => { begin ??= event.timeStamp; };
    for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, act, true);
    window.nextPair = new Promise((resolve) => {
        const look = () => {
            const now = shown();
            const isNew = begin !== null && now.trim() && now !== old;
            if (isNew) resolve(performance.now() - begin);
            else requestAnimationFrame(look);
        };
        look();
    });
}"""


@dataclass(frozen=True)
class Desk:
    """A page to vote on: `acts` vote for the left reply, `shown` is what there is to read."""

    name: str
    page: Page
    acts: tuple[str, ...]
    shown: str

    def text(self) -> str:
        """What is on screen of the pair, as one text."""
        return str(self.page.evaluate(self.shown))

    def vote(self) -> None:
        """All the acts, one after the other."""
        for act in self.acts:
            if act.startswith("key "):
                self.page.keyboard.press(act.removeprefix("key "))
            else:
                self.page.click(act)


def pairs(count: int) -> list[dict[str, str]]:
    """Pairs of fifty to eighty words, no two alike."""
    return [
        {
            "prompt": f"{ASKED[number % 4]}, asks number {number}?",
            "left": f"Left {number}. " + " ".join([SAID[0]] * (2 + number % 3)),
            "right": f"Right {number}. " + " ".join([SAID[1]] * (3 + number % 2)),
        }
        for number in range(count)
    ]


def rate(desk: Desk, votes: int) -> list[float]:
    """Seconds from the first act of a vote until another pair is on screen, by the page's clock."""
    found = []
    for number in range(votes + WARM_UP):
        words = len(desk.text().split())
        desk.page.wait_for_timeout(60_000 * words / WORDS_PER_MINUTE)
        desk.page.evaluate(WATCH.replace("SHOWN", desk.shown))
        desk.vote()
        milliseconds = desk.page.evaluate("window.nextPair")
        if number >= WARM_UP:
            found.append(milliseconds / 1000)
    return found


@contextmanager
def ours(browser: Browser, folder: Path, rows: list[dict[str, str]]) -> Iterator[Desk]:
    """The rating page of a service whose pairs are there already."""
    with closing(open_test_store(folder)) as store:
        store.prompts.add([[{"role": "user", "content": row["prompt"]}] for row in rows], now=1.0)
        new = [
            new_pair(number, prompt.id or 0, response_a=row["left"], response_b=row["right"])
            for number, (prompt, row) in enumerate(zip(store.prompts.all(), rows, strict=True))
        ]
        store.queue.add(new, now=1.0)
        with serving(store, folder) as service:
            page = browser.new_page()
            page.add_init_script("localStorage.setItem('livedpo.practised.local', '1')")
            page.goto(service.url)
            page.wait_for_selector("#reply-left .text")
            yield Desk("livedpo", page, ("key 1",), _texts("#prompt .text", "#replies .text"))


@contextmanager
def plain_gradio(browser: Browser, folder: Path, rows: list[dict[str, str]]) -> Iterator[Desk]:
    """A Gradio page in a process of its own."""
    file, port = folder / "pairs.jsonl", free_port()
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["-m", "tests.benchmarks.gradio_page", str(port), str(file), str(folder / "votes")]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    try:
        page = browser.new_page()
        wait_until(lambda: _opens(page, f"http://127.0.0.1:{port}"), "Gradio")
        page.wait_for_selector("#left p")
        yield Desk("Gradio", page, ("#vote-left",), _texts("#prompt p", "#left p", "#right p"))
    finally:
        process.terminate()
        process.wait()


def label_studio_page(environment: Path) -> Callable[..., AbstractContextManager[Desk]]:
    """The page of Label Studio's `Pairwise`: a reply is clicked, and submitted."""

    @contextmanager
    def opened(browser: Browser, folder: Path, rows: list[dict[str, str]]) -> Iterator[Desk]:
        with label_studio(environment, folder) as server:
            server.make_project(rows)
            page = browser.new_page()
            server.open_labelling(page)
            line, reply = ".lsf-richtext__line", ".lsf-main-view .cursor-pointer >> nth=0"
            page.wait_for_selector(reply)
            yield Desk("Label Studio", page, (reply, "key Control+Enter"), _texts(line))

    return opened


def figures(desk: Desk, found: list[float], words: float) -> dict[str, Any]:
    """What a vote costs at a page, and how many an hour that makes."""
    overhead = statistics.median(found) + HAND_SECONDS * len(desk.acts)
    reading = 60 * words / WORDS_PER_MINUTE
    return {
        "page_ms": round(1000 * statistics.median(found), 1),
        "page_ms_most": round(1000 * max(found), 1),
        "acts": len(desk.acts),
        "overhead_seconds": round(overhead, 3),
        "labels_an_hour": round(3600 / (reading + overhead)),
    }


def run(votes: int, peer: Path | None) -> dict[str, Any]:
    """The pages, one after the other, with the same pairs."""
    rows = pairs(votes + WARM_UP + 2)
    words = statistics.mean(len(" ".join(row.values()).split()) for row in rows)
    report: dict[str, Any] = {"votes": votes, "words_a_pair": round(words, 1)}
    desks = [ours, plain_gradio, *([label_studio_page(peer)] if peer else [])]
    for open_desk in desks:
        with (
            tempfile.TemporaryDirectory() as folder,
            chromium() as browser,
            open_desk(browser, Path(folder), rows) as desk,
        ):
            print(f"{desk.name}: {votes} votes.", file=sys.stderr)
            report[desk.name] = figures(desk, rate(desk, votes), words)
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.overhead", description=__doc__
    )
    parser.add_argument("--votes", type=int, default=20, help="at each page")
    parser.add_argument("--peer-env", type=Path, help="folder for Label Studio's environment")
    options = parser.parse_args()
    if options.peer_env:
        install(options.peer_env)
    print(json.dumps(run(options.votes, options.peer_env), indent=1))


def _texts(*selectors: str) -> str:
    """What is on screen of these elements, as an expression of the page's."""
    found = f"[...document.querySelectorAll({json.dumps(', '.join(selectors))})]"
    return f"{found}.map((each) => each.innerText).join(' ')"


def _opens(page: Page, url: str) -> bool:
    try:
        page.goto(url)
    except Error:
        return False
    return True


if __name__ == "__main__":
    main()
