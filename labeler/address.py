"""Where the page listens: a socket of our own, and what is said when it cannot be had.

A predecessor that is still closing down gets a moment to do so.
"""

import errno
import socket
import threading
import time

from labeler.errors import BadInput
from labeler.settings import Settings

PATIENCE_SECONDS = 5.0


def listen(host: str, port: int, stop: threading.Event) -> socket.socket:
    """A listening socket. Raises BadInput if the address cannot be had."""
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _bound(host, port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            if not taken or time.monotonic() > patience_ends or stop.wait(0.2):
                raise BadInput(_explanation(host, port, error)) from error


def url_of(settings: Settings) -> str:
    """The address to open in a browser."""
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{name}:{settings.port}"


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=128)


def _explanation(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use by another program; choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has; choose one above 1023: --port."
    return f"The page cannot listen on {host}:{port} ({error.strerror}); choose another --host."
