"""The web role: runs the app on its host and port until told to stop.

The socket is bound here rather than by uvicorn, so that a port in use is one clear sentence, and a
predecessor that is still closing down gets a moment to do so. Signals are the caller's business.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator

import uvicorn

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.roles.address import home_of, listen, refuse_open_door, warning_of
from labeler.roles.process import own_name, run_role
from labeler.store import Store
from labeler.web.app import create_app

log = logging.getLogger(__name__)

ROLE = "web"
BEAT_SECONDS = 5.0
SHUTDOWN_SECONDS = 2
# How long a thread may keep the others from running Python. A request comes back from the database
# a dozen times; with Python's own 5 ms each, a vote among fifty people waits for all of them.
SWITCH_SECONDS = 0.0005


def run_web(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Serve the page until `stop` is set. Raises BadInput if the address cannot be had, or if it
    would be open to all.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    refuse_open_door(settings, has_admin=store.raters.has_admin())
    if (warning := warning_of(settings)) is not None:
        log.warning("%s", warning)
    with listen(settings.host, settings.port, stop) as listener:
        store.processes.recovered(own_name(ROLE))
        server = _server(settings, store)
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
        thread.start()
        says = f"Serving {home_of(settings)}."
        if own_name(ROLE) != ROLE:  # nobody else tells
            log.info("%s", says)
        try:
            _beat_until(stop, thread, store, says)
        finally:
            server.should_exit = True
            thread.join()


def _beat_until(stop: threading.Event, thread: threading.Thread, store: Store, says: str) -> None:
    """Say every few seconds that the role lives; raise if its server died by itself."""
    while True:
        try:
            store.processes.say(own_name(ROLE), says, pid=os.getpid(), now=time.time())
        except LivedpoError as error:  # a full disk: the page still shows pairs and keeps votes
            log.error("%s", error)
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
        http="h11",  # it bounds the headers, which httptools does not, if that is installed
        ws="none",
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return _Server(config)


if __name__ == "__main__":
    run_role(ROLE, run_web)
