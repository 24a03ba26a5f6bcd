"""The URL of a database as people may see it: without its password."""

import re

HIDDEN = "***"
_USER = re.compile(r"^(\w[\w+.-]*:/*[^:/@]*):.*@", re.DOTALL)
_QUERY = re.compile(r"([?&]\w*password=)[^&]*")


def without_password(url: str) -> str:
    """The URL with its password hidden, also one that is written wrongly.

    >>> without_password("postgresql+psycopg://ada:a@b/c@db.example.org/livedpo")
    'postgresql+psycopg://ada:***@db.example.org/livedpo'
    >>> without_password("sqlite:////home/a:b@c.sqlite")
    'sqlite:////home/a:b@c.sqlite'
    """
    if url.startswith("sqlite"):
        return url
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1:{HIDDEN}@", url))
