"""The web role: runs the app on its host and port until told to stop. `python -m labeler.web.role`.

The socket is bound here rather than by uvicorn, so that a port in use is one clear sentence, and a
predecessor that is still closing down gets a moment to do so. Signals are the caller's business.
"""

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn

from labeler.config import Settings, refuse_open_host
from labeler.errors import BadInput, LivedpoError
from labeler.role import run_role
from labeler.store import Store
from labeler.web.app import create_app

ROLE = "web"
BEAT_SECONDS = 5.0
SHUTDOWN_SECONDS = 2
BIND_PATIENCE_SECONDS = 5.0


def run_web(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Serve the page until `stop` is set. Raises BadInput if the address cannot be had."""
    refuse_open_host(settings)
    listener = _listen(settings.host, settings.port, stop)
    if listener is None:
        return
    with listener:
        server = _server(settings, store)
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
        thread.start()
        try:
            _beat_until(stop, thread, store, f"Serving {_url(settings)}.")
        finally:
            server.should_exit = True
            thread.join()


def _beat_until(stop: threading.Event, thread: threading.Thread, store: Store, says: str) -> None:
    """Say every few seconds that the role lives; raise if its server died by itself."""
    while True:
        store.roles.say(ROLE, says, pid=os.getpid(), now=time.time())
        if stop.wait(BEAT_SECONDS):
            return
        if not thread.is_alive():
            raise LivedpoError("The web server ended by itself; its log has the details.")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process that runs the role."""
        yield


def _server(settings: Settings, store: Store) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(settings, store),
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return _Server(config)


def _listen(host: str, port: int, stop: threading.Event) -> socket.socket | None:
    """A listening socket; None if `stop` was set while waiting for the port to become free."""
    patience_ends = time.monotonic() + BIND_PATIENCE_SECONDS
    while True:
        try:
            return _bound(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > patience_ends:
                raise BadInput(_explanation(host, port, error)) from error
        if stop.wait(0.2):
            return None


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=128)


def _explanation(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use by another program; choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has; choose one above 1023: --port."
    return f"The page cannot listen on {host}:{port} ({error.strerror}); choose another --host."


def _url(settings: Settings) -> str:
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{name}:{settings.port}"


if __name__ == "__main__":
    run_role(ROLE, run_web)
