"""What is done beside the loop: gold pairs, pairs set aside, edits, pairs that wait too long."""

import random

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from labeler.domain.errors import BadInput
from labeler.domain.judging import PASSING, Cause, Judgement
from labeler.domain.rules import JudgeRules, QueueRules
from labeler.domain.states import Choice, PairState, Purpose, Source
from labeler.store.learning.pruning import tidy
from labeler.store.records import Gold, GoldAdded
from tests.support.model.handing import make_room, retire_too_old
from tests.support.model.rows import Pair, Verdict, Vote, rows_of
from tests.support.model.rules import (
    DAY_SECONDS,
    a_person_spoke,
    close,
    forgotten,
    is_past,
    is_unheld,
    judged_for_good,
    live,
    overdue,
    settle,
    staleness,
    wants_votes,
)
from tests.support.model.world import (
    MAX_STALENESS,
    World,
    choose,
    clocks,
    deaths,
    numbers,
    queues,
    waits,
)

JUDGE = JudgeRules("py:tests:judge", after_seconds=90.0, max_staleness=MAX_STALENESS)
judgements = st.sampled_from(
    [
        Judgement(0.9),
        Judgement(0.2),
        Judgement(0.5),
        Judgement(None, Cause.TIMEOUT),
        Judgement(None, Cause.TOO_LONG),
    ]
)


