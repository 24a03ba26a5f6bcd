"""The hostile corpus in a real Chromium: nothing runs, is fetched, covered, hidden or broken."""

import io
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, BrowserContext, Dialog, Route

from labeler.domain.states import RaterRole
from labeler.store import Store
from tests.support.hostile import CORPUS, NAMES, PERSUASION, SURROGATES, Hostile
from tests.support.people import client_of, member
from tests.support.web import Screen, WebServer, new_pair, serving

ALONE = {"gold_share": 0.0, "repeat_share": 0.0, "labels_per_update": 1000}
PLAIN = Hostile("plain", "Just a question.")
TAGS = (
    *("blockquote", "br", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p"),
    *("pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
)
CARDS = ("prompt", "reply-left", "reply-right")

# What is wrong on screen, in words; nothing of it may be. Runs in the page, whose own functions a
# reply cannot have replaced as long as `window.ran` is not set.
LOOK = """({ cards, tags, legible }) => {
    const faults = [];
    const flat = (text) => text.replace(/\\s+/g, " ");
    if (window.ran !== undefined) faults.push("a script ran");
    for (const button of document.querySelectorAll("#choices button")) {
        const box = button.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        if (!button.contains(top)) faults.push(`${button.id} is covered by ${top?.outerHTML}`);
    }
    for (const id of ["vote-left", "choices", "saved", "prompt", "help"]) {
        const count = document.querySelectorAll(`[id="${id}"]`).length;
        if (count !== 1) faults.push(`${count} elements are called ${id}`);
    }
    for (let x = 5; x < innerWidth; x += innerWidth / 16) {
        for (let y = 5; y < innerHeight; y += innerHeight / 12) {
            const card = document.elementFromPoint(x, y)?.closest(".text")?.closest("[id]");
            if (!card) continue;
            const box = card.getBoundingClientRect();
            const inside = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
            if (!inside) faults.push(`${card.id} reaches ${x}, ${y}`);
        }
    }
    for (const id of cards) {
        const card = document.getElementById(id);
        const text = card.querySelector(".text");
        if (!flat(text.innerText).includes(flat(legible))) {
            faults.push(`${id} shows ${text.innerText.slice(0, 300)}`);
        }
        if (card.scrollWidth > card.clientWidth + 1) faults.push(`${id} is too wide`);
        const all = [...text.querySelectorAll("*")];
        for (const node of all) {
            const tag = node.localName;
            if (!tags.includes(tag)) faults.push(`${id} holds a ${tag}`);
            for (const { name, value } of node.attributes) {
                const known =
                    (name === "dir" && (value === "auto" || value === "ltr")) ||
                    (name === "start" && tag === "ol") ||
                    (name === "value" && tag === "li") ||
                    (name === "class" && /^(plain|note|language|cut)$/.test(value)) ||
                    (name === "align" && /^(left|center|right)$/.test(value));
                if (!known) faults.push(`${id} holds ${tag} ${name}="${value}"`);
            }
        }
        for (const node of all.slice(0, 300)) {
            const { position, opacity } = getComputedStyle(node);
            if (!["static", "relative"].includes(position)) faults.push(`${id}: ${position}`);
            if (opacity !== "1" || !node.checkVisibility()) faults.push(`${id} hides something`);
        }
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is too wide");
    return faults;
}"""
BUTTONS = """() => {
    const box = (id) => document.getElementById(id).getBoundingClientRect();
    const [left, right] = [box("vote-left"), box("vote-right")];
    return { x: left.x, y: left.y, width: right.right - left.x, height: left.height };
}"""
SHADES = 8  # of 256
# Both wait in the page, so that a pair costs three questions. Until a vote by another key counts.
UNTIL_SEEN = """() => new Promise((found) => {
    window.seen = document.querySelector("#reply-left .text");
    const look = () => document.body.matches("[data-takes]") && found(watch.disconnect());
    const watch = new MutationObserver(look);
    watch.observe(document.body, { attributes: true });
    look();
})"""
# Until another pair is on screen, and has been painted.
UNTIL_NEXT = """() => new Promise((found) => {
    const look = () => {
        const shown = document.querySelector("body:not(.is-waiting) #reply-left .text");
        if (!shown || shown === window.seen) return;
        watch.disconnect();
        requestAnimationFrame(() => setTimeout(found));
    };
    const watch = new MutationObserver(look);
    watch.observe(document.body, { attributes: true, childList: true, subtree: true });
    look();
})"""
NEXT = f"async (told) => {{ await ({UNTIL_NEXT})(); return ({LOOK})(told); }}"


class Watch:
    """A page under suspicion: everything that it does of its own accord is noted."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.noted: list[str] = []
        self._url = url
        context.route(lambda address: not address.startswith((url, "data:")), self._stop)
        self.page = context.new_page()
        context.on("page", lambda page: self.noted.append(f"window {page.url}"))
        self.page.on("dialog", self._dismiss)
        self.page.on("download", lambda download: self.noted.append(f"download {download.url}"))
        self.screen = Screen(self.page, url)
        # A pair counts as seen sooner if the vote before was by another key.
        self._keys = cycle("sb")

    def _stop(self, route: Route) -> None:
        self.noted.append(f"request {route.request.url}")
        route.abort()

    def _dismiss(self, dialog: Dialog) -> None:
        self.noted.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def open(self) -> None:
        self.screen.open()
        self.page.on("framenavigated", lambda frame: self.noted.append(f"went to {frame.url}"))

    def faults_of_next(self, hostile: Hostile) -> list[str]:
        """Vote, and tell all that is wrong with the next pair, which is made of this text."""
        self.page.evaluate(UNTIL_SEEN)
        self.page.keyboard.press(next(self._keys))
        told = {"cards": CARDS, "tags": TAGS, "legible": hostile.legible}
        return [f"{hostile.name}: {fault}" for fault in self.page.evaluate(NEXT, told)]

    def buttons(self) -> Image.Image:
        """The pixels of the two large buttons."""
        png = self.page.screenshot(clip=self.page.evaluate(BUTTONS))
        return Image.open(io.BytesIO(png)).convert("RGB")

    def assert_nothing_happened(self) -> None:
        assert self.noted == []
        self.screen.assert_clean()


def are_different(one: Image.Image, other: Image.Image) -> bool:
    """Whether anybody could see it: edges of letters differ by a shade or two from run to run."""
    if one.size != other.size:
        return True
    return any(most > SHADES for _, most in ImageChops.difference(one, other).getextrema())


def add_hostile_pairs(store: Store, corpus: Sequence[Hostile]) -> None:
    """Each text as a prompt, and as both of its replies."""
    store.prompts.add([[{"role": "user", "content": h.text}] for h in corpus], now=1.0)
    prompts = store.prompts.all()[-len(corpus) :]
    replies = [h.legible if h is SURROGATES else h.text for h in corpus]  # SQLite takes none
    pairs = [
        new_pair(number, prompt.id or 0, response_a=reply, response_b=reply)
        for number, (reply, prompt) in enumerate(zip(replies, prompts, strict=True))
    ]
    assert store.queue.add(pairs, now=1.0) == len(corpus)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("corpus", "width", "scheme"),
    [
        ((*CORPUS, SURROGATES), 1280, "light"),
        (tuple(hostile for hostile in CORPUS if hostile.paints), 390, "dark"),
    ],
    ids=["all of it, wide", "what paints, on a phone"],
)
def test_the_corpus_on_the_rating_page(
    corpus: Sequence[Hostile],
    width: int,
    scheme: Any,
    store: Store,
    tmp_path: Path,
    context: BrowserContext,
) -> None:
    add_hostile_pairs(store, (PLAIN, *corpus))
    with serving(store, tmp_path, **ALONE) as service:
        watch = Watch(context, service.url)
        watch.page.set_viewport_size({"width": width, "height": 844})
        watch.page.emulate_media(color_scheme=scheme)
        watch.open()
        faults, plain = [], watch.buttons()
        for hostile in corpus:
            faults += watch.faults_of_next(hostile)
            if hostile.paints and are_different(plain, watch.buttons()):
                faults.append(f"{hostile.name}: our buttons look different")
        assert not faults, "\n".join(faults)
        watch.assert_nothing_happened()


SHORT = tuple(
    hostile for hostile in CORPUS if 0 < len(hostile.text) < 500 and hostile not in PERSUASION
)[::3]
# What no page of ours has in its body, whatever it shows.
SWEEP = """() => {
    const faults = window.ran === undefined ? [] : ["a script ran"];
    for (const node of document.querySelectorAll("body *")) {
        const bad = ["iframe", "object", "embed", "base", "meta", "img", "video", "template"];
        if (bad.includes(node.localName)) faults.push(node.outerHTML.slice(0, 200));
        for (const { name, value } of node.attributes) {
            const points = ["src", "href", "action", "formaction", "srcdoc", "ping"].includes(name);
            const away = points && !/^(\\.?\\/[^/]|\\/$|#)/.test(value);
            if (name.startsWith("on") || away || (points && value.includes("evil"))) {
                faults.push(`${node.localName} ${name}="${value}"`);
            }
        }
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is too wide");
    return faults;
}"""


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Iterator[tuple[WebServer, httpx.Client]]:
    """An admin at a service on which the corpus was voted on, with itself as comments; and
    accounts whose names are of it.
    """
    add_hostile_pairs(store, SHORT)
    with serving(store, tmp_path, **ALONE) as service:
        token = member(store, "the admin", RaterRole.ADMIN)
        for hostile in NAMES:
            store.raters.invite(hostile.text, RaterRole.RATER, now=1.0)
        with client_of(service, token) as opened:
            _vote_on_all(opened)
            yield service, opened


def _vote_on_all(client: httpx.Client) -> None:
    for begin in range(0, len(SHORT), 8):
        some = SHORT[begin : begin + 8]
        body = {"holder": "tab", "wanted": len(some)}
        pairs = client.post("/rating/pairs", json=body).json()["pairs"]
        votes = [
            {
                "vote_id": pair["lease_id"],
                "lease_id": pair["lease_id"],
                "choice": "left",
                "comment": hostile.text,
                "reasons": [hostile.text[:100]],
            }
            for hostile, pair in zip(some, pairs, strict=True)
        ]
        answer = client.post("/rating/votes", json={"votes": votes}).json()
        assert [receipt["saved"] for receipt in answer["receipts"]] == [True] * len(votes)


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_the_corpus_in_history_labels_comments_and_names(
    client: tuple[WebServer, httpx.Client], context: BrowserContext
) -> None:
    service, admin = client
    name, _, token = admin.headers["cookie"].partition("=")
    context.add_cookies([{"name": name, "value": token, "url": service.url}])
    watch = Watch(context, service.url)
    page = watch.page
    faults: list[str] = []

    def see(where: str, selector: str, hostiles: Sequence[Hostile]) -> None:
        shown = _flat(page.inner_text(selector))
        unseen = [h.name for h in hostiles if h.text.isprintable() and _flat(h.text) not in shown]
        faults.extend(f"{where}: {name} cannot be read" for name in unseen)
        faults.extend(f"{where}: {fault}" for fault in page.evaluate(SWEEP))

    page.goto(service.url)
    page.wait_for_selector("#open-history[aria-keyshortcuts]")  # from then on it hears the keys
    page.keyboard.press("h")
    page.wait_for_selector("#history[open] li")
    see("history", "#history", SHORT[-30:])

    page.goto(f"{service.url}/labels")
    page.wait_for_selector("#list li")
    see("labels", "#list", ())
    for pair_id in range(1, len(SHORT) + 1):
        page.evaluate("(id) => { location.hash = `pair=${id}` }", pair_id)
        page.wait_for_selector(f"#opened h2:has-text('Pair {pair_id}')")
        see("opened", "#opened", SHORT[pair_id - 1 : pair_id])

    page.goto(f"{service.url}/dashboard")
    page.wait_for_selector("#people li, #people tr")
    see("people", "#people", NAMES)
    assert not faults, "\n".join(faults)
    watch.assert_nothing_happened()


def test_what_cannot_be_text_is_refused(shared: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    for body in (
        r'{"votes":[{"vote_id":"v","lease_id":"l","choice":"tie","comment":"\ud800"}]}',
        r'{"votes":[{"vote_id":"v","lease_id":"l","choice":"tie","__proto__":{"a":1}}]}',
        r'{"holder":"\u0000","undo_id":"u"}',
        "[" * 100_000,
    ):
        answer = shared.post("/rating/votes", content=body, headers=headers)
        assert answer.status_code in (400, 422), body[:90]
        assert len(answer.json()["error"]) < 500
    large = '{"votes":"' + 10_000_000 * "x" + '"}'
    assert shared.post("/rating/votes", content=large, headers=headers).status_code == 413


@pytest.mark.parametrize("file", ["/etc/passwd", "livedpo.sqlite", "../livedpo.sqlite", "C:\\x"])
@pytest.mark.parametrize(
    "route",
    [
        *("/file=", "/gradio_api/file=", "/gradio_api/file/", "/file/", "/gradio_api/stream/"),
        *("/gradio_api/proxy=", "/proxy=", "/static/", "/assets/../", "/page/../", "/svelte/"),
        *(
            "/page/%2e%2e/%2e%2e/",
            "/assets/..%2f..%2f",
            "/custom_component/",
        ),
    ],
)
def test_no_route_gives_a_file_away(shared: httpx.Client, route: str, file: str) -> None:
    answer = shared.get(route + file)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text


@pytest.mark.parametrize("route", ["/upload", "/gradio_api/upload?upload_id=1"])
def test_nothing_can_be_uploaded(shared: httpx.Client, route: str) -> None:
    answer = shared.post(route, files={"files": ("x.html", b"<script>", "text/html")})
    assert answer.status_code in (404, 405, 415)
    assert shared.get(route.replace("upload?upload_id=1", "upload_progress")).status_code == 404
