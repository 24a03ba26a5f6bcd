"""What raters do at the page: take pairs, vote and edit, also late, and more than once."""

import math
import random

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from labeler.domain.rules import CheckRules
from labeler.domain.states import Choice, PairState, Purpose, Source
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.rating.leases import SPARE_SECONDS
from labeler.store.records import Ballot
from tests.support.model.handing import Wish, active, age, exchange, may_hide_a_check
from tests.support.model.rows import Lease, Pair, Vote, rows_of
from tests.support.model.rules import (
    can_revive,
    end,
    has_room,
    may_check,
    settle,
    staleness,
    standing,
    wait_again,
)
from tests.support.model.world import (
    LEASE_SECONDS,
    MAX_STALENESS,
    World,
    choose,
    clocks,
    deaths,
    numbers,
    pages,
    raters,
    waits,
)

CHECKS = CheckRules(gold_share=0.4, repeat_share=0.2)
choices = st.sampled_from(["left", "right", "left", "right", "tie", "both_bad", "skip"])


class Hands(World):
    """Raters, each with two pages. `ballots` are all the votes that they ever sent."""

    def __init__(self, store: Store, database: Database) -> None:
        super().__init__(store, database)
        self.ballots: list[tuple[int, Ballot]] = []

    @rule(
        who=raters,
        page=pages,
        wanted=st.integers(0, 3),
        spare=st.sampled_from([0, 0, 2, 6]),
        knows=st.sampled_from(["all", "all", "none", "some"]),
        gives=st.sampled_from(["none", "old", "old", "some", "all"]),
        max_staleness=st.sampled_from([MAX_STALENESS, MAX_STALENESS, 1, 0]),
        checked=st.booleans(),
        seconds=st.sampled_from([LEASE_SECONDS, LEASE_SECONDS, 2 * SPARE_SECONDS]),
        wait=waits,
        clock=clocks,
        death=deaths,
        seed=numbers,
    )
    def take_pairs(
        self,
        who: int,
        page: int,
        wanted: int,
        spare: int,
        knows: str,
        gives: str,
        max_staleness: int,
        checked: bool,
        seconds: float,
        wait: float,
        clock: float,
        death: int | None,
        seed: int,
    ) -> None:
        rater, holder = self.raters[who], page_of(who, page)
        shown, given = self._named(rater, holder, knows, gives)
        wish = Wish(rater, holder, wanted, spare, shown, given, max_staleness)
        now = self.time(wait, clock)
        with self.process(death) as call:
            handed = call(
                self.store.queue.lease,
                rater_id=rater,
                holder=holder,
                wanted=wanted,
                spare=spare,
                shown=shown,
                give_back=given,
                seconds=seconds,
                now=now,
                rng=random.Random(seed),
                max_staleness=max_staleness,
                checks=CHECKS if checked else None,
            )
            if rater in self.disabled:
                assert not handed
                return
            self._revive([self.rows.leases[number] for number in shown])
            self._exchange(wish, checked, now)
            self._prolong(wish, now, seconds)
            held = {lease.id for lease in active(self.rows, rater, holder)}
            assert {pair.lease_id for pair in handed} == held - set(shown)

    def _named(
        self, rater: int, holder: str, knows: str, gives: str
    ) -> tuple[list[str], list[str]]:
        """The leases that a page shows, the most urgent first, and those that it would give back.

        Others of its own it may have forgotten.
        """
        leases = self.rows.leases.values()
        own = [x for x in leases if (x.rater, x.holder) == (rater, holder)]
        old = [x for x in own if age(self.rows, x)]
        given = {"none": [], "old": old, "some": own[1::3], "all": own}[gives]
        shown = {"all": own, "none": [], "some": own[::2]}[knows]
        back = [lease.id for lease in given]
        return [lease.id for lease in shown[::-1] if lease.id not in back], back

    def _revive(self, shown: list[Lease]) -> None:
        """Take up again what ran out and the page still shows."""
        there = rows_of(self.database).leases
        for lease in shown:
            if lease.ended_at is not None and there[lease.id].ended_at is None:
                assert can_revive(self.rows, lease)
                lease.ended_at = None
                wait_again(self.rows.pairs[lease.pair])
        assert not any(can_revive(self.rows, lease) for lease in shown)

    def _exchange(self, wish: Wish, checked: bool, now: float) -> None:
        """New leases on the pairs that come next, or on checks in their place; others end."""
        due = exchange(self.rows, wish)
        end(self.rows, due.ended, now)
        there = rows_of(self.database)
        new = [lease for number, lease in there.leases.items() if number not in self.rows.leases]
        assert len(new) == len(due.handed)
        left = {pair.id: pair for pair in due.handed}
        for lease in new:
            if left.pop(lease.pair, None) is None:
                pair = self.rows.pairs.setdefault(lease.pair, there.pairs[lease.pair])
                assert checked
                assert may_check(self.rows, pair, wish.rater)
            self.rows.leases[lease.id] = Lease(
                lease.id, lease.pair, wish.rater, wish.holder, lease.shown_left, now, now
            )
        assert all(may_hide_a_check(self.rows, pair) for pair in left.values())

    def _prolong(self, wish: Wish, now: float, seconds: float) -> None:
        """What is shown next stays longest; what was put by goes back sooner."""
        there = rows_of(self.database).leases
        mine = {lease.id: lease for lease in active(self.rows, wish.rater, wish.holder)}
        long, short = now + seconds, now + min(seconds, SPARE_SECONDS)
        shown = [mine.pop(number) for number in wish.shown if number in mine]
        for place, lease in enumerate(shown):
            lease.expires_at = long if place < wish.wanted else short
        for lease in mine.values():  # in which order is the store's to choose
            lease.expires_at = there[lease.id].expires_at
        longest = min(len(mine), max(0, wish.wanted - len(shown)))
        until = sorted(lease.expires_at for lease in mine.values())
        assert until == [short] * (len(mine) - longest) + [long] * longest

    @rule(
        who=raters,
        page=pages,
        said=st.lists(choices, min_size=1, max_size=4),
        edited=st.sampled_from([False, False, True]),
        wait=waits,
        clock=clocks,
        death=deaths,
    )
    def rate(
        self,
        who: int,
        page: int,
        said: list[str],
        edited: bool,
        wait: float,
        clock: float,
        death: int | None,
    ) -> None:
        """Pairs, and a vote on each that the page has."""
        self.take_pairs(
            who=who,
            page=page,
            wanted=len(said),
            spare=0,
            knows="all",
            gives="old",
            max_staleness=MAX_STALENESS,
            checked=edited,
            seconds=LEASE_SECONDS,
            wait=wait,
            clock=clock,
            death=None,
            seed=self.calls,
        )
        held = active(self.rows, self.raters[who], page_of(who, page))
        for lease, choice in zip(held, said, strict=False):
            self._cast(lease.rater, lease, choice, edited, self.time(1.0, clock), death)

    # So that they come as often as in life.
    rate_more = rate_on = rate_further = rate

    @precondition(lambda self: self.rows.leases)
    @rule(
        lease=numbers,
        somebody_else=st.sampled_from([False, False, False, True]),
        choice=choices,
        edited=st.booleans(),
        wait=waits,
        clock=clocks,
        death=deaths,
    )
    def vote(
        self,
        lease: int,
        somebody_else: bool,
        choice: str,
        edited: bool,
        wait: float,
        clock: float,
        death: int | None,
    ) -> None:
        on = choose(list(self.rows.leases.values()), lease)
        rater = choose(self.raters, lease) if somebody_else else on.rater
        self._cast(rater, on, choice, edited, self.time(wait, clock), death)

    def _cast(
        self, rater: int, lease: Lease, choice: str, edited: bool, now: float, death: int | None
    ) -> None:
        text = self.name("edit") if edited and choice in ("left", "right") else None
        ballot = Ballot(self.name("vote"), lease.id, choice, edit=text, seconds=2.0)
        self.ballots.append((rater, ballot))
        self._send(rater, ballot, now, death)

    @precondition(lambda self: self.ballots)
    @rule(ballot=numbers, wait=waits, clock=clocks, death=deaths)
    def send_a_vote_again(self, ballot: int, wait: float, clock: float, death: int | None) -> None:
        """The answer got lost, or the process died before it."""
        rater, sent = choose(self.ballots, ballot)
        self._send(rater, sent, self.time(wait, clock), death)

    def _send(self, rater: int, ballot: Ballot, now: float, death: int | None) -> None:
        known, lease = self.rows.votes.get(ballot.vote_id), self.rows.leases.get(ballot.lease_id)
        with self.process(death) as call:
            receipt = call(self.store.votes.record, ballot, rater_id=rater, now=now)
            assert receipt.saved == (known is not None or self._takes(lease, rater))
            if receipt.saved and known is None and lease is not None:
                self._count(ballot, lease, now)

    def _takes(self, lease: Lease | None, rater: int) -> bool:
        """Whether a vote of this rater on this lease must be saved."""
        if lease is None or lease.rater != rater or rater in self.disabled:
            return False
        votes = standing(self.rows, lease.pair)
        pair = self.rows.pairs[lease.pair]
        is_open = lease.ended_at is None or has_room(self.rows, pair)
        return is_open and all(vote.rater != rater for vote in votes)

    def _count(self, ballot: Ballot, lease: Lease, now: float) -> None:
        """A vote that was saved, and the edit that came with it.

        It is younger than the last one of its page, also where the clock was set back.
        """
        pair, leases = self.rows.pairs[lease.pair], self.rows.leases
        cast = (
            vote.created_at
            for vote in self.rows.votes.values()
            if vote.lease is not None and leases[vote.lease].holder == lease.holder
        )
        last = max(cast, default=now)
        vote = Vote(
            id=ballot.vote_id,
            pair=pair.id,
            rater=lease.rater,
            lease=lease.id,
            choice=_stored(ballot.choice, lease.shown_left),
            source=Source.HUMAN,
            staleness=staleness(self.rows, pair.version),
            created_at=now if last <= now else math.nextafter(last, math.inf),
        )
        self.rows.votes[vote.id] = vote
        lease.ended_at = now
        if ballot.edit is not None:
            (found,) = self.new_pairs()
            is_check = pair.state is PairState.CHECK
            edit = Pair(
                id=found.id,
                version=pair.version,
                state=PairState.CHECK if is_check else PairState.LABELLED,
                purpose=Purpose.EDIT,
                wanted=1,
                for_rater=pair.for_rater,
                source=pair.id,
                needs_tokens=not is_check,
                aside_at=pair.aside_at,
                created_at=now,
            )
            self.rows.pairs[edit.id] = edit
            said = Vote(
                f"{vote.id}:edit",
                edit.id,
                vote.rater,
                None,
                Choice.A,
                Source.HUMAN,
                vote.staleness,
                now,
            )
            self.rows.votes[said.id] = said
        settle(self.rows, pair)


def page_of(who: int, page: int) -> str:
    return f"page {page} of {who}"


def _stored(choice: str, shown_left: str) -> Choice:
    """A choice by side, in stored order."""
    other = {"a": "b", "b": "a"}[shown_left]
    return Choice({"left": shown_left, "right": other}.get(choice, choice))
