"""What a row of a file says of replies."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from labeler.domain.labels import Opinion
from labeler.domain.messages import Messages


@dataclass(frozen=True)
class Compared:
    """Two replies to a conversation, and one opinion on them.

    `pair` is the number that votes on one pair share, where the file has one. `question` is what
    was asked, where rows answer several; `named` says that the answer names a reply. One that does
    not, such as "same" or "1", is an opinion only if its question has such an answer elsewhere.
    """

    messages: Messages
    response_a: str
    response_b: str
    opinion: Opinion
    pair: str = ""
    ended_a: bool = True
    ended_b: bool = True
    question: str = ""
    named: bool = True


@dataclass(frozen=True)
class Thumbed:
    """One reply to a conversation, and whether it was called good."""

    messages: Messages
    reply: str
    good: bool


Said = Compared | Thumbed


def asked_of_replies(said: Iterable[Said]) -> set[str]:
    """The questions that compare replies: one answer at least names a reply."""
    return {one.question for one in said if isinstance(one, Compared) and one.named}


def of_replies(said: Sequence[Said], questions: Set[str]) -> Sequence[Said]:
    """What a row says in answer to these questions.

    Raises ValueError if that is nothing of what it says, or if it answers more than one.
    """
    left = [one for one in said if not isinstance(one, Compared) or one.question in questions]
    if said and not left:
        asked = sorted({f"'{one.question}'" for one in said if isinstance(one, Compared)})
        raise ValueError(
            "no question of the record compares its replies: in the whole file no answer to "
            f"{' or '.join(asked)} names one"
        )
    answered = sorted({one.question for one in left if isinstance(one, Compared)})
    if len(answered) > 1:
        raise ValueError(
            f"the questions '{answered[0]}' and '{answered[1]}' both compare the replies; leave "
            "one of them out of the file"
        )
    return left
