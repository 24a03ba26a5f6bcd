"""What must always hold of a store, and when what may happen to its rows: the model.

Plain Python over `Rows`, written from the promises of the service and not from its queries. Times
are arguments, in seconds.
"""

from collections.abc import Iterable

from labeler.domain.states import (
    Choice,
    LabelRole,
    PairState,
    Purpose,
    Source,
    UpdateState,
    VersionState,
)
from tests.support.model.rows import Lease, Pair, Rows, Update, Verdict, Vote

DECIDED = Choice.A, Choice.B
ENDED = UpdateState.PROMOTED, UpdateState.REJECTED, UpdateState.FAILED
WEEK_SECONDS, DAY_SECONDS = 7 * 86_400.0, 86_400.0


def live(rows: Rows) -> int:
    """The version that is live."""
    return rows.moves[-1]


def staleness(rows: Rows, version: int) -> int:
    """How often the live pointer has moved since this version was last live."""
    return rows.moves[::-1].index(version) if version in rows.moves else len(rows.moves)


def live_at(rows: Rows, at: float) -> int:
    """The version that was live at a moment, by the clocks of whoever moved the pointer."""
    until = [n for n, moved_at in enumerate(rows.moved_at) if moved_at <= at]
    return rows.moves[until[-1] if until else 0]


def held(rows: Rows, pair: int) -> list[Lease]:
    """The leases on a pair that have not ended."""
    return [each for each in rows.leases.values() if each.pair == pair and each.ended_at is None]


def standing(rows: Rows, pair: int, source: Source | None = None) -> list[Vote]:
    """The votes on a pair that nobody took back."""
    return [
        vote
        for vote in rows.votes.values()
        if vote.pair == pair and vote.undone is None and source in (None, vote.source)
    ]


def waiting(rows: Rows) -> list[Pair]:
    """The pairs that wait for votes, that nobody holds and anybody may have."""
    return [
        pair
        for pair in rows.pairs.values()
        if wants_votes(pair) and pair.for_rater is None and not held(rows, pair.id)
    ]


def wants_votes(pair: Pair) -> bool:
    """Whether a pair is to get further votes. One that was set aside is not."""
    return pair.state is PairState.READY and pair.aside_at is None


def has_room(rows: Rows, pair: Pair) -> bool:
    """Whether one more person may have the pair. A check is there for everybody."""
    taken = len(held(rows, pair.id)) + len(standing(rows, pair.id, Source.HUMAN))
    return pair.state is PairState.CHECK or taken < pair.wanted


def may_be_handed(rows: Rows, pair: Pair, rater: int, *, max_staleness: int) -> bool:
    """Whether this rater may get the pair now, not as a check.

    Nobody gets one that is too old, but for what they asked for themselves.
    """
    young = staleness(rows, pair.version) <= max_staleness
    mine: list[Lease | Vote] = [*held(rows, pair.id), *standing(rows, pair.id, Source.HUMAN)]
    return (
        wants_votes(pair)
        and (pair.for_rater == rater or (pair.for_rater is None and young))
        and has_room(rows, pair)
        and all(each.rater != rater for each in mine)
    )


def may_check(rows: Rows, pair: Pair, rater: int) -> bool:
    """Whether this rater may get the pair as a check: never twice, and no other's repeat."""
    seen = any(vote.pair == pair.id and vote.rater == rater for vote in rows.votes.values())
    return (
        pair.purpose in (Purpose.GOLD, Purpose.REPEAT)
        and pair.for_rater in (None, rater)
        and pair.aside_at is None
        and not seen
        and all(lease.rater != rater for lease in held(rows, pair.id))
    )


def can_revive(rows: Rows, lease: Lease) -> bool:
    """Whether an ended lease can be taken up again."""
    pair = rows.pairs[lease.pair]
    mine: list[Lease | Vote] = [*held(rows, pair.id), *standing(rows, pair.id)]
    return (
        lease.ended_at is not None
        and has_room(rows, pair)
        and all(each.rater != lease.rater for each in mine)
    )


