"""Where the page listens and who can reach it: a socket of our own, and what is said when it cannot
be had, or when others could walk in.

A predecessor that is still closing down gets a moment to do so.
"""

import errno
import socket
import ssl
import threading
import time

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput

PATIENCE_SECONDS = 5.0
ANY_HOST = ("0.0.0.0", "::")


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
    """The address to open in a browser, without a slash at its end."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    name = socket.gethostname() if settings.host in ANY_HOST else settings.host
    name = f"[{name}]" if ":" in name else name
    return f"{'https' if settings.tls_certificate else 'http'}://{name}:{settings.port}"


def home_of(settings: Settings) -> str:
    """The address of the rating page: under a path it ends with a slash."""
    return url_of(settings) + ("/" if settings.prefix else "")


def is_https(settings: Settings) -> bool:
    """Whether browsers come by HTTPS: to this server, or to a proxy in front of it."""
    public = settings.public_url or ""
    return settings.tls_certificate is not None or public.startswith("https:")


def is_reachable(settings: Settings) -> bool:
    """Whether others than the people at this machine can open the page."""
    return not settings.is_loopback or settings.public_url is not None


def refuse_open_door(settings: Settings, *, has_admin: bool) -> None:
    """Raise BadInput if others could reach a service whose door nobody holds, and for a
    certificate that cannot be used.
    """
    where = settings.public_url or f"the host '{settings.host}'"
    if is_reachable(settings) and not has_admin:
        raise BadInput(
            f"Others can reach the page at {where}, but there is no admin account; add one with "
            "`livedpo raters add NAME --role admin` (and this --data-dir), or use "
            "--host 127.0.0.1."
        )
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise BadInput("HTTPS needs both --tls-certificate and --tls-key.")
    if settings.tls_certificate is not None:
        _check_certificate(settings)


def warning_of(settings: Settings) -> str | None:
    """What those who start the service should know of how it is reached; None: nothing."""
    if settings.is_loopback or is_https(settings):
        return None
    return (
        f"Passwords travel to {url_of(settings)} in the clear: anyone along the way can read them. "
        "Give --tls-certificate and --tls-key, or put an HTTPS proxy in front and give "
        "--public-url."
    )


def _check_certificate(settings: Settings) -> None:
    assert settings.tls_certificate is not None
    assert settings.tls_key is not None
    for path in (settings.tls_certificate, settings.tls_key):
        try:
            path.read_bytes()
        except OSError as error:
            raise BadInput(f"The file {path} cannot be read: {error.strerror}.") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The empty password: nobody shall be asked for one by a service in the background.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise BadInput(
            f"The certificate {settings.tls_certificate} and the key {settings.tls_key} do not "
            "match, are not PEM, or are protected by a password."
        ) from error


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=128)


def _explanation(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use by another program; choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs rights that this user lacks; choose one above 1023 with --port."
    return f"The page cannot listen on {host}:{port} ({error.strerror}); choose another --host."
