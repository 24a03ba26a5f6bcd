"""What every judge is asked, and what it answers. Pure: judges are in `trainer.judge`.

    Question  ->  judge  ->  Judgement: P(the first response is better), or None and why not

A failed judgement is None, never a number, a default letter or a tie. A judge that reads the pair
is asked in both orders, for many a model prefers what stands first whatever it says.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from labeler.domain.labels import Preference
from labeler.domain.messages import Messages
from labeler.domain.sentences.judge import abstains_too_often
from labeler.domain.states import Choice
from labeler.domain.thought import without_thought

Inconsistent = Literal["tie", "abstain"]


class Cause(StrEnum):
    """Why a judge abstained."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REFUSED = "refused"  # the server said that the request is wrong, or the key
    BAD_ANSWER = "bad_answer"  # no JSON, or not of the shape that was asked for
    UNCLEAR = "unclear"  # prose, nothing, or several letters
    INCONSISTENT = "inconsistent"  # the orders disagree
    NOT_FINITE = "not_finite"
    TOO_LONG = "too_long"
    TEMPLATE = "template"  # its chat template refuses the conversation
    ERROR = "error"  # a user's function raised, or answered nonsense
    UNSURE = "unsure"  # the members of an ensemble disagree
    UNTRAINED = "untrained"  # too few labels, or not better than chance yet
    BUDGET = "budget"  # the requests that it was allowed are spent


LAST_ANSWERS = 16
MIN_ANSWERS = 8
RECOVERED = 4

# Asked again later, the same judge may well answer.
PASSING = (
    Cause.TIMEOUT,
    Cause.UNREACHABLE,
    Cause.RATE_LIMITED,
    Cause.SERVER_ERROR,
    Cause.UNTRAINED,
    Cause.BUDGET,
)


class Question(NamedTuple):
    """A prompt, and two responses to it."""

    messages: Messages
    first: str
    second: str


def question(messages: Messages, first: str, second: str) -> Question:
    """What a judge is asked about two responses: it reads them without their thoughts."""
    return Question(messages, without_thought(first), without_thought(second))


class Example(NamedTuple):
    """What people said of a pair, for a judge that learns from them.

    `imported`: it came from a file and is no vote of this service, so it teaches and tests nothing.
    Its number is below 0.
    """

    pair_id: int
    question: Question
    said: Preference
    imported: bool = False


@dataclass(frozen=True)
class Pause:
    """Why a judge labels nothing for now, in a sentence.

    `probes`: asking it a little may end that.
    """

    reason: str
    probes: bool


@dataclass(frozen=True)
class Judgement:
    """P(the first response is better) = `probability`, 0.5 for a tie; None for a `cause`.

    `orders` are P(first is better) as asked with the first shown first, and shown second, of a
    judge that reads the pair. `scores` are those of a judge that reads each response by itself.
    `requests` and `tokens` are what it cost at a server.
    """

    probability: float | None
    cause: Cause | None = None
    orders: tuple[float, float] | None = None
    scores: tuple[float, float] | None = None
    requests: int = 0
    tokens: int = 0

    @property
    def choice(self) -> Choice | None:
        """What it says of the pair (first, second) = (a, b); None if it abstained."""
        if self.probability is None:
            return None
        if self.probability == 0.5:
            return Choice.TIE
        return Choice.A if self.probability > 0.5 else Choice.B


class Judge(Protocol):
    """Says which of two responses is better.

    `spec` is its `--judge`, `waits` whether it asks a server: then it is asked on a thread of its
    own, so that sampling goes on meanwhile. `one_by_one`: nothing is gained by asking it much at
    once. `requests_spent` is what a server was asked in all.
    """

    spec: str
    waits: bool
    one_by_one: bool
    requests_spent: int

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        """One judgement a question, in their order; never raises for what a response says.

        There is a `pause` every few seconds, where it is not asked one by one.
        """
        ...

    def close(self) -> None:
        """Stop waiting for anybody."""
        ...


def ask(
    judge: Judge, questions: Sequence[Question], pause: Callable[[], None] | None = None
) -> list[Judgement]:
    """One judgement a question, in their order, with a `pause` before each if asked one by one."""
    if pause is None or not judge.one_by_one:
        return judge.judge(questions, pause)
    found: list[Judgement] = []
    for each in questions:
        pause()
        found += judge.judge([each])
    return found


def both_orders(forward: float, backward: float, inconsistent: Inconsistent) -> Judgement:
    """One judgement of P(first is better) as asked in both orders.

    Orders that agree are averaged. Where they disagree, the judge went by the place: a tie, or
    None, as the setting has it.

    >>> both_orders(0.9, 0.7, "tie").probability
    0.8
    >>> both_orders(0.9, 0.2, "abstain").cause
    <Cause.INCONSISTENT: 'inconsistent'>
    """
    orders = (forward, backward)
    if is_consistent(orders):
        return Judgement((forward + backward) / 2, orders=orders)
    if inconsistent == "tie":
        return Judgement(0.5, orders=orders)
    return Judgement(None, Cause.INCONSISTENT, orders=orders)


def abstaining(last: Sequence[Cause | None], most: float) -> Pause | None:
    """A pause if the judge owed us more than the share `most` of its last answers.

    `last` has the cause of each, newest first, None for a verdict. One bad answer of few says
    little, and a few good ones after the bad end the pause.
    """
    failed = [cause for cause in last if cause is not None]
    recovered = len(last) >= RECOVERED and not any(last[:RECOVERED])
    if len(last) < MIN_ANSWERS or recovered or len(failed) <= most * len(last):
        return None
    causes = {cause.value: count for cause, count in Counter(failed).most_common()}
    return Pause(abstains_too_often(causes, len(last)), probes=True)


def is_consistent(orders: tuple[float, float]) -> bool:
    """Whether both orders prefer the same response, or one of them neither."""
    forward, backward = orders
    return (forward - 0.5) * (backward - 0.5) >= 0
