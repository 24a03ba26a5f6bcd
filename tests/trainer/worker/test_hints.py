"""Replies that are drawn under a hint: offered to people, stored under their prompt, and left out
of all that tells how a version answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labeler.config.parts.sampling import Sampling
from labeler.config.settings import Settings
from labeler.domain.messages import Messages
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.support.store import rows, states
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned
from tests.trainer.worker.test_origin import Liar
from trainer.policy.logps import logps_under
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.origin import WrongVersionError
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Prompt, Response
from trainer.worker.hints import Hints
from trainer.worker.jobs.fill import FillJob
from trainer.worker.jobs.sample import SampleJob

BRIEF, WARM = "be brief.", "be warm."
PROMPTS = [[{"role": "user", "content": f"how do you make good tea {n}?"}] for n in range(40)]


class Spied(LocalSampler):
    """Keeps the prompts that it is asked for."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.asked: list[str] = []
        self.asked_of: dict[int, list[str]] = {}  # by version
        self._text_of = policy.tokenizer.decode

    def sample(
        self, version: Version, prompts: Sequence[Sequence[int]], settings: Sampling, **more: Any
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        asked = [self._text_of(prompt) for prompt in prompts for _ in range(more["copies"])]
        self.asked += asked
        self.asked_of.setdefault(version.number, []).extend(asked)
        return super().sample(version, prompts, settings, **more)

    @property
    def hinted(self) -> int:
        """Of how many replies the prompt had a hint."""
        return sum(BRIEF in asked or WARM in asked for asked in self.asked)


class Curt(Spied):
    """Says of replies to a prompt with BRIEF in it that they are a letter long."""

    def sample(
        self, version: Version, prompts: Sequence[Sequence[int]], settings: Sampling, **more: Any
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        for place, said in super().sample(version, prompts, settings, **more):
            is_brief = BRIEF in self._text_of(prompts[place])
            yield place, tuple(replace(one, text="a") if is_brief else one for one in said)


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    hints = tmp_path / "hints.txt"
    hints.write_text(f"{BRIEF}\n{WARM}\n")
    return worker_settings(tiny_policy, tmp_path, queue_pairs=6, hint_share=1.0, hints=hints)


def fresh(database: Database) -> list[Pair]:
    return rows(database, Pair)


def test_one_of_two_replies_is_drawn_under_a_hint_and_both_are_stored_under_the_prompt(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    spied = Spied(policy)
    worker = HandTurned(store, policy, settings, sampler=spied)
    worker.job(SampleJob).top_up(8)
    pairs = fresh(database)
    assert len(pairs) >= 6
    assert spied.hinted == len(spied.asked) / 2 == 8
    hints = [pair.sampling["hints"] for pair in pairs]
    assert all(None in both and {BRIEF, WARM} & set(both) for both in hints)
    assert len({both.index(None) for both in hints}) == 2, "by lot which of the two"
    for pair, both in zip(pairs, hints, strict=True):
        said = policy.tokenizer.decode(pair.prompt_tokens)
        assert not {hint for hint in (BRIEF, WARM) if hint in said}
        assert (pair.logp_a is None, pair.logp_b is None) == tuple(
            hint is not None for hint in both
        )


def test_what_training_needs_of_such_a_reply_is_its_probability_after_the_prompt(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    HandTurned(store, policy, settings).job(SampleJob).top_up(8)
    pairs = fresh(database)
    tokens = [(pair.prompt_tokens, pair.tokens_a, pair.tokens_b) for pair in pairs]
    expected = logps_under(policy, None, tokens)
    found = [(pair.reference_logp_a, pair.reference_logp_b) for pair in pairs]
    assert [a for a, _ in found] == pytest.approx(expected[:, 0].tolist(), abs=1e-3)
    assert [b for _, b in found] == pytest.approx(expected[:, 1].tolist(), abs=1e-3)


def test_an_update_asks_the_candidate_without_hints_and_no_such_pair_tells_how_a_version_answers(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    spied = Spied(policy)
    worker = HandTurned(store, policy, settings, sampler=spied)
    worker.make_due()
    assert fresh(database)
    assert store.queue.answers(0) == []
    worker.step()
    assert states(store) == ["retired", "live"]
    assert spied.asked_of[1]
    assert not any(BRIEF in asked or WARM in asked for asked in spied.asked_of[1])
    assert store.queue.answers(1)


def test_other_weights_are_found_out_by_what_replies_were_drawn_after(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    worker = HandTurned(store, policy, settings, sampler=Liar(policy))
    with pytest.raises(WrongVersionError):
        worker.step()
    assert fresh(database) == []


def test_half_of_the_candidates_to_learn_from_are_drawn_under_different_hints(
    store: Store, policy: Policy, settings: Settings
) -> None:
    settings = settings.model_copy(update={"fill": 2, "fill_candidates": 4})
    spied = Spied(policy)
    worker = HandTurned(store, policy, settings, sampler=spied)
    worker.job(SampleJob).top_up(8)
    spied.asked.clear()
    fill = worker.job(FillJob)
    assert fill.step(worker.clock())
    assert spied.hinted == len(spied.asked) / 2
    for sample in fill._drawn:
        hints = [said.after.hint for said in sample.responses if said.after]
        assert sorted(hints) == [BRIEF, WARM]


def prompt(policy: Policy, messages: Messages) -> Prompt:
    return Prompt(1, messages, policy.prompt_tokens(messages))


def test_a_prompt_that_a_hint_does_not_fit_is_drawn_as_it_is(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints = Hints(policy, [BRIEF, WARM])
    begun = [*PROMPTS[0], {"role": "assistant", "content": "boil"}]
    assert hints.plans([prompt(policy, begun)], copies=2, seed=0, share=1.0) is None
    usual = prompt(policy, PROMPTS[0])
    monkeypatch.setattr(Policy, "context_tokens", len(usual.tokens) + 1)
    assert hints.plans([usual], copies=2, seed=0, share=1.0) is None


def test_hints_come_by_how_often_replies_under_them_win(policy: Policy) -> None:
    asked = [prompt(policy, PROMPTS[0])] * 400
    hints = Hints(policy, [BRIEF, WARM])
    hints.prefer({BRIEF: 3 / 4, WARM: 1 / 4})
    plans = hints.plans(asked, copies=2, seed=0, share=1.0)
    assert plans is not None
    dealt = [next((after.hint for after in plan if after), None) for plan in plans]
    each = [dealt.count(hint) for hint in (BRIEF, None, WARM)]
    assert each == pytest.approx(
        [400 * weight / (9 + 1 + 1 / 9) for weight in (9, 1, 1 / 9)], abs=25
    )
    hints.prefer({})
    plans = hints.plans(asked, copies=2, seed=0, share=1.0)
    assert plans is not None
    dealt = [next((after.hint for after in plan if after), None) for plan in plans]
    assert dealt.count(None) == pytest.approx(400 / 3, abs=30)


def test_what_people_like_shows_in_which_hints_come(
    store: Store, policy: Policy, settings: Settings
) -> None:
    """Replies under one hint end at once, and people want long ones."""
    more = {"fill": 2, "fill_candidates": 4, "labels_per_update": 16, "max_new_tokens": 24}
    settings = settings.model_copy(update=more)
    worker = HandTurned(store, policy, settings, sampler=Curt(policy))
    worker.make_due()
    assert worker.job(FillJob).step(worker.clock()), "it hears of the votes"
    weights = worker.job(SampleJob)._place.supply.hints._weights
    assert weights[BRIEF] < 1 / 4 < weights[WARM]


def test_so_many_prompts_get_hints_by_lot_and_none_where_there_are_no_hints(
    policy: Policy,
) -> None:
    asked = [prompt(policy, PROMPTS[0])] * 400
    plans = Hints(policy, [BRIEF, WARM]).plans(asked, copies=4, seed=0, share=0.25)
    assert plans is not None
    counts = [sum(after is not None for after in plan) for plan in plans]
    assert set(counts) == {0, 2}
    assert counts.count(2) == pytest.approx(100, abs=30)
    assert plans == Hints(policy, [BRIEF, WARM]).plans(asked, copies=4, seed=0, share=0.25)
    assert Hints(policy, []).plans(asked, copies=4, seed=0, share=1.0) is None
    assert Hints(policy, [BRIEF]).plans(asked, copies=4, seed=0, share=0.0) is None
