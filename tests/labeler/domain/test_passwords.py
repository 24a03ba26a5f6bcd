from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters

from labeler.domain import passwords
from labeler.domain.errors import BadInput
from labeler.domain.passwords import (
    check_password,
    hash_password,
    is_outdated,
    is_right,
)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "5 characters"),
        ("x" * 1025, "1025 characters"),
        ("abababababab", "different"),
        ("Ann-Christin", "your name"),
    ],
)
def test_an_easy_password_is_refused_in_a_sentence(password: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_password(password, name="ann-christin")


@pytest.mark.parametrize(
    "password", ["correct horse", "pässwörter!", "x" * 500 + "abcde", "\x00" * 9 + "abcde"]
)
def test_a_password_is_right_and_nothing_else_is(password: str) -> None:
    check_password(password, name="Ann")
    kept = hash_password(password)
    assert kept.startswith("$argon2id$")
    assert is_right(password, kept)
    assert not is_right(password + " ", kept)
    assert not is_outdated(kept)


def test_the_same_letters_typed_on_another_keyboard_are_the_same_password() -> None:
    assert is_right("passwo\u0308rter", hash_password("passw\u00f6rter"))


def test_nobody_takes_the_same_work_as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a wrong name would answer in microseconds, a wrong password in 30 ms."""
    verified = []

    class Noting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            verified.append(extract_parameters(str(hash)))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Noting())
    assert not is_right("wrong horse", hash_password("correct horse"))
    assert not is_right("wrong horse", None)
    known, unknown = verified
    assert known == unknown


def test_a_damaged_hash_is_wrong_and_old_parameters_are_outdated() -> None:
    assert not is_right("correct horse", "no hash at all")
    old = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$Nf8wfTBmtxnUNKfpwbBUTw"
    assert is_outdated(old)
