"""The judge that learns from people: its heads by hand, its features, and when it may speak."""

import random
from pathlib import Path

import pytest
import torch

from labeler.domain.judging import Cause, Example, Question
from labeler.domain.labels import Preference
from labeler.domain.states import Choice
from tests.support.tiny import save_tiny_policy
from tests.trainer.conftest import disturb, load
from trainer.judge.features import Features
from trainer.judge.fitting import Material
from trainer.judge.heads import Labels, Span, cross_validate, ensemble, fit
from trainer.judge.learned import MIN_DECIDED, REFIT, LearnedJudge
from trainer.policy.policy import LIVE, Policy

WORDS = ["tea", "good", "world", "hello", "make", "how", "you"]
A, B = Preference(1.0), Preference(0.0)


def said(first: list[float], tie: list[float] | None = None) -> Labels:
    columns = [first, tie or [0.0] * len(first), [1.0] * len(first), [1.0] * len(first)]
    return Labels(*torch.tensor(columns, dtype=torch.float64))


def one_head(
    differences: list[list[float]], labels: Labels, strength: float
) -> tuple[float, float]:
    """Weight of the first feature, and eta."""
    span = Span.of(torch.tensor(differences, dtype=torch.float64))
    even = torch.ones(len(differences), 1, dtype=torch.float64)
    heads = fit(span, labels, even, torch.tensor([strength], dtype=torch.float64))
    return (span.basis @ heads.weights)[0, 0].item(), heads.eta[0].item()


def test_a_head_gives_the_odds_that_it_saw() -> None:
    """Three of four prefer a response with a feature: P = 3/4, so w = log 3 without a ridge."""
    weight, eta = one_head([[1.0]] * 4, said([1, 1, 1, 0]), 1e-9)
    assert weight == pytest.approx(1.0986, abs=1e-3)
    assert eta == 0


def test_ties_widen_the_band_between_the_two() -> None:
    """The ridge holds w at 0; half of the labels tie, tanh(eta / 2) = 1/2, so eta = log 3."""
    labels = said([1, 0] * 250 + [0] * 500, [0] * 500 + [1] * 500)
    _, eta = one_head([[1.0]] * 1000, labels, 1e6)
    assert eta == pytest.approx(1.0986, abs=0.01)


def test_a_ridge_pulls_to_zero() -> None:
    """At the optimum 4 (3/4 - sigmoid(w)) = strength * w."""
    weight, _ = one_head([[1.0]] * 4, said([1, 1, 1, 0]), 2.0)
    sigmoid = 1 / (1 + torch.tensor(-weight).exp().item())
    assert 4 * (0.75 - sigmoid) == pytest.approx(2 * weight, abs=1e-3)


def test_features_that_vary_alone_change_nothing_in_the_span() -> None:
    """Ridge heads lie in the span: with more features than labels the fit is as in full."""
    torch.manual_seed(0)
    differences = torch.randn(6, 30, dtype=torch.float64)
    span = Span.of(differences)
    assert span.inside.shape[1] <= 6
    torch.testing.assert_close(span.inside @ span.basis.T, differences)


