"""The votes on an update's list: which are fresh, what each is listed for, the labels they make.

The list is fixed when the update opens; the labels are made from it when a worker claims it, so
that a vote undone in between is left out. All votes of a pair are listed for the same purpose.
"""

import random
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from labeler.labels import Opinion, TrainingLabel, VoteRules, combine, trainable
from labeler.store.live import versions_up_to_age
from labeler.store.records import DueRules
from labeler.tables import (
    Choice,
    LabelRole,
    Pair,
    Source,
    Update,
    UpdateLabel,
    UpdateState,
    Vote,
)

# An update stays short however fast people vote: the oldest labels first, the rest in the next.
MOST_TIMES_DUE = 4
MOST_REMEMBERED = 64


class ListedVote(NamedTuple):
    """A vote that can go on a list, and where it belongs."""

    id: str
    pair_id: int
    version_id: int


def fresh_votes(session: Session, rules: VoteRules, max_staleness: int) -> list[ListedVote]:
    """The votes that wait for an update, oldest first.

    They teach something, were not undone, not used, are not too stale, and not on the list of an
    open update; a judge's is one only where no person has spoken.
    """
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
    )


def new_votes(session: Session, rules: VoteRules, max_staleness: int) -> list[ListedVote]:
    """The fresh votes that bring the next update nearer: those that no rejected one trained on."""
    tried = (
        select(UpdateLabel.vote_id)
        .join(Update, col(Update.id) == col(UpdateLabel.update_id))
        .where(col(Update.state) == UpdateState.REJECTED, col(UpdateLabel.role) == LabelRole.TRAIN)
    )
    refused = set(session.exec(tried))
    return [vote for vote in fresh_votes(session, rules, max_staleness) if vote.id not in refused]


def write_list(session: Session, update_id: int, rules: DueRules) -> None:
    """Put the fresh votes on the list of an update that opens, and the older ones beside them.

    The newest pairs are held out: they judge this update and, staying fresh, train the next one.
    One pair at least is trained on, and none that an earlier update trained on is held out.
    """
    fresh = fresh_votes(session, rules.votes, rules.max_staleness)
    if rules.mode == "streaming":
        fresh = fresh[: MOST_TIMES_DUE * rules.labels_per_update]
    used = _votes(session, _counts(rules.votes), col(Vote.used_in_update).is_not(None))
    train, held_out = _split(fresh, {vote.pair_id for vote in used}, rules.held_out_share)
    listed = {vote.pair_id for vote in fresh}
    train_pairs = len({vote.pair_id for vote in train})
    older = [vote for vote in used if vote.pair_id not in listed]
    young = versions_up_to_age(session, rules.replay_max_age_versions)
    candidates = [vote for vote in older if vote.version_id in young]
    replay = _drawn(candidates, train_pairs, rules.replay_share, seed=update_id)
    replayed = {vote.pair_id for vote in replay}
    rest = [vote for vote in older if vote.pair_id not in replayed]
    lists = {
        LabelRole.TRAIN: train,
        LabelRole.HELD_OUT: held_out,
        LabelRole.REPLAY: replay,
        LabelRole.REMEMBERED: rest[-MOST_REMEMBERED:],
    }
    for role, votes in lists.items():
        for vote in votes:
            session.add(UpdateLabel(update_id=update_id, vote_id=vote.id, role=role))


def listed_labels(
    session: Session, update_id: int, role: LabelRole, rules: VoteRules
) -> list[TrainingLabel]:
    """What an update's votes of one role say now, a label a pair, in the order of the pairs.

    A vote that was undone, overruled by a person or used since it was listed is left out.
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
    labels = (_label(pairs[pair_id], votes[pair_id], rules) for pair_id in pairs)
    return [label for label in labels if label is not None]


def _votes(session: Session, *conditions: sa.ColumnElement[bool]) -> list[ListedVote]:
    """The votes for which this holds, oldest first, those used before by the update that did."""
    rows = (
        select(Vote.id, Vote.pair_id, Pair.version_id)
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .where(*conditions)
        .order_by(col(Vote.used_in_update), col(Vote.created_at), col(Vote.id))
    )
    return [ListedVote(*row) for row in session.exec(rows)]


def _counts(rules: VoteRules) -> sa.ColumnElement[bool]:
    """Whether a vote stands and says something to learn from: not undone, not overruled."""
    person = aliased(Vote)
    a_person_spoke = (
        select(person.id)
        .where(
            col(person.pair_id) == col(Vote.pair_id),
            col(person.source) == Source.HUMAN,
            col(person.superseded_by).is_(None),
            col(person.choice) != Choice.SKIP,
        )
        .exists()
    )
    return sa.and_(
        col(Vote.superseded_by).is_(None),
        col(Vote.choice).in_(trainable(rules)),
        sa.or_(col(Vote.source) == Source.HUMAN, ~a_person_spoke),
    )


def _split(
    fresh: Iterable[ListedVote], used_pairs: set[int], share: float
) -> tuple[list[ListedVote], list[ListedVote]]:
    """Votes to train on, and votes of the newest pairs to hold out; pairs by their first vote."""
    fresh = list(fresh)
    pairs = list(dict.fromkeys(vote.pair_id for vote in fresh))
    unseen = [pair_id for pair_id in pairs if pair_id not in used_pairs]
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


def _label(pair: Pair, votes: list[Vote], rules: VoteRules) -> TrainingLabel | None:
    opinions = [Opinion(vote.choice, vote.strength, vote.source) for vote in votes]
    said = combine(opinions, rules)
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
    )
