"""The rating page in Firefox, by keyboard alone: votes, undo, reasons, dialogs, a narrow window."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from labeler.store import Store
from tests.support.firefox import Firefox, firefox, program
from tests.support.patience import wait_until
from tests.support.web import WebServer, standing

pytest.importorskip("websockets")
pytestmark = pytest.mark.skipif(program() is None, reason="Firefox is not installed")


@pytest.fixture
def window(service: WebServer, tmp_path: Path) -> Iterator[Firefox]:
    """The page of the service with its first pair on screen."""
    folder = tmp_path / "profile"
    folder.mkdir()
    with firefox(folder) as opened:
        opened.resize(1280, 800)
        opened.open(f"{service.url}/labels")
        opened.look("localStorage.setItem('livedpo.practised.local', '1')")
        opened.open(service.url)
        yield opened


def expect_pair(window: Firefox, number: int) -> None:
    """The pair with this number, for so long that every vote on it counts."""
    text = json.dumps(f"Question {number}?")
    window.wait_for(f"document.querySelector('#prompt .text')?.innerText.trim() === {text}")
    window.wait_for("document.body.dataset.takes === 'all'")


def test_a_rater_votes_undoes_and_says_why_by_keyboard_in_firefox(
    window: Firefox, store: Store, tmp_path: Path
) -> None:
    for number, key in enumerate(("1", "2", "Shift+!", "t", "b"), start=1):
        expect_pair(window, number)
        window.press(key)
    expect_pair(window, 6)
    window.screenshot(tmp_path / "wide.png")
    window.press("u")
    expect_pair(window, 5)
    window.press("s")
    expect_pair(window, 6)
    window.press("?")
    window.wait_for("document.querySelector('#help').open")
    window.press("1")  # rests while a dialog is open
    window.press("Escape")
    window.wait_for("!document.querySelector('#help').open")
    expect_pair(window, 6)
    window.press("1")
    window.press("r")
    window.wait_for("document.querySelector('#why').open")
    window.press("1")
    window.screenshot(tmp_path / "why.png")
    for _ in range(8):  # past "Close" and six reasons, to the comment
        window.press("Tab")
    window.type("It is clearer")
    window.press("Control+Enter")
    window.wait_for("!document.querySelector('#why').open")
    wait_until(lambda: any(row.vote.comment for row in standing(store)), "the reasons")
    votes = [row.vote for row in standing(store)]
    choices = ["side", "side", "side", "tie", "skip", "side"]
    assert ["side" if vote.choice in ("a", "b") else vote.choice for vote in votes] == choices
    assert [vote.strength for vote in votes] == [1, 1, 2, 1, 1, 1]
    assert votes[-1].comment == "It is clearer"
    assert len(votes[-1].reasons) == 1
    window.resize(320, 560)
    assert window.look("document.documentElement.scrollWidth") <= 320
    window.screenshot(tmp_path / "narrow.png")
