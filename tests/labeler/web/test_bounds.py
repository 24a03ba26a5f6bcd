"""The bounds that pages and server share: a module made from the server's own, and the login's."""

import re

import httpx

from labeler.domain.passwords import SHORTEST
from labeler.store.people.accounts import MAX_NAME_CHARS
from labeler.web.bounds import BOUNDS, bounds_module


def test_the_pages_get_the_servers_bounds() -> None:
    found = dict(re.findall(r"export const (\w+) = ([\d.]+);", bounds_module()))
    assert {name: float(value) for name, value in found.items()} == BOUNDS


def test_the_login_keeps_to_the_servers_bounds(shared: httpx.Client) -> None:
    document = shared.get("/login").text
    name = document.split('id="name"')[1].split(">")[0]
    assert f'maxlength="{MAX_NAME_CHARS}"' in name
    assert f'minlength="{SHORTEST}"' in document.split('id="new"')[1].split(">")[0]
    assert f'<p id="hint">{SHORTEST} characters or more.' in document
