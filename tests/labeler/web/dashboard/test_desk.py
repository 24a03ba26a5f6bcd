"""The dashboard and the labels page in a real browser, by keyboard, light and dark."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from labeler.domain.drawing import Drawing
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair, PolicyVersion, Rater, Vote
from tests.support.adapter import write_folder
from tests.support.axe import faults_by_scheme
from tests.support.busy import fill_busy
from tests.support.page import leave
from tests.support.store import change
from tests.support.web import Screen, WebServer, serving


@pytest.fixture
def busy(store: Store, database: Database, tmp_path: Path, port: int) -> Iterator[WebServer]:
    """A service of some days, whose version 8 is live and whose version 7 is whole on disk."""
    fill_busy(database, votes=260, now=time.time())
    digest = write_folder(tmp_path / "adapters" / "v0007")
    change(database, PolicyVersion, 7, sha256=digest)
    with serving(store, tmp_path, port=port) as running:
        yield running


@pytest.fixture
def screen(busy: WebServer, tab: Page) -> Iterator[Screen]:
    shown = Screen(tab, busy.url)
    yield shown
    shown.leave()
    shown.assert_clean()


def dismissing(screen: Screen) -> Callable[[Dialog], None]:
    """Notes what a dialog says, and is done with it."""

    def note(dialog: Dialog) -> None:
        screen.complaints.append(dialog.message)
        dialog.dismiss()

    return note


def go(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("body[data-ready]")


def assert_sound(page: Page, width: int = 1280) -> None:
    """axe finds nothing serious, and nothing stands out to the right."""
    assert faults_by_scheme(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_dashboard_shows_the_service_and_is_read_by_keyboard(
    screen: Screen, store: Store
) -> None:
    page = screen.page
    go(page, f"{screen.url}/dashboard")
    expect(page.locator("#tiles dl").first).to_contain_text("Live version8")
    expect(page.locator("#plot-win svg .point")).to_have_count(8)
    expect(page.locator("#history tbody tr")).to_have_count(8)
    page.locator("#plot-kl > svg").focus()
    page.keyboard.press("Home")
    expect(page.locator("#plot-kl .plot-readout")).to_contain_text("Version 1: from the base 0.106")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#plot-kl .plot-readout")).to_contain_text("Version 2:")
    page.locator("#plot-win button").press("Enter")
    expect(page.locator("#plot-win tbody tr")).to_have_count(8)
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator("#ranges [aria-pressed=true]")).to_have_text("All")
    store.versions.note_drawing(Drawing(0.6, "the makers' advice", 0.9, "as set", 256))
    expect(page.locator("#drawing")).to_contain_text("temperature 0.6 (the makers' advice)")
    store.processes.alarm("judge", "The judge abstained on 12 of its last 16 pairs")
    expect(page.locator("#alarms")).to_contain_text("judge: The judge abst")
    for name in ("reward model", "web"):  # one that speaks when it has learned, and one that beats
        store.processes.say(name, "Heard.", pid=1, now=time.time() - 90)
    process = page.locator("#processes li")
    expect(process.filter(has_text="reward model").locator(".chip.good")).to_have_text("2 min ago")
    expect(process.filter(has_text="web").locator(".chip.warn")).to_contain_text("silent for")
    assert_sound(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert_sound(page, 390)


def test_an_admin_rolls_back_after_a_question_and_invites_people(
    screen: Screen, store: Store
) -> None:
    page = screen.page
    go(page, f"{screen.url}/dashboard")
    page.locator("#rollback").click()
    expect(page.locator("dialog.ask")).to_contain_text(
        "Version 7 becomes live in place of version 8"
    )
    page.keyboard.press("Escape")
    assert store.versions.live().id == 8  # type: ignore[union-attr]
    page.locator("#rollback").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator("#toast")).to_have_text("Version 7 is live now, in place of version 8.")
    row = page.locator("#history tbody tr").nth(1)
    expect(row).to_contain_text("made live by local")
    page.get_by_label("Name", exact=True).fill("Ada Two")
    page.get_by_role("button", name="Invite", exact=True).click()
    link = page.locator("#invite-url").input_value()
    assert link.startswith(f"{screen.url}/login#invite=")
    assert len(link.partition("=")[2]) > 30
    leave(page)
    screen.complaints.clear()  # from now on everybody logs in, and the page was told so


def test_labels_are_found_opened_and_set_aside_by_keyboard_alone(
    screen: Screen, store: Store
) -> None:
    page = screen.page
    go(page, f"{screen.url}/labels")
    expect(page.locator("a.line")).to_have_count(50)
    page.locator("#more").press("Enter")
    expect(page.locator("a.line")).to_have_count(100)
    page.get_by_role("searchbox").fill("bicycle")
    expect(page.locator("#count")).to_contain_text("33 pairs")
    lines = page.locator("a.line")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowDown")
    expect(lines.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(lines.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#opened h2")).to_be_focused()
    assert_sound(page)
    page.keyboard.press("Escape")
    expect(lines.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("#aside").press("Enter")
    page.keyboard.type("It names a customer.")
    page.locator("dialog button[value=yes]").press("Enter")
    note = page.locator(".aside-note")
    expect(note).to_contain_text("Set aside by local")
    expect(note).to_contain_text("It names a customer.")
    expect(page.locator("#aside")).to_be_focused()
    expect(lines.nth(1)).to_contain_text("set aside")
    page.set_viewport_size({"width": 390, "height": 844})
    assert_sound(page, 390)
    page.get_by_role("button", name="← List").click()
    assert_sound(page, 390)


def test_a_link_leads_to_a_pair_and_a_hostile_one_does_nothing(
    screen: Screen, database: Database
) -> None:
    table = "| a | b |\n|--:|:-:|\n| 1 | 2 |\n\n<img src=x onerror=alert(1)><style>p{}</style>"
    change(database, Pair, 3, response_a=table)
    change(database, Vote, "vote-2", comment="<b>bold</b>\u202e")
    change(database, Rater, 1, name="<script>alert(1)</script>")
    page = screen.page
    page.on("dialog", complain := dismissing(screen))
    go(page, f"{screen.url}/labels?flag=set_aside#pair=3")
    expect(page.locator("#opened h2")).to_have_text("Pair 3")
    expect(page.locator(".response-a td").first).to_have_css("text-align", "right")
    expect(page.locator(".response-a .text")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("#opened :is(script, img, style, b)").count() == 0
    page.get_by_label("Which").select_option("")
    expect(page.locator("a.line")).to_have_count(50)
    page.goto(f"{screen.url}/labels#pair=99999")
    expect(page.locator("#opened [role=alert]")).to_contain_text("There is no pair 99999")
    page.remove_listener("dialog", complain)
    screen.complaints = [text for text in screen.complaints if "422" not in text]
