"""The ratings of an Open WebUI, fetched from its server and kept in a file that `train` reads.

There is no webhook, so the server is asked for all of them each time. Ratings can be edited: of the
rows with one id the newest stays. One that is deleted on the server stays here.
"""

import json
import os
import tempfile
import urllib.request
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit

from labeler.domain.errors import BadInput, LivedpoError

KEY = "OPEN_WEBUI_API_KEY"
ROUTE = "/api/v1/evaluations/feedbacks/all/export"
TIMEOUT_SECONDS = 60.0
MAX_BYTES = 1_000_000_000

Rating = dict[str, Any]


class Kept(NamedTuple):
    """How many ratings a file holds now, and how many of them are new or have changed."""

    total: int
    new: int
    changed: int


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: the key is for this server."""

    def redirect_request(self, *_: Any) -> None:
        """There is no other request."""


def fetch_ratings(url: str, key: str) -> list[Rating]:
    """All ratings that the server has. Raises LivedpoError if it does not answer with them."""
    if not (key.isascii() and key.isprintable()):
        raise BadInput(f"{KEY} holds a character that no key has; copy the whole key again.")
    try:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise ValueError(url)
        asked = urllib.request.Request(
            url.rstrip("/") + ROUTE,
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
        )
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(asked, timeout=TIMEOUT_SECONDS) as response:
            found = _json(url, response)
    except HTTPError as error:
        error.close()
        raise LivedpoError(_refused(url, error.code)) from error
    except (ValueError, InvalidURL) as error:
        raise BadInput(
            f"'{url}' is no address of a server; give one such as http://localhost:3000."
        ) from error
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise LivedpoError(f"{url} does not answer: {why}.") from error
    if not isinstance(found, list) or not all(_is_rating(row) for row in found):
        raise LivedpoError(f"{url} answers, but not with a list of ratings; is it an Open WebUI?")
    return found


def keep_ratings(path: Path, ratings: list[Rating]) -> Kept:
    """Add ratings to a file of them, the newest of each id. Raises LivedpoError if it cannot.

    The file is replaced as a whole, so that a reader never sees half of it.
    """
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        known: dict[str, Rating] = {row["id"]: row for row in map(json.loads, lines)}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} is no file of ratings that were pulled; name another.") from error
    new = changed = 0
    for rating in ratings:
        before = known.get(rating["id"])
        if before is None:
            new += 1
        elif rating["updated_at"] <= before["updated_at"]:
            continue
        else:
            changed += 1
        known[rating["id"]] = rating
    if new or changed:
        _write(path, list(known.values()))
    return Kept(len(known), new, changed)


def _is_rating(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("id"), str)
        and isinstance(row.get("updated_at"), (int, float))
    )


def _json(url: str, response: HTTPResponse) -> Any:
    body = response.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise LivedpoError(f"{url} answers with more than {MAX_BYTES / 1e9:g} GB of ratings.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _refused(url: str, code: int) -> str:
    if code in (401, 403):
        return f"{url} does not accept the key in {KEY}; it takes the key of an admin."
    if code == 404:
        return f"{url} has no ratings to export; is it an Open WebUI, and new enough?"
    if 300 <= code < 400:
        return f"{url} leads elsewhere; give the address that it leads to."
    return f"{url} answers with the error {code}."


def _write(path: Path, ratings: list[Rating]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            temporary = Path(folder) / path.name
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(rating) + "\n" for rating in ratings)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise LivedpoError(f"{path} cannot be written: {error.strerror or error}.") from error
