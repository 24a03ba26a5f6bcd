"""What votes become: each rule of `labeler.domain.labels`, one test each."""

import pytest

from labeler.domain.labels import Opinion, Preference, VoteRules, combine, trainable
from labeler.domain.states import Choice, Source

A, B = Opinion(Choice.A), Opinion(Choice.B)
TIE, BOTH_BAD, SKIP = Opinion(Choice.TIE), Opinion(Choice.BOTH_BAD), Opinion(Choice.SKIP)
DROP, FLIP, LEARN = VoteRules("drop"), VoteRules("coin_flip"), VoteRules("learn")


def judged(probability: float, choice: Choice = Choice.A) -> Opinion:
    return Opinion(choice, source=Source.JUDGE, probability=probability)


def test_a_decisive_vote_is_certain_and_counts_once() -> None:
    assert combine([A], DROP) == Preference(target=1.0, tie=0.0, weight=1.0)
    assert combine([B], DROP) == Preference(target=0.0, tie=0.0, weight=1.0)


def test_nothing_said_is_no_preference() -> None:
    for rules in (DROP, FLIP, LEARN):
        assert combine([], rules) is None
        assert combine([SKIP, SKIP], rules) is None


def test_raters_who_disagree_make_a_soft_target_that_weighs_as_much_as_their_votes() -> None:
    """Two for a, one for b: P(a) = 2/3, weight 3."""
    assert combine([A, B, A], DROP) == Preference(target=pytest.approx(2 / 3), weight=3.0)


def test_the_label_of_many_votes_has_the_loss_of_the_votes_one_by_one() -> None:
    """Any loss linear in the targets: L(t, e) = t*p + e*q + (1-t-e)*r.

    Votes a, a (much better, weight 3), b, tie with p, q, r = 2, 5, 11:
    one by one 1*2 + 3*2 + 1*11 + 1*5 = 24; together weight 6, t = 4/6, e = 1/6, b's share 1/6:
    6 * (4/6*2 + 1/6*5 + 1/6*11) = 8 + 5 + 11 = 24.
    """
    rules = VoteRules("learn", strong_weight=3.0)
    said = combine([A, Opinion(Choice.A, strength=2), B, TIE], rules)
    assert said is not None
    b = 1 - said.target - said.tie
    assert said.weight * (said.target * 2 + said.tie * 5 + b * 11) == pytest.approx(24)


@pytest.mark.parametrize("undecided", [TIE, BOTH_BAD])
def test_a_tie_and_both_bad_like_it_follow_the_rule_for_ties(undecided: Opinion) -> None:
    assert combine([undecided], DROP) is None
    assert combine([undecided], FLIP) == Preference(target=0.5, tie=0.0, weight=1.0)
    assert combine([undecided], LEARN) == Preference(target=0.0, tie=1.0, weight=1.0)


def test_a_dropped_tie_neither_moves_the_target_nor_adds_weight() -> None:
    assert combine([A, TIE], DROP) == combine([A], DROP)


def test_a_tie_beside_a_vote_takes_its_share() -> None:
    """One for a, one tie: half each when learnt; (1 + 1/2) / 2 = 3/4 for a as a coin flip."""
    assert combine([A, TIE], LEARN) == Preference(target=0.5, tie=0.5, weight=2.0)
    assert combine([A, TIE], FLIP) == Preference(target=0.75, tie=0.0, weight=2.0)


def test_much_better_counts_as_often_as_the_rule_says() -> None:
    """a three times, b once: 3/4, weight 4."""
    rules = VoteRules("drop", strong_weight=3.0)
    assert combine([Opinion(Choice.A, strength=2), B], rules) == Preference(0.75, weight=4.0)


def test_an_unreliable_rater_counts_for_less() -> None:
    """b counts 1/4 against 1 for a: 1 / 1.25 = 0.8."""
    doubtful = Opinion(Choice.B, reliability=0.25)
    assert combine([A, doubtful], DROP) == Preference(0.8, weight=1.25)
    assert combine([Opinion(Choice.B, reliability=0.0)], DROP) is None


def test_a_judges_probability_is_the_target_and_its_weight_a_setting() -> None:
    rules = VoteRules("drop", judge_weight=0.5)
    assert combine([judged(0.7)], rules) == Preference(pytest.approx(0.7), weight=0.5)
    choice_only = Opinion(Choice.B, source=Source.JUDGE)
    assert combine([choice_only], rules) == Preference(0.0, weight=0.5)


def test_a_judge_is_heard_only_where_no_person_has_spoken() -> None:
    assert combine([judged(0.9), B], DROP) == combine([B], DROP)
    assert combine([judged(0.9), TIE], DROP) is None, "a person called it a tie"
    assert combine([judged(0.9), SKIP], DROP) == combine([judged(0.9)], DROP)


def test_what_can_become_a_label_follows_the_rule_for_ties() -> None:
    assert trainable(DROP) == (Choice.A, Choice.B)
    for rules in (FLIP, LEARN):
        assert trainable(rules) == (Choice.A, Choice.B, Choice.TIE, Choice.BOTH_BAD)


@pytest.mark.parametrize("rules", [DROP, FLIP, LEARN])
@pytest.mark.parametrize("choice", list(Choice))
def test_a_choice_is_trainable_exactly_if_it_makes_a_preference(
    choice: Choice, rules: VoteRules
) -> None:
    assert (combine([Opinion(choice)], rules) is not None) == (choice in trainable(rules))
