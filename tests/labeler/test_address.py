"""The page's socket, and what is said when it cannot be had."""

import socket
import threading
from pathlib import Path

import pytest

from labeler import address
from labeler.address import listen, url_of
from labeler.errors import BadInput
from labeler.settings import Settings


def test_a_port_in_use_is_one_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "PATIENCE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"^Port {port} is in use .* --port.$"):
            listen("127.0.0.1", port, threading.Event())


def test_a_port_that_its_predecessor_gives_up_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    monkeypatch.setattr(stop, "wait", lambda _=None: taken.close() or False)
    listen("127.0.0.1", port, stop).close()


def test_an_address_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(BadInput, match=r"cannot listen on 192\.0\.2\.1:7860"):
        listen("192.0.2.1", 7860, threading.Event())


def test_the_address_to_open_is_one_that_a_browser_takes(tmp_path: Path) -> None:
    assert url_of(Settings(data_dir=tmp_path)) == "http://127.0.0.1:7860"
    assert url_of(Settings(data_dir=tmp_path, host="::1")) == "http://[::1]:7860"
