"""What the web says of trust, and that a rater cannot tell the pairs that check them."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from labeler.config.settings import Settings
from labeler.domain.states import Purpose
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Gold
from labeler.store.tables import Lease, Pair
from labeler.web.dashboard.trust import LOOK_SECONDS, TrustView
from tests.support.people import client_of
from tests.support.store import vote
from tests.support.web import add_questions, serving

PURPOSES = (Purpose.LOOP, Purpose.GOLD, Purpose.REPEAT)
MAX_VOTES = 200  # chance decides which pair is a check
SHARES = {"gold_share": 0.3, "repeat_share": 0.4, "labels_per_update": 1000, "queue_pairs": 500}


def purposes(database: Database) -> dict[str, Purpose]:
    """What each lease is of."""
    rows = select(Lease.id, Pair.purpose).join(Pair, col(Pair.id) == col(Lease.pair_id))
    with database.read() as session:
        return dict(session.exec(rows).all())


def anonymous(value: Any) -> Any:
    """An answer with its ids and the words of prompts and replies taken out."""
    if isinstance(value, dict):
        return {name: anonymous(inner) for name, inner in value.items() if name != "state"}
    if isinstance(value, list):
        return [anonymous(inner) for inner in value]
    if isinstance(value, str):
        return re.sub(r"[0-9a-f]{32}|\w+ (response )?\d+\??", "…", value)
    return value


@pytest.mark.parametrize("state_age_seconds", [0.0, 3600.0])
def test_gold_repeated_and_ordinary_pairs_look_alike_in_every_answer(
    store: Store,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    state_age_seconds: float,
) -> None:
    """Pair, receipt, state, undo and history: the same keys, kinds and values but for the words."""
    monkeypatch.setattr("labeler.web.rating.loop.MAX_AGE_SECONDS", state_age_seconds)
    monkeypatch.setattr("labeler.store.rating.checks.VOTES_BEFORE_REPEATS", 6)
    monkeypatch.setattr("labeler.store.rating.checks.REPEATED_AFTER_VOTES", 3)
    add_questions(store, 200)
    golds = [
        Gold([{"role": "user", "content": f"Question {n}?"}], f"alpha response {n}", f"beta {n}")
        for n in range(900, 930)
    ]
    store.gold.add(golds, now=1.0, rng=random.Random(0))
    seen: dict[Purpose, list[Any]] = {}
    with serving(store, tmp_path, **SHARES) as service, client_of(service) as client:

        def post(path: str, body: dict[str, Any]) -> Any:
            answer = client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        before = client.get("/rating/state").json()
        for number in range(MAX_VOTES):
            if min(len(seen.get(purpose, ())) for purpose in PURPOSES) >= 4:
                break
            leased = post("/rating/pairs", {"holder": "tab", "wanted": 1})
            (pair,) = leased["pairs"]
            ballot = {"vote_id": f"v{number}", "lease_id": pair["lease_id"], "choice": "left"}
            said = post("/rating/votes", {"votes": [ballot]})
            undone = post("/rating/undo", {"undo_id": f"u{number}", "holder": "tab"})
            again = {**ballot, "vote_id": f"w{number}", "lease_id": undone["pair"]["lease_id"]}
            after = post("/rating/votes", {"votes": [again]})
            history = client.get("/rating/history").json()["votes"][0]
            steps = (leased, said, undone, after)
            moved = [
                [step["state"][name] - before[name] for name in ("votes", "fresh", "ready")]
                for step in steps
            ]
            told = [anonymous(step) for step in steps] + [moved, sorted(history)]
            told[1]["receipts"][0]["vote_id"] = told[3]["receipts"][0]["vote_id"] = "…"
            seen.setdefault(purposes(database)[pair["lease_id"]], []).append(told)
            before = after["state"]
    ordinary = seen[Purpose.LOOP][0]
    for purpose in PURPOSES:
        assert len(seen[purpose]) >= 4
        for told in seen[purpose]:
            assert told == ordinary, purpose


def test_the_report_is_for_reviewers_and_comes_with_the_shares_of_the_settings(
    store: Store, tmp_path: Path
) -> None:
    add_questions(store, 4)
    with serving(store, tmp_path, weigh_raters=True) as service, client_of(service) as client:
        (pair,) = client.post("/rating/pairs", json={"holder": "t", "wanted": 1}).json()["pairs"]
        ballot = {"vote_id": "v", "lease_id": pair["lease_id"], "choice": "left", "seconds": 0.2}
        client.post("/rating/votes", json={"votes": [ballot]})
        answer = client.get("/dashboard/trust")
    assert answer.status_code == 200
    report = answer.json()
    assert report["weighing"] is True
    (rater,) = report["raters"]
    assert (rater["name"], rater["votes"], rater["too_fast"]) == ("local", 1, 1)
    assert {"id", "name", "value", "low", "high", "why", "count", "unit", "note"} == set(
        report["figures"][0]
    )


def test_the_report_is_worked_out_anew_only_after_a_while_and_if_somebody_voted(
    store: Store, tmp_path: Path
) -> None:
    add_questions(store, 4)
    clock = 100.0
    view = TrustView(Settings(data_dir=tmp_path), store, lambda: clock)
    first = view.report(now=10.0)
    clock = 100.0 + LOOK_SECONDS
    assert view.report(now=10.0) is first
    vote(store, 1, now=5.0)
    clock = 100.0 + 1.5 * LOOK_SECONDS
    soon = view.report(now=10.0)
    assert soon is first
    clock = 100.0 + 2.0 * LOOK_SECONDS
    later = view.report(now=10.0)
    assert [row["votes"] for row in later["raters"]] == [1]
    assert later["raters"][0]["votes_last_day"] == 1
    clock = 100.0 + 3.0 * LOOK_SECONDS
    assert view.report(now=20.0) is later
    clock = 100.0 + 4.0 * LOOK_SECONDS
    next_day = view.report(now=90_000.0)
    assert next_day["raters"][0]["votes_last_day"] == 0, "though nobody voted since"
