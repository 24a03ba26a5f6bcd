"""Whether the votes can be trusted: what is known of them, and of each rater.

What a person says counts here if it stands, is no skip, and its pair was not set aside; a text that
somebody wrote is no vote on two replies. Agreement is that on ordinary pairs: gold ones are easier,
and repeats are for one rater alone. The figures are of the newest votes, so that they cost about as
much after a year as after a day; only the votes of each rater are counted over all time.

The statistics (`labeler.stats.rater_agreement`, `labeler.stats.reliability`) are imported when they
are asked for: they bring numpy and pandas along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.estimate import Estimate
from labeler.domain.states import Choice, Purpose, Source
from labeler.store.database import Database
from labeler.store.tables import Pair, Rater, Vote

if TYPE_CHECKING:
    from labeler.stats.reliability import Reliability

MAX_VOTES = 20_000
DAY_SECONDS = 86_400.0
# A rater's weight moves little with a few votes more, and the fit takes a moment.
STALE_SHARE = 0.05
ORDINARY = (Purpose.LOOP, Purpose.OWN)
NO_VOTES = "no one has chosen a side yet"
NO_GOLD = "no one has voted on a gold pair yet; `livedpo gold add FILE` adds some"
NO_REPEATS = "no one has rated a pair twice yet; this starts with a rater's 30th vote"
NO_TIMES = "no vote says how long it took"


class Cast(NamedTuple):
    """A standing vote of a person, with what its pair is there for."""

    pair_id: int
    rater_id: int
    choice: Choice
    shown_left: str
    seconds: float | None
    purpose: Purpose
    answer: str | None
    source_pair_id: int | None


@dataclass(frozen=True)
class Weights:
    """How much each rater's votes weigh in training, by id, as of so many votes."""

    votes: int
    by_rater: Mapping[int, float]


class Trust:
    """The verbs on trust. All only read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self) -> tuple[float, ...]:
        """Changes whenever the report may have changed, and is quickly had."""
        votes = select(sa.func.count()).select_from(Vote)
        aside = select(sa.func.count(), sa.func.max(Pair.aside_at)).where(
            col(Pair.aside_at).is_not(None)
        )
        with self._database.read() as session:
            pairs, newest = session.exec(aside).one()
            return (
                session.exec(votes).one(),
                session.exec(votes.where(col(Vote.superseded_by).is_not(None))).one(),
                pairs,
                newest or 0.0,
            )

    def report(self, *, min_reading_seconds: float, weighing: bool, now: float) -> dict[str, Any]:
        """The figures of all votes and of each rater. Takes up to a few seconds."""
        with self._database.read() as session:
            cast = _cast(session)
            raters = _raters(session, now)
        reliable = _reliable(cast)
        from labeler.stats.reliability import weights

        heavy = weights(reliable)
        said = _choices(cast)
        of_rater: dict[int, list[Cast]] = {}
        for vote in cast:
            of_rater.setdefault(vote.rater_id, []).append(vote)
        return {
            "figures": _figures(cast, said, min_reading_seconds),
            "raters": [
                {
                    "rater_id": rater_id,
                    "name": name,
                    "votes": votes,
                    "votes_last_day": last_day,
                    **_of_one(of_rater.get(rater_id, []), said, min_reading_seconds),
                    "reliability": reliable[rater_id].accuracy.to_json()
                    if rater_id in reliable
                    else Estimate.none(NO_VOTES).to_json(),
                    "weight": round(heavy.get(rater_id, 1.0), 3) if weighing else None,
                }
                for rater_id, name, votes, last_day in raters
            ],
            "weighing": weighing,
        }

    def weights(self, known: Weights | None = None) -> Weights:
        """What each rater's votes weigh; what is `known` if few votes came since."""
        with self._database.read() as session:
            count = session.exec(select(sa.func.count()).select_from(Vote)).one()
            if known is not None and abs(count - known.votes) <= STALE_SHARE * known.votes:
                return known
            cast = _cast(session)
        from labeler.stats.reliability import weights

        return Weights(count, weights(_reliable(cast)))


def _cast(session: Session) -> list[Cast]:
    """The newest votes that count here."""
    rows = (
        sa.select(
            col(Vote.pair_id),
            col(Vote.rater_id),
            col(Vote.choice),
            col(Vote.shown_left),
            col(Vote.seconds),
            col(Pair.purpose),
            col(Pair.answer),
            col(Pair.source_pair_id),
        )
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .where(
            col(Vote.source) == Source.HUMAN,
            col(Vote.superseded_by).is_(None),
            col(Vote.choice) != Choice.SKIP,
            col(Pair.aside_at).is_(None),
            col(Pair.purpose) != Purpose.EDIT,
        )
        .order_by(col(Vote.created_at).desc())
        .limit(MAX_VOTES)
    )
    return [Cast(*row) for row in session.execute(rows)]


