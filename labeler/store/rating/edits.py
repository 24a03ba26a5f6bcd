"""Edited responses: a person's text against the response that it was made of, as a pair of its own.

The pair is labelled from the start, by the rater who wrote the text. It has no tokens yet: the
worker adds them when it has time, and until then no update lists it.
"""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from labeler.domain.labels import HINTS
from labeler.domain.states import Choice, PairState, Purpose, Source
from labeler.domain.thought import parts_of
from labeler.store.database import Database
from labeler.store.rating.pairs import pair_id
from labeler.store.records import Ballot
from labeler.store.tables import Pair, Vote

MAX_EDIT_CHARS = 20_000


@dataclass(frozen=True)
class Untokenised:
    """A text that the policy's tokenizer has not seen, and the tokens that surround it."""

    pair_id: int
    version_id: int
    text: str
    prompt_tokens: list[int]
    tokens_b: list[int]


class Edits:
    """The verbs on edited responses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def untokenised(self, limit: int) -> list[Untokenised]:
        """The oldest edits that wait for their tokens; none of those that were set aside."""
        waiting = (
            select(Pair)
            .where(col(Pair.needs_tokens).is_(True), col(Pair.aside_at).is_(None))
            .order_by(col(Pair.id))
            .limit(limit)
        )
        with self._database.read() as session:
            return [_untokenised(pair) for pair in session.exec(waiting)]

    def tokenise(
        self, pair_id: int, tokens: list[int], *, reference_logp: float, logp: float | None
    ) -> None:
        """Give an edit its tokens and their summed log-probabilities (nats), once."""
        with self._database.write() as session:
            pair = session.get_one(Pair, pair_id)
            if not pair.needs_tokens:
                return
            pair.tokens_a, pair.needs_tokens = tokens, False
            pair.reference_logp_a, pair.logp_a = reference_logp, logp

    def set_aside(self, pair_id: int, *, reason: str, now: float) -> None:
        """Leave out an edit that the policy cannot take."""
        with self._database.write() as session:
            pair = session.get_one(Pair, pair_id)
            pair.aside_at, pair.aside_reason = now, reason


def edited_text(ballot: Ballot, pair: Pair, vote: Vote) -> str | None:
    """The better text that came with a vote for one of two responses; None if there is none.

    What was edited is the reply; the thought before it stays.
    """
    if ballot.edit is None or vote.choice not in (Choice.A, Choice.B):
        return None
    original = pair.response_a if vote.choice is Choice.A else pair.response_b
    parts = parts_of(original)
    is_new = ballot.edit.strip() and ballot.edit.strip() != parts.reply.strip()
    return parts.head + ballot.edit if is_new else None


def add_edit(session: Session, text: str, pair: Pair, vote: Vote, *, now: float) -> None:
    """Store the text and the vote for it, in the caller's transaction.

    Nothing learns from what was written to a pair that checks raters: it has no tokens.
    """
    is_check = pair.state is PairState.CHECK
    chose_a = vote.choice is Choice.A
    edit = Pair(
        prompt_id=pair.prompt_id,
        version_id=pair.version_id,
        state=PairState.CHECK if is_check else PairState.LABELLED,
        response_a=text,
        response_b=pair.response_a if chose_a else pair.response_b,
        prompt_tokens=pair.prompt_tokens,
        tokens_a=[],
        tokens_b=pair.tokens_a if chose_a else pair.tokens_b,
        finish_a="stop",
        finish_b=pair.finish_a if chose_a else pair.finish_b,
        reference_logp_a=0.0,
        reference_logp_b=pair.reference_logp_a if chose_a else pair.reference_logp_b,
        logp_b=pair.logp_a if chose_a else pair.logp_b,
        purpose=Purpose.EDIT,
        for_rater_id=pair.for_rater_id,
        source_pair_id=pair.id,
        source_vote_id=vote.id,
        needs_tokens=not is_check,
        sampling=_drawn(pair, chose_a=chose_a),
        aside_at=pair.aside_at,
        aside_by=pair.aside_by,
        aside_reason=pair.aside_reason,
        created_at=now,
    )
    session.add(edit)
    session.flush()
    said = Vote(
        id=edit_vote_id(vote.id),
        pair_id=pair_id(edit),
        rater_id=vote.rater_id,
        choice=Choice.A,
        shown_left="a",
        source=Source.HUMAN,
        staleness=vote.staleness,
        created_at=now,
    )
    session.add(said)


def _drawn(pair: Pair, *, chose_a: bool) -> dict[str, Any]:
    """How what was edited was drawn; the hint, if any, is of the second response then."""
    rest = {name: value for name, value in pair.sampling.items() if name != HINTS}
    hint = pair.sampling.get(HINTS, (None, None))[0 if chose_a else 1]
    return rest | ({HINTS: [None, hint]} if hint else {})


def take_edit_back(session: Session, vote: Vote, undo_id: str) -> str | None:
    """Undo the edit that came with a vote, in the caller's transaction; returns its text."""
    made = select(Pair).where(col(Pair.source_vote_id) == vote.id)
    if (pair := session.exec(made.where(col(Pair.purpose) == Purpose.EDIT)).first()) is None:
        return None
    said = session.exec(select(Vote).where(col(Vote.pair_id) == pair.id)).one()
    said.superseded_by = undo_id
    if pair.state is not PairState.CHECK:
        pair.state = PairState.EXPIRED
    pair.needs_tokens = False
    return pair.response_a


def edit_vote_id(vote_id: str) -> str:
    """The id of the vote for an edit, told from that of the vote that it came with.

    No page's own id has a colon.
    """
    return f"{vote_id}:edit"


def _untokenised(pair: Pair) -> Untokenised:
    return Untokenised(
        pair_id=pair_id(pair),
        version_id=pair.version_id,
        text=pair.response_a,
        prompt_tokens=pair.prompt_tokens,
        tokens_b=pair.tokens_b,
    )
