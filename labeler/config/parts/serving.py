"""Where everything is: the data, and the page."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from labeler.config.parts.part import Mark, Part
from labeler.domain.errors import BadInput

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(text: str | None) -> str | None:
    """Raises PydanticCustomError for what is no address and no network."""
    for word in (text or "").split():
        try:
            ipaddress.ip_network(word)
        except ValueError as error:
            raise PydanticCustomError(
                "network", "{why}; write 10.0.0.5 or 10.1.0.0/16", {"why": str(error)}
            ) from error
    return text


class Serving(Part):
    """Where things are"""

    data_dir: Path = Field(
        Path("data/run"), description="Folder for the database, the adapters and the logs."
    )
    database: str | None = Field(
        None,
        repr=False,
        description="Database URL, such as postgresql+psycopg://USER@HOST/NAME. Default: an SQLite "
        "file in the data dir.",
    )
    database_file: Path | None = Field(
        None,
        description="File whose first line is the database URL, so that its password stands on no "
        "command line. Where both are set in one place, --database comes before it. Default: "
        "none.",
    )
    keep_versions: int = Field(
        20,
        ge=1,
        description="Folders of the newest versions to keep, besides the live one, its parent and "
        "kept ones; older folders are removed.",
    )
    versions_url: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9+.-]*://.+",
        description="Where processes on several machines find the versions: file:///mnt/versions, "
        "s3://BUCKET/FOLDER, or another URL of fsspec. The trainer publishes each version there, "
        "the others fetch it. Default: none; the data dir has them.",
    )
    report_to: Literal["tensorboard", "wandb", "trackio"] | None = Field(
        None,
        description="Tell this program of each version: loss, KL, win rate, votes. wandb sends "
        "them to its server, and trackio does if it is told one. Default: none.",
    )
    host: Annotated[str, Mark.SERVE_ONLY] = Field(
        "127.0.0.1", min_length=1, description="Address the web page listens on."
    )
    port: Annotated[int, Mark.SERVE_ONLY] = Field(
        7860, ge=1, le=65535, description="Port the web page listens on."
    )
    public_url: Annotated[str | None, Mark.SERVE_ONLY] = Field(
        None,
        pattern=r"^https?://[^/\s?#]+(/[\w.~-]+)*/?$",
        description="Address that people open if it is not host and port, for example behind an "
        "HTTPS proxy. It may have a path. Default: none.",
    )
    trusted_proxies: Annotated[str | None, AfterValidator(_networks), Mark.SERVE_ONLY] = Field(
        None,
        description="Addresses or networks of proxies on other machines, separated by spaces, as "
        "in 10.0.0.5 10.1.0.0/16. Who asks is believed of their X-Forwarded-For, with "
        "--public-url. Default: none; a proxy on this machine needs none.",
    )
    embed_in: Annotated[str | None, Mark.SERVE_ONLY] = Field(
        None,
        pattern=r"^https?://[\w.-]+(:\d+)?( https?://[\w.-]+(:\d+)?)*$",
        description="Addresses whose pages may show this service in a frame, separated by spaces, "
        "as in https://intranet.example.org. Logins hold on the same site only. Default: none.",
    )
    tls_certificate: Annotated[Path | None, Mark.SERVE_ONLY] = Field(
        None, description="File with the certificate chain (PEM), to serve HTTPS. Default: none."
    )
    tls_key: Annotated[Path | None, Mark.SERVE_ONLY] = Field(
        None, description="File with its private key (PEM). Default: none."
    )
    session_hours: Annotated[float, Mark.SERVE_ONLY] = Field(
        72.0, gt=0, le=8760, description="Hours after which people must log in again."
    )
    metrics_token: Annotated[str | None, Mark.SERVE_ONLY] = Field(
        None,
        pattern=r"^[!-~]{16,256}$",
        repr=False,
        description="Token with which a program may read /metrics without a login, as "
        "'Authorization: Bearer TOKEN'. Set it as LIVEDPO_METRICS_TOKEN: everybody on the machine "
        "can read command lines. Default: none.",
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        return self.host in LOOPBACK_HOSTS

    @property
    def prefix(self) -> str:
        """The path that a proxy gives the pages, without the slash at its end; "" for none."""
        return urlsplit(self.public_url or "").path.rstrip("/")

    @property
    def proxies(self) -> list[Network]:
        """Where the proxies on other machines are that are believed."""
        return [ipaddress.ip_network(word) for word in (self.trusted_proxies or "").split()]

    @property
    def database_url(self) -> str:
        """The database, with the default filled in. Raises BadInput if its file has none."""
        if self.database is None and self.database_file is not None:
            return _first_line(self.database_file)
        return self.database or "sqlite:///" + quote(str(self.data_dir / "livedpo.sqlite"))

    @property
    def adapters_dir(self) -> Path:
        """Folder that holds one folder for each policy version."""
        return self.data_dir / "adapters"


def _first_line(file: Path) -> str:
    try:
        url = file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The file {file} of --database-file cannot be read: {error}.") from error
    if not url:
        raise BadInput(f"The first line of {file} is empty; write the database URL there.")
    return url
