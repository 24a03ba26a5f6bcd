"""A rater at the page: reads what is on screen, presses a key."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.support.browser import PATIENCE_MS

READ = """() => [
    document.querySelector("#prompt .text").innerText,
    document.querySelector("#reply-left .text").innerText,
    document.querySelector("#reply-right .text").innerText,
    document.querySelector("#prompt .note").innerText,
]"""
KEYS = {"left": "1", "right": "2", "tie": "t"}


def cast(page: Page, key: str, *, after: str | None = None) -> None:
    """Press a key that votes, as soon as the page takes it for the pair on screen: sooner if the
    vote `after` which it comes was by another key.
    """
    is_other = after is not None and key[-1].lower() != after[-1].lower()
    takes = "body[data-takes]" if is_other else "body[data-takes=all]"
    page.wait_for_selector(takes, timeout=PATIENCE_MS)
    page.keyboard.press(key)


def leave(page: Page) -> None:
    """Show nothing. By itself: a page that is told to go there goes on in a new process, which
    compiles all anew.
    """
    if page.url != "about:blank":
        page.evaluate("location.replace('about:blank')")
        page.wait_for_url("about:blank")


@dataclass(frozen=True)
class Shown:
    """A pair as it stands on screen."""

    prompt: str
    left: str
    right: str
    version: int


class RaterAtPage:
    """Votes by keyboard alone, always by the same taste: the reply of higher value."""

    def __init__(self, page: Page, url: str, value: Callable[[str, str], float]) -> None:
        self.page = page
        self.seen: list[Shown] = []
        self._last: str | None = None
        self._value = value
        page.add_init_script("localStorage.setItem('livedpo.practised.local', '1')")
        page.goto(url)

    def look(self) -> Shown:
        """The pair on screen, as soon as there is one."""
        self.page.wait_for_selector("body:not(.is-waiting) #reply-left .text", timeout=PATIENCE_MS)
        prompt, left, right, note = self.page.evaluate(READ)
        return Shown(prompt, left, right, int(note.split()[-1]))

    def vote(self) -> Shown:
        """Vote on the pair on screen."""
        shown = self.look()
        left, right = (self._value(shown.prompt, text) for text in (shown.left, shown.right))
        choice = "left" if left > right else "right" if right > left else "tie"
        self.press(KEYS[choice])
        self.seen.append(shown)
        return shown

    def press(self, key: str) -> None:
        """Vote by this key."""
        cast(self.page, key, after=self._last)
        self._last = key

    def wait_until_saved(self) -> None:
        """Until the server has confirmed every vote."""
        mark = self.page.locator("#saved .mark")
        expect(mark).to_have_attribute("data-kind", "saved")
