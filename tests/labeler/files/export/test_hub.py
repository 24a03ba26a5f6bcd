"""An export on its way to the hub, which is a server on loopback that keeps what it is sent."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from labeler.store import Store
from tests.support.command import fails, livedpo
from tests.support.loopback import serving
from tests.support.store import vote
from tests.support.tiny import fill

TOKEN = "hf_not_to_be_seen_anywhere"
REPO = "ann/labels"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as takes a commit of small files; `sent` has the bodies by path."""

    sent: dict[str, list[Any]]
    refuses = False

    def do_POST(self) -> None:
        assert self.headers["authorization"] == f"Bearer {TOKEN}"
        body = self.rfile.read(int(self.headers["content-length"]))
        lines = [json.loads(line) for line in body.splitlines()]
        self.sent[self.path] = lines
        if self.refuses:
            self._answer(403, {"error": "This token may not write."})
        elif self.path == "/api/repos/create":
            self._answer(200, {"url": f"http://{self.headers['host']}/datasets/{REPO}"})
        elif "/preupload/" in self.path:
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            paths = [file["path"] for file in lines[0]["files"]]
            self._answer(200, {"files": [{"path": path} | modes for path in paths]})
        elif "/commit/" in self.path:
            self._answer(200, {"commitUrl": f"/datasets/{REPO}/commit/1", "commitOid": "1"})
        else:
            self._answer(200, {"errors": [], "warnings": []})

    def do_GET(self) -> None:
        self._answer(404, {"error": "not found"})

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """The hub that this process talks to, and the token that it is told."""
    Hub.sent, Hub.refuses = {}, False
    with serving(Hub) as address:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield Hub


@pytest.fixture
def words(store: Store, url: str) -> list[str]:
    """The command for a store with three votes."""
    fill(store, 3)
    vote(store, 3)
    return ["export", "--database", url, "--to-hub", REPO]


def test_a_folder_with_rows_settings_and_card_is_sent_to_a_private_data_set(
    words: list[str], hub: type[Hub]
) -> None:
    ran = livedpo(*words, "--format", "argilla")
    assert ran.returncode == 0, ran.stderr
    [made] = hub.sent["/api/repos/create"]
    assert (made["name"], made["type"], made["visibility"]) == ("labels", "dataset", "private")
    [commit] = [body for path, body in hub.sent.items() if path.endswith("/commit/main")]
    files = {line["value"]["path"]: line["value"] for line in commit if line["key"] == "file"}
    assert set(files) == {
        *("README.md", "records.json"),
        *(".argilla/settings.json", ".argilla/dataset.json"),
    }
    assert len(json.loads(base64.b64decode(files["records.json"]["content"]))) == 3
    assert ran.stdout.splitlines()[-1].startswith("Sent to http://127.0.0.1")
    assert TOKEN not in ran.stdout + ran.stderr
    assert TOKEN not in json.dumps(hub.sent)


def test_a_named_folder_stays_here_as_well(
    words: list[str], hub: type[Hub], tmp_path: Path
) -> None:
    assert livedpo(*words, str(tmp_path / "mine")).returncode == 0
    assert (tmp_path / "mine" / "README.md").is_file()
    assert len(hub.sent) > 2


def test_a_hub_that_refuses_is_one_sentence_and_exit_code_1(
    words: list[str], hub: type[Hub]
) -> None:
    hub.refuses = True
    ran = livedpo(*words)
    assert ran.returncode == 1
    [sentence] = ran.stderr.strip().splitlines()
    assert sentence.startswith(f"livedpo: The hub did not take {REPO}: ")
    assert TOKEN not in ran.stderr


def test_a_hub_that_is_not_there_is_one_sentence_and_exit_code_1(
    words: list[str], hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    ran = livedpo(*words)
    assert ran.returncode == 1
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "did not take" in ran.stderr


def test_what_cannot_be_sent_is_refused_before_anything_is_written(
    words: list[str], hub: type[Hub], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fails(livedpo(*words, str(tmp_path / "x.jsonl")), 2, "--to-hub sends a folder")
    fails(livedpo(*words[:-1], "no such: name"), 2, "no name of a repository")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    fails(livedpo(*words, str(tmp_path / "folder")), 2, "hf auth login")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fails(livedpo(*words, str(tmp_path / "folder")), 2, "HF_HUB_OFFLINE")
    fails(livedpo("export"), 2, "Name OUT")
    assert hub.sent == {}
    assert not (tmp_path / "folder").exists()
