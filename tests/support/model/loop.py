"""What scheduler and worker do: open, claim and end updates, and make versions live."""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from labeler.domain.finding import Finding
from labeler.domain.labels import NO_TIES
from labeler.domain.rules import DueRules, QueueRules
from labeler.domain.states import LabelRole, UpdateState, VersionState
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Claim, ClaimLostError, NewVersion
from tests.support.model.desk import Desk
from tests.support.model.handing import make_room, retire_too_old
from tests.support.model.rows import Update, Version, rows_of
from tests.support.model.rules import (
    fresh,
    go_live,
    listed,
    live,
    may_open,
    opened,
    teaches,
    untried,
)
from tests.support.model.world import (
    MAX_STALENESS,
    Call,
    choose,
    clocks,
    deaths,
    queues,
    waits,
)

N = 2
MAX_ATTEMPTS = 3
SILENT_SECONDS = 300.0
DUE = DueRules(
    labels_per_update=N,
    max_staleness=MAX_STALENESS,
    cooldown_seconds=0.0,
    held_out_share=0.3,
    replay_share=0.3,
)
TRAIN, HELD_OUT = LabelRole.TRAIN, LabelRole.HELD_OUT
REPLAY, REMEMBERED = LabelRole.REPLAY, LabelRole.REMEMBERED
workers = st.sampled_from(["first worker", "second worker"])


