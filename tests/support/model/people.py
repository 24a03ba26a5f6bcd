"""What raters do besides: undo, leave, and ask prompts of their own."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from labeler.domain.errors import BadInput
from labeler.domain.states import PairState, Purpose
from labeler.store import Store
from labeler.store.database import Database
from tests.support.model.hands import Hands, page_of
from tests.support.model.rows import Lease, Pair, Vote
from tests.support.model.rules import end, has_room, live, wait_again
from tests.support.model.world import (
    LEASE_SECONDS,
    choose,
    clocks,
    deaths,
    numbers,
    pages,
    raters,
    waits,
)


class People(Hands):
    """Raters, each with two pages. `undos` are all that they ever sent."""

    def __init__(self, store: Store, database: Database) -> None:
        super().__init__(store, database)
        self.undos: list[dict[str, Any]] = []

    @rule(
        who=raters,
        page=pages,
        named=st.one_of(st.none(), numbers),
        wait=waits,
        clock=clocks,
        death=deaths,
    )
    def undo(
        self,
        who: int,
        page: int,
        named: int | None,
        wait: float,
        clock: float,
        death: int | None,
    ) -> None:
        wish = {
            "rater_id": self.raters[who],
            "holder": page_of(who, page),
            "undo_id": self.name("undo"),
        }
        cast = [vote.id for vote in self.rows.votes.values() if vote.lease is not None]
        wish["vote_id"] = choose(cast, named) if named is not None and cast else None
        self.undos.append(wish)
        self._take_back(wish, self.time(wait, clock), death)

    undo_more = undo

    @precondition(lambda self: self.undos)
    @rule(undo=numbers, wait=waits, clock=clocks, death=deaths)
    def send_an_undo_again(self, undo: int, wait: float, clock: float, death: int | None) -> None:
        self._take_back(choose(self.undos, undo), self.time(wait, clock), death)

    def _take_back(self, wish: dict[str, Any], now: float, death: int | None) -> None:
        votes = self.rows.votes.values()
        target = None if wish["rater_id"] in self.disabled else self._meant(wish)
        done = [v for v in votes if v.undone == wish["undo_id"] and v.lease is not None]
        with self.process(death) as call:
            undone = call(self.store.votes.undo, **wish, seconds=LEASE_SECONDS, now=now)
            if done:
                assert undone.choice is not None, "an undo that was done is forgotten"
                return
            assert (undone.choice is None) == (target is None)
            if target is None or target.lease is None:
                return
            target.undone = wish["undo_id"]
            self._take_edit_back(target)
            pair, before = self.rows.pairs[target.pair], self.rows.leases[target.lease]
            assert (undone.pair is not None) == has_room(self.rows, pair)
            if undone.pair is not None:
                wait_again(pair)
                self.rows.leases[undone.pair.lease_id] = Lease(
                    undone.pair.lease_id,
                    pair.id,
                    target.rater,
                    wish["holder"],
                    before.shown_left,
                    before.leased_at,
                    now + LEASE_SECONDS,
                )

    def _meant(self, wish: dict[str, Any]) -> Vote | None:
        """The vote that is named; or the last one that this page has cast, if it stands."""
        mine = [
            vote
            for vote in self.rows.votes.values()
            if vote.rater == wish["rater_id"] and vote.undone is None and vote.lease is not None
        ]
        if wish["vote_id"] is not None:
            return next((vote for vote in mine if vote.id == wish["vote_id"]), None)
        leases, holder = self.rows.leases, wish["holder"]
        of_page = [v for v in mine if v.lease and leases[v.lease].holder == holder]
        return of_page[-1] if of_page else None

    def _take_edit_back(self, vote: Vote) -> None:
        said = self.rows.votes.get(f"{vote.id}:edit")
        if said is not None:
            said.undone = vote.undone
            edit = self.rows.pairs[said.pair]
            edit.needs_tokens = False
            if edit.state is not PairState.CHECK:
                edit.state = PairState.EXPIRED

    @rule(
        who=raters,
        how=st.sampled_from(["run out", "run out", "stop", "shut out"]),
        wait=waits,
        clock=clocks,
        death=deaths,
    )
    def leave(
        self,
        who: int,
        how: str,
        wait: float,
        clock: float,
        death: int | None,
    ) -> None:
        """Pairs go back: as their time is over, at a stop, or with a disabled account."""
        now, rater = self.time(wait, clock), self.raters[who]
        active = [lease for lease in self.rows.leases.values() if lease.ended_at is None]
        with self.process(death) as call:
            if how == "run out":
                gone = [lease for lease in active if lease.expires_at <= now]
                assert call(self.store.queue.end_expired_leases, now=now) == len(gone)
            elif how == "stop":
                call(self.store.queue.end_all_leases, now=now)
                gone = active
            else:
                call(self.store.raters.disable, rater, now=now)
                self.disabled.add(rater)
                gone = [lease for lease in active if lease.rater == rater]
            end(self.rows, gone, now)

    @precondition(lambda self: self.disabled)
    @rule(death=deaths)
    def let_in_again(self, death: int | None) -> None:
        rater = min(self.disabled)
        with self.process(death) as call:
            call(self.store.raters.enable, rater)
            self.disabled.discard(rater)

    @rule(who=raters, wait=waits, death=deaths)
    def ask(self, who: int, wait: float, death: int | None) -> None:
        """A prompt of one's own, answered by the worker at once unless it dies."""
        rater, now = self.raters[who], self.time(wait)
        ask_id = self.name("ask")
        try:
            self.store.asks.add(ask_id, rater_id=rater, text=f"{ask_id}?", continues=None, now=now)
        except BadInput:
            return
        for asked in self.store.asks.take(8, now=now):
            with self.process(death) as call:
                pair = self.new_pair(live(self.rows))
                assert call(self.store.asks.answer, asked.id, pair, now=now)
                (found,) = self.new_pairs()
                assert found.for_rater in self.raters
                self.rows.pairs[found.id] = Pair(
                    id=found.id,
                    version=live(self.rows),
                    state=PairState.READY,
                    purpose=Purpose.OWN,
                    wanted=1,
                    for_rater=found.for_rater,
                    source=None,
                    needs_tokens=False,
                    aside_at=None,
                    created_at=now,
                )
