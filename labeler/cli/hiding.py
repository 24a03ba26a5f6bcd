"""Passwords in URLs on the command line, which everybody on the machine can read: hidden at once.

The process becomes a new one of the same command, whose words are in the environment; what others
see has `***`. For a moment they could see it: LIVEDPO_DATABASE, --database-file and ~/.pgpass never
show it at all. Nothing heavy is imported here, for this stands before all else.
"""

import json
import os
import sys

from labeler.domain.database_url import without_password

WORDS = "_LIVEDPO_WORDS"


def hide_passwords() -> None:
    """Take the words from the environment, or put them there and start again. Before imports."""
    if (words := os.environ.pop(WORDS, None)) is not None:
        sys.argv[1:] = json.loads(words)
        return
    shown = [_shown(word) for word in sys.orig_argv]
    if shown != sys.orig_argv:
        environment = os.environ | {WORDS: json.dumps(sys.argv[1:])}
        os.execve(sys.executable, shown, environment)


def _shown(word: str) -> str:
    """A word as others may see it; it may be `--database=URL`."""
    before, separator, url = word.rpartition("=postgres")
    if separator and before.startswith("--"):
        return before + "=" + without_password("postgres" + url)
    return without_password(word) if word.startswith("postgres") else word
