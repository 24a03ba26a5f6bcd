"""Pairs that nobody rated, in the worker: drawn while it is idle, learned from, and kept apart."""

import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col

from labeler.config.settings import Settings
from labeler.domain.health import SILENT_SECONDS
from labeler.domain.sentences.fill import ALL_TIES, NONE_DRAWN, gamed
from labeler.domain.states import UpdateState
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import LeasedPair
from labeler.store.tables import FilledPair, Pair, Update, Vote
from labeler.store.views.filled import ROLE
from tests.support.patience import wait_until
from tests.support.store import last_update, lease, rows, vote, vote_on
from tests.support.tiny import Clock, made_up_pair, worker_settings
from tests.support.worker import HandTurned
from tests.trainer.worker.test_streaming import Watched
from trainer.judge.filling import FillModel, Gain
from trainer.policy.policy import Policy
from trainer.sampling.sampler import Version
from trainer.worker.jobs.fill import BATCH_PROMPTS, DRAWING, FillJob

PROMPTS = [[{"role": "user", "content": f"how do you make good tea {n}?"}] for n in range(90)]
N = 20
FILL = 2
LOT = 18


@pytest.fixture
def policy(policy: Policy) -> Policy:
    """Replies end at all times, so that some are long: one token in sixteen is an end."""
    policy.eos_token_ids = list(range(0, 320, 16))
    return policy


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(
        tiny_policy,
        tmp_path,
        labels_per_update=N,
        queue_pairs=24,
        max_new_tokens=24,
        passes=1,
        fill=FILL,
        fill_candidates=3,
    )


def longer(pair: LeasedPair) -> str:
    return "left" if len(pair.left) > len(pair.right) else "right"


def by_lot(pair: LeasedPair) -> str:
    """A fixed lot, of those in which chance looks like nothing else."""
    return random.Random(f"{LOT} {pair.left} {pair.right}").choice(["left", "right"])


def tie(_: LeasedPair) -> str:
    return "tie"


def rate(worker: HandTurned, store: Store, settings: Settings, taste: Any) -> None:
    """N votes, and the update that they make due is open."""
    left = N
    while left:
        worker.work()
        leased = lease(store, left, now=1.0)
        for pair in leased:
            vote_on(store, pair, taste(pair), now=2.0)
        left -= len(leased)
    open_due_update(settings, store, now=2000.0)


def rated(worker: HandTurned, store: Store, settings: Settings, taste: Any) -> Update:
    """N votes, and the update that they make due, to its end."""
    rate(worker, store, settings, taste)
    assert worker.step()
    return last_update(store)


def made(store: Store, policy: Policy, settings: Settings, **more: Any) -> HandTurned:
    return HandTurned(store, policy, settings, prompts=PROMPTS, **more)


