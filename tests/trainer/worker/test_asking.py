"""Raters' own prompts, answered by a worker with a tiny policy and a real SQLite file."""

import random
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from labeler.config.parts.sampling import Sampling
from labeler.config.settings import Settings
from labeler.domain.labels import LOGPS_AT
from labeler.domain.states import AskState, UpdateState
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.rating.asks import AskView
from labeler.store.tables import Ask, Pair
from tests.support.store import last_update, live, only_writer, vote_on
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned, vote_for_longer
from tests.trainer.conftest import QUESTIONS, SAMPLING, assert_measured, disturb, load
from trainer.policy.policy import LIVE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.samples import Prompt, Sample
from trainer.worker.jobs.ask import MAX_SEEDS, NO_MEMORY, SAME, AskJob
from trainer.worker.supply import Supply


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=6)


@pytest.fixture
def worker(store: Store, settings: Settings, policy: Policy) -> HandTurned:
    return HandTurned(store, policy, settings)


def ask(store: Store, name: str, text: str = "how do you make tea?") -> None:
    me = store.raters.local(now=1.0)
    assert store.asks.add(name, rater_id=me, text=text, continues=None, now=float(len(name)))


def look(store: Store, name: str) -> AskView:
    me = store.raters.local(now=1.0)
    found = store.asks.look(
        name, rater_id=me, holder="t", gone=None, seconds=60, now=2.0, rng=random.Random(0)
    )
    assert found is not None
    return found


def supply_of(worker: HandTurned) -> Supply:
    return worker.job(AskJob)._place.supply


def own_pair(database: Database, name: str) -> Pair:
    """The pair of an ask that was answered."""
    with database.read() as session:
        return session.get_one(Pair, session.get_one(Ask, name).pair_id)


