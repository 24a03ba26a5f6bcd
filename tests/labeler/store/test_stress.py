"""Several processes lease, vote, undo, train, promote and roll back at once on one database."""

import contextlib
import random
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event

from labeler.domain.errors import BadInput
from labeler.domain.rules import DueRules
from labeler.domain.states import RaterRole, UpdateState, VersionState
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.records import Ballot, Claim, ClaimLostError
from labeler.store.tables import Rater
from tests.support.forks import PROCESSES
from tests.support.patience import PATIENCE_SECONDS
from tests.support.store import add, give_back, live, promote
from tests.support.tiny import add_pairs, made_up_pair

RATERS = 4
FIRST_PAIRS = 60
PAIRS_A_VERSION = 40
UPDATES = 4
MOVES = 6
LABELS_PER_UPDATE = 16
RULES = DueRules(
    labels_per_update=LABELS_PER_UPDATE, max_staleness=99, cooldown_seconds=0, held_out_share=0.2
)


def rate(url: str, rater_id: int, done: Event, results: "Queue[object]") -> None:
    """Vote on all there is until `done`: each vote is sent twice, and every seventh is undone."""
    store, rng, holder = open_store(url), random.Random(rater_id), f"tab {rater_id}"
    saved, undone = [], 0
    try:
        while True:
            finished = done.is_set()
            leased = store.queue.lease(
                rater_id=rater_id,
                holder=holder,
                wanted=2,
                seconds=600,
                now=1001.0,
                rng=rng,
                max_staleness=MOVES + UPDATES,
            )
            for pair in leased:
                ballot = Ballot(f"{rater_id}-{pair.lease_id}", pair.lease_id, "left")
                for _ in range(2):
                    assert store.votes.record(ballot, rater_id=rater_id, now=1002.0).saved
                saved.append(ballot.vote_id)
                if len(saved) % 7 == 0:
                    assert undo(store, rater_id, holder, undo_id=f"undo {ballot.vote_id}")
                    undone += 1
            if not leased and finished:
                break
            done.wait(0.005)
        results.put((saved, undone))
    except BaseException as error:
        results.put(repr(error))
        raise


def undo(store: Store, rater_id: int, holder: str, *, undo_id: str) -> bool:
    """Take the last vote back, and give the pair back to the queue."""
    pair = store.votes.undo(
        undo_id=undo_id, rater_id=rater_id, holder=holder, seconds=600, now=1002.5
    ).pair
    if pair is not None:
        give_back(store, pair.lease_id, rater=rater_id, holder=holder, now=1002.5)
    return pair is not None


def update(url: str, done: Event, results: "Queue[object]") -> None:
    """Open, claim and promote updates beside the raters, and start again when overtaken."""
    store, used, now = open_store(url), {}, 1003.0
    try:
        while store.reports.status(max_staleness=99)["updates"]["done"] < UPDATES:
            now += 1
            top_up(store)
            store.updates.open_if_due(RULES, now=now)
            claim = store.updates.claim(worker="w", rules=RULES.votes, now=now)
            if claim is None:
                done.wait(0.005)
                continue
            with contextlib.suppress(ClaimLostError):
                used |= dict.fromkeys(run(store, claim, now), claim.update_id)
        results.put(used)
    except BaseException as error:
        results.put(repr(error))
        raise
    finally:
        done.set()


def top_up(store: Store) -> None:
    """A rollback may have retired every pair."""
    number = live(store).id
    if store.queue.ready() == 0:
        add_pairs(store, RATERS, version=number)


def run(store: Store, claim: Claim, now: float) -> list[str]:
    """Promote a version; returns the votes it was trained on."""
    store.updates.beat(claim, UpdateState.TRAINING, done=1, total=1, now=now)
    labels = [vote for label in claim.labels for vote in label.vote_ids]
    number = store.versions.next_id()
    prompts = store.prompts.take(PAIRS_A_VERSION)
    pairs = [made_up_pair(prompt.id or 0, number) for prompt in prompts]
    promote(store, claim, number, pairs=pairs, now=now)
    return labels


def steer(url: str, seed: int, done: Event, results: "Queue[object]") -> None:
    """Make versions live by hand, now this one and now that."""
    store, rng, moves = open_store(url), random.Random(seed), 0
    try:
        while moves < MOVES and not done.is_set():
            with contextlib.suppress(BadInput):  # it was live already
                store.versions.make_live_again(rng.choice(store.versions.all()).id, now=1005.0)
                moves += 1
            done.wait(0.05)
        results.put(moves)
    except BaseException as error:
        results.put(repr(error))
        raise


def test_no_pair_is_handed_out_twice_and_no_vote_is_lost_doubled_or_locked_out(
    url: str, store: Store, database: Database
) -> None:
    prompts = FIRST_PAIRS + UPDATES * PAIRS_A_VERSION
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    store.prompts.add([[{"role": "user", "content": f"{n}?"}] for n in range(prompts)], now=1.0)
    add_pairs(store, FIRST_PAIRS)
    add(
        database,
        *(Rater(name=f"rater {n}", role=RaterRole.RATER, created_at=1.0) for n in range(RATERS)),
    )

    results, done = PROCESSES.Queue(), PROCESSES.Event()
    jobs = [(rate, (url, number + 1, done, results)) for number in range(RATERS)]
    processes = [PROCESSES.Process(target=job, args=args) for job, args in jobs]
    processes.append(PROCESSES.Process(target=update, args=(url, done, results)))
    processes.append(PROCESSES.Process(target=steer, args=(url, 7, done, results)))
    for process in processes:
        process.start()
    outcomes = [results.get(timeout=PATIENCE_SECONDS) for _ in processes]
    for process in processes:
        process.join()

    assert not [outcome for outcome in outcomes if isinstance(outcome, str)]
    rated = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    used = next(outcome for outcome in outcomes if isinstance(outcome, dict))
    moves = next(outcome for outcome in outcomes if isinstance(outcome, int))
    assert moves > 0
    assert [row.state for row in store.versions.all()].count(VersionState.LIVE) == 1
    votes = [row.vote for row in store.reports.votes()]
    saved = [vote for votes_of_rater, _ in rated for vote in votes_of_rater]
    assert sorted(vote.id for vote in votes) == sorted(saved)
    assert sum(vote.superseded_by is not None for vote in votes) == sum(
        undone for _, undone in rated
    )
    standing = [vote.pair_id for vote in votes if vote.superseded_by is None]
    assert len(standing) == len(set(standing)), "a pair was handed out twice"
    assert {vote.id: vote.used_in_update for vote in votes if vote.used_in_update} == used
    assert len(used) >= UPDATES * (LABELS_PER_UPDATE - round(0.2 * LABELS_PER_UPDATE))
