"""Real proxies in front of a service, as they are shipped: only ports, files and names are ours.

What they are told is written in `labeler/README.md`, so that what people copy is what is tested.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.patience import wait_until
from tests.support.service import PLAIN

README = Path(__file__).resolve().parents[2] / "labeler" / "README.md"
PLACES = os.defpath + ":/usr/sbin:/usr/local/sbin:/usr/local/bin"
# nginx may be started by anybody, so it writes nothing where only root may.
NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""
CADDY = "{{\n    admin off\n    skip_install_trust\n    auto_https disable_redirects\n}}\n{site}"


def program(name: str) -> str | None:
    """Where a program is that system administrators use; None if it is not installed."""
    return shutil.which(name, path=PLACES)


def example(kind: str, **changes: str) -> str:
    """The example in the handbook, with each of these words put in place of what it says."""
    block = re.search(rf"```{kind}\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    text = block[1]
    for name, word in changes.items():
        assert WORDS[name] in text, name
        text = text.replace(WORDS[name], word)
    return text


WORDS = {
    "listen": "listen 443 ssl;",
    "host": "lab.example",
    "certificate": "/etc/ssl/lab.example.pem",
    "key": "/etc/ssl/lab.example.key",
    "upstream": "http://127.0.0.1:7860/",
    "caddy_upstream": "127.0.0.1:7860",
}


@contextmanager
def nginx(folder: Path, site: str, url: str) -> Iterator[None]:
    """nginx with this `server` block, which answers at the `url`."""
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, site=site))
    words = [program("nginx") or "", "-c", str(configuration), "-e", str(folder / "error.log")]
    with _running(words, folder, url):
        yield


@contextmanager
def caddy(folder: Path, site: str, url: str) -> Iterator[None]:
    """Caddy with this site, which answers at the `url`; certificates are its own."""
    configuration = folder / "Caddyfile"
    configuration.write_text(CADDY.format(site=site))
    words = [program("caddy") or "", "run", "--adapter", "caddyfile", "--config"]
    with _running([*words, str(configuration)], folder, url):
        yield


@contextmanager
def _running(words: list[str], folder: Path, url: str) -> Iterator[None]:
    log = folder / "proxy.log"
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("w") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, env=os.environ | homes)
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), words[0])
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        httpx.get(url, **PLAIN)
    except httpx.TransportError:
        return False
    return True
