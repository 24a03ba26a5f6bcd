"""The reward model that labels pairs nobody rated: what it learns, when it keeps silent, how much
its word weighs.
"""

import math
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from labeler.domain.estimate import Estimate
from labeler.domain.judging import Example, Question
from labeler.domain.labels import Preference, TrainingLabel
from labeler.store.records import ClaimLostError
from tests.trainer.conftest import load
from tests.trainer.judge.test_learned import sentence
from trainer.judge.features import Features
from trainer.judge.filling import MIN_DECIDED, TRAIT_SHARES, FillModel
from trainer.judge.fitting import Material, fit
from trainer.judge.traits import TRAITS, traits
from trainer.judge.trust import (
    BASE_WEIGHT,
    EXPECTED_RIGHT,
    EXPECTED_VOTES,
    PEOPLE_LEAD,
    sureness,
    weight_of,
)
from trainer.policy.policy import Policy

TIE = Preference(0.0, tie=1.0)


@pytest.fixture(scope="module")
def policy(tiny_policy: Path) -> Policy:
    return load(tiny_policy)


def asking(number: int, rng: random.Random) -> Example:
    """A question mark at the end is what this rater likes; where both or neither has one: a tie."""
    asked = [{"role": "user", "content": sentence(rng, 4)}]
    ends = [rng.choice(["?", "."]) for _ in range(2)]
    first, second = (sentence(rng, 5) + end for end in ends)
    said = TIE if ends[0] == ends[1] else Preference(float(ends[0] == "?"))
    return Example(number, Question(asked, first, second), said)


def by_lot(number: int, rng: random.Random) -> Example:
    return asking(number, rng)._replace(said=Preference(float(rng.random() < 0.5)))


def test_a_simple_taste_is_learned_from_forty_votes_half_of_them_ties(policy: Policy) -> None:
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    assert model.learn([asking(number, rng) for number in range(40)])
    assert model.why_not is None
    asked = [{"role": "user", "content": "tea?"}]
    texts = [sentence(rng, 5) + end for end in (".", ".", "?", ".")]
    [[said, other]] = model.choose([(asked, texts)])
    assert said.best == 2
    assert 0.6 < said.target < 1
    assert {said.best, said.worst, other.best, other.worst} == {0, 1, 2, 3}
    assert 0.5 <= other.target < said.target
    after, before = [(asked, [texts[2]])], [(asked, [texts[0], texts[1]])]
    gains = model.gains(after, before)
    assert gains is not None
    assert gains.taught > 0.6
    assert gains.witness > 0.6
    assert not gains.is_gamed


def test_replies_that_please_those_who_labelled_and_not_the_witness_are_called_a_game(
    policy: Policy,
) -> None:
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    model.learn([by_lot(number, rng) for number in range(24)])
    asked = [{"role": "user", "content": "tea?"}]
    texts = [sentence(rng, 5) for _ in range(200)]
    each = [(model.gains([(asked, [text])], [(asked, texts[:50])]), text) for text in texts]
    by_gap = sorted((gain.witness - gain.taught, text) for gain, text in each if gain)
    games = model.gains([(asked, [text for _, text in by_gap[:40]])], [(asked, texts[:50])])
    honest = model.gains([(asked, texts[50:150])], [(asked, texts[:50])])
    assert games is not None
    assert games.taught > 0.5 > games.witness
    assert games.is_gamed
    assert honest is not None
    assert not honest.is_gamed


def test_one_that_is_right_by_chance_labels_nothing_and_says_why(policy: Policy) -> None:
    """Of two votes on the same pair that contradict each other it foretells one."""
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    one_way = [asking(2 * number, rng)._replace(said=Preference(1.0)) for number in range(48)]
    both = [
        vote
        for one in one_way
        for vote in (one, one._replace(pair_id=one.pair_id + 1, said=Preference(0.0)))
    ]
    model.learn(both)
    assert model.fit is not None
    assert model.fit.right.value == 0.5
    assert model.weight == 0
    assert not model.may_act
    assert model.why_not == model.says
    assert "That may be chance, so it fills in no pairs." in model.says


