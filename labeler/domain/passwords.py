"""Passwords: which ones are taken, how they are kept (argon2id), and checking one.

Hashing is slow (tens of milliseconds) and takes 64 MiB on purpose; callers bound how many run at
once. The notation that is kept holds its own parameters, so they can change with the library.
"""

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from labeler.domain.errors import BadInput

SHORTEST, LONGEST = 10, 1024  # characters
MIN_DIFFERENT = 5

_hasher = PasswordHasher()


def check_password(password: str, *, name: str) -> None:
    """Raise BadInput for a password that is too easy, or too long to be one."""
    length = len(_plain(password))
    if length < SHORTEST:
        raise BadInput(f"The password has {length} characters; use {SHORTEST} or more.")
    if length > LONGEST:
        raise BadInput(f"The password has {length} characters; use {LONGEST} at most.")
    if len(set(_plain(password))) < MIN_DIFFERENT:
        raise BadInput(
            f"The password has fewer than {MIN_DIFFERENT} different characters; use more."
        )
    if _plain(password).casefold().strip() == _plain(name).casefold():
        raise BadInput("The password is your name; use another.")


def hash_password(password: str) -> str:
    """What the database keeps of it."""
    return _hasher.hash(_plain(password))


def is_right(password: str, kept: str | None) -> bool:
    """Whether a password is the one that was kept.

    None (no such account, or no password yet) takes as long as a wrong one.
    """
    try:
        return _hasher.verify(kept or dummy_hash(), _plain(password)) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than those of today."""
    return _hasher.check_needs_rehash(kept)


@cache
def dummy_hash() -> str:
    """A hash that no password fits. Made once; ask for it before somebody can measure that."""
    return _hasher.hash(secrets.token_urlsafe(32))


def _plain(password: str) -> str:
    """One spelling for each text: keyboards make the same letter in different ways."""
    return unicodedata.normalize("NFKC", password)
