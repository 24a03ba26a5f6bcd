"""Passwords on the command line."""

import json
import os
import sys

import pytest

from labeler.cli.hiding import WORDS, hide_passwords

URL = "postgresql+psycopg://ada:secret@h/d"
SHOWN = "postgresql+psycopg://ada:***@h/d"


def test_a_command_with_a_password_becomes_one_without_and_still_knows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    became: list[tuple[list[str], dict[str, str]]] = []
    words = ["serve", "--database", URL, f"--database={URL}", "--port", "1"]
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "labeler.cli.main", *words])
    monkeypatch.setattr(sys, "argv", ["main.py", *words])
    monkeypatch.setattr("os.execve", lambda _, shown, environ: became.append((shown, environ)))
    hide_passwords()
    [(shown, environ)] = became
    assert shown[3:] == ["serve", "--database", SHOWN, f"--database={SHOWN}", "--port", "1"]

    monkeypatch.setenv(WORDS, environ[WORDS])
    monkeypatch.setattr(sys, "argv", ["main.py", *shown[3:]])
    hide_passwords()
    assert sys.argv[1:] == words == json.loads(environ[WORDS])
    assert WORDS not in os.environ
    assert len(became) == 1


def test_a_command_without_one_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["livedpo", "status", "--database", "sqlite:///a:b@c"])
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("it became another"))
    hide_passwords()
