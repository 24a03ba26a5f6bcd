"""A store beside its model: what every rule needs to run a verb on both.

A rule runs a verb of the store, perhaps in a process that dies at one of its statements, and does
to the model's rows what must have happened. After every rule both are compared, row by row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import ParamSpec, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from labeler.domain.rules import ONLY_LIVE, QueueRules
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import NewPair
from tests.support.model.crashes import Crashed, dying_before
from tests.support.model.rows import Pair, empty, rows_of
from tests.support.model.rules import check
from tests.support.tiny import made_up_pair

Item = TypeVar("Item")
Given = ParamSpec("Given")
Answer = TypeVar("Answer")

RATERS = 3
PROMPTS = 4
FIRST_PAIRS = 6
LEASE_SECONDS = 60.0
MAX_STALENESS = 2
START = 1_000_000.0
# A power of two, so that times are exact; no two verbs have the same one.
TICK = 2.0**-10

# Rules choose by number: which of the things that are there then.
numbers = st.integers(0, 999)
raters = st.integers(0, RATERS - 1)
pages = st.integers(0, 1)
waits = st.sampled_from([1.0, 1.0, 1.0, 20.0, 100.0, 400.0, 5_000.0, 100_000.0, 700_000.0])
queues = st.sampled_from(
    [ONLY_LIVE, QueueRules(4, MAX_STALENESS), QueueRules(9, MAX_STALENESS), QueueRules(9, 1)]
)
# Clocks of other processes, and clocks that were set.
clocks = st.sampled_from([0.0, 0.0, 0.0, 0.0, 3_600.0, -3_600.0])
# Mostly a process lives; else it dies at this statement of the verb, if there are so many.
deaths = st.one_of(st.none(), st.none(), st.none(), st.integers(1, 24))


class Call(Protocol):
    """Runs a verb in a process that may die."""

    def __call__(
        self, verb: Callable[Given, Answer], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        """What the verb answers."""
        ...


class World(RuleBasedStateMachine):
    """A store, which is emptied first, and what it must hold; `database` is past its verbs.

    `steps` counts verbs, over all worlds of this process.
    """

    steps = 0

    def __init__(self, store: Store, database: Database) -> None:
        super().__init__()
        self.store, self.database = store, database
        empty(database)
        self.clock, self.calls, self.named, self.sampled = START, 0, 0, 0
        self.store.versions.adopt_base(base="test", fingerprint="test", now=START)
        for number in range(RATERS):
            self.store.raters.invite(f"rater {number}", RaterRole.RATER, now=START)
        self.raters = [each.id for each in self.store.raters.all()]
        self.disabled: set[int] = set()
        asked = [[{"role": "user", "content": f"Question {n}?"}] for n in range(PROMPTS)]
        self.store.prompts.add(asked, now=START)
        self.prompts = [prompt.id or 0 for prompt in self.store.prompts.all()]
        self.store.queue.add([self.new_pair(0) for _ in range(FIRST_PAIRS)], now=START)
        self.rows = rows_of(self.database)

    @invariant()
    def the_store_holds_what_the_model_does(self) -> None:
        """And the model what was promised."""
        there = rows_of(self.database)
        for name, expected in vars(self.rows).items():
            found = vars(there)[name]
            assert found == expected, f"{name}: {_differing(found, expected)}"
        check(self.rows)

    @contextmanager
    def process(self, death: int | None = None) -> Iterator[Call]:
        """A process that runs a verb, and dies at this statement of it.

        What comes after it in the block is left out then.
        """
        left = [death]

        def call(
            verb: Callable[Given, Answer], /, *args: Given.args, **kwargs: Given.kwargs
        ) -> Answer:
            World.steps += 1
            with dying_before(left.pop() if left else None):
                return verb(*args, **kwargs)

        with suppress(Crashed):
            yield call

    def time(self, wait: float = 0.0, clock: float = 0.0) -> float:
        """The time by somebody's clock, after a wait."""
        self.clock += wait
        self.calls += 1
        return self.clock + clock + self.calls * TICK

    def name(self, what: str) -> str:
        """A new name."""
        self.named += 1
        return f"{what}-{self.named}"

    def new_pair(self, version: int, **changed: object) -> NewPair:
        """Two responses that no other pair has."""
        self.sampled += 1
        made = vars(made_up_pair(self.prompts[self.sampled % PROMPTS], version))
        texts = {"response_a": f"good {self.sampled}", "response_b": f"bad {self.sampled}"}
        return NewPair(**made | texts | changed)

    def new_pairs(self) -> list[Pair]:
        """The pairs that are in the store and not in the model yet."""
        there = rows_of(self.database).pairs
        return [pair for number, pair in there.items() if number not in self.rows.pairs]


def choose(items: Sequence[Item], number: int) -> Item:
    """One of these, the last one for 0."""
    return items[-1 - number % len(items)]


def _differing(found: object, expected: object) -> str:
    """What is in one and not in the other."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = [
            key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)
        ]
        return "; ".join(f"{found.get(key)} instead of {expected.get(key)}" for key in names)
    return f"{found} instead of {expected}"
