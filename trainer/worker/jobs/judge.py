"""Labels where no person gives any: asks the judge about pairs that wait for it.

    JudgeJob.step  =  write down what came back, make labels of what has waited, ask about the next

A judge that asks a server does so on a thread of its own, so that the worker goes on sampling. A
judge that abstains too often, or agrees too little with people, is paused under an alarm; it is
asked a little now and then, and goes on once it has recovered.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from labeler.config.settings import Settings
from labeler.domain.judging import Cause, Judge, Judgement, Pause
from labeler.domain.sentences.judge import paused
from labeler.store import Store
from labeler.store.records import Waiting
from trainer.worker.between import Between
from trainer.worker.hearing import Hearing
from trainer.worker.life import Clock
from trainer.worker.stopwatch import Stopwatch
from trainer.worker.weighing import Weighing
from trainer.worker.workplace import Say

log = logging.getLogger(__name__)

ROLE = "judge"
BATCH_PAIRS = 64
PROBE_PAIRS = 4
PROBE_SECONDS = 30.0
LOOK_SECONDS = 5.0
# How long a judge that is asked one by one is asked in one turn: then others get theirs.
TURN_SECONDS = 10.0
SAY_SECONDS = 3.0

UNASKED: dict[Cause | None, str] = {
    Cause.UNTRAINED: "It has not learned enough from people's votes yet.",
    Cause.BUDGET: "It has used up the requests it is allowed.",
}


class JudgeJob:
    """One judge, and the pairs that wait for it.

    `say` tells what goes on; `wake` is called from another thread when a server has answered. With
    `between` there are pauses in what takes this process long.
    """

    def __init__(
        self,
        store: Store,
        judge: Judge,
        settings: Settings,
        *,
        clock: Clock,
        say: Say,
        stopwatch: Stopwatch,
        weighing: Weighing,
        wake: Callable[[], None],
        between: Between | None = None,
    ) -> None:
        self._store = store
        self._judge = judge
        self._rules = settings.judge_rules
        self._due_rules = settings.due_rules
        self._clock = clock
        self._say = say
        self._stopwatch = stopwatch
        self._wake = wake
        self._batch = 2 * settings.judge_concurrency if judge.waits else BATCH_PAIRS
        self._thread = ThreadPoolExecutor(1, "judge") if judge.waits else None
        self._asked: list[Waiting] = []
        self._answer: Future[list[Judgement]] | None = None
        self._pause: Pause | None = None
        self._silence: Pause | None = None
        self._looked_at = float("-inf")
        self._asked_at = float("-inf")
        self._between = between
        self._hearing = Hearing(store, judge, weighing, between)
        self._counted = judge.requests_spent  # those that are in the database

    def step(self, now: float) -> bool:
        """Judge what waits, and open the update that the new labels may have made due."""
        with self._stopwatch.timing("judging"):
            judged = self._judge_some(now)
        if judged:
            self._store.updates.open_if_due(self._due_rules, now=now)
        return judged

    def _judge_some(self, now: float) -> bool:
        """False if there was nothing to do."""
        self._learn(now)
        did = self._collect()
        self._look(now)
        # A judge that abstains too often is not doubted: what it did say counts, and a pair that it
        # could not decide makes room for another, or soon none would be left to ask it about.
        abstains = self._pause is not None and self._pause.probes and self._silence is None
        if self._pause is None or abstains:
            did = self._store.judging.settle(self._rules, now=now) > 0 or did
        return self._ask(now) or did

    def take_up(self) -> None:
        """Judge from now on, where another process did so."""
        self._catch_up()
        self._store.processes.alarm(ROLE, None)

    def close(self) -> None:
        """Stop waiting for a server, and write down what it has cost."""
        self._judge.close()
        self.note_requests()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def note_requests(self) -> None:
        """Write down what the judge was asked beside the verdicts, which carry their own."""
        more = self._judge.requests_spent - self._counted
        if more > 0:
            self._store.judging.add_requests(self._judge.spec, more)
            self._counted += more

    def _catch_up(self) -> None:
        """What other processes have asked this judge is spent, too."""
        self.note_requests()
        others = self._store.judging.spent(self._judge.spec) - self._counted
        self._judge.requests_spent += others
        self._counted += others

    def _learn(self, now: float) -> None:
        """Let a judge that learns from people hear what is new."""
        if (says := self._hearing.news()) is not None:
            self._store.processes.say(ROLE, says, pid=os.getpid(), now=now)
            self._silence, self._asked_at = None, float("-inf")

    def _look(self, now: float) -> None:
        """See whether the judge is to be paused, and say so if that has changed."""
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        pause = self._silence or self._store.judging.pause(self._rules)
        if pause != self._pause:
            says = paused(pause.reason) if pause else None
            log.warning("%s", says or "The judge is labelling again.")
            self._store.processes.alarm(ROLE, says)
            self._pause = pause

    def _ask(self, now: float) -> bool:
        """Ask about the next pairs; while the judge is paused, about a few now and then."""
        if self._answer is not None:
            return False
        pause = self._pause
        probing = pause is not None and pause.probes
        if probing and now - self._asked_at < PROBE_SECONDS:
            return False
        waiting = self._store.judging.waiting(
            self._rules,
            labels=pause is None or pause.probes,
            limit=PROBE_PAIRS if probing else self._batch,
            now=now,
        )
        if not waiting:
            return False
        self._asked, self._asked_at = waiting, now
        if self._judge.waits:
            self._catch_up()
        self._say("Judging pairs.")
        questions = [each.question for each in waiting]
        if self._thread is not None:
            self._answer = self._thread.submit(self._judge.judge, questions)
            self._answer.add_done_callback(lambda _: self._wake())
        elif self._judge.one_by_one:
            self._ask_one_by_one()
        else:
            between = None if self._between is None else self._between.begin()
            self._write(self._judge.judge(questions, between))
        return True

    def _ask_one_by_one(self) -> None:
        """Ask as much as there is time for, and say how far it is; the rest waits on."""
        begun, answers = self._clock(), list[Judgement]()
        for each in self._asked:
            seconds = self._clock() - begun
            if answers and seconds >= TURN_SECONDS:
                break
            if seconds >= SAY_SECONDS:
                self._say(f"Judging pairs: {len(answers)} of {len(self._asked)}.")
            answers += self._judge.judge([each.question])
        self._asked = self._asked[: len(answers)]
        self._write(answers)

    def _collect(self) -> bool:
        """Write down what a server has answered, if it has."""
        if self._answer is None or not self._answer.done():
            return False
        answer, self._answer = self._answer, None
        self._write(answer.result())
        return True

    def _write(self, answers: Sequence[Judgement]) -> None:
        """Write down what the judge said; where it was not asked at all, there is nothing to."""
        said = [
            (waiting.pair_id, answer)
            for waiting, answer in zip(self._asked, answers, strict=True)
            if answer.cause not in UNASKED
        ]
        self._counted += self._store.judging.record(self._rules, said, now=self._clock())
        self.note_requests()
        unasked = {answer.cause for answer in answers} & UNASKED.keys()
        self._silence = Pause(UNASKED[unasked.pop()], probes=True) if unasked else None
        if self._silence or self._pause or any(answer.cause for answer in answers):
            self._looked_at = float("-inf")