class Loop(Desk):
    """The loop. `claims` are all that workers ever held, also those that they lost."""

    def __init__(self, store: Store, database: Database) -> None:
        super().__init__(store, database)
        self.claims: list[tuple[Claim, int]] = []  # with how often versions had changed

    @rule(wait=waits, clock=clocks, death=deaths)
    def open_an_update(self, wait: float, clock: float, death: int | None) -> None:
        now = self.time(wait, clock)
        waiting = fresh(self.rows, max_staleness=MAX_STALENESS)
        is_due = (
            opened(self.rows) is None
            and may_open(self.rows, now)
            and len(untried(self.rows, waiting)) >= N
        )
        with self.process(death) as call:
            number = call(self.store.updates.open_if_due, DUE, now=now)
            assert (number is not None) == is_due
            if number is not None:
                self.rows.updates[number] = Update(number, UpdateState.OPEN, now)
                self._take_list(number, waiting)

    def _take_list(self, number: int, waiting: set[str]) -> None:
        """The list is the store's to write; here is what it must be."""
        there = rows_of(self.database).lists
        self.rows.lists |= {key: role for key, role in there.items() if key[0] == number}
        train, held_out = (listed(self.rows, number, role) for role in (TRAIN, HELD_OUT))
        assert train
        assert train | held_out <= waiting
        assert len(train | held_out) == min(len(waiting), 4 * N)
        votes = self.rows.votes
        assert all(votes[vote].used for vote in listed(self.rows, number, REPLAY, REMEMBERED))
        roles: dict[int, LabelRole] = {}
        for (update, vote), role in self.rows.lists.items():
            if update == number:
                assert roles.setdefault(votes[vote].pair, role) is role, "a pair in two roles"

    @rule(worker=workers, wait=waits, clock=clocks, death=deaths)
    def claim(self, worker: str, wait: float, clock: float, death: int | None) -> None:
        now, update = self.time(wait, clock), opened(self.rows)
        with self.process(death) as call:
            verb = self.store.updates.claim
            claimed = call(verb, worker=worker, rules=NO_TIES, now=now)
            if update is None or not _is_free(update, worker, now):
                assert claimed is None
            elif update.attempt >= MAX_ATTEMPTS:
                assert claimed is None
                update.state, update.finished_at = UpdateState.FAILED, now
            elif not self._learns(update.id, TRAIN):
                assert claimed is None
                update.state, update.finished_at = UpdateState.REJECTED, now
            else:
                assert claimed is not None
                self._hold(update, claimed, now)

    def _hold(self, update: Update, claimed: Claim, now: float) -> None:
        """What a worker gets: what the list says now, and the live version to start from."""
        train = {vote for label in claimed.labels for vote in label.vote_ids}
        assert train == self._learns(update.id, TRAIN) | self._learns(update.id, REPLAY)
        held_out = {vote for label in claimed.held_out for vote in label.vote_ids}
        assert held_out == self._learns(update.id, HELD_OUT)
        assert claimed.parent == live(self.rows)
        update.state, update.worker, update.heartbeat_at = UpdateState.CLAIMED, claimed.worker, now
        update.attempt += 1
        assert claimed.attempt == update.attempt
        self.claims.append((claimed, len(self.rows.moves)))

    def _learns(self, update: int, role: LabelRole) -> set[str]:
        """The votes of a role that stand, and that are not used unless they were when listed."""
        votes = [self.rows.votes[vote] for vote in listed(self.rows, update, role)]
        again = role in (REPLAY, REMEMBERED)
        return {v.id for v in votes if teaches(self.rows, v) and (again or v.used is None)}

    @rule(
        worker=workers,
        passed=st.sampled_from([True, True, True, False]),
        pairs=st.integers(0, 2),
        queue=queues,
        wait=waits,
        death=deaths,
    )
    def turn(
        self,
        worker: str,
        passed: bool,
        pairs: int,
        queue: QueueRules,
        wait: float,
        death: int | None,
    ) -> None:
        """A whole update, as nearly all of them go."""
        self.open_an_update(wait=wait, clock=0.0, death=None)
        before = len(self.claims)
        self.claim(worker=worker, wait=1.0, clock=0.0, death=None)
        if len(self.claims) > before:
            self.go_on_or_give_up(claim=0, what="beat", wait=1.0, death=death)
            ending = {"passed": passed, "pairs": pairs, "whole": True, "number": "next"}
            self.promote_or_reject(claim=0, queue=queue, wait=1.0, death=death, **ending)

    turn_again = turn_once_more = turn

    @rule(worker=workers, death=deaths)
    def take_over(self, worker: str, death: int | None) -> None:
        """A worker that knows itself to be alone."""
        update = opened(self.rows)
        with self.process(death) as call:
            freed = call(self.store.updates.take_over, worker=worker)
            if update is None or update.worker in (None, worker):
                assert freed is None
                return
            assert freed == update.id
            update.state, update.worker, update.heartbeat_at = UpdateState.OPEN, None, None

    @precondition(lambda self: self.claims)
    @rule(
        claim=st.sampled_from([0, 0, 0, 1, 2]),
        what=st.sampled_from(["beat", "beat", "release", "decline", "fail"]),
        wait=waits,
        death=deaths,
    )
    def go_on_or_give_up(self, claim: int, what: str, wait: float, death: int | None) -> None:
        (held, moves), now = choose(self.claims, claim), self.time(wait)
        updates, state = self.store.updates, UpdateState.TRAINING
        verbs: dict[str, Callable[[Call], None]] = {
            "beat": lambda call: call(updates.beat, held, state, done=1, total=2, now=now),
            "release": lambda call: call(updates.release, held),
            "decline": lambda call: call(updates.decline, held, reason="nothing", now=now),
            "fail": lambda call: call(updates.fail, held, reason="broken", now=now),
        }
        with self.process(death) as call:
            if not self._did(held, moves, lambda: verbs[what](call), must_be_live=what == "beat"):
                return
            update = self.rows.updates[held.update_id]
            if what == "beat":
                update.state, update.heartbeat_at = state, now
            elif what == "release":
                _give_back(update)
            else:
                ended = {"decline": UpdateState.REJECTED, "fail": UpdateState.FAILED}
                update.state, update.finished_at = ended[what], now

    @precondition(lambda self: self.claims)
    @rule(
        claim=st.sampled_from([0, 0, 0, 1, 2]),
        passed=st.sampled_from([True, True, False]),
        whole=st.sampled_from([True, True, False]),
        pairs=st.integers(0, 2),
        number=st.sampled_from(["next", "next", "next", "taken"]),
        queue=queues,
        wait=waits,
        death=deaths,
    )
    def promote_or_reject(
        self,
        claim: int,
        passed: bool,
        whole: bool,
        pairs: int,
        number: str,
        queue: QueueRules,
        wait: float,
        death: int | None,
    ) -> None:
        (held, moves), now = choose(self.claims, claim), self.time(wait)
        taken = number == "taken"
        version = _version(max(self.rows.versions) + (not taken))
        sampled = [self.new_pair(version.id) for _ in range(pairs)]
        trained_on = [vote for label in held.labels[0 if whole else 1 :] for vote in label.vote_ids]
        updates = self.store.updates
        with self.process(death) as call:

            def verb() -> None:
                if passed:
                    call(
                        updates.promote,
                        held,
                        version,
                        sampled,
                        trained_on=trained_on,
                        now=now,
                        queue=queue,
                    )
                else:
                    call(updates.reject, held, version, reason="worse", now=now)

            if not self._did(held, moves, verb, must_be_live=True, taken=taken):
                return
            update = self.rows.updates[held.update_id]
            row = Version(version.id, held.parent, VersionState.REJECTED)
            self.rows.versions[row.id] = row
            update.version, update.finished_at = row.id, now
            update.state = UpdateState.PROMOTED if passed else UpdateState.REJECTED
            if passed:
                self._use(update.id, set(trained_on))
                go_live(self.rows, row.id, now)
                self._queue(row.id, 1, now, pairs)
                retire_too_old(self.rows, queue.max_staleness)
                make_room(self.rows, queue.pairs)

    def _use(self, update: int, trained_on: set[str]) -> None:
        """A label is used once."""
        for number in listed(self.rows, update, TRAIN) & trained_on:
            vote = self.rows.votes[number]
            assert vote.used is None, f"{number} is used by {vote.used} and by {update}"
            vote.used = update

    def _did(
        self,
        held: Claim,
        moves: int,
        verb: Callable[[], None],
        *,
        must_be_live: bool,
        taken: bool = False,
    ) -> bool:
        """Whether a worker may do this with its claim; if it may not, nothing of it is done.

        Where versions have changed since, the update is open again.
        """
        update = self.rows.updates[held.update_id]
        holder = update.worker, update.attempt, update.finished_at
        is_holder = holder == (held.worker, held.attempt, None)
        overtaken = must_be_live and (moves != len(self.rows.moves) or taken)
        try:
            verb()
        except ClaimLostError:
            assert not is_holder or overtaken
            if is_holder:
                _give_back(update)
            return False
        assert is_holder
        assert not overtaken, "the update started from a version that is live no more"
        return True


def _version(number: int) -> NewVersion:
    return NewVersion(number, f"v{number}", "x", Finding(labels=N))


def _is_free(update: Update, worker: str, now: float) -> bool:
    """Whether nobody holds an update, or only somebody who has been silent for long."""
    silent = (update.heartbeat_at or 0.0) < now - SILENT_SECONDS
    return update.worker in (None, worker) or silent


def _give_back(update: Update) -> None:
    """The attempt does not count."""
    update.state, update.worker, update.heartbeat_at = UpdateState.OPEN, None, None
    update.attempt -= 1