class Desk(World):
    """Reviewers, the judge, and what the scheduler tidies up."""

    @rule(better=st.integers(0, 2), removed=st.booleans(), seed=numbers, death=deaths)
    def change_gold(self, better: int, removed: bool, seed: int, death: int | None) -> None:
        pairs = [p for p in self.rows.pairs.values() if p.purpose is Purpose.GOLD]
        if removed and pairs:
            self._remove_gold(choose(pairs, better), death)
        else:
            self._add_gold(better, seed, death)

    def _add_gold(self, better: int, seed: int, death: int | None) -> None:
        asked = [{"role": "user", "content": "Which is right?"}]
        gold = Gold(asked, f"right {better}", f"wrong {better}")
        with self.process(death) as call:
            now = self.time()
            added = call(self.store.gold.add, [gold], now=now, rng=random.Random(seed))
            new, there = self.new_pairs(), rows_of(self.database).pairs
            for pair in new:
                self.rows.pairs[pair.id] = Pair(
                    id=pair.id,
                    version=0,
                    state=PairState.CHECK,
                    purpose=Purpose.GOLD,
                    wanted=1,
                    for_rater=None,
                    source=None,
                    needs_tokens=False,
                    aside_at=None,
                    created_at=now,
                )
            back = [
                pair
                for pair in self.rows.pairs.values()
                if pair.purpose is Purpose.GOLD
                and pair.aside_at is not None
                and there[pair.id].aside_at is None
            ]
            for pair in back:
                pair.aside_at = None
            handed_out = len(new) + len(back)
            assert added == GoldAdded(handed_out, 1 - handed_out)

    def _remove_gold(self, pair: Pair, death: int | None) -> None:
        now = self.time()
        with self.process(death) as call:
            try:
                call(self.store.gold.remove, pair.id, now=now)
            except BadInput:
                assert pair.aside_at is not None
            else:
                pair.aside_at = now

    @rule(pair=numbers, death=deaths)
    def set_aside_or_put_back(self, pair: int, death: int | None) -> None:
        it, now = choose(list(self.rows.pairs.values()), pair), self.time()
        edits = [
            each
            for each in self.rows.pairs.values()
            if (each.purpose, each.source, each.aside_at) == (Purpose.EDIT, it.id, it.aside_at)
        ]
        with self.process(death) as call:
            if it.aside_at is None:
                by = self.raters[0]
                call(self.store.labelled.set_aside, it.id, reason="odd", by=by, now=now)
            else:
                call(self.store.labelled.put_back, it.id)
            aside_at = now if it.aside_at is None else None
            for each in (it, *edits):
                each.aside_at = aside_at

    @precondition(lambda self: any(pair.needs_tokens for pair in self.rows.pairs.values()))
    @rule(edit=numbers, death=deaths)
    def give_an_edit_its_tokens(self, edit: int, death: int | None) -> None:
        pair = choose([p for p in self.rows.pairs.values() if p.needs_tokens], edit)
        with self.process(death) as call:
            verb = self.store.edits.tokenise
            call(verb, pair.id, [21, 22, 0], reference_logp=-3.0, logp=None)
            pair.needs_tokens = False

    @rule(seconds=st.sampled_from([10.0, 500.0]), wait=waits, clock=clocks, death=deaths)
    def wait_for_others_no_longer(
        self, seconds: float, wait: float, clock: float, death: int | None
    ) -> None:
        now = self.time(wait, clock)
        late = overdue(self.rows, seconds, now)
        with self.process(death) as call:
            assert call(self.store.overlap.settle, wait_seconds=seconds, now=now) == len(late)
            for pair in late:
                close(self.rows, pair)

    @rule(said=st.lists(judgements, max_size=4), wait=waits, clock=clocks, death=deaths)
    def judge(self, said: list[Judgement], wait: float, clock: float, death: int | None) -> None:
        """Ask about the newest pairs, and after a wait make labels of what has waited."""
        for pair, judgement in zip(list(self.rows.pairs.values())[::-1], said, strict=False):
            self._record(pair, judgement, self.time(), death)
        self._make_labels(self.time(wait, clock), death)

    def _record(self, pair: Pair, said: Judgement, now: float, death: int | None) -> None:
        known = [each for each in self.rows.verdicts.values() if each.pair == pair.id]
        with self.process(death) as call:
            call(self.store.judging.record, JUDGE, [(pair.id, said)], now=now)
            if all(each.probability is None for each in known):
                number = max(rows_of(self.database).verdicts)
                new = Verdict(number, pair.id, said.probability, said.cause, now)
                self.rows.verdicts[number] = new

    def _make_labels(self, now: float, death: int | None) -> None:
        due = [verdict for pair in self.rows.pairs.values() if (verdict := self._due(pair, now))]
        with self.process(death) as call:
            labels = call(self.store.judging.settle, JUDGE, now=now)
            assert labels == sum(verdict.probability is not None for verdict in due)
            there = rows_of(self.database).votes
            for verdict in due:
                pair = self.rows.pairs[verdict.pair]
                if verdict.probability is None:
                    pair.state = PairState.EXPIRED
                    continue
                (vote,) = (
                    vote
                    for vote in there.values()
                    if vote.id not in self.rows.votes and vote.pair == pair.id
                )
                assert vote.rater not in self.raters
                self.rows.votes[vote.id] = Vote(
                    id=vote.id,
                    pair=pair.id,
                    rater=vote.rater,
                    lease=None,
                    choice=_said(verdict.probability),
                    source=Source.JUDGE,
                    staleness=staleness(self.rows, pair.version),
                    created_at=now,
                )
                verdict.vote = vote.id
                settle(self.rows, pair)

    def _due(self, pair: Pair, now: float) -> Verdict | None:
        """The verdict on a pair that nobody wanted for long enough; it ends its wait."""
        verdicts = [each for each in self.rows.verdicts.values() if each.pair == pair.id]
        is_due = (
            wants_votes(pair)
            and pair.purpose is Purpose.LOOP
            and bool(verdicts)
            and judged_for_good(verdicts, PASSING)
            and is_past(pair.created_at, 90.0, now)
            and is_unheld(self.rows, pair.id, 90.0, now)
            and not a_person_spoke(self.rows, pair.id)
        )
        return verdicts[-1] if is_due else None

    @rule(
        count=st.integers(2, 5),
        wanted=st.integers(1, 2),
        stale=numbers,
        death=deaths,
        queue=st.one_of(st.none(), queues),
    )
    def sample(
        self, count: int, wanted: int, stale: int, queue: QueueRules | None, death: int | None
    ) -> None:
        """New pairs come from the live version and take the place of old ones; those of another
        version are dropped.
        """
        version = choose(list(self.rows.versions), stale) if stale % 4 == 0 else live(self.rows)
        pairs, now = [self.new_pair(version) for _ in range(count)], self.time()
        with self.process(death) as call:
            queued = call(self.store.queue.add, pairs, now=now, votes_wanted=wanted, queue=queue)
            assert queued == (count if version == live(self.rows) else 0)
            self._queue(version, wanted, now, queued)
            if queued and queue is not None:
                make_room(self.rows, queue.pairs)

    sample_more = sample

    def _queue(self, version: int, wanted: int, now: float, count: int) -> None:
        """Add the pairs that were queued just now to the model."""
        found = self.new_pairs()
        assert len(found) == count
        for pair in found:
            self.rows.pairs[pair.id] = Pair(
                id=pair.id,
                version=version,
                state=PairState.READY,
                purpose=Purpose.LOOP,
                wanted=wanted,
                for_rater=None,
                source=None,
                needs_tokens=False,
                aside_at=None,
                created_at=now,
            )

    @rule(max_staleness=st.integers(0, MAX_STALENESS), death=deaths)
    def retire_what_is_too_old(self, max_staleness: int, death: int | None) -> None:
        with self.process(death) as call:
            call(self.store.queue.retire_too_old, max_staleness=max_staleness)
            retire_too_old(self.rows, max_staleness)

    @rule(keep=st.integers(0, 3), wait=waits, clock=clocks, death=deaths)
    def tidy_up(self, keep: int, wait: float, clock: float, death: int | None) -> None:
        now = self.time(wait, clock)
        gone = forgotten(self.rows, keep=keep, now=now)
        with self.process(death) as call:
            assert call(tidy, self.database, now=now, max_expired=keep) == len(gone)
            rows = self.rows
            old = {
                each.id
                for each in rows.verdicts.values()
                if each.cause in PASSING and each.created_at <= now - DAY_SECONDS
            }
            rows.pairs = {key: pair for key, pair in rows.pairs.items() if key not in gone}
            rows.leases = {key: one for key, one in rows.leases.items() if one.pair not in gone}
            rows.verdicts = {
                key: one
                for key, one in rows.verdicts.items()
                if one.pair not in gone and key not in old
            }


def _said(probability: float) -> Choice:
    if probability == 0.5:
        return Choice.TIE
    return Choice.A if probability > 0.5 else Choice.B