def test_before_the_first_decided_votes_it_waits(policy: Policy) -> None:
    model = FillModel(Features(policy), seed=0)
    rng = random.Random(0)
    ties = [asking(number, rng)._replace(said=TIE) for number in range(30)]
    model.learn(ties)
    assert model.fit is None
    assert model.may_act
    assert model.says == (
        f"The reward model begins after {MIN_DECIDED} votes that prefer one reply; it has 0."
    )


def test_empty_replies_are_never_in_a_pair(policy: Policy) -> None:
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    model.learn([asking(number, rng) for number in range(40)])
    asked = [{"role": "user", "content": "tea?"}]
    [[some], none] = model.choose([(asked, ["", "tea.", " ", "tea?"]), (asked, ["", "tea."])])
    assert (some.best, some.worst) == (3, 1)
    assert not none
    model.length.start = 1.0
    assert model.choose([(asked, ["", " "])]) == [[]]
    assert model.choose([]) == []


def test_what_scores_owe_to_length_counts_no_more_once_replies_have_grown(policy: Policy) -> None:
    """The reward model likes question marks, and here only long replies have them. Replies that
    are shorter than at the start are led back: the long ones gain.
    """
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    model.learn([asking(number, rng) for number in range(40)])
    asked = [{"role": "user", "content": "tea?"}]
    texts = [sentence(rng, 2) + ".", sentence(rng, 6) + "?"]
    many = [(asked, [texts[0], texts[1], sentence(rng, 3) + ".", sentence(rng, 7) + "?"])]
    targets, lengths = [], [len(text) for text in many[0][1]]
    for start_length in (None, statistics.fmean(lengths), 1.0, 1000.0):
        model.length.start = start_length
        [[first, _]] = model.choose(many)
        targets.append(first.target if lengths[first.best] > lengths[first.worst] else 0.0)
    assert targets[0] == targets[1]
    assert targets[2] < targets[1] < targets[3]


def test_thoughts_are_no_part_of_a_replys_length(policy: Policy) -> None:
    """Half of the replies have a long one, which scores and votes do not see either."""
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    model.learn([asking(number, rng) for number in range(40)])
    asked = [{"role": "user", "content": "tea?"}]
    texts = [sentence(rng, words) + end for words, end in ((2, "."), (6, "?"), (3, "."), (7, "?"))]
    thinking = [f"<think>{sentence(rng, 90)}</think>{texts[0]}", *texts[1:3]]
    thinking.append(f"<think>{sentence(rng, 50)}</think>{texts[3]}")
    for start_length in (1.0, statistics.fmean(map(len, texts)) - 1, 1000.0):
        model.length.start = start_length
        assert model.choose([(asked, thinking)]) == model.choose([(asked, texts)])


@pytest.mark.parametrize(("shorter", "led_back"), [(True, False), (False, True)])
def test_replies_go_the_way_that_the_votes_make_likely_and_are_led_back_from_the_other(
    policy: Policy, *, shorter: bool, led_back: bool
) -> None:
    """The replies are shorter than at the start, and 40 votes like them so, or longer."""
    rng = random.Random(0)

    def said(number: int) -> Example:
        asked = [{"role": "user", "content": sentence(rng, 4)}]
        first, second = (sentence(rng, rng.choice([2, 8])) for _ in range(2))
        more = len(first) - len(second)
        said = Preference(float((more < 0) is shorter)) if abs(more) > 9 else TIE
        return Example(number, Question(asked, first, second), said)

    model = FillModel(Features(policy), seed=0)
    model.learn([said(number) for number in range(40)])
    asked = [([{"role": "user", "content": "tea?"}], [sentence(rng, n) for n in (2, 4, 6, 8)])]
    targets = []
    for start_length in (None, 1000.0):
        model.length.start = start_length
        [[first, _]] = model.choose(asked)
        targets.append(first)
    before, after = targets
    assert (before.best, before.worst) == ((0, 3) if shorter else (3, 0))
    assert (after.target > before.target) is led_back
    if shorter:
        assert after.target == pytest.approx(before.target, abs=1e-3)


