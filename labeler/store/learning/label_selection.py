"""The votes on an update's list: which are fresh, what each is listed for, the labels they make.

The list is fixed when the update opens; the labels are made from it when a worker claims it, so
that a vote undone in between is left out. All votes of a pair are listed for the same purpose.
"""

import random
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from labeler.domain.labels import (
    LOGPS_AT,
    Opinion,
    TrainingLabel,
    VoteRules,
    combine,
    trainable,
)
from labeler.domain.rules import DueRules
from labeler.domain.states import Choice, LabelRole, PairState, Source, UpdateState
from labeler.store.live_version import ages
from labeler.store.tables import Pair, Update, UpdateLabel, Vote

# An update stays short however fast people vote: the oldest labels first, the rest in the next; and
# however often the gate refuses: labels that a rejected update trained on give way to new ones.
MAX_TIMES_DUE = 4
MAX_REMEMBERED = 64
ALL_ALIKE: Mapping[int, float] = MappingProxyType({})
# Other votes on a vote's pair. Made once: a new name for a table takes longer than the query.
_USED, _PERSON = aliased(Vote), aliased(Vote)


class ListedVote(NamedTuple):
    """A vote that can go on a list, where it belongs, and how many on its pair were used before.

    `is_complete`: its pair waits for no further rater. `at_random`: its pair was not chosen for
    what it tells.
    """

    id: str
    pair_id: int
    version_id: int
    used_on_pair: int
    is_complete: bool
    at_random: bool


def fresh_votes(
    session: Session, rules: VoteRules, max_staleness: int, *conditions: sa.ColumnElement[bool]
) -> list[ListedVote]:
    """The votes that wait for an update, oldest first.

    They teach something, were not undone, not used, are not too stale, and not on the list of an
    open update; a judge's is one only where no person has spoken. A pair that wants the votes of
    several people comes with all of them or, once it is settled, with those it got: its first vote
    is no label while others are to come. Takes as long as there are such votes, however many were
    used.
    """
    votes = _unused(session, rules, max_staleness, *conditions)
    return [vote for vote in votes if vote.is_complete]


def _unused(
    session: Session, rules: VoteRules, max_staleness: int, *conditions: sa.ColumnElement[bool]
) -> list[ListedVote]:
    listed = (
        select(UpdateLabel.vote_id)
        .join(Update, col(Update.id) == col(UpdateLabel.update_id))
        .where(col(Update.finished_at).is_(None))
    )
    return _votes(
        session,
        _counts(rules),
        col(Vote.used_in_update).is_(None),
        col(Vote.staleness) <= max_staleness,
        col(Vote.id).not_in(listed),
        *conditions,
    )


def new_votes(session: Session, rules: VoteRules, max_staleness: int) -> list[ListedVote]:
    """The fresh votes that bring the next update nearer: those that no rejected one trained on."""
    return fresh_votes(session, rules, max_staleness, _untried())


def cast_votes(session: Session, rules: VoteRules, max_staleness: int) -> list[ListedVote]:
    """The new votes, and those on pairs that still wait for the votes of others."""
    return _unused(session, rules, max_staleness, _untried())


def _untried() -> sa.ColumnElement[bool]:
    """Whether no rejected update trained on a vote."""
    tried = (
        select(UpdateLabel.vote_id)
        .join(Update, col(Update.id) == col(UpdateLabel.update_id))
        .where(
            col(UpdateLabel.vote_id) == col(Vote.id),
            col(UpdateLabel.role) == LabelRole.TRAIN,
            col(Update.state) == UpdateState.REJECTED,
        )
    )
    return ~tried.exists()


