"""The judge's turn in the worker: asked, written down, paused and back, on a real SQLite file."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labeler.config.settings import Settings
from labeler.domain.judging import Cause, Judgement, Question
from labeler.store import Store
from tests.support.store import alarms
from tests.support.tiny import Clock, add_pairs, fill
from trainer.worker.jobs.judge import PROBE_PAIRS, PROBE_SECONDS, JudgeJob
from trainer.worker.stopwatch import Stopwatch
from trainer.worker.weighing import Weighing

GOOD = Judgement(0.9)


@dataclass
class Scripted:
    """Says the same of everything, as soon as it may; counts what it was asked."""

    answer: Judgement = GOOD
    waits: bool = False
    one_by_one: bool = False
    requests_spent: int = 0
    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[int] = field(default_factory=list)
    spec: str = "py:tests.support.judges:steady"

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        self.asked.append(len(questions))
        if self.waits:
            assert self.may_answer.wait(30)
        return [self.answer] * len(questions)

    def close(self) -> None:
        self.may_answer.set()


@pytest.fixture
def clock() -> Clock:
    """It moves only when it is told to."""
    return Clock(1e9, step=0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, judge=Scripted.spec, unattended=True, judge_concurrency=2)


def job(
    store: Store,
    judge: Scripted,
    settings: Settings,
    clock: Clock,
    wake: Callable[[], None] = lambda: None,
) -> JudgeJob:
    return JudgeJob(
        store,
        judge,
        settings,
        clock=clock,
        say=print,
        stopwatch=Stopwatch(),
        weighing=Weighing(store, settings),
        wake=wake,
    )


def labels(store: Store) -> int:
    return int(store.reports.status(max_staleness=2)["labels"]["judge"])


def test_what_waits_is_judged_and_labelled_in_two_steps(
    store: Store, settings: Settings, clock: Clock
) -> None:
    fill(store, 5, now=clock.now)
    judging = job(store, Scripted(), settings, clock)
    assert judging.step(clock.now)
    assert judging.step(clock.now)
    assert labels(store) == 5
    assert not judging.step(clock.now), "nothing waits any more"


def test_a_judge_that_waits_for_a_server_keeps_nobody_waiting(
    store: Store, settings: Settings, clock: Clock
) -> None:
    fill(store, 9, now=clock.now)
    judge = Scripted(waits=True)
    judging = job(store, judge, settings, clock)
    assert judging.step(clock.now)
    assert not judging.step(clock.now), "the worker may go on"
    judge.may_answer.set()
    while labels(store) < 9:
        judging.step(clock.now)
    assert judge.asked == [4, 4, 1], "two pairs a request that may be under way"
    judging.close()


def test_what_other_processes_ask_a_server_counts_towards_its_budget_before_the_next_batch(
    store: Store, settings: Settings, clock: Clock
) -> None:
    fill(store, 8, now=clock.now)
    judge = Scripted(waits=True, may_answer=threading.Event())
    judge.may_answer.set()
    judging = job(store, judge, settings, clock)
    store.judging.add_requests(judge.spec, 7)  # a trainer, for its gate
    judging.step(clock.now)
    assert judge.requests_spent == 7
    judge.requests_spent += 2  # of which no verdict came
    store.judging.add_requests(judge.spec, 3)
    while len(judge.asked) < 2:
        judging.step(clock.now)
    assert judge.requests_spent == store.judging.spent(judge.spec) == 12
    judging.close()


@dataclass
class Slow(Scripted):
    """Takes four seconds a question."""

    one_by_one: bool = True
    clock: Clock = field(default_factory=Clock)

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        self.clock.now += 4 * len(questions)
        return super().judge(questions)


def test_a_slow_judge_says_how_far_it_is_and_leaves_others_their_turn(
    store: Store, settings: Settings, clock: Clock
) -> None:
    fill(store, 8, now=clock.now)
    said: list[tuple[float, str]] = []
    begun, judge = clock.now, Slow(clock=clock)
    judging = JudgeJob(
        store,
        judge,
        settings,
        clock=clock,
        say=lambda says: said.append((clock.now - begun, says)),
        stopwatch=Stopwatch(),
        weighing=Weighing(store, settings),
        wake=lambda: None,
    )
    assert judging.step(clock.now)
    assert judge.asked == [1, 1, 1], "12 seconds, where a turn has ten"
    assert said == [
        (0, "Judging pairs."),
        (4, "Judging pairs: 1 of 8."),
        (8, "Judging pairs: 2 of 8."),
    ]
    while judging.step(clock.now):
        pass
    assert labels(store) == 8
    assert sum(judge.asked) == 8, "none is asked twice"


def test_an_answer_of_a_server_wakes_the_worker(
    store: Store, settings: Settings, clock: Clock
) -> None:
    fill(store, 3, now=clock.now)
    judge, woken = Scripted(waits=True), threading.Event()
    judging = job(store, judge, settings, clock, wake=woken.set)
    judging.step(clock.now)
    assert not woken.is_set()
    judge.may_answer.set()
    assert woken.wait(30)
    judging.close()


def test_a_judge_that_abstains_is_paused_under_an_alarm_and_asked_a_little_now_and_then(
    store: Store, settings: Settings, clock: Clock
) -> None:
    fill(store, 20, now=clock.now)
    judge = Scripted(Judgement(None, Cause.SERVER_ERROR))
    judging = job(store, judge, settings, clock)
    judging.step(clock.now)
    judging.step(clock.now)
    [alarm] = alarms(store)
    assert "(server error: 16)" in alarm
    add_pairs(store, 20, now=clock.now)
    for _ in range(3):
        judging.step(clock.now)
    assert judge.asked == [20], "it is left alone for a while"
    clock.now += PROBE_SECONDS
    judging.step(clock.now)
    assert judge.asked == [20, PROBE_PAIRS]
    judge.answer = GOOD
    clock.now += PROBE_SECONDS
    judging.step(clock.now)
    for _ in range(5):
        judging.step(clock.now)
    assert alarms(store) == []
    assert labels(store) == 40


@pytest.mark.parametrize(
    ("cause", "words"),
    [(Cause.UNTRAINED, "not learned enough"), (Cause.BUDGET, "used up the requests")],
)
def test_what_was_not_asked_is_not_written_down(
    store: Store, settings: Settings, clock: Clock, cause: Cause, words: str
) -> None:
    fill(store, 20, now=clock.now)
    judging = job(store, Scripted(Judgement(None, cause)), settings, clock)
    judging.step(clock.now)
    judging.step(clock.now)
    assert words in alarms(store)[0]
    status = store.reports.status(max_staleness=2)
    assert status["judge"] is None
    assert status["pairs"]["ready"] == 20


def test_without_a_time_to_wait_only_double_pairs_are_judged(
    store: Store, settings: Settings, clock: Clock
) -> None:
    fill(store, 5, now=clock.now)
    checking = settings.model_copy(update={"unattended": False})
    judge = Scripted()
    assert not job(store, judge, checking, clock).step(clock.now)
    assert judge.asked == []
