"""`livedpo raters`, in this process: its words, and what they do to the accounts."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from labeler.cli.main import cli
from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.store import Store, open_store
from tests.support.people import accept


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}")


def raters(folder: Path, *words: str) -> Result:
    run = CliRunner().invoke(cli, ["raters", *words, "--data-dir", str(folder)])
    if run.exception is not None:
        raise run.exception
    return run


def link_of(run: Result) -> str:
    (line,) = [line for line in run.output.splitlines() if "/login#invite=" in line]
    return line


def test_adding_prints_a_link_that_works_once(store: Store, tmp_path: Path) -> None:
    run = raters(tmp_path, "add", "Ann", "--role", "reviewer", "--public-url", "https://x.example")
    url, _, token = link_of(run).partition("#invite=")
    assert url == "https://x.example/login"
    assert "within 72 hours" in run.output
    assert "There is no admin yet" in run.output
    assert accept(store, token)
    assert accept(store, token) is None
    assert [(a.name, a.role) for a in store.raters.all()] == [("Ann", "reviewer")]


def test_whoever_rated_without_an_account_is_told_how_to_go_on(
    store: Store, tmp_path: Path
) -> None:
    store.raters.local(now=1.0)
    first = raters(tmp_path, "add", "Ann", "--role", "admin")
    second = raters(tmp_path, "add", "Bob")
    assert "raters invite local" in first.output
    assert "It works on this machine only" in first.output
    assert "raters invite local" not in second.output
    assert "http://127.0.0.1:7860/login#invite=" in link_of(raters(tmp_path, "invite", "local"))


def test_accounts_are_listed_disabled_enabled_and_invited_again(
    store: Store, tmp_path: Path
) -> None:
    raters(tmp_path, "add", "Boss", "--role", "admin")
    raters(tmp_path, "add", "Ann")
    assert "the votes stay" in raters(tmp_path, "disable", "ann").output
    listed = [line.split() for line in raters(tmp_path, "list").output.splitlines()]
    assert [(line[1], line[2], line[4]) for line in listed] == [
        ("Boss", "admin", "invited"),
        ("Ann", "rater", "disabled"),
    ]
    with pytest.raises(BadInput, match="enable it first"):
        raters(tmp_path, "invite", "Ann")
    raters(tmp_path, "enable", "Ann")
    assert "invited (the link has expired)" in raters(tmp_path, "list").output
    assert link_of(raters(tmp_path, "invite", "Ann"))
    assert "ran out" not in raters(tmp_path, "list").output


def test_a_key_is_printed_once_listed_and_revoked(store: Store, tmp_path: Path) -> None:
    store.raters.invite("Ann", RaterRole.RATER, now=1.0)
    (key,) = re.findall(r"^livedpo_\S+$", raters(tmp_path, "key", "ann").output, re.MULTILINE)
    owner = store.keys.owner(key)
    assert owner is not None
    assert owner.name == "Ann"
    listed = raters(tmp_path, "keys").output
    assert listed.split()[1:3] == ["Ann", "script"]
    assert key not in listed
    assert "revoked" in raters(tmp_path, "revoke", listed.split()[0]).output
    assert store.keys.owner(key) is None
    assert raters(tmp_path, "keys").output == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "Boss"), "already an account 'Boss'"),
        (("add", "starter"), "reserved for the service"),
        (("disable", "Nobody"), "no account 'Nobody'"),
        (("key", "Nobody"), "no account 'Nobody'"),
        (("revoke", "7"), "no API key 7"),
        (("disable", "Boss"), "last admin"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    store: Store, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    raters(tmp_path, "add", "Boss", "--role", "admin")
    with pytest.raises(BadInput, match=says):
        raters(tmp_path, *words)