def write_list(session: Session, update_id: int, rules: DueRules) -> None:
    """Put the fresh votes on the list of an update that opens, and the older ones beside them.

    The newest pairs are held out: they judge this update and, staying fresh, train the next one.
    One pair at least is trained on, and none that an earlier update trained on is held out.
    """
    fresh = fresh_votes(session, rules.votes, rules.max_staleness)
    if rules.mode == "streaming":
        new = {vote.id for vote in new_votes(session, rules.votes, rules.max_staleness)}
        fresh = _short(fresh, new, MAX_TIMES_DUE * rules.labels_per_update)
    train, held_out = _split(fresh, rules.held_out_share)
    replay = _replayed(session, rules, train, listed=fresh, seed=update_id)
    lists = {
        LabelRole.TRAIN: train,
        LabelRole.HELD_OUT: held_out,
        LabelRole.REPLAY: replay,
        LabelRole.REMEMBERED: _remembered(session, rules.votes, listed=[*fresh, *replay]),
    }
    for role, votes in lists.items():
        for vote in votes:
            session.add(UpdateLabel(update_id=update_id, vote_id=vote.id, role=role))


def listed_labels(
    session: Session,
    update_id: int,
    role: LabelRole,
    rules: VoteRules,
    reliability: Mapping[int, float] = ALL_ALIKE,
) -> tuple[list[TrainingLabel], list[str]]:
    """What an update's votes of one role say now, a label a pair, in the order of the pairs.

    A vote that was undone, overruled by a person or used since it was listed is left out. Votes
    weigh by the `reliability` of their raters (by id, 1 if not there); those of pairs on which
    nobody weighs anything make no label, and are returned by themselves.
    """
    rows = (
        select(Vote, Pair)
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .join(UpdateLabel, col(UpdateLabel.vote_id) == col(Vote.id))
        .where(
            col(UpdateLabel.update_id) == update_id,
            col(UpdateLabel.role) == role,
            _counts(rules),
        )
        .order_by(col(Vote.pair_id), col(Vote.created_at), col(Vote.id))
    )
    if role in (LabelRole.TRAIN, LabelRole.HELD_OUT):
        rows = rows.where(col(Vote.used_in_update).is_(None))
    votes: dict[int, list[Vote]] = {}
    pairs: dict[int, Pair] = {}
    for vote, pair in session.exec(rows):
        votes.setdefault(vote.pair_id, []).append(vote)
        pairs[vote.pair_id] = pair
    labels: list[TrainingLabel] = []
    weightless: list[str] = []
    for pair_id, pair in pairs.items():
        label = _label(pair, votes[pair_id], rules, reliability)
        if label is not None:
            labels.append(label)
        else:
            weightless += [vote.id for vote in votes[pair_id]]
    return labels, weightless


def opinion_of(vote: Vote, reliability: Mapping[int, float] = ALL_ALIKE) -> Opinion:
    """What a vote says, for `combine`."""
    weight = reliability.get(vote.rater_id, 1.0)
    return Opinion(vote.choice, vote.strength, vote.source, reliability=weight)


def _votes(
    session: Session, *conditions: sa.ColumnElement[bool], last: int | None = None
) -> list[ListedVote]:
    """The votes for which this holds, oldest first, those used before by the update that did.

    Of more than `last`, the last ones.
    """
    used = select(sa.func.count()).where(
        col(_USED.pair_id) == col(Vote.pair_id), col(_USED.used_in_update).is_not(None)
    )
    complete = sa.or_(col(Pair.votes_wanted) == 1, col(Pair.state) != PairState.READY)
    order = col(Vote.used_in_update), col(Vote.created_at), col(Vote.id)
    rows = (
        sa.select(
            col(Vote.id),
            col(Vote.pair_id),
            col(Pair.version_id),
            used.scalar_subquery(),
            complete,
            col(Pair.worth).is_(None),
        )
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .where(*conditions)
        .order_by(*(column.desc() for column in order))
        .limit(last)
    )
    return [ListedVote(*row) for row in session.execute(rows)][::-1]


def _counts(rules: VoteRules) -> sa.ColumnElement[bool]:
    """Whether a vote stands and says something to learn from: not undone, not overruled, and on a
    pair that is there to learn from. For queries over votes and pairs.
    """
    a_person_spoke = (
        select(_PERSON.id)
        .where(
            col(_PERSON.pair_id) == col(Vote.pair_id),
            col(_PERSON.source) == Source.HUMAN,
            col(_PERSON.superseded_by).is_(None),
            col(_PERSON.choice) != Choice.SKIP,
        )
        .exists()
    )
    return sa.and_(
        col(Vote.superseded_by).is_(None),
        col(Vote.choice).in_(trainable(rules)),
        col(Pair.state) != PairState.CHECK,
        col(Pair.aside_at).is_(None),
        col(Pair.needs_tokens).is_(False),
        sa.or_(col(Vote.source) == Source.HUMAN, ~a_person_spoke),
    )


