"""URLs of databases, without their passwords."""

import pytest

from labeler.domain.database_url import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:secret@h:5432/d", "postgresql+psycopg://u:***@h:5432/d"),
        ("postgresql://u:sec@ret/x:y@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:secret@h/d", "postgresql://:***@h/d"),
        ("postgresql:u:secret@h/d", "postgresql:u:***@h/d"),
        ("postgresql://u@h/d?password=secret&x=1", "postgresql://u@h/d?password=***&x=1"),
        ("postgresql://h/d?sslpassword=secret", "postgresql://h/d?sslpassword=***"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("sqlite:////home/a:b@c/x.sqlite", "sqlite:////home/a:b@c/x.sqlite"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_password_is_hidden_and_nothing_else(url: str, shown: str) -> None:
    assert without_password(url) == shown
