"""Pairs that nobody rated: how many there are, and how good the reward model is."""

from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from labeler.domain.messages import Messages
from labeler.store.tables import FilledPair, ProcessState, Prompt
from labeler.store.views.counts import count

ROLE = "reward model"


class FilledRow(NamedTuple):
    """A pair that was filled in, with its prompt."""

    pair: FilledPair
    messages: Messages


def filled_pairs(session: Session) -> list[FilledRow]:
    """All of them, in the order of the updates that were trained on them."""
    rows = (
        select(FilledPair, Prompt)
        .join(Prompt, col(Prompt.id) == col(FilledPair.prompt_id))
        .order_by(col(FilledPair.id))
    )
    return [FilledRow(pair, prompt.messages) for pair, prompt in session.exec(rows)]


def fill_report(session: Session) -> dict[str, Any] | None:
    """What `status` tells of them; None if none were ever asked for."""
    state = session.get(ProcessState, ROLE)
    if state is None:
        return None
    return {"pairs": count(session, FilledPair), "says": state.says}