def _short(fresh: list[ListedVote], new: set[str], most: int) -> list[ListedVote]:
    """At most so many of the fresh votes: the oldest `new` ones, then the youngest of the rest."""
    first = [vote for vote in fresh if vote.id in new]
    then = [vote for vote in reversed(fresh) if vote.id not in new]
    kept = {vote.id for vote in [*first, *then][:most]}
    return [vote for vote in fresh if vote.id in kept]


def _replayed(
    session: Session,
    rules: DueRules,
    train: Iterable[ListedVote],
    *,
    listed: Iterable[ListedVote],
    seed: int,
) -> list[ListedVote]:
    """Used votes of young versions to train on again, not of pairs that are listed anyway."""
    if not rules.replay_share:
        return []
    young = ages(session, rules.replay_max_age_versions)
    used = col(Vote.used_in_update).is_not(None), col(Pair.version_id).in_(young)
    here = {vote.pair_id for vote in listed}
    older = [
        vote for vote in _votes(session, _counts(rules.votes), *used) if vote.pair_id not in here
    ]
    train_pairs = len({vote.pair_id for vote in train})
    return _drawn(older, train_pairs, rules.replay_share, seed=seed)


def _remembered(
    session: Session, rules: VoteRules, *, listed: Iterable[ListedVote]
) -> list[ListedVote]:
    """The last used votes, not of pairs that are listed already."""
    used_on_pair = {vote.pair_id: vote.used_on_pair for vote in listed}
    enough = MAX_REMEMBERED + sum(used_on_pair.values())
    last = _votes(session, _counts(rules), col(Vote.used_in_update).is_not(None), last=enough)
    return [vote for vote in last if vote.pair_id not in used_on_pair][-MAX_REMEMBERED:]


def _split(fresh: Iterable[ListedVote], share: float) -> tuple[list[ListedVote], list[ListedVote]]:
    """Votes to train on, and votes of the newest pairs to hold out; pairs by their first vote.

    None of a pair that was chosen for what it tells: it is no fair test.
    """
    fresh = list(fresh)
    pairs = list(dict.fromkeys(vote.pair_id for vote in fresh))
    fair = (vote for vote in fresh if vote.at_random and not vote.used_on_pair)
    unseen = list(dict.fromkeys(vote.pair_id for vote in fair))
    count = min(round(share * len(pairs)), len(pairs) - 1, len(unseen))
    held = set(unseen[len(unseen) - max(0, count) :])
    return (
        [vote for vote in fresh if vote.pair_id not in held],
        [vote for vote in fresh if vote.pair_id in held],
    )


def _drawn(
    votes: Iterable[ListedVote], train_pairs: int, share: float, *, seed: int
) -> list[ListedVote]:
    """Votes of pairs drawn by lot, so that they are `share` of all pairs that are trained on."""
    votes = list(votes)
    pairs = sorted({vote.pair_id for vote in votes})
    wanted = min(len(pairs), round(train_pairs * share / (1 - share)))
    drawn = set(random.Random(seed).sample(pairs, wanted))
    return [vote for vote in votes if vote.pair_id in drawn]


def _label(
    pair: Pair, votes: list[Vote], rules: VoteRules, reliability: Mapping[int, float]
) -> TrainingLabel | None:
    said = combine([opinion_of(vote, reliability) for vote in votes], rules)
    if said is None:
        return None
    return TrainingLabel(
        vote_ids=tuple(vote.id for vote in votes),
        target=said.target,
        weight=said.weight,
        prompt_tokens=pair.prompt_tokens,
        tokens_a=pair.tokens_a,
        tokens_b=pair.tokens_b,
        reference_logp_a=pair.reference_logp_a,
        reference_logp_b=pair.reference_logp_b,
        tie=said.tie,
        judged=all(vote.source is Source.JUDGE for vote in votes),
        temperature=pair.sampling.get(LOGPS_AT, 1.0),
        pair_id=pair.id,
    )
