"""Which pairs a page is handed, which it keeps, and which go as new ones take their place."""

from dataclasses import dataclass

from labeler.domain.states import PairState, Source
from tests.support.model.rows import Lease, Pair, Rows
from tests.support.model.rules import (
    close,
    held,
    live,
    live_at,
    may_be_handed,
    staleness,
    standing,
    waiting,
)

MAX_HELD = 64
ON_HAND, LEFT_READY = 3, 4


@dataclass(frozen=True)
class Wish:
    """What a page asks for. `shown` and `given` are the ids of leases: kept, and to be given back.

    No pair that is more than `max_staleness` versions old is of use to it.
    """

    rater: int
    holder: str
    wanted: int
    spare: int
    shown: list[str]
    given: list[str]
    max_staleness: int


@dataclass(frozen=True)
class Exchange:
    """The pairs that a page is handed, and which of the given leases it keeps."""

    handed: list[Pair]
    kept: list[Lease]
    ended: list[Lease]


def exchange(rows: Rows, wish: Wish) -> Exchange:
    """What a page must get. It keeps as many of the given pairs, the youngest ones, as have nothing
    newer to take their place; those that are too old go in any case.
    """
    theirs = active(rows, wish.rater, wish.holder)
    given = sorted(
        (lease for lease in theirs if lease.id in wish.given),
        key=lambda lease: (age(rows, lease), lease.leased_at, lease.pair),
    )
    ages = [old for lease in given if (old := age(rows, lease)) <= wish.max_staleness]
    most = _places(rows, wish, kept=len(theirs) - len(given), given=len(ages))
    most = max(0, min(most, MAX_HELD - len(active(rows, wish.rater)) + len(ages)))
    free = _next_up(rows, wish)[:most]

    def nothing_newer(kept: int) -> bool:
        others = free[most - kept :]
        return not others or _newness(rows, others[0]) >= ages[kept - 1]

    at_most = min(len(ages), most)
    kept = next((n for n in range(at_most, 0, -1) if nothing_newer(n)), 0)
    return Exchange(free[: most - kept], given[:kept], given[kept:])


def active(rows: Rows, rater: int, holder: str | None = None) -> list[Lease]:
    """The leases that a rater holds, at one page or at all of them."""
    return [
        lease
        for lease in rows.leases.values()
        if lease.ended_at is None and lease.rater == rater and holder in (None, lease.holder)
    ]


def age(rows: Rows, lease: Lease) -> int:
    """How old what a page shows is; a check is as old as the pairs it was handed out among."""
    pair = rows.pairs[lease.pair]
    is_check = pair.state is PairState.CHECK
    return staleness(rows, live_at(rows, lease.leased_at) if is_check else pair.version)


def may_hide_a_check(rows: Rows, pair: Pair) -> bool:
    """Whether a check may come in its place: it says that it is new, and nobody waits for it."""
    return pair.for_rater is None and pair.version == live(rows)


def make_room(rows: Rows, pairs: int) -> None:
    """Retire the oldest pairs while more than so many are ready, but none of the live version."""
    ready = waiting(rows)
    old = [pair for pair in ready if pair.version != live(rows)]
    old.sort(key=lambda pair: (-staleness(rows, pair.version), pair.id))
    for pair in old[: max(0, len(ready) - pairs)]:
        close(rows, pair)


def retire_too_old(rows: Rows, max_staleness: int) -> None:
    """Retire what nobody holds and nobody's vote would count on."""
    for pair in rows.pairs.values():
        if staleness(rows, pair.version) > max_staleness:
            _retire(rows, pair)


def retire_of(rows: Rows, version: int) -> None:
    """Retire the pairs of a version that a person has done away with."""
    for pair in rows.pairs.values():
        if pair.version == version:
            _retire(rows, pair)


def _retire(rows: Rows, pair: Pair) -> None:
    if pair.state is PairState.READY and not held(rows, pair.id):
        close(rows, pair)


def _places(rows: Rows, wish: Wish, *, kept: int, given: int) -> int:
    """How many pairs a page may have beside the `kept` ones: the `wanted`, one less where there are
    too few for everybody; and where enough is left for all others, `spare` ones more.
    """
    ready = len(waiting(rows))
    at_work = {lease.rater for lease in rows.leases.values() if lease.ended_at is None}
    others = len(at_work - {wish.rater})
    if ready < others and wish.wanted >= ON_HAND:
        return wish.wanted - 1 - kept
    needed = wish.wanted - kept
    if not wish.spare:
        return needed
    from_the_queue = max(0, needed - given)
    left_over = ready - from_the_queue - LEFT_READY - ON_HAND * others
    return min(needed + wish.spare, max(needed, given) + max(0, left_over))


def _next_up(rows: Rows, wish: Wish) -> list[Pair]:
    """What this page may get: what others began first, then the newest."""
    free = [
        pair
        for pair in rows.pairs.values()
        if may_be_handed(rows, pair, wish.rater, max_staleness=wish.max_staleness)
    ]

    def order(pair: Pair) -> tuple[int, int, int]:
        return -len(standing(rows, pair.id, Source.HUMAN)), _newness(rows, pair), pair.id

    return sorted(free, key=order)


def _newness(rows: Rows, pair: Pair) -> int:
    """How old a pair is to whom it may be handed; what one asked for oneself is always new."""
    return staleness(rows, pair.version) if pair.for_rater is None else 0