def settle(rows: Rows, pair: Pair) -> None:
    """What a pair is after a vote on it or the end of a lease."""
    if pair.state is PairState.CHECK:
        return
    people = standing(rows, pair.id, Source.HUMAN)
    judged = standing(rows, pair.id, Source.JUDGE)
    if len(people) >= pair.wanted or (judged and not held(rows, pair.id)):
        close(rows, pair)
    else:
        pair.state = PairState.READY


def close(rows: Rows, pair: Pair) -> None:
    """End a pair's wait."""
    says = any(vote.choice is not Choice.SKIP for vote in standing(rows, pair.id))
    pair.state = PairState.LABELLED if says else PairState.EXPIRED


def wait_again(pair: Pair) -> None:
    """Let a pair wait for votes once more."""
    if pair.state is not PairState.CHECK:
        pair.state = PairState.READY


def end(rows: Rows, leases: Iterable[Lease], now: float) -> None:
    """Give pairs back."""
    ended = list(leases)
    for lease in ended:
        lease.ended_at = now
    for number in {lease.pair for lease in ended}:
        settle(rows, rows.pairs[number])


def go_live(rows: Rows, version: int, now: float) -> None:
    """Move the live pointer."""
    rows.versions[live(rows)].state = VersionState.RETIRED
    rows.versions[version].state = VersionState.LIVE
    rows.moves.append(version)
    rows.moved_at.append(now)


def a_person_spoke(rows: Rows, pair: int) -> bool:
    """Whether the judge is overruled."""
    return any(vote.choice is not Choice.SKIP for vote in standing(rows, pair, Source.HUMAN))


def teaches(rows: Rows, vote: Vote) -> bool:
    """Whether a vote stands and says something to learn from."""
    pair = rows.pairs[vote.pair]
    return (
        vote.undone is None
        and vote.choice in DECIDED
        and pair.state is not PairState.CHECK
        and pair.aside_at is None
        and not pair.needs_tokens
        and (vote.source is Source.HUMAN or not a_person_spoke(rows, pair.id))
    )


def fresh(rows: Rows, *, max_staleness: int) -> set[str]:
    """The votes that an update may list to train on."""
    now_open = opened(rows)
    taken = {vote for update, vote in rows.lists if now_open and update == now_open.id}
    return {
        vote.id
        for vote in rows.votes.values()
        if teaches(rows, vote)
        and vote.used is None
        and vote.staleness <= max_staleness
        and vote.id not in taken
        and (rows.pairs[vote.pair].wanted == 1 or rows.pairs[vote.pair].state != PairState.READY)
    }


def untried(rows: Rows, votes: set[str]) -> set[str]:
    """Those that no rejected update has trained on: what brings the next update nearer."""
    tried = {
        vote
        for (update, vote), role in rows.lists.items()
        if role is LabelRole.TRAIN and rows.updates[update].state is UpdateState.REJECTED
    }
    return votes - tried


def opened(rows: Rows) -> Update | None:
    """The update that has not ended; there is one at most."""
    found = [update for update in rows.updates.values() if update.finished_at is None]
    assert len(found) <= 1, "two updates at once"
    return found[0] if found else None


def may_open(rows: Rows, now: float) -> bool:
    """Whether the last update ended long enough ago: after failures longer each time."""
    ended = [rows.updates[number] for number in sorted(rows.updates, reverse=True)]
    failures = 0
    for update in ended:
        if update.state is not UpdateState.FAILED:
            break
        failures += 1
    last = ended[0].finished_at if ended else None
    backoff = min(30.0 * 2 ** (failures - 1), 3600.0) if failures else 0.0
    return last is None or is_past(last, backoff, now)


def listed(rows: Rows, update: int, *roles: LabelRole) -> set[str]:
    """The votes on an update's list in one of these roles."""
    return {vote for (of, vote), role in rows.lists.items() if of == update and role in roles}


