"""Which two prompts people are shown, answered before and after."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from labeler.config.settings import Settings
from labeler.domain.judging import Judgement, Question
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.support.store import last_update, rows
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned
from tests.trainer.worker.test_asking import worker  # noqa: F401  (a fixture)
from tests.trainer.worker.test_worker import FolderSampler
from trainer.gate.examine import NO_JUDGE
from trainer.gate.examples import MAX_PROMPT_CHARS, MAX_TEXT_CHARS, examples_of, shortest_prompts
from trainer.judge.function import FunctionJudge
from trainer.policy.policy import Policy
from trainer.sampling.samples import Prompt, Response, Sample


def response(text: str, finish: str = "stop") -> Response:
    return Response(text, [1], finish, -1.0)


def sampled(*answers: tuple[Response, Response], question: str = "q") -> list[Sample]:
    return [
        Sample(Prompt(place, [{"role": "user", "content": f"{question} {place}"}], [1]), both, 0)
        for place, both in enumerate(answers)
    ]


def twice(text: str, finish: str = "stop") -> tuple[Response, Response]:
    return response(text, finish), response(text, finish)


def live(*texts: str) -> list[Sample]:
    return sampled(*map(twice, texts))


def test_the_two_that_changed_the_most_are_shown_and_finished_ones_first() -> None:
    new = sampled(twice("a b c d"), twice("a b x y"), twice("u v w z", "length"), twice("p q r s"))
    found = examples_of(new, live("a b c e", "a b c d", "a b c d", "a b c d"))
    assert [example.after for example in found] == ["p q r s", "a b x y"]
    assert [example.before for example in found] == ["a b c d", "a b c d"]
    assert found[0].prompt == [{"role": "user", "content": "q 3"}]


def test_of_the_two_responses_to_a_prompt_the_one_that_changed_more_is_shown() -> None:
    new = sampled((response("a b c"), response("x y z")))
    assert examples_of(new, live("a b c"))[0].after == "x y z"


def test_long_prompts_are_left_out_and_long_texts_are_cut() -> None:
    new = sampled(twice("w" * (MAX_TEXT_CHARS + 5)), question="q" * MAX_PROMPT_CHARS)
    assert examples_of(new, live("a")) == ()
    assert shortest_prompts(new) == []
    new = sampled(twice("w" * (MAX_TEXT_CHARS + 5)))
    assert len(examples_of(new, live("a"))[0].after) == MAX_TEXT_CHARS + 2


def test_two_finished_answers_of_the_live_version_are_compared_with() -> None:
    few = shortest_prompts(sampled(twice("a", "length"), twice("b"), twice("c")))
    assert [sample.pair[0].text for sample in few] == ["b", "c"]
    assert [sample.prompt.id for sample in few] == [1, 2]


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=16)


def test_an_update_keeps_two_examples_and_says_that_nobody_has_compared_them(
    worker: HandTurned,  # noqa: F811
    store: Store,
    settings: Settings,
) -> None:
    worker.update()
    me = store.raters.local(now=1.0)
    [change] = store.changes.of(me, last=10)
    assert len(change.finding.examples) == 2
    assert all(example.before and example.after for example in change.finding.examples)
    assert change.my_labels == settings.labels_per_update
    assert change.finding.win_rate == NO_JUDGE


def test_the_live_version_is_not_asked_again_what_it_said_is_compared_with(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    sampler = FolderSampler(policy)
    turned = HandTurned(store, policy, settings, sampler=sampler)
    turned.make_due()
    sampler.asked.clear()
    turned.step()
    assert sampler.asked == [1]
    pairs = [pair for pair in rows(database, Pair) if pair.version_id == 0]
    said = {text for pair in pairs for text in (pair.response_a, pair.response_b)}
    examples = last_update(store).finding.examples
    assert {example.before for example in examples} <= said
    asked = store.queue.ready_of_live()
    assert asked == settings.gate_prompts, "the prompts of before are not asked again"


def test_a_judge_that_goes_by_the_place_prefers_neither_version(
    store: Store, policy: Policy, settings: Settings
) -> None:
    judged = settings.model_copy(
        update={"judge": "py:tests.support.judges:in_front", "judge_after": None}
    )
    update = HandTurned(store, policy, judged).update()
    won = update.finding.win_rate
    assert (won.value, won.count) == (0.5, 2 * settings.gate_prompts)
    even = update.finding.equal_length
    assert even.low < 0.5 < even.high
    assert even.count == won.count


def test_an_update_beats_before_each_call_of_a_judge_that_may_be_slow(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = settings.model_copy(
        update={"judge": "py:tests.support.judges:in_front", "judge_after": None}
    )
    turned, beats, silences = HandTurned(store, policy, judged), [0], list[int]()
    beat, judge = store.updates.beat, FunctionJudge.judge

    def heard(*words: Any, **more: Any) -> None:
        beats[0] += 1
        beat(*words, **more)

    def asked(self: FunctionJudge, questions: Sequence[Question]) -> list[Judgement]:
        silences.append(beats[0])
        assert len(questions) == 1
        return judge(self, questions)

    turned.make_due()
    monkeypatch.setattr(store.updates, "beat", heard)
    monkeypatch.setattr(FunctionJudge, "judge", asked)
    assert turned.step()
    assert len(silences) == 2 * settings.gate_prompts
    assert len(set(silences)) == len(silences), "each call after a beat of its own"
