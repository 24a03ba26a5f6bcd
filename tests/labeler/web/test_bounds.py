"""The bounds that pages and server share: a module made from the server's own."""

import re

import httpx

from labeler.web.bounds import BOUNDS


def test_the_pages_get_the_servers_bounds(shared: httpx.Client) -> None:
    answer = shared.get("/page/shared/bounds.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    found = dict(re.findall(r"export const (\w+) = ([\d.]+);", answer.text))
    assert {name: float(value) for name, value in found.items()} == BOUNDS
