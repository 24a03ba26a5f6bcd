import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.people.accounts import INVITE_SECONDS, AccountState

HASH = "kept"


def active(store: Store, name: str, role: RaterRole, now: float = 10.0) -> tuple[int, str]:
    """An account with a password, and the token of its login."""
    invite = store.raters.invite(name, role, now=now)
    token = store.logins.accept(invite, HASH, seconds=1000.0, now=now)
    assert token is not None
    return store.raters.find(name).id, token


def test_an_invite_sets_the_password_once(store: Store) -> None:
    invite = store.raters.invite("Ann", RaterRole.REVIEWER, now=10.0)
    (account,) = store.raters.all()
    assert (account.name, account.role, account.state) == ("Ann", "reviewer", "invited")
    assert store.logins.accept(invite, HASH, seconds=60.0, now=11.0) is not None
    assert store.logins.accept(invite, "other", seconds=60.0, now=12.0) is None
    assert store.raters.find("Ann").state is AccountState.ACTIVE
    secret = store.logins.secret_of("Ann")
    assert secret is not None
    assert secret.password == HASH


def test_an_invite_runs_out(store: Store) -> None:
    invite = store.raters.invite("Ann", RaterRole.RATER, now=10.0)
    assert store.logins.invited(invite, now=10.0 + INVITE_SECONDS - 1) is not None
    assert store.logins.accept(invite, HASH, seconds=60.0, now=10.0 + INVITE_SECONDS) is None


def test_a_new_link_voids_the_older_one_and_ends_logins_only_when_it_is_used(store: Store) -> None:
    rater_id, token = active(store, "Ann", RaterRole.RATER)
    first = store.raters.reinvite(rater_id, now=20.0)
    second = store.raters.reinvite(rater_id, now=21.0)
    assert store.logins.accept(first, "other", seconds=60.0, now=22.0) is None
    assert store.logins.person_of_token(token, now=22.0) is not None
    fresh = store.logins.accept(second, "other", seconds=60.0, now=23.0)
    assert store.logins.person_of_token(token, now=24.0) is None
    assert store.logins.person_of_token(str(fresh), now=24.0) is not None


def test_disabling_ends_logins_links_and_leases_and_enabling_brings_none_back(store: Store) -> None:
    active(store, "Boss", RaterRole.ADMIN)
    rater_id, token = active(store, "Ann", RaterRole.RATER)
    invite = store.raters.reinvite(rater_id, now=20.0)
    store.raters.disable(rater_id, now=21.0)
    assert store.logins.person_of_token(token, now=21.0) is None
    assert store.logins.invited(invite, now=21.0) is None
    assert store.raters.find("ann").state is AccountState.DISABLED
    with pytest.raises(BadInput, match="disabled"):
        store.raters.reinvite(rater_id, now=22.0)
    store.raters.enable(rater_id)
    assert store.logins.person_of_token(token, now=23.0) is None
    assert store.logins.invited(invite, now=23.0) is None
    assert store.raters.find("ann").state is AccountState.ACTIVE


def test_the_last_admin_stays_one(store: Store) -> None:
    boss, _ = active(store, "Boss", RaterRole.ADMIN)
    ann, _ = active(store, "Ann", RaterRole.RATER)
    with pytest.raises(BadInput, match="'Boss' is the last admin and cannot be disabled"):
        store.raters.disable(boss, now=20.0)
    with pytest.raises(BadInput, match="last admin"):
        store.raters.set_role(boss, RaterRole.REVIEWER)
    store.raters.set_role(ann, RaterRole.ADMIN)
    store.raters.disable(boss, now=21.0)
    with pytest.raises(BadInput, match="last admin"):
        store.raters.disable(ann, now=22.0)


def test_two_admins_who_disable_each_other_at_once_leave_one(store: Store) -> None:
    start = threading.Barrier(2)

    def disable(rater_id: int) -> None:
        start.wait()
        store.raters.disable(rater_id, now=21.0)

    for round_ in range(5):
        pair = [active(store, f"{name} {round_}", RaterRole.ADMIN)[0] for name in ("A", "B")]
        for account in store.raters.all():
            if account.id not in pair and account.state is AccountState.ACTIVE:
                store.raters.disable(account.id, now=20.0)
        with ThreadPoolExecutor(2) as both:
            done = [both.submit(disable, rater_id) for rater_id in pair]
        assert [type(each.exception()) for each in done if each.exception()] == [BadInput]
        assert store.raters.has_admin()


def test_a_service_is_for_one_person_until_somebody_is_invited(store: Store) -> None:
    assert store.raters.is_single_user()
    local = store.raters.local(now=1.0)
    assert store.raters.is_single_user()
    assert not store.raters.has_admin()
    active(store, "Boss", RaterRole.ADMIN)
    ann = store.raters.find("Ann").id if store.raters.invite("Ann", RaterRole.RATER, now=2.0) else 0
    store.raters.disable(ann, now=3.0)
    store.raters.enable(ann)
    assert not store.raters.is_single_user()
    assert store.raters.has_admin()
    assert store.raters.find("local").id == local


def test_the_one_person_can_get_a_password_and_keep_the_votes(store: Store) -> None:
    local = store.raters.local(now=1.0)
    invite = store.raters.reinvite(local, now=2.0)
    assert not store.raters.is_single_user()
    token = store.logins.accept(invite, HASH, seconds=60.0, now=3.0)
    owner = store.logins.person_of_token(str(token), now=4.0)
    assert owner is not None
    assert (owner.rater_id, owner.role) == (local, RaterRole.ADMIN)


@pytest.mark.parametrize(
    "name",
    [
        *("", "   ", "x" * 65),
        *("a\nb", "a\x00b", "evil\u202egnp", "zero\u200bwidth", "a\u2066b", "\ud800"),
        *("local", "LOCAL", "starter", "learned", "rm:some/model", "api:x@http://y"),
    ],
)
def test_a_name_that_cannot_be_told_apart_is_refused(store: Store, name: str) -> None:
    with pytest.raises(BadInput):
        store.raters.invite(name, RaterRole.RATER, now=1.0)
    assert store.raters.all() == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [("  Ann   Lee ", "Ann Lee"), ("Zoe\u0308", "Zoë"), ("محمد", "محمد"), ("李小龍", "李小龍")],
)
def test_a_name_is_kept_in_one_spelling(store: Store, name: str, kept: str) -> None:
    store.raters.invite(name, RaterRole.RATER, now=1.0)
    assert [account.name for account in store.raters.all()] == [kept]
    with pytest.raises(BadInput, match="already"):
        store.raters.invite(kept.upper(), RaterRole.RATER, now=2.0)


def test_a_judge_is_no_person(store: Store) -> None:
    with pytest.raises(BadInput, match="model"):
        store.raters.invite("Ann", RaterRole.JUDGE, now=1.0)
    assert store.raters.all() == []
