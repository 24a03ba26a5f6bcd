"""Several processes lease, vote, undo, train and promote at once on one SQLite file."""

import multiprocessing
import random
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

from labeler.store import Store, open_store
from labeler.store.records import Ballot, NewVersion
from labeler.tables import Rater, RaterRole, UpdateState
from tests.tiny import add_pairs, made_up_pair

RATERS = 4
FIRST_PAIRS = 60
PAIRS_A_VERSION = 40
UPDATES = 4
LABELS_PER_UPDATE = 16


def rate(url: str, rater_id: int, done: Event, results: "Queue[object]") -> None:
    """Vote on all there is until `done`: each vote is sent twice, and every seventh is undone."""
    store, rng, holder = open_store(url), random.Random(rater_id), f"tab {rater_id}"
    saved, undone = [], 0
    try:
        while True:
            finished = done.is_set()
            leased = store.queue.lease(
                rater_id=rater_id, holder=holder, wanted=2, seconds=600, now=1001.0, rng=rng
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
    )
    if pair is not None:
        store.queue.give_back([pair.lease_id], rater_id=rater_id, now=1002.5)
    return pair is not None


def update(url: str, done: Event, results: "Queue[object]") -> None:
    """Open, claim and promote updates beside the raters."""
    store, used = open_store(url), {}
    try:
        for number in range(1, UPDATES + 1):
            while not open_update(store, now=1000.0 + number):
                done.wait(0.005)
            claim = store.updates.claim(worker="w", now=1000.0 + number)
            assert claim is not None
            store.updates.beat(claim, UpdateState.TRAINING, done=1, total=1, now=1003.0)
            labels = [label.vote_id for label in claim.labels]
            prompts = store.prompts.take(PAIRS_A_VERSION)
            pairs = [made_up_pair(prompt.id or 0, number) for prompt in prompts]
            version = NewVersion(number, f"v{number}", "x", {})
            store.updates.promote(claim, version, pairs, trained_on=labels, now=1000.0 + number)
            used |= dict.fromkeys(labels, claim.update_id)
        results.put(used)
    except BaseException as error:
        results.put(repr(error))
        raise
    finally:
        done.set()


def open_update(store: Store, now: float) -> bool:
    opened = store.updates.open_if_due(
        labels_per_update=LABELS_PER_UPDATE, max_staleness=99, cooldown_seconds=0, now=now
    )
    return opened is not None


def test_no_pair_is_handed_out_twice_and_no_vote_is_lost_doubled_or_locked_out(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'stress.sqlite'}"
    store = open_store(url)
    prompts = FIRST_PAIRS + UPDATES * PAIRS_A_VERSION
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    store.prompts.add([[{"role": "user", "content": f"{n}?"}] for n in range(prompts)], now=1.0)
    add_pairs(store, FIRST_PAIRS)
    with store._database.write() as session:
        for number in range(RATERS):
            session.add(Rater(name=f"rater {number}", role=RaterRole.RATER, created_at=1.0))

    context = multiprocessing.get_context("spawn")
    results, done = context.Queue(), context.Event()
    jobs = [(rate, (url, number + 1, done, results)) for number in range(RATERS)]
    processes = [context.Process(target=job, args=args) for job, args in jobs]
    processes.append(context.Process(target=update, args=(url, done, results)))
    for process in processes:
        process.start()
    outcomes = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()

    assert not [outcome for outcome in outcomes if isinstance(outcome, str)]
    rated = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    used = next(outcome for outcome in outcomes if isinstance(outcome, dict))
    votes = [row.vote for row in store.reports.votes()]
    saved = [vote for votes_of_rater, _ in rated for vote in votes_of_rater]
    assert sorted(vote.id for vote in votes) == sorted(saved)
    assert sum(vote.superseded_by is not None for vote in votes) == sum(
        undone for _, undone in rated
    )
    standing = [vote.pair_id for vote in votes if vote.superseded_by is None]
    assert len(standing) == len(set(standing)), "a pair was handed out twice"
    assert {vote.id: vote.used_in_update for vote in votes if vote.used_in_update} == used
    assert len(used) >= UPDATES * LABELS_PER_UPDATE