def test_where_no_trait_tells_what_people_like_heads_without_traits_count_most(
    policy: Policy,
) -> None:
    """And where one does, those with them do."""
    rng = random.Random(0)
    features = Features(policy)
    votes = [asking(number, rng) for number in range(48)]
    liked = features.of([one.question for one in votes])
    unseen = [
        one._replace(said=Preference(float((both[0] - both[1])[0] > 0)))
        for one, both in zip(votes, liked, strict=True)
        if isinstance(both, torch.Tensor)
    ]
    differences = torch.stack(
        [both[0] - both[1] for both in liked if isinstance(both, torch.Tensor)]
    )
    for said, with_traits in ((votes, True), (unseen, False)):
        materials = Material.each(features, said, TRAIT_SHARES)
        fits = [fit(some, 0) for some in (materials, materials[:1], materials[1:])]
        both, without, with_ = (
            (differences @ one.heads.weights).mean(dim=1) for one in fits if one is not None
        )
        assert ((both - with_).norm() < (both - without).norm()) == with_traits


def test_a_pair_weighs_nothing_at_chance_more_with_proof_and_less_as_votes_grow() -> None:
    rates = [weight_of(Estimate.rate(rate, 64), 0) for rate in (0.48, 0.5, 0.56, 0.6, 0.7, 0.8)]
    assert rates[:2] == [0.0, 0.0]
    assert rates[1:5] == sorted(set(rates[1:5]))
    assert rates[-1] == BASE_WEIGHT
    assert weight_of(Estimate.rate(0.8, 64), PEOPLE_LEAD) == BASE_WEIGHT / 2


def test_what_ends_a_fit_in_the_middle_leaves_the_model_as_it_was(policy: Policy) -> None:
    """An update that is another's by now, say; the next one hears these votes anew."""
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    heard = [asking(number, rng) for number in range(1, 41)]
    model.learn(heard[:24])
    before, pauses = model.fit, []

    def end_it_all(says: str) -> None:
        pauses.append((says, model.fit))
        if len(pauses) == 1 + len(TRAIT_SHARES):
            raise ClaimLostError

    with pytest.raises(ClaimLostError):
        model.learn(heard, pause=end_it_all)
    reading = "Reading 40 votes for the reward model: 0 of 32 replies."
    fitting = "Fitting the reward model to 40 votes."
    assert pauses == [(reading, before)] + [(fitting, before)] * len(TRAIT_SHARES)
    assert model.fit is before
    assert model.learn(heard)
    assert model.fit is not before


