import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.people.logins import (
    FREE_BY_ADDRESS,
    FREE_BY_BOTH,
    FREE_BY_NAME,
    MAX_WAIT_SECONDS,
    WINDOW_SECONDS,
    Attempt,
    Secret,
    wait_seconds,
)
from tests.support.store import only_writer

NONE = Attempt(0.0)


@pytest.fixture
def secret(store: Store) -> Secret:
    invite = store.raters.invite("Ann", RaterRole.RATER, now=1.0)
    assert store.logins.accept(invite, "kept", seconds=60.0, now=1.0)
    found = store.logins.secret_of("ANN")
    assert found is not None
    return found


def test_a_login_means_its_person_until_it_ends(store: Store, secret: Secret) -> None:
    token = store.logins.log_in(secret, NONE, seconds=100.0, now=10.0)
    assert token is not None
    owner = store.logins.person_of_token(token, now=109.0)
    assert owner is not None
    assert (owner.name, owner.role) == ("Ann", RaterRole.RATER)
    assert store.logins.person_of_token(token, now=110.0) is None
    assert store.logins.person_of_token("something else", now=11.0) is None


def test_logging_out_ends_one_login_and_leaves_the_others(store: Store, secret: Secret) -> None:
    first, second = (store.logins.log_in(secret, NONE, seconds=99.0, now=10.0) for _ in "ab")
    store.logins.log_out(str(first), now=11.0)
    assert store.logins.person_of_token(str(first), now=12.0) is None
    assert store.logins.person_of_token(str(second), now=12.0) is not None


def test_logging_in_again_ends_what_the_browser_had(store: Store, secret: Secret) -> None:
    first = store.logins.log_in(secret, NONE, seconds=99.0, now=10.0)
    second = store.logins.log_in(secret, NONE, seconds=99.0, now=11.0, before=first)
    assert first != second
    assert store.logins.person_of_token(str(first), now=12.0) is None


def test_another_password_ends_every_login_and_link(store: Store, secret: Secret) -> None:
    token = store.logins.log_in(secret, NONE, seconds=99.0, now=10.0)
    invite = store.raters.reinvite(secret.rater_id, now=10.0)
    fresh = store.logins.change_password(secret, "other", NONE, seconds=99.0, now=11.0)
    assert store.logins.person_of_token(str(token), now=12.0) is None
    assert store.logins.invited(invite, now=12.0) is None
    assert store.logins.person_of_token(str(fresh), now=12.0) is not None


def test_a_password_that_changed_while_it_was_checked_opens_nothing(
    store: Store, secret: Secret
) -> None:
    store.logins.change_password(secret, "other", NONE, seconds=99.0, now=11.0)
    assert store.logins.log_in(secret, NONE, seconds=99.0, now=12.0) is None
    assert store.logins.change_password(secret, "third", NONE, seconds=99.0, now=12.0) is None


def test_an_account_that_was_disabled_meanwhile_opens_nothing(store: Store, secret: Secret) -> None:
    store.raters.disable(secret.rater_id, now=10.0)
    assert store.logins.log_in(secret, NONE, seconds=99.0, now=11.0) is None
    assert store.logins.person_of_token("", now=11.0) is None


def test_a_role_counts_from_the_next_request_on(store: Store, secret: Secret) -> None:
    token = str(store.logins.log_in(secret, NONE, seconds=99.0, now=10.0))
    store.raters.set_role(secret.rater_id, RaterRole.ADMIN)
    owner = store.logins.person_of_token(token, now=11.0)
    assert owner is not None
    assert owner.role is RaterRole.ADMIN


def test_a_hash_of_old_parameters_is_replaced_on_the_way(store: Store, secret: Secret) -> None:
    store.logins.log_in(secret, NONE, seconds=99.0, now=10.0, rehashed="newer")
    found = store.logins.secret_of("Ann")
    assert found is not None
    assert found.password == "newer"


def test_the_database_holds_no_token_and_no_name_that_was_tried(
    store: Store, secret: Secret, tmp_path: Path
) -> None:
    token = str(store.logins.log_in(secret, NONE, seconds=9e9, now=10.0))
    invite = store.raters.reinvite(secret.rater_id, now=10.0)
    store.logins.attempt(name="my secret password", address="10.1.2.3", now=11.0)
    store.close()
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for text in (token, invite, "my secret password", "10.1.2.3"):
        assert text.encode() not in raw


def test_waits_double_with_each_failure_and_have_an_end() -> None:
    """15 s after the fifth failure, then 30, 60, 120, 240, and never more than 300."""
    waits = [wait_seconds(count, 100.0, 5, 100.0) for count in range(12)]
    assert waits == [0, 0, 0, 0, 0, 15, 30, 60, 120, 240, 300, 300]
    assert wait_seconds(6, 100.0, 5, 120.0) == 10
    assert wait_seconds(6, 100.0, 5, 131.0) == 0
    assert wait_seconds(10**6, 0.0, 5, 0.0) == MAX_WAIT_SECONDS
    assert wait_seconds(6, 5000.0, 5, 1400.0) == 0  # the clock was set back by an hour