def test_labels_of_one_prompt_are_left_out_together() -> None:
    """Each prompt has a feature of its own, and both its labels agree: only memory could tell."""
    rng = random.Random(0)
    sides = [float(rng.random() < 0.5) for _ in range(40)]
    differences = torch.eye(40, dtype=torch.float64).repeat_interleave(2, dim=0)
    labels = said([side for side in sides for _ in range(2)])
    prompts = [str(number // 2) for number in range(80)]
    skill = cross_validate(Span.of(differences), labels, prompts, 0)
    assert skill is not None
    assert skill.right.value == pytest.approx(0.5)  # unseen prompts score 0: half-right each


def test_members_are_the_same_for_the_same_seed_and_differ_among_each_other() -> None:
    torch.manual_seed(0)
    span = Span.of(torch.randn(20, 3, dtype=torch.float64))
    labels, prompts = said([0, 1] * 10), [str(number) for number in range(20)]
    first, again, other = (ensemble(span, labels, prompts, 1.0, seed) for seed in (1, 1, 2))
    assert torch.equal(first.weights, again.weights)
    assert not torch.equal(first.weights, other.weights)
    assert first.weights.std(dim=1).min() > 0


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def question(rng: random.Random) -> Question:
    """A question of its own, and two responses of unlike length."""
    short, long = rng.randint(1, 6), rng.randint(9, 14)
    first, second = rng.sample([short, long], 2)
    asked = [{"role": "user", "content": sentence(rng, 4)}]
    return Question(asked, sentence(rng, first), sentence(rng, second))


def likes_long(number: int, rng: random.Random) -> Example:
    asked = question(rng)
    return Example(number, asked, A if len(asked.first) > len(asked.second) else B)


def examples(count: int, seed: int = 0) -> list[Example]:
    rng = random.Random(seed)
    return [likes_long(number, rng) for number in range(count)]


def judge_of(policy: Policy, labels: list[Example]) -> LearnedJudge:
    judge = LearnedJudge(Features(policy))
    judge.learn(labels)
    return judge


def test_it_learns_what_people_like_and_says_how_well(policy: Policy) -> None:
    judge = judge_of(policy, examples(56))
    unseen = examples(20, seed=1)
    found = judge.judge([example.question for example in unseen])
    right = [
        one.choice is (Choice.A if example.said == A else Choice.B)
        for one, example in zip(found, unseen, strict=True)
        if one.probability is not None
    ]
    assert len(right) >= 15
    assert sum(right) >= 0.9 * len(right)
    assert judge.says.startswith("right on ")
    assert judge.says.endswith(" of 56 labels that it had not seen")


def test_swapping_the_responses_swaps_what_it_says(policy: Policy) -> None:
    judge = judge_of(policy, examples(56))
    asked = question(random.Random(5))
    swapped = Question(asked.messages, asked.second, asked.first)
    there, back = judge.judge([asked, swapped])
    assert there.probability is not None
    assert there.scores is not None
    assert back.probability == pytest.approx(1 - there.probability)
    assert (there.scores[0] > there.scores[1]) == (there.probability > 0.5)


def test_equal_responses_are_a_tie(policy: Policy) -> None:
    judge = judge_of(policy, examples(56))
    asked = [{"role": "user", "content": "hello"}]
    (found,) = judge.judge([Question(asked, "good tea", "good tea")])
    assert found.choice is Choice.TIE


def test_it_keeps_silent_until_it_has_seen_enough(policy: Policy) -> None:
    judge = judge_of(policy, examples(MIN_DECIDED - 1))
    (found,) = judge.judge([examples(1)[0].question])
    assert (found.probability, found.cause) == (None, Cause.UNTRAINED)
    assert judge.says == "not in use yet: it needs 32 decided labels and has 31"


def test_one_lucky_look_is_not_enough(policy: Policy) -> None:
    """After 40 coin flips come 40 labels that mean it: good by now, but not 16 labels ago."""
    rng = random.Random(2)
    labels = examples(80)
    flips = [example._replace(said=rng.choice([A, B])) for example in labels[:40]]
    judge = judge_of(policy, [*flips, *labels[40:]])
    assert judge.fit is not None
    assert judge.fit.right.low > 0.55
    assert not judge.fit.is_trusted


def test_ties_and_even_splits_do_not_count_as_decided(policy: Policy) -> None:
    labels = [
        *examples(MIN_DECIDED - 1),
        examples(MIN_DECIDED + 9)[-1]._replace(said=Preference(0.5)),
    ]
    labels += [examples(MIN_DECIDED + 10)[-1]._replace(said=Preference(0.0, tie=1.0))]
    assert "has 31" in judge_of(policy, labels).says


def test_coin_flips_teach_it_to_keep_silent(policy: Policy) -> None:
    rng = random.Random(3)
    coins = [example._replace(said=rng.choice([A, B])) for example in examples(64)]
    judge = judge_of(policy, coins)
    (found,) = judge.judge([coins[0].question])
    assert found.cause is Cause.UNTRAINED
    assert judge.says.startswith("not in use yet: right on ")
    assert judge.says.endswith("the whole interval must be above 55 %")


def test_members_that_disagree_are_unsure(policy: Policy) -> None:
    """Between two responses that differ in nothing that it learned, the members split."""
    judge = judge_of(policy, examples(56))
    rng = random.Random(9)
    alike = [
        Question([{"role": "user", "content": "hello"}], sentence(rng, 8), sentence(rng, 8))
        for _ in range(30)
    ]
    causes = [one.cause for one in judge.judge(alike)]
    assert Cause.UNSURE in causes


def test_it_is_fitted_anew_when_enough_has_changed(policy: Policy) -> None:
    labels = examples(60)
    judge = LearnedJudge(Features(policy))
    assert judge.learn(labels[:40])
    assert not judge.learn(labels[:40])
    assert not judge.learn(labels[: 40 + REFIT - 1])
    assert judge.learn(labels[: 40 + REFIT])
    other = [example._replace(said=A if example.said == B else B) for example in labels[:REFIT]]
    assert judge.learn(other + labels[REFIT : 40 + REFIT])  # people changed their minds


def test_a_pause_that_ends_a_fit_leaves_the_judge_to_be_fitted_the_next_time(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.judge.rows.CPU_TOKENS", 1)
    labels, pauses = examples(40), list[int]()
    judge = LearnedJudge(Features(policy))

    def end_it() -> None:
        pauses.append(1)
        if len(pauses) == 9:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        judge.learn(labels, end_it)
    assert judge.fit is None
    assert judge.learn(labels, end_it)
    assert judge.fit is not None
    assert len(pauses) > 60


def test_a_long_fit_has_pauses_and_comes_to_the_same(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.judge.heads.PAUSE_SECONDS", 0.0)
    [material] = Material.each(Features(policy), examples(40), (0.0,))
    pauses: list[int] = []
    with_pauses, without = material.skill(0, lambda: pauses.append(1)), material.skill(0)
    assert len(pauses) > 9
    assert with_pauses is not None
    assert without is not None
    assert torch.equal(with_pauses.margins, without.margins)


def test_labels_of_pairs_that_do_not_differ_teach_nothing(policy: Policy) -> None:
    same = [
        example._replace(question=example.question._replace(second=example.question.first))
        for example in examples(40)
    ]
    judge = judge_of(policy, same)
    assert judge.judge([same[0].question])[0].cause is Cause.UNTRAINED


def test_labels_that_are_taken_back_are_forgotten(policy: Policy) -> None:
    judge = judge_of(policy, examples(56))
    assert judge.fit is not None
    assert judge.learn(examples(20))
    assert judge.fit is None


def test_labels_with_ties_are_learned_from(policy: Policy) -> None:
    tied = [
        example._replace(said=Preference(0.0, tie=1.0)) if number % 4 == 0 else example
        for number, example in enumerate(examples(64))
    ]
    judge = judge_of(policy, tied)
    assert judge.fit is not None
    assert judge.fit.heads.eta.min() > 0
    assert judge.fit.right.count == 48


def test_features_are_the_same_alone_and_beside_others(policy: Policy) -> None:
    questions = [example.question for example in examples(12)]
    together = Features(policy).of(questions)
    for asked, beside in zip(questions, together, strict=True):
        (alone,) = Features(policy).of([asked])
        assert isinstance(alone, torch.Tensor)
        assert isinstance(beside, torch.Tensor)
        torch.testing.assert_close(alone, beside, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["qwen2", "gpt2"])
def test_other_architectures_have_features(kind: str, tmp_path: Path) -> None:
    policy = load(save_tiny_policy(tmp_path, kind))
    (found,) = Features(policy).of([examples(1)[0].question])
    assert isinstance(found, torch.Tensor)
    assert found.shape == (2, len(Features(policy).scale(1.0)))


def test_features_do_not_depend_on_what_is_live(policy: Policy) -> None:
    asked = examples(1)[0].question
    (before,) = Features(policy).of([asked])
    disturb(policy, LIVE)
    (after,) = Features(policy).of([asked])
    assert isinstance(before, torch.Tensor)
    assert isinstance(after, torch.Tensor)
    torch.testing.assert_close(before, after)


def test_a_response_beyond_the_context_takes_no_other_question_with_it(policy: Policy) -> None:
    judge = judge_of(policy, examples(56))
    asked = question(random.Random(5))
    long, short = judge.judge([asked._replace(first="tea " * 200), asked])
    assert long.cause is Cause.TOO_LONG
    assert short.probability is not None


def test_control_tokens_in_a_response_stay_text(policy: Policy) -> None:
    features = Features(policy)
    row = features._row([{"role": "user", "content": "hello"}], "tea<|end|><|user|>good")
    assert not isinstance(row, Cause)
    assert set(row.response[:-1]).isdisjoint(policy.tokenizer.all_special_ids)


def test_the_cache_is_bounded(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.judge.features.MAX_CACHED", 8)
    features = Features(policy)
    questions = [example.question for example in examples(12)]
    assert len(features.of(questions)) == 12
    assert len(features._cache) == 8


@pytest.mark.parametrize(("agrees", "share"), [(True, 0.5), (False, 0.0)])
def test_imported_pairs_count_where_they_help_to_tell_what_people_say(
    agrees: bool, share: float
) -> None:
    """Forty noisy votes on twenty features, and 200 imported pairs of the same taste or another."""
    torch.manual_seed(1)
    taste = torch.randn(20, dtype=torch.float64)
    other = taste if agrees else torch.randn(20, dtype=torch.float64)
    imported = torch.randn(200, 20, dtype=torch.float64)
    own = torch.randn(40, 20, dtype=torch.float64)
    differences = torch.cat([imported, own])
    first = torch.cat([(imported @ other > 0).double(), (own @ taste > 0).double()])
    is_own = torch.tensor([0.0] * 200 + [1.0] * 40, dtype=torch.float64)
    labels = Labels(first, torch.zeros(240).double(), torch.ones(240).double(), is_own)
    prompts = [str(number) for number in range(240)]
    found = cross_validate(Span.of(differences), labels, prompts, 0)
    alone = cross_validate(Span.of(own), said(first[200:].tolist()), prompts[200:], 0)
    assert found is not None
    assert alone is not None
    assert found.imported == share
    assert found.right.count == alone.right.count == 40  # own votes alone are tested
    assert found.each[:200].isnan().all()
    assert found.right.value is not None
    assert alone.right.value is not None
    if agrees:
        assert found.right.value > alone.right.value + 0.1
    else:
        assert abs(found.right.value - alone.right.value) <= 0.1


def test_an_own_vote_is_not_foretold_by_an_imported_copy_of_it() -> None:
    """An export that came back. Each pair has a feature of its own, so only its copy tells."""
    rng = random.Random(0)
    sides = [float(rng.random() < 0.5) for _ in range(40)]
    differences = torch.eye(40, dtype=torch.float64).repeat(2, 1)
    is_own = torch.tensor([0.0] * 40 + [1.0] * 40, dtype=torch.float64)
    columns = said(sides * 2)
    labels = columns._replace(own=is_own)
    prompts = [str(number) for number in range(40)] * 2
    skill = cross_validate(Span.of(differences), labels, prompts, 0)
    assert skill is not None
    assert skill.right.value == pytest.approx(0.5)


def test_imported_pairs_alone_win_no_trust(policy: Policy) -> None:
    judge = LearnedJudge(Features(policy))
    some = [one._replace(pair_id=-one.pair_id - 1, imported=True) for one in examples(64)]
    assert judge.learn(some)
    assert judge.fit is None
    assert judge.judge([some[0].question])[0].cause is Cause.UNTRAINED
    assert judge.learn([*some, *examples(64, seed=1)])
    assert judge.fit is not None
    assert judge.fit.right.count == 64
    assert "64 imported pairs" in judge.says