def test_imported_pairs_leave_the_parts_in_which_votes_are_heard_as_they_are(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of mind shows in parts alone: 400 imported pairs made one of the first 72 votes."""
    rng = random.Random(0)
    imported = [asking(number, rng)._replace(imported=True) for number in range(-400, 0)]
    own = [asking(number, rng) for number in range(72)]
    parts: list[tuple[int, int]] = []

    def heard(model: FillModel, examples: list[Example], _: object) -> None:
        model._known = {one.pair_id: one.said for one in examples}
        model._own = [one.said for one in examples if not one.imported]
        parts.append((len(examples) - len(model._own), len(model._own)))

    monkeypatch.setattr(FillModel, "_fit_to", heard)
    FillModel(Features(policy), seed=0).learn(own)
    FillModel(Features(policy), seed=0).learn([*imported, *own])
    assert parts == [(0, 32), (0, 64), (0, 72), (400, 32), (400, 64), (400, 72)]


def test_it_is_no_less_sure_of_votes_that_it_had_not_seen_than_it_was_right(policy: Policy) -> None:
    """A strong ridge, which is best for few noisy votes, is sure of nothing: 0.52, say."""
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    model.learn([asking(number, rng) for number in range(60)])
    found = model.fit
    assert found is not None
    assert found.right.value is not None
    assert found.right.count == len(found.margins) > 20
    modest = replace(found, margins=found.margins / 50)

    def sure(times: float) -> float:
        return modest.heads.probabilities(times * modest.margins[:, None]).mean().item()

    known = found.right.value * found.right.count
    right = (known + EXPECTED_RIGHT * EXPECTED_VOTES) / (found.right.count + EXPECTED_VOTES)
    assert sure(1.0) < 0.53 < right
    assert sure(sureness(modest)) == pytest.approx(right, abs=1e-3)
    assert sureness(replace(found, margins=50 * found.margins)) == 1.0
    assert sureness(replace(found, margins=0 * found.margins)) == 1.0


def test_votes_are_mixed_with_what_the_model_makes_of_their_pairs_and_others_left(
    policy: Policy,
) -> None:
    rng = random.Random(0)
    model = FillModel(Features(policy), seed=0)
    heard = [asking(number, rng) for number in range(1, 41)]
    model.learn(heard)
    clear = next(one for one in heard if one.said.target == 1.0)
    wrong = TrainingLabel(("v",), 0.0, 1.0, [3], [4], [5], -1, -1, pair_id=clear.pair_id)
    tied = replace(wrong, target=0.0, tie=1.0)
    stranger = replace(wrong, pair_id=99)
    of_no_pair = replace(wrong, pair_id=None)
    mixed = model.mixed([wrong, tied, stranger, of_no_pair])
    thinks = mixed[0].target / model.weight
    assert 0.6 < thinks < 1
    assert 0.5 < model.weight < 1
    assert mixed[0] == replace(wrong, target=mixed[0].target)
    assert mixed[1] == replace(tied, target=mixed[0].target, tie=1 - model.weight)
    assert mixed[2:] == [stranger, of_no_pair]


def test_few_votes_prove_nothing_either_way() -> None:
    """32 votes count as much as what is expected: of 65 % and 55 %, 60 % are left."""
    assert math.isclose(weight_of(Estimate.rate(0.55, 32), 0), BASE_WEIGHT / 2)
    assert weight_of(Estimate.rate(0.4, 8), 0) > 0
    assert weight_of(Estimate.rate(0.5, 256), 0) == 0
    assert weight_of(Estimate.rate(0.6, 16), 0) > weight_of(Estimate.rate(0.6, 256), 0)


def trait(name: str, text: str) -> float:
    return dict(zip(TRAITS, traits(text), strict=True))[name]


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("words", "one two three", "one two"),
        ("list lines", "So:\n- one\n- two", "So: one, two"),
        ("list lines", "1. one\n2) two", "1 one, 2 two"),
        ("headings", "# Tea\nBoil it.", "Tea\nBoil it."),
        ("bold or code", "**Boil** it.", "Boil it."),
        ("ends with a question", "Tea. Which one?", "Which one? Tea."),
        ("exclamation marks", "Tea!", "Tea."),
        ("long words", "Consider alternatives and temperature of the water in it", "Boil it now"),
        ("to the reader", "Your tea is ready, as you like it", "The tea is ready, as they like it"),
        ("warm words", "Happy to help, dear friend, and thanks", "There is tea, and there is cake"),
        ("words said again", "tea tea tea tea", "tea and cake now"),
        ("breaks off", "and then you take the", "and then you take the tea."),
    ],
)
def test_a_trait_is_told_from_its_absence(name: str, more: str, less: str) -> None:
    assert trait(name, more) > trait(name, less)


@pytest.mark.parametrize("text", ["", "\n \n", "???", "好的。", "a" * 10_000])
def test_any_text_has_finite_traits(text: str) -> None:
    found = traits(text)
    assert len(found) == len(TRAITS)
    assert all(abs(value) < 1e6 for value in found)
