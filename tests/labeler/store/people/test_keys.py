import pytest

from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.people.keys import MAX_KEYS, PREFIX


@pytest.fixture
def ann(store: Store) -> int:
    invite = store.raters.invite("Ann", RaterRole.REVIEWER, now=1.0)
    assert store.logins.accept(invite, "kept", seconds=60.0, now=1.0)
    return store.raters.find("Ann").id


def owners(store: Store, *keys: str) -> list[str | None]:
    found = [store.keys.owner(key) for key in keys]
    return [owner.name if owner else None for owner in found]


def test_a_key_means_its_account_until_it_is_revoked(store: Store, ann: int) -> None:
    first, second = (store.keys.make(ann, name, now=2.0) for name in ("laptop", "notebook"))
    owner = store.keys.owner(first)
    assert owner is not None
    assert (owner.rater_id, owner.name, owner.role) == (ann, "Ann", RaterRole.REVIEWER)
    assert owners(store, "", PREFIX, first[:-1], f"{first} ") == [None] * 4
    listed = store.keys.all()
    assert [(key.owner, key.name, key.created_at) for key in listed] == [
        ("Ann", "laptop", 2.0),
        ("Ann", "notebook", 2.0),
    ]
    store.keys.revoke(listed[0].id, now=3.0)
    assert owners(store, first, second) == [None, "Ann"]
    with pytest.raises(BadInput, match="There is no API key"):
        store.keys.revoke(listed[0].id, now=4.0)


def test_the_database_holds_no_key(store: Store, database: Database, ann: int) -> None:
    key = store.keys.make(ann, "laptop", now=2.0)
    with database.read() as session:
        (row,) = session.connection().exec_driver_sql("SELECT * FROM api_key").all()
    assert key not in row
    assert key.removeprefix(PREFIX) not in str(row)


def test_keys_end_where_logins_end(store: Store, ann: int) -> None:
    key = store.keys.make(ann, "laptop", now=2.0)
    store.raters.disable(store.raters.find("Ann").id, now=3.0)
    assert owners(store, key) == [None]
    with pytest.raises(BadInput, match="disabled"):
        store.keys.make(ann, "laptop", now=4.0)
    store.raters.enable(ann)
    assert owners(store, key) == [None]
    key = store.keys.make(ann, "laptop", now=5.0)
    invite = store.raters.reinvite(ann, now=6.0)
    assert store.logins.accept(invite, "another password", seconds=60.0, now=6.0)
    assert owners(store, key) == [None]
    key = store.keys.make(ann, "laptop", now=7.0)
    store.logins.end_all()
    assert owners(store, key) == [None]


def test_a_key_is_revoked_by_its_owner_alone_where_one_is_named(store: Store, ann: int) -> None:
    key = store.keys.make(ann, "laptop", now=2.0)
    (listed,) = store.keys.all(ann)
    with pytest.raises(BadInput, match="There is no API key"):
        store.keys.revoke(listed.id, now=3.0, rater_id=ann + 1)
    assert owners(store, key) == ["Ann"]


def test_an_account_has_a_bounded_number_of_keys_with_names_that_can_be_read(
    store: Store, ann: int
) -> None:
    for name in ("", " ", "x" * 65, "a\u202eb"):
        with pytest.raises(BadInput, match="visible characters"):
            store.keys.make(ann, name, now=2.0)
    for number in range(MAX_KEYS):
        store.keys.make(ann, f"key {number}", now=2.0)
    with pytest.raises(BadInput, match="revoke one first"):
        store.keys.make(ann, "one more", now=2.0)
