"""Ratings pulled from a server that answers as Open WebUI does."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from labeler.cli.pull import keep_pulling
from labeler.domain.labels import VoteRules
from labeler.files.open_webui import KEY, ROUTE
from labeler.files.pairs import read_pairs
from tests.labeler.files.reading.test_shapes import feedback
from tests.support.command import Ran, fails, livedpo
from tests.support.loopback import serving

SECRET = "sk-admin"
Answer = Callable[[], tuple[int, Any]]


@contextmanager
def open_webui(answer: Answer) -> Iterator[str]:
    """A server with the one route that is asked, for an admin's key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = 401, b""
            if self.headers["Authorization"] == f"Bearer {SECRET}":
                code, found = answer()
                body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(code if self.path == ROUTE else 404)
            if 300 <= code < 400:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with serving(Handler) as url:
        yield url


def rated(name: str, rating: int, updated_at: int) -> dict[str, Any]:
    return feedback(rating, "Boil.", "No.") | {"id": name, "updated_at": updated_at, "user": None}


def pulled(url: str, out: Path, key: str = SECRET) -> Ran:
    return livedpo("pull", "open-webui", url, "--out", out, **{KEY: key})


def test_ratings_are_kept_by_id_and_the_newest_of_each_trains(tmp_path: Path) -> None:
    out = tmp_path / "new" / "ratings.jsonl"
    there = [rated("f1", 1, 10), rated("f2", 1, 10)]
    with open_webui(lambda: (200, there)) as url:
        assert pulled(url + "/", out).stdout == f"2 ratings in {out}: 2 new, 0 changed.\n"
        before = out.stat().st_ino
        assert pulled(url, out).stdout == f"2 ratings in {out}: 0 new, 0 changed.\n"
        assert out.stat().st_ino == before
        # Edited on the page, deleted there, and an older answer of a cache.
        there = [rated("f1", -1, 20), rated("f3", 1, 20)]
        assert pulled(url, out).stdout == f"3 ratings in {out}: 1 new, 1 changed.\n"
        there = [rated("f1", 1, 15)]
        assert pulled(url, out).stdout == f"3 ratings in {out}: 0 new, 0 changed.\n"
    (pair,) = read_pairs(out, VoteRules()).pairs
    assert (pair.response_a, pair.said.target, pair.said.weight) == ("Boil.", 2 / 3, 3.0)
    assert SECRET not in out.read_text()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, b"<html>"), "not with a list of ratings; is it an Open WebUI?"),
        ((200, {"items": []}), "not with a list of ratings"),
        ((200, [{"id": 1}]), "not with a list of ratings"),
        ((404, []), "has no ratings to export"),
        ((500, []), "answers with the error 500"),
        ((307, []), "leads elsewhere"),
    ],
)
def test_another_answer_is_one_sentence_and_nothing_is_written(
    answer: tuple[int, Any], words: str, tmp_path: Path
) -> None:
    with open_webui(lambda: answer) as url:
        fails(pulled(url, tmp_path / "r.jsonl"), 1, words)
    assert list(tmp_path.iterdir()) == []


def test_a_key_a_server_and_a_file_that_will_not_do_are_one_sentence(tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    with open_webui(lambda: (200, [])) as url:
        fails(pulled(url, out, key=" "), 2, f"Set {KEY} to an API key of an admin")
        fails(pulled(url, out, key="other"), 1, f"does not accept the key in {KEY}")
        out.write_text('{"prompt": "Tea?"}\n')
        fails(pulled(url, out), 2, "is no file of ratings")
    fails(pulled(url, out), 1, "does not answer")


@pytest.mark.parametrize(
    "url",
    ["localhost:3000", "http://[::1", "http://127.0.0.1:1/é", "http://a..b", "http://a:b"],
)
def test_an_address_that_is_none_is_one_sentence(url: str, tmp_path: Path) -> None:
    fails(pulled(url, tmp_path / "r.jsonl"), 2, f"'{url}' is no address of a server")


@pytest.mark.parametrize("key", ["sk-…", "sk-a\nb"])
def test_a_key_with_a_character_that_none_has_is_one_sentence_without_it(
    key: str, tmp_path: Path
) -> None:
    run = pulled("http://127.0.0.1:1", tmp_path / "r.jsonl", key)
    fails(run, 2, f"{KEY} holds a character that no key has")
    assert "sk-" not in run.stderr


def test_it_goes_on_pulling_until_it_is_stopped_and_survives_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    answers = iter([(200, [rated("f1", 1, 10)]), (500, []), (200, [rated("f2", 1, 10)])])

    def answer() -> tuple[int, Any]:
        try:
            return next(answers)
        except StopIteration:
            stop.set()
            return 200, []

    out = tmp_path / "r.jsonl"
    with open_webui(answer) as url:
        keep_pulling(url, SECRET, out, 0.001, stop)
    said = capsys.readouterr()
    assert f"2 ratings in {out}: 1 new, 0 changed." in said.out
    assert "answers with the error 500." in said.err
