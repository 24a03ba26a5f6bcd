"""The page's socket, and what is said when it cannot be had."""

import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.roles import address
from labeler.roles.address import is_https, listen, refuse_open_door, url_of, warning_of
from labeler.store import open_store
from labeler.web.server import run_web
from tests.support.certificate import self_signed
from tests.support.patience import wait_until


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


def test_the_address_to_open_names_the_machine_its_scheme_or_what_the_proxy_has(
    tmp_path: Path,
) -> None:
    everywhere = Settings(data_dir=tmp_path, host="0.0.0.0")
    assert url_of(everywhere) == f"http://{socket.gethostname()}:7860"
    own = Settings(data_dir=tmp_path, host="10.0.0.1", tls_certificate=tmp_path, tls_key=tmp_path)
    assert url_of(own) == "https://10.0.0.1:7860"
    proxied = Settings(data_dir=tmp_path, public_url="https://livedpo.example")
    assert url_of(proxied) == "https://livedpo.example"


@pytest.mark.parametrize("more", [{"host": "0.0.0.0"}, {"public_url": "https://x.example"}])
def test_what_others_can_reach_needs_an_admin_first(tmp_path: Path, more: dict[str, str]) -> None:
    settings = Settings(data_dir=tmp_path, **more)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="livedpo raters add NAME --role admin"):
        refuse_open_door(settings, has_admin=False)
    refuse_open_door(settings, has_admin=True)
    refuse_open_door(Settings(data_dir=tmp_path), has_admin=False)


def test_passwords_in_the_clear_are_warned_of(tmp_path: Path) -> None:
    assert "in the clear" in str(warning_of(Settings(data_dir=tmp_path, host="10.0.0.1")))
    assert warning_of(Settings(data_dir=tmp_path)) is None
    proxied = Settings(data_dir=tmp_path, host="10.0.0.1", public_url="https://x.example")
    assert is_https(proxied)
    assert warning_of(proxied) is None


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for this machine, its key, and the key once more, locked."""
    folder = tmp_path_factory.mktemp("tls")
    self_signed(folder)
    lock = ("pkey", "-in", "key.pem", "-aes256", "-passout", "pass:secret", "-out", "locked.pem")
    subprocess.run(["openssl", *lock], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("chain", "key", "words"),
    [
        ("chain.pem", None, "both --tls-certificate and --tls-key"),
        ("chain.pem", "nowhere.pem", "nowhere.pem cannot be read"),
        ("key.pem", "chain.pem", "do not match"),
        ("chain.pem", "locked.pem", "protected by a password"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_sentence(
    certificate: Path, chain: str, key: str | None, words: str
) -> None:
    files = {"tls_certificate": certificate / chain, "tls_key": certificate / key if key else None}
    settings = Settings(data_dir=certificate, **files)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=words):
        refuse_open_door(settings, has_admin=True)


def test_https_is_served_with_cookies_for_it_only(certificate: Path, tmp_path: Path) -> None:
    files = {"tls_certificate": certificate / "chain.pem", "tls_key": certificate / "key.pem"}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(data_dir=tmp_path, port=port, **files)
    trusted = ssl.create_default_context(cafile=certificate / "chain.pem")
    stop, store = threading.Event(), open_store(settings.database_url)
    invite = store.raters.invite("Ann", RaterRole.ADMIN, now=time.time())
    thread = threading.Thread(target=run_web, args=(settings, store, stop))
    thread.start()
    try:
        wait_until(lambda: any(role.name.startswith("web ") for role in store.processes.all()))
        with httpx.Client(base_url=url_of(settings), verify=trusted) as client:
            body = {"invite": invite, "password": "correct horse battery"}
            answer = client.post("/door/accept", json=body, headers={"origin": url_of(settings)})
            assert client.get("/door/me").json()["name"] == "Ann"
    finally:
        stop.set()
        thread.join()
        store.close()
    assert answer.headers["set-cookie"].startswith(f"__Host-livedpo-{port}=")
    assert "strict-transport-security" in answer.headers
