"""The login page and the header in a real browser, and what becomes of votes when a login ends."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from labeler.domain.passwords import hash_password
from labeler.domain.states import RaterRole
from labeler.store import Store
from tests.support.axe import faults
from tests.support.page import cast, leave
from tests.support.patience import wait_until
from tests.support.people import member
from tests.support.web import WebServer, log_in, standing

PASSWORD = "correct horse battery"


@pytest.fixture
def people(store: Store) -> None:
    """Ann, who rates, and Boss, who may do everything, with the same password."""
    kept = hash_password(PASSWORD)
    for name, role in (("Ann", RaterRole.RATER), ("Boss", RaterRole.ADMIN)):
        member(store, name, role, kept)


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    """A browser in which nobody is logged in."""
    yield tab
    tab.set_extra_http_headers({})


def wait_for_pair(page: Page) -> None:
    page.wait_for_selector("body:not(.is-waiting) #reply-left .text")


def stored_by(store: Store) -> list[str]:
    return [row.rater for row in standing(store)]


@pytest.mark.usefixtures("people")
def test_the_login_leads_back_to_the_page_that_was_asked_for(
    service: WebServer, page: Page
) -> None:
    page.goto(f"{service.url}/labels#pair=3")
    assert page.url == f"{service.url}/login?to=/labels#pair=3"
    expect(page.locator("#name")).to_be_focused()
    log_in(page, "Boss", "wrong password")
    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    expect(page.locator("#password")).to_be_focused()
    assert page.input_value("#name") == "Boss"
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{service.url}/labels#pair=3")
    for elsewhere in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "/%0A%5Cevil.example",
        "//",
        "/login",
    ):
        page.goto(f"{service.url}/login?to={elsewhere}")
        log_in(page, "Boss", PASSWORD)
        page.wait_for_url(f"{service.url}/")
    page.goto(f"{service.url}/login?to=/.//evil.example")  # a path of ours that begins with //
    log_in(page, "Boss", PASSWORD)
    page.wait_for_url(f"{service.url}//evil.example")


def test_the_login_says_what_a_proxy_takes_that_the_service_was_not_told_of(
    service: WebServer, page: Page
) -> None:
    page.set_extra_http_headers({"x-forwarded-for": "192.0.2.7"})
    page.goto(service.url)
    expect(page.get_by_role("alert")).to_contain_text("start `livedpo serve` with --public-url.")


def test_an_invite_outlasts_a_service_that_is_busy(
    service: WebServer, store: Store, page: Page
) -> None:
    invite = store.raters.invite("Zoë", RaterRole.REVIEWER, now=time.time())
    link = f"{service.url}/login#invite={invite}"
    sentence = "Many people are logging in right now. Try again in a few seconds."

    def be_busy(route: Route) -> None:
        route.fulfill(status=503, json={"error": sentence})

    page.route("**/door/accept", be_busy)
    page.goto(link)
    expect(page.get_by_role("alert")).to_have_text(sentence)
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    assert page.url == link
    page.reload()
    expect(page.get_by_role("alert")).to_have_text(sentence)
    page.fill("#new", PASSWORD)
    page.click("#go")
    expect(page.locator("#go")).to_have_attribute("aria-disabled", "false")
    assert page.url == link
    page.unroute("**/door/accept")
    page.route(f"{service.url}/", lambda route: route.fulfill(status=204))  # the login page stays
    page.click("#go")
    expect(page.locator("#name")).to_have_value("Zoë")  # for the password manager
    page.unroute(f"{service.url}/")
    page.goto(service.url)
    wait_for_pair(page)
    assert invite not in page.url


def test_an_invite_that_is_none_leads_to_the_login(service: WebServer, page: Page) -> None:
    page.goto(f"{service.url}/login#invite={'x' * 200}")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.locator("#name")).to_be_editable()
    assert page.url == f"{service.url}/login"


def test_an_invite_outlasts_too_many_attempts(service: WebServer, page: Page) -> None:
    refused = {"error": "Too many attempts."}
    page.route("**/door/accept", lambda route: route.fulfill(status=429, json=refused))
    page.goto(f"{service.url}/login#invite=abc")
    expect(page.get_by_role("alert")).to_have_text("Too many attempts.")
    assert page.url == f"{service.url}/login#invite=abc"


def test_an_invite_leaves_the_address_bar_and_lets_in_once(
    service: WebServer, store: Store, page: Page
) -> None:
    invite = store.raters.invite("Zoë", RaterRole.REVIEWER, now=time.time())
    link = f"{service.url}/login#invite={invite}"
    page.goto(link)
    expect(page.get_by_role("heading", name="Welcome, Zoë")).to_be_visible()
    assert page.url == f"{service.url}/login"
    page.fill("#new", "easy")
    page.click("#go")
    expect(page.get_by_role("alert")).to_contain_text("use 10 or more")
    page.fill("#new", PASSWORD)
    page.click("#go")
    wait_for_pair(page)
    names = page.locator(".who-pages a")
    expect(names).to_have_text(["Rate", "Dashboard", "Labels"])
    expect(page.locator(".who summary")).to_have_text("Zoë")
    leave(page)
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("has been used")
    expect(page.locator("#name")).to_be_editable()


@pytest.mark.usefixtures("people")
def test_a_rater_sees_the_way_out_and_no_other_pages(service: WebServer, page: Page) -> None:
    page.goto(service.url)
    log_in(page, "ann", PASSWORD)
    wait_for_pair(page)
    assert page.locator(".who-pages").count() == 0
    page.click(".who summary")
    expect(page.locator(".who-list")).to_contain_text("Logged in as Ann, rater")
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(page.locator(".who-list")).to_be_hidden()
    expect(page.locator(".who summary")).to_be_focused()
    page.goto(f"{service.url}/dashboard")
    expect(page.locator("main")).to_contain_text("needs the role reviewer or admin")
    assert faults(page) == []
    page.get_by_role("link", name="Rate pairs").click()
    wait_for_pair(page)
    page.set_viewport_size({"width": 390, "height": 844})
    box = page.locator(".who summary").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    page.click(".who summary")
    page.click("text=Log out")
    page.wait_for_url(f"{service.url}/login")
    page.goto(service.url)
    page.wait_for_url(f"{service.url}/login?to=/")


@pytest.mark.usefixtures("people")
def test_a_password_that_is_sent_before_the_script_is_there_goes_nowhere(
    service: WebServer, page: Page
) -> None:
    """A browser would put it into the address."""
    page.route("**/door/login.js", lambda route: route.abort())
    page.goto(f"{service.url}/login")
    page.fill("#name", "Ann")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#go").click(force=True)
    assert page.url == f"{service.url}/login"
    assert page.input_value("#password") == PASSWORD


@pytest.mark.usefixtures("people")
def test_votes_wait_for_the_login_of_the_person_who_cast_them(
    service: WebServer, store: Store, page: Page, profile: BrowserContext
) -> None:
    """Ann's login ends while she rates; Boss logs in in her browser; then she does again."""
    page.goto(service.url)
    log_in(page, "Ann", PASSWORD)
    wait_for_pair(page)
    cast(page, "1")
    wait_until(lambda: stored_by(store) == ["Ann"])

    (cookie,) = profile.cookies()
    store.logins.log_out(cookie.get("value", ""), now=time.time())
    cast(page, "2")
    bar = page.locator(".who-out")
    expect(bar).to_contain_text("You are logged out.")
    expect(bar.get_by_role("link", name="Log in again")).to_be_visible()
    assert faults(page) == []

    other = profile.new_page()
    other.goto(service.url)
    log_in(other, "Boss", PASSWORD)
    wait_for_pair(other)
    cast(other, "t")
    wait_until(lambda: stored_by(store) == ["Ann", "Boss"])
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(bar).to_contain_text("Someone else has logged in")
    assert stored_by(store) == ["Ann", "Boss"]

    bar.get_by_role("link", name="Log in again").click()
    log_in(page, "Ann", PASSWORD)
    wait_until(lambda: stored_by(store) == ["Ann", "Boss", "Ann"])
    wait_for_pair(page)
    expect(bar).to_be_empty()