def _raters(session: Session, now: float) -> list[tuple[int, str, int, int]]:
    """Who has voted: id, name, standing votes in all and of the last day; most votes first."""
    last_day = sa.func.sum(sa.case((col(Vote.created_at) > now - DAY_SECONDS, 1), else_=0))
    count = sa.func.count()
    rows = (
        sa.select(col(Rater.id), col(Rater.name), count, last_day)
        .join(Vote, col(Vote.rater_id) == col(Rater.id))
        .where(
            col(Vote.source) == Source.HUMAN,
            col(Vote.superseded_by).is_(None),
            col(Vote.lease_id).is_not(None),
        )
        .group_by(col(Rater.id))
        .order_by(count.desc(), col(Rater.id))
    )
    return [(number, name, votes, day) for number, name, votes, day in session.execute(rows)]


def _reliable(cast: Sequence[Cast]) -> "dict[int, Reliability]":
    from labeler.stats.rater_agreement import Answer
    from labeler.stats.reliability import reliabilities

    counted = [vote for vote in cast if vote.purpose in (*ORDINARY, Purpose.GOLD)]
    truth = {vote.pair_id: Choice(vote.answer) for vote in counted if vote.answer}
    answers = [Answer(vote.pair_id, vote.rater_id, vote.choice) for vote in counted]
    return reliabilities(answers, truth)


def _choices(cast: Sequence[Cast]) -> dict[tuple[int, int], Choice]:
    """What was said, by rater and pair."""
    return {(vote.rater_id, vote.pair_id): vote.choice for vote in cast}


def _figures(
    cast: Sequence[Cast], said: Mapping[tuple[int, int], Choice], min_reading_seconds: float
) -> list[dict[str, Any]]:
    from labeler.stats.coin import two_sided_p
    from labeler.stats.rater_agreement import Answer, agreement

    answers: list[Answer] = [
        Answer(vote.pair_id, vote.rater_id, vote.choice)
        for vote in cast
        if vote.purpose in ORDINARY
    ]
    found = agreement(answers)
    sides = _sides(cast)
    p = two_sided_p(sum(sides), len(sides))
    chance = "1 is full agreement, 0 is what chance would give."
    every = "Ties and 'both bad' are answers of their own; skips are left out."
    return [
        _named("agreement", "Raters agree", "share", found.percent, f"On the same pair. {every}"),
        _named("alpha", "Krippendorff's alpha", "coefficient", found.alpha, f"{chance} {every}"),
        _named("kappa", found.kappa_name, "coefficient", found.kappa, chance),
        _named(
            "ac1",
            "Gwet's AC1",
            "coefficient",
            found.ac1,
            f"{chance} Steadier than kappa where nearly all votes are the same.",
        ),
        _named("gold", "Right on gold pairs", "share", _gold(cast), "A tie counts as wrong."),
        _named(
            "repeats",
            "Same answer the second time",
            "share",
            _repeats(cast, said),
            "On pairs that a rater saw again, with the sides shuffled anew.",
        ),
        _named(
            "left",
            "Left reply preferred",
            "share",
            _left(cast),
            f"Half is fair: the sides are shuffled. Exact test against one half: p = {p:.2g}."
            if sides
            else "Half is fair: the sides are shuffled.",
        ),
        _named(
            "too_fast",
            f"Faster than {min_reading_seconds:g} s",
            "share",
            _too_fast(cast, min_reading_seconds),
            "These votes are flagged, but still count.",
        ),
    ]


def _of_one(
    cast: Sequence[Cast], said: Mapping[tuple[int, int], Choice], min_reading_seconds: float
) -> dict[str, Any]:
    """What is told of one rater, given their votes."""
    seconds = [vote.seconds for vote in cast if vote.seconds is not None]
    return {
        "median_seconds": round(median(seconds), 2) if seconds else None,
        "too_fast": sum(one < min_reading_seconds for one in seconds),
        "left_share": _left(cast).to_json(),
        "gold": _gold(cast).to_json(),
        "repeats": _repeats(cast, said).to_json(),
    }


def _sides(cast: Sequence[Cast]) -> list[bool]:
    """For each vote for one of two sampled replies, whether it stood on the left."""
    return [vote.choice == vote.shown_left for vote in cast if vote.choice in (Choice.A, Choice.B)]


def _left(cast: Sequence[Cast]) -> Estimate:
    return _share(_sides(cast), NO_VOTES)


def _gold(cast: Sequence[Cast]) -> Estimate:
    return _share(
        [vote.choice == vote.answer for vote in cast if vote.purpose is Purpose.GOLD], NO_GOLD
    )


def _repeats(cast: Sequence[Cast], said: Mapping[tuple[int, int], Choice]) -> Estimate:
    """Share of repeats with the answer of the first time, where that one stands and is recent."""
    same = [
        vote.choice is first
        for vote in cast
        if vote.purpose is Purpose.REPEAT
        and vote.source_pair_id is not None
        and (first := said.get((vote.rater_id, vote.source_pair_id))) is not None
    ]
    return _share(same, NO_REPEATS)


def _too_fast(cast: Sequence[Cast], min_reading_seconds: float) -> Estimate:
    """Votes without a time are not counted."""
    return _share(
        [vote.seconds < min_reading_seconds for vote in cast if vote.seconds is not None], NO_TIMES
    )


def _share(hits: Sequence[bool], why: str) -> Estimate:
    return Estimate.share(sum(hits), len(hits), why)


def _named(name: str, title: str, unit: str, figure: Estimate, note: str) -> dict[str, Any]:
    return {"id": name, "name": title, "unit": unit, "note": note, **figure.to_json()}