def test_the_sixth_guess_at_a_name_waits_and_its_owner_elsewhere_does_not(store: Store) -> None:
    for number in range(FREE_BY_BOTH):
        made = store.logins.attempt(name="Ann", address="10.0.0.1", now=10.0 + number)
        assert made.wait_seconds == 0
    for spelling in ("Ann", " ann ", "ANN"):
        late = store.logins.attempt(name=spelling, address="10.0.0.1", now=15.0)
        assert late == Attempt(14.0)
    assert store.logins.attempt(name="Bob", address="10.0.0.1", now=15.0).wait_seconds == 0
    assert store.logins.attempt(name="Ann", address="10.0.0.2", now=15.0).wait_seconds == 0
    assert store.logins.attempt(name="Ann", address="10.0.0.1", now=29.0).wait_seconds == 0


def test_guesses_at_a_name_from_very_many_places_wait_too(store: Store) -> None:
    for number in range(FREE_BY_NAME):
        made = store.logins.attempt(name="Ann", address=f"10.0.0.{number}", now=10.0)
        assert made.wait_seconds == 0
    assert store.logins.attempt(name="ann", address="10.9.9.9", now=10.0) == Attempt(15.0)
    assert store.logins.attempt(name="Bob", address="10.9.9.9", now=10.0).wait_seconds == 0


def test_an_address_that_guesses_many_names_waits_too(store: Store) -> None:
    for number in range(FREE_BY_ADDRESS):
        made = store.logins.attempt(name=f"name {number}", address="10.0.0.1", now=10.0)
        assert made.wait_seconds == 0
    assert store.logins.attempt(name="new", address="10.0.0.1", now=10.0).wait_seconds == 15
    assert store.logins.attempt(name=None, address="10.0.0.1", now=10.0).wait_seconds == 15
    assert store.logins.attempt(name="new", address="10.0.0.2", now=10.0).wait_seconds == 0


def test_old_failures_are_forgotten(store: Store) -> None:
    for _ in range(FREE_BY_BOTH):
        store.logins.attempt(name="Ann", address="10.0.0.1", now=10.0)
    later = 10.0 + WINDOW_SECONDS
    assert store.logins.attempt(name="Ann", address="10.0.0.1", now=later).wait_seconds == 0


def test_the_right_password_clears_the_name_but_not_the_address(
    store: Store, secret: Secret
) -> None:
    for _ in range(FREE_BY_BOTH - 1):
        store.logins.attempt(name="Ann", address="10.0.0.1", now=10.0)
    right = store.logins.attempt(name="Ann", address="10.0.0.1", now=11.0)
    assert store.logins.log_in(secret, right, seconds=99.0, now=11.0)
    free = FREE_BY_ADDRESS - (FREE_BY_BOTH - 1)
    waits = [
        store.logins.attempt(name=f"{n}", address="10.0.0.1", now=12.0).wait_seconds
        for n in range(free + 1)
    ]
    assert waits == [0.0] * free + [15.0]
    again = store.logins.attempt(name="Ann", address="10.0.0.2", now=12.0)
    assert again.wait_seconds == 0


def test_the_right_password_gives_the_name_its_free_failures_back(
    store: Store, secret: Secret
) -> None:
    for at in (10.0, 12.0):
        for _ in range(FREE_BY_BOTH - 1):
            made = store.logins.attempt(name="Ann", address="10.0.0.1", now=at)
            assert made.wait_seconds == 0
        right = store.logins.attempt(name="ANN", address="10.0.0.1", now=at + 1)
        assert store.logins.log_in(secret, right, seconds=99.0, now=at + 1)


def test_guesses_at_the_same_moment_are_no_more_than_one_after_the_other(store: Store) -> None:
    start = threading.Barrier(12)

    def guess(_: int) -> float:
        start.wait()
        return store.logins.attempt(name="Ann", address="10.0.0.1", now=10.0).wait_seconds

    with ThreadPoolExecutor(12) as crowd:
        assert list(crowd.map(guess, range(12))).count(0.0) == FREE_BY_BOTH


def test_those_who_must_wait_keep_nobody_from_writing(store: Store, database: Database) -> None:
    for _ in range(FREE_BY_BOTH):
        store.logins.attempt(name="Ann", address="10.0.0.1", now=10.0)
    with only_writer(database):
        late = store.logins.attempt(name="Ann", address="10.0.0.1", now=10.0)
    assert late == Attempt(15.0)