def heard_by_models(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many votes reward models are told each time that they fit anew, from now on."""
    heard: list[int] = []
    learn_part = FillModel.learn_part

    def watched(model: FillModel, examples: Any, *more: Any) -> bool:
        fitted = learn_part(model, examples, *more)
        heard.extend([len(examples)] * fitted)
        return fitted

    monkeypatch.setattr(FillModel, "learn_part", watched)
    return heard


def test_an_update_learns_from_filled_pairs_and_keeps_them_apart_from_votes(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    update = rated(made(store, policy, settings), store, settings, longer)
    assert update.state is UpdateState.PROMOTED
    finding = update.finding
    assert (finding.labels, finding.filled) == (N, FILL * N)
    assert finding.fill_right.count == N
    assert finding.fill_weight is not None
    assert 0 < finding.fill_weight <= 1
    assert finding.fill_gain is not None
    assert finding.fill_witness is not None
    pairs = rows(database, FilledPair)
    assert len(pairs) == FILL * N
    assert {pair.version_id for pair in pairs} == {0}
    assert all(0 < pair.target < 1 for pair in pairs)
    assert {round(pair.weight, 4) for pair in pairs} == {finding.fill_weight}
    longer_first = sum(len(pair.first) > len(pair.second) for pair in pairs)
    assert longer_first > 0.65 * len(pairs)
    asked = {vote.pair.prompt_id for vote in store.reports.votes()}
    assert not asked & {pair.prompt_id for pair in pairs}
    assert len(rows(database, Vote)) == len(list(store.reports.votes())) == N


def test_people_are_asked_what_tells_most_of_what_is_drawn_to_learn_from(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    """Of each eight prompts drawn, people get one in three, and no more than an update takes."""
    worker = made(store, policy, settings)
    worker.work()
    picked = rows(database, Pair, col(Pair.worth).is_not(None))
    queued = rows(database, Pair)
    by_lot = [pair for pair in queued if pair.worth is None]
    assert {pair.sampling["acquisition"] for pair in picked} == {"d_optimal"}
    assert {pair.sampling["acquisition"] for pair in by_lot} <= {"random"}
    assert len(queued) > settings.queue_pairs / 2
    offered = worker.job(FillJob).offered
    assert N / 2 < offered <= N
    many = [pair for pair in picked if pair.sampling.get("candidate_pair") == "d_optimal"]
    assert 0 < len(many) <= offered
    answered = {answered.texts for answered in store.queue.answers(0)}
    assert not answered & {(pair.response_a, pair.response_b) for pair in many}
    assert len(answered) == len(queued) - len(many)
    assert worker.job(FillJob).drawn == FILL * N


@pytest.mark.parametrize("changed", [{"acquisition": "random"}, {"mode": "iterative"}])
def test_where_people_get_pairs_as_they_come_none_is_picked_for_them(
    store: Store, policy: Policy, settings: Settings, changed: dict[str, Any]
) -> None:
    worker = made(store, policy, settings.model_copy(update=changed))
    worker.work()
    assert worker.job(FillJob).drawn == FILL * N
    assert worker.job(FillJob).offered == 0


def test_an_update_makes_nobody_wait_for_candidates(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    """One worker took the votes and drew nothing beside them, and another takes the update."""
    rate(made(store, policy, unfilled(settings)), store, settings, longer)
    assert made(store, policy, settings).step()
    update = last_update(store)
    assert update.state is UpdateState.PROMOTED
    assert update.finding.filled == len(rows(database, FilledPair)) == 0
    assert update.finding.not_filled == NONE_DRAWN


def test_people_get_pairs_while_an_update_prepares_what_it_learns_from(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For fifty of them the seconds until its first step emptied the queue after each version."""
    ready: list[int] = []
    choose = FillModel.choose

    def watched(model: FillModel, *asked: Any) -> Any:
        ready.append(store.queue.ready())
        return choose(model, *asked)

    monkeypatch.setattr(FillModel, "choose", watched)
    worker = made(store, policy, settings)
    rate(worker, store, settings, longer)
    while lease(store, 24, now=3.0, holder=str(len(ready))):
        ready.append(0)
    ready.clear()
    assert worker.step()
    assert ready[0] > 0


def test_between_updates_votes_are_heard_once_they_are_a_share_of_all(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand votes take seconds to fit, in which nobody gets a pair."""
    heard = heard_by_models(monkeypatch)
    monkeypatch.setattr("trainer.worker.jobs.fill.REFIT_SHARE", 0.5)
    worker = made(store, policy, settings)
    for votes in (12, 8, 8):
        worker.work()
        vote(store, votes)
    worker.work()
    assert heard == [12, 28]


def test_after_a_restart_votes_are_heard_in_parts_and_whoever_waits_comes_between_them(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each part somebody asks something, and somebody takes all pairs that are there."""
    monkeypatch.setattr("trainer.judge.filling.LOOK", 8)
    made(store, policy, settings).work()
    vote(store, 20)
    heard, waited = heard_by_models(monkeypatch), list[tuple[bool, int]]()
    learn_part, rater = FillModel.learn_part, store.raters.local(now=1.0)

    def watched(model: FillModel, *said: Any) -> bool:
        part = len(waited)
        waited.append((store.asks.any_waits(now=0.0), store.queue.ready()))
        store.asks.add(f"{part}", rater_id=rater, text=f"tea {part}?", continues=None, now=1.0)
        for page in range(4):
            lease(store, 24, now=1.0, holder=f"{part} {page}")
        return learn_part(model, *said)

    monkeypatch.setattr(FillModel, "learn_part", watched)
    made(store, policy, settings).work()
    assert heard == [20, 20, 20]
    assert len(waited) > len(heard)
    assert all(not waits and ready for waits, ready in waited[1:])


class Slow:
    """A machine on which a pass through the policy takes twelve seconds.

    `silence` is how long the worker had said nothing after each pass, and `said` what it said last,
    before each. Whoever `takes` pairs takes all that are there, and then `waited` so many passes.
    """

    SECONDS = 12.0

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trainer.judge.rows.CPU_TOKENS", 64)
        monkeypatch.setattr("trainer.policy.logps.PART_TOKENS", 128)
        self.clock = Clock(step=0)
        self.silence: list[float] = []
        self.said: list[str] = []
        self.takes = False
        self.waited: list[int] = []
        self._store = store

    def passed(self, *_: Any) -> None:
        self.clock.now += self.SECONDS
        [worker] = [role for role in self._store.processes.all() if role.name == "worker"]
        assert worker.beat_at is not None
        self.silence.append(self.clock.now - worker.beat_at)
        self.said.append(worker.says or "")
        if not self.takes:
            return
        if self._store.queue.ready():
            self.waited.append(0)
        else:
            self.waited[-1] += 1
        holder = f"{len(self.silence)}"
        while lease(self._store, 24, now=self.clock.now, holder=holder):
            holder += "+"


def prepares(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> tuple[HandTurned, Slow]:
    """A worker on a slow machine that has begun anew: an update is due, of votes it must read.

    What the reference makes of the pairs must be computed anew, as after another temperature.
    """
    warmer = settings.model_copy(update={"temperature": 0.9})
    rate(made(store, policy, unfilled(warmer)), store, settings, longer)
    slow = Slow(store, monkeypatch)
    in_passes = settings.model_copy(update={"micro_tokens": 128, "learning_rate": None})
    worker = made(store, policy, in_passes, clock=slow.clock)
    policy.model.get_base_model().base_model.register_forward_hook(slow.passed)
    return worker, slow


def test_an_update_is_no_longer_silent_than_one_pass_and_says_what_it_prepares(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, slow = prepares(store, policy, settings, monkeypatch)
    assert worker.step()
    assert last_update(store).state is UpdateState.PROMOTED
    assert len(slow.silence) > 40
    assert max(slow.silence) < SILENT_SECONDS
    reading = [says for says in slow.said if says.startswith(f"Reading {N} votes for the reward")]
    assert len(set(reading)) > 5
    assert reading[0] == f"Reading {N} votes for the reward model: 0 of {2 * N} replies."
    assert f"Preparing {N} pairs to train on." in slow.said


def test_whoever_waits_while_an_update_runs_gets_pairs_between_its_passes(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they get takes passes of its own: for each two of up to sixteen pairs, and a check."""
    worker, slow = prepares(store, policy, settings, monkeypatch)
    slow.takes = True
    assert worker.step()
    assert len(slow.waited) > 20
    assert max(slow.waited) <= 9


def test_the_length_at_the_start_is_of_what_replies_say_without_their_thoughts(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were cut within their thought say nothing, and have no length."""
    start_lengths: list[float | None] = []
    learn_part = FillModel.learn_part

    def watched(model: FillModel, *heard: Any) -> bool:
        start_lengths.append(model.length.start)
        return learn_part(model, *heard)

    monkeypatch.setattr(FillModel, "learn_part", watched)
    worker = made(store, policy, settings.model_copy(update={"queue_pairs": 8}))
    think, cut = "<think>Tea or coffee?</think>", "<think>Tea or"
    made_up = [made_up_pair(prompt.id or 0, 0) for prompt in store.prompts.take(24)]
    for number, pair in enumerate(made_up):
        texts = (f"{think}Tea {number:02}.", f"{think}Cup {number:02}." if number else cut)
        made_up[number] = replace(pair, response_a=texts[0], response_b=texts[1])
    store.queue.add(made_up, now=1.0, votes_wanted=1)
    vote(store, 8)
    while not start_lengths:
        assert worker.step()
    assert start_lengths == [len("Tea 00.")]


def test_where_a_judge_labels_everything_an_update_draws_what_is_missing(
    store: Store, policy: Policy, settings: Settings
) -> None:
    changed = {"unattended": True, "judge": "py:tests.support.judges:longer"}
    settings = settings.model_copy(update=changed)
    judging = made(store, policy, unfilled(settings))
    wait_until(lambda: judging.turn() and not store.updates.labels_missing(settings.due_rules))
    judging.close()
    open_due_update(settings, store, now=2000.0)
    with closing(made(store, policy, settings)) as worker:
        assert worker.step()
    update = last_update(store)
    assert update.state is UpdateState.PROMOTED
    assert 0.9 * FILL * N < update.finding.filled <= FILL * N  # two replies may be alike


def test_a_version_that_games_the_reward_model_is_kept_back_and_its_votes_are_free_again(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FillModel, "gains", lambda *_: Gain(0.7, 0.5, by_chance=0.001))
    update = rated(made(store, policy, settings), store, settings, longer)
    assert update.state is UpdateState.REJECTED
    assert update.reason == gamed(0.7, 0.5)
    assert update.finding.fill_witness == 0.5
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == N


def unfilled(settings: Settings) -> Settings:
    return settings.model_copy(update={"fill": 0})


def test_a_reward_model_no_better_than_chance_fills_in_nothing_and_says_so(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    update = rated(made(store, policy, settings), store, settings, by_lot)
    assert update.finding.labels == N
    assert update.finding.filled == 0
    assert update.finding.not_filled is not None
    assert "may be chance" in update.finding.not_filled
    assert rows(database, FilledPair) == []
    [role] = [role for role in store.processes.all() if role.name == ROLE]
    assert role.says == update.finding.not_filled


def test_an_update_of_ties_alone_ends_and_its_votes_wait_for_others(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    worker = made(store, policy, settings)
    update = rated(worker, store, settings, tie)
    assert (update.state, update.reason) == (UpdateState.REJECTED, ALL_TIES)
    assert store.updates.labels_missing(settings.due_rules) == N
    assert all(vote.used_in_update is None for vote in rows(database, Vote))
    second = rated(worker, store, settings, longer)
    assert second.state is UpdateState.PROMOTED
    assert len([vote for vote in rows(database, Vote) if vote.used_in_update == second.id]) == 2 * N


def test_drawing_ahead_stops_at_the_next_token_once_somebody_waits(
    store: Store, policy: Policy, settings: Settings
) -> None:
    rater = store.raters.local(now=1.0)
    tokens_after: list[Version] = []
    is_asked = False

    def look(version: Version) -> None:
        nonlocal is_asked
        if is_asked:
            tokens_after.append(version)
        elif any(role.says == DRAWING for role in store.processes.all()):
            is_asked = True
            store.asks.add("a", rater_id=rater, text="tea?", continues=None, now=1.0)

    worker = made(store, policy, settings, sampler=Watched(policy, look))
    while worker.step() and not is_asked:
        pass
    assert is_asked
    assert tokens_after == []
    assert worker.job(FillJob).drawn <= BATCH_PROMPTS
    worker.step()
    assert not store.asks.any_waits(now=0.0)


def test_a_restart_loses_no_vote(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    first = made(store, policy, settings)
    first.work()
    assert first.job(FillJob).drawn == FILL * N
    update = rated(HandTurned(store, policy, settings), store, settings, longer)
    assert update.finding.filled == FILL * N
    assert all(vote.used_in_update == update.id for vote in rows(database, Vote))