def active_raters(rows: Rows, since: float) -> set[int]:
    """Who has voted or was handed a pair since then."""
    votes = {
        vote.rater
        for vote in rows.votes.values()
        if vote.source is Source.HUMAN and vote.undone is None and vote.created_at > since
    }
    holding = {
        lease.rater
        for lease in rows.leases.values()
        if lease.ended_at is None and lease.leased_at > since
    }
    return votes | holding


def overdue(rows: Rows, wait_seconds: float, now: float) -> list[Pair]:
    """The pairs whose further votes nobody waits for any more."""
    active = active_raters(rows, now - 300.0)
    found = []
    for pair in rows.pairs.values():
        votes = standing(rows, pair.id, Source.HUMAN)
        waits = pair.state is PairState.READY and pair.wanted > 1 and not held(rows, pair.id)
        if waits and votes:
            alone = active <= {vote.rater for vote in votes}
            if alone or max(vote.created_at for vote in votes) <= now - wait_seconds:
                found.append(pair)
    return found


def judged_for_good(verdicts: list[Verdict], passing: Iterable[str]) -> bool:
    """Whether a judge is not to be asked again: it decided, cannot, or failed three times."""
    return len(verdicts) >= 3 or any(each.cause not in tuple(passing) for each in verdicts)


def is_past(at: float, seconds: float, now: float) -> bool:
    """Whether it was so long ago. What is yet to come was written by a clock that was set back."""
    return at <= now - seconds or at > now + 60.0


def unheld_since(rows: Rows, pair: int, since: float) -> bool:
    """Whether nobody holds the pair, nor has held it after that time."""
    return all(
        lease.ended_at is not None and lease.ended_at <= since
        for lease in rows.leases.values()
        if lease.pair == pair
    )


def is_unheld(rows: Rows, pair: int, seconds: float, now: float) -> bool:
    """Whether nobody holds the pair, nor has for so long."""
    return all(
        lease.ended_at is not None and is_past(lease.ended_at, seconds, now)
        for lease in rows.leases.values()
        if lease.pair == pair
    )


def forgotten(rows: Rows, *, keep: int, now: float) -> set[int]:
    """The pairs that may be deleted: retired long ago, never voted on, not among the newest."""
    expired = sorted(p.id for p in rows.pairs.values() if p.state is PairState.EXPIRED)
    voted = {vote.pair for vote in rows.votes.values()}
    judged = {
        each.pair
        for each in rows.verdicts.values()
        if each.vote is not None or each.created_at > now - DAY_SECONDS
    }
    return {
        pair
        for pair in expired[: max(0, len(expired) - keep)]
        if pair not in voted | judged and unheld_since(rows, pair, now - WEEK_SECONDS)
    }


def prunable(rows: Rows, keep: int) -> set[int]:
    """The versions whose folders may go while no update is open."""
    newest = sorted(rows.versions)[-keep:] if keep else []
    return {
        version.id
        for version in rows.versions.values()
        if version.id != 0
        and version.pruned_at is None
        and not version.kept
        and version.state in (VersionState.RETIRED, VersionState.REJECTED)
        and version.id not in newest
        and version.id != rows.versions[live(rows)].parent
    }


def check(rows: Rows) -> None:
    """The promises that hold at every moment."""
    states = [version.state for version in rows.versions.values()]
    assert states.count(VersionState.LIVE) == 1, "not exactly one version is live"
    assert rows.versions[live(rows)].state is VersionState.LIVE
    opened(rows)
    for pair in rows.pairs.values():
        holders = [lease.rater for lease in held(rows, pair.id)]
        voters = [vote.rater for vote in standing(rows, pair.id, Source.HUMAN)]
        assert len(holders) == len(set(holders)), "a rater holds two slots of a pair"
        assert len(voters) == len(set(voters)), "a rater's two votes on a pair both stand"
        if pair.state is not PairState.CHECK:
            assert len(holders) + len(voters) <= pair.wanted, "a slot has two holders"
    for vote in rows.votes.values():
        if vote.used is not None:
            update = rows.updates[vote.used]
            assert rows.lists[vote.used, vote.id] is LabelRole.TRAIN, "used and not listed"
            assert update.version in rows.moves, "used by a version that was never live"