def test_own_prompts_are_answered_before_the_queue_is_filled_and_are_pairs_like_others(
    worker: HandTurned, store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    ask(store, "a")
    ask(store, "bb")
    assert worker.step()
    first, second = own_pair(database, "a"), own_pair(database, "bb")
    assert first.response_a != first.response_b
    assert first.tokens_a != second.tokens_a  # the same prompt, asked again, is answered anew
    assert set(first.sampling) == {*Sampling.model_fields, "seed", LOGPS_AT, "sampling_dtype"}
    assert_measured(policy, first)


def test_own_prompts_are_answered_between_the_steps_of_an_update(
    worker: HandTurned, store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.make_due()
    seen: list[UpdateState] = []
    beat = store.updates.beat

    def beat_and_ask(claim: Any, state: UpdateState, **more: Any) -> None:
        """A rater asks right after the first step; by the next one the reply is there."""
        beat(claim, state, **more)
        if not seen:
            ask(store, "a")
        elif look(store, "a").state is AskState.READY:
            seen.append(state)
            return
        seen.append(UpdateState.OPEN)

    monkeypatch.setattr(store.updates, "beat", beat_and_ask)
    worker.step()
    assert seen[1] is UpdateState.TRAINING
    assert own_pair(database, "a").version_id == 0
    assert last_update(store).state is UpdateState.PROMOTED


def test_after_an_update_the_new_version_answers(
    worker: HandTurned, store: Store, database: Database
) -> None:
    worker.update()
    ask(store, "a")
    worker.step()
    assert own_pair(database, "a").version_id == 1


def test_a_vote_on_an_own_prompt_trains_the_next_version(
    worker: HandTurned, store: Store, database: Database, settings: Settings
) -> None:
    ask(store, "a")
    worker.work()
    mine = look(store, "a").pair
    assert mine is not None
    vote_on(store, mine, now=2.0)
    vote_for_longer(store, settings.labels_per_update - 1)
    assert own_pair(database, "a").id in {row.pair.id for row in store.reports.votes()}
    open_due_update(settings, store, now=2000.0)
    worker.step()
    assert store.reports.status(max_staleness=2)["labels"]["used"] == settings.labels_per_update


@pytest.mark.parametrize(
    ("text", "says"), [("tea " * 200, "tokens, but there is room for"), ("x", None)]
)
def test_a_prompt_that_the_policy_cannot_take_is_refused_in_one_sentence(
    worker: HandTurned, store: Store, text: str, says: str | None
) -> None:
    ask(store, "a", text)
    assert worker.step()
    found = look(store, "a")
    assert found.state is (AskState.FAILED if says else AskState.READY)
    assert (says or "") in (found.reason or "")


def test_a_policy_that_says_the_same_twice_ends_the_ask_after_a_few_seeds(
    store: Store, settings: Settings, policy: Policy
) -> None:
    certain = settings.model_copy(update={"top_p": 1e-6})
    worker = HandTurned(store, policy, certain)
    ask(store, "a")
    worker.step()
    found = look(store, "a")
    assert (found.state, found.reason) == (AskState.FAILED, SAME)
    assert str(MAX_SEEDS) in SAME


def test_a_policy_that_is_not_finite_ends_the_ask_and_not_the_worker(
    worker: HandTurned, store: Store, policy: Policy
) -> None:
    disturb(policy, LIVE, scale=float("nan"))
    ask(store, "a")
    worker.job(AskJob).step(2.0)
    found = look(store, "a")
    assert found.state is AskState.FAILED
    assert "not finite" in str(found.reason)


CPU_SAYS = "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"


@pytest.mark.parametrize("where", ["sampling", "reference"])
def test_no_memory_ends_the_ask_that_alone_needs_it_and_neither_others_nor_the_worker(
    worker: HandTurned, store: Store, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    ask(store, "a")
    ask(store, "bb", "?" * 80)
    supply = supply_of(worker)
    answer, measured = supply.answer, supply.measured

    def refuse_long(prompts: list[Prompt]) -> None:
        if max(len(prompt.tokens) for prompt in prompts) > 60:
            raise RuntimeError(CPU_SAYS)

    def answer_short(prompts: list[Prompt], *more: Any, **others: Any) -> Any:
        refuse_long(prompts)
        return answer(prompts, *more, **others)

    def measure_short(samples: list[Sample]) -> Any:
        refuse_long([sample.prompt for sample in samples])
        return measured(samples)

    if where == "sampling":
        monkeypatch.setattr(supply, "answer", answer_short)
    else:
        monkeypatch.setattr(supply, "measured", measure_short)
    assert worker.job(AskJob).step(2.0)
    assert look(store, "a").state is AskState.READY
    assert (look(store, "bb").state, look(store, "bb").reason) == (AskState.FAILED, NO_MEMORY)


def test_an_error_that_is_no_prompts_fault_is_not_hidden(
    worker: HandTurned, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("of this test")

    monkeypatch.setattr(supply_of(worker), "answer", fail)
    ask(store, "a")
    with pytest.raises(RuntimeError, match="of this test"):
        worker.job(AskJob).step(2.0)


@pytest.mark.parametrize("kind", ["merged copy", "adapter", "generate"])
def test_progress_is_told_while_tokens_are_drawn(
    tiny_policy: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load(tiny_policy)
    if kind == "generate":
        monkeypatch.setattr(
            "trainer.sampling.local.objection", lambda decoder, dtype: "of this test"
        )
    sampler = LocalSampler(policy, merge=kind == "merged copy")
    prompts = [policy.prompt_tokens([{"role": "user", "content": text}]) for text in QUESTIONS[:2]]
    told: list[Mapping[int, int]] = []
    found = sampler.draw(
        LIVE, prompts, SAMPLING, seed=1, progress=lambda drawn: told.append(dict(drawn))
    )
    before = sum(not any(drawn.values()) for drawn in told)
    assert before or kind != "merged copy"
    told = told[before:]
    assert told[0] == {0: 2, 1: 2}  # a token of each response
    assert all(later[0] >= earlier[0] for earlier, later in pairwise(told))
    drawn = [sum(len(response.tokens) for response in some) for some in found]
    if kind == "generate":  # it counts on in rows that have ended
        assert told[-1][0] >= drawn[0]
    else:
        assert [told[-1][0], told[-1][1]] == drawn


def test_without_an_ask_the_worker_only_reads(worker: HandTurned, database: Database) -> None:
    with only_writer(database):
        assert not worker.job(AskJob).step(2.0)


def test_prompts_that_keep_coming_hold_up_no_update(worker: HandTurned, store: Store) -> None:
    worker.make_due()
    ask(store, "a")
    worker.step()
    assert look(store, "a").state is AskState.READY
    assert live(store).id == 1
