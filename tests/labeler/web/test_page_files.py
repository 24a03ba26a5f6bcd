"""A browser asks for the pages' files once, and gets other ones as soon as there are any."""

import re
from pathlib import Path

import httpx
import pytest

from labeler.web.app import made_modules
from labeler.web.page_files import PageFiles
from tests.support.web import Screen

# Of the files that came over the network, and not from the browser's cache: their paths.
ASKED = """() => performance.getEntriesByType("resource")
    .filter((entry) => entry.transferSize > 0)
    .map((entry) => new URL(entry.name).pathname)"""


def test_whatever_changes_is_at_another_address(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    seen = [PageFiles({"made.js": "1"}, tmp_path), PageFiles({"made.js": "2"}, tmp_path)]
    assert PageFiles({"made.js": "1"}, tmp_path).version == seen[0].version
    (tmp_path / "a.js").write_text("2")
    seen.append(PageFiles({"made.js": "1"}, tmp_path))
    (tmp_path / "a.js").rename(tmp_path / "b.js")
    seen.append(PageFiles({"made.js": "1"}, tmp_path))
    assert len({files.version for files in seen}) == len(seen)


@pytest.mark.parametrize("page", ["/", "/login", "/dashboard", "/labels"])
def test_the_files_that_a_document_names_are_there_and_may_be_kept(
    page: str, shared: httpx.Client
) -> None:
    named = re.findall(r'page/[^"\\]+', shared.get(page).text)
    answers = [shared.get("/" + name) for name in named]
    assert len(answers) > 3
    assert {answer.status_code for answer in answers} == {200}
    assert all("immutable" in answer.headers["cache-control"] for answer in answers)


def test_there_are_the_made_modules_no_documents_and_no_files_of_other_versions(
    shared: httpx.Client,
) -> None:
    here = f"/page/{PageFiles(made_modules()).version}"
    for name, text in made_modules().items():
        made = shared.get(f"{here}/{name}")
        assert (made.text, made.headers["content-type"]) == (text, "text/javascript; charset=utf-8")
        assert "immutable" in made.headers["cache-control"]
    for absent in (
        f"{here}/door/login.html",
        here,
        "/page/rating/page.js",
        "/page/0/shared/dom.js",
    ):
        answer = shared.get(absent)
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


def test_a_second_visit_asks_for_no_script_or_style_again(screen: Screen) -> None:
    screen.open()
    asked = screen.page.evaluate(ASKED)
    assert "/rating/pairs" in asked
    kept = ("/page/", "/assets/", "/theme.css")
    assert [path for path in asked if path.startswith(kept)] == []
