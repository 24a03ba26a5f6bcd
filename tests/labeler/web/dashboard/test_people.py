"""An admin keeps the accounts, by keyboard: changes are asked for and said, and leave the focus."""

import pytest
from playwright.sync_api import Page, expect

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.door.sessions import Sessions
from tests.support.people import member
from tests.support.web import WebServer


@pytest.fixture
def page(service: WebServer, store: Store, tab: Page) -> Page:
    """The accounts, before an admin; Bob rates."""
    token = member(store, "Boss", RaterRole.ADMIN)
    member(store, "Bob", RaterRole.RATER)
    cookie = Sessions(service.settings, store).cookie
    tab.context.add_cookies([{"name": cookie, "value": token, "url": service.url}])
    tab.goto(f"{service.url}/dashboard")
    tab.get_by_label("Role of Bob").wait_for()
    return tab


def role_of(store: Store, name: str) -> RaterRole:
    return store.raters.find(name).role


def test_an_arrow_key_changes_no_role_before_it_is_asked_for(page: Page, store: Store) -> None:
    role, question = page.get_by_label("Role of Bob"), page.locator("dialog.ask")
    role.focus()
    page.keyboard.press("ArrowDown")
    expect(question).to_contain_text("Change the role of Bob to Reviewer?")
    page.keyboard.press("Enter")  # the focus is on Cancel
    expect(question).to_have_count(0)
    expect(role).to_have_value("rater")
    expect(role).to_be_focused()
    assert role_of(store, "Bob") is RaterRole.RATER
    page.keyboard.press("ArrowDown")
    question.get_by_role("button", name="Change the role").press("Enter")
    expect(page.locator("#toast")).to_have_text("Bob has the role reviewer now.")
    expect(role).to_have_value("reviewer")
    expect(role).to_be_focused()
    assert role_of(store, "Bob") is RaterRole.REVIEWER


def test_a_role_that_is_refused_is_the_old_one_again(page: Page, store: Store) -> None:
    role = page.get_by_label("Role of Boss")
    role.select_option("rater")
    expect(page.locator("dialog.ask")).to_contain_text("your own account")
    page.get_by_role("button", name="Change the role").click()
    expect(page.locator("#toast")).to_contain_text("admin")
    expect(role).to_have_value("admin")
    assert role_of(store, "Boss") is RaterRole.ADMIN


def test_a_new_link_has_the_focus_and_is_selected(page: Page) -> None:
    page.get_by_role("button", name="New link: Bob").press("Enter")
    page.get_by_role("button", name="Make the link").press("Enter")
    link = page.get_by_label("The link for Bob")
    expect(link).to_be_focused()
    assert page.evaluate("getSelection().toString()") == link.input_value()


def test_after_each_change_the_focus_is_in_the_row_of_the_person(page: Page) -> None:
    toast = page.locator("#toast")
    page.get_by_role("button", name="Disable: Bob").press("Enter")
    page.get_by_role("button", name="Disable", exact=True).press("Enter")
    expect(toast).to_have_text("Bob is disabled.")
    expect(page.get_by_label("Role of Bob")).to_be_focused()
    page.get_by_role("button", name="Enable: Bob").press("Enter")
    expect(toast).to_have_text("Bob is enabled.")
    expect(page.get_by_label("Role of Bob")).to_be_focused()


def test_the_focus_comes_back_where_the_table_was_drawn_anew_behind_a_question(page: Page) -> None:
    page.get_by_role("button", name="Disable: Bob").press("Enter")
    question = page.locator("dialog.ask")
    expect(question).to_be_visible()
    row = page.get_by_role("row", name="Bob").element_handle()
    assert row is not None
    row.evaluate("row => row.replaceWith(row.cloneNode(true))")  # as a look that was under way does
    question.get_by_role("button", name="Disable").press("Enter")
    expect(page.locator("#toast")).to_have_text("Bob is disabled.")
    expect(page.get_by_label("Role of Bob")).to_be_focused()
