"""Which two of several candidates become a pair."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from labeler.domain.judging import Cause, Judgement, Question
from trainer.judge.choosing import choose

PROMPT = [{"role": "user", "content": "How do you make tea?"}]
Better = Callable[[str, str], float | None]


class Says:
    """A judge that is a function, and remembers what it was asked."""

    spec = "py:test:says"
    waits = False
    one_by_one = False

    def __init__(self, better: Better) -> None:
        self._better = better
        self.asked: list[Question] = []

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        self.asked += questions
        said = [self._better(question.first, question.second) for question in questions]
        return [Judgement(p, Cause.ERROR if p is None else None) for p in said]


def longer(first: str, second: str) -> float:
    return 0.5 if len(first) == len(second) else float(len(first) > len(second))


def chosen(better: Better, texts: list[str], how: str = "best_worst", seed: int = 0) -> list[str]:
    """The two texts that become the pair."""
    rng = random.Random(seed)
    [(first, second)] = choose(Says(better), [PROMPT], [texts], how, rng)  # type: ignore[arg-type]
    return [texts[first], texts[second]]


@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_the_pair_is_the_judges_best_and_its_worst(count: int) -> None:
    texts = ["tea" * (1 + number) for number in range(count)]
    random.Random(count).shuffle(texts)
    assert {*chosen(longer, texts)} == {min(texts, key=len), max(texts, key=len)}


def test_a_judge_without_an_order_is_gone_by_on_the_sum_of_what_it_says() -> None:
    """a beats b surely, b beats c surely, and c beats a by 0.6: sums 1.4, 1.0 and 0.6."""
    says = {("a", "b"): 1.0, ("b", "c"): 1.0, ("a", "c"): 0.4}
    assert {*chosen(lambda first, second: says[first, second], ["a", "b", "c"])} == {"a", "c"}


def test_which_of_the_two_comes_first_is_left_to_chance() -> None:
    firsts = [chosen(longer, ["tea", "te", "t"], seed=seed)[0] for seed in range(40)]
    assert 10 < firsts.count("tea") < 30


def test_a_candidate_that_the_judge_cannot_compare_is_never_chosen() -> None:
    def better(first: str, second: str) -> float | None:
        return None if "?" in first + second else longer(first, second)

    texts = ["????????", "tea", "te", "t", "?"]
    assert {*chosen(better, texts)} == {"tea", "t"}


def test_one_failed_judgement_leaves_its_candidate_to_the_other_ones() -> None:
    """The longest is not compared with the shortest; on what is said of them they stay the ends."""

    def better(first: str, second: str) -> float | None:
        return None if {len(first), len(second)} == {4, 1} else longer(first, second)

    assert {*chosen(better, ["teas", "tea", "te", "t"])} == {"teas", "t"}


def test_where_every_judgement_fails_the_pair_is_two_different_texts_at_random() -> None:
    texts = ["tea", "tea", "te", "t"]
    pairs = [chosen(lambda *_: None, texts, seed=seed) for seed in range(60)]
    assert all(first != second for first, second in pairs)
    assert {text for pair in pairs for text in pair} == set(texts)


def test_the_same_text_twice_is_one_candidate_and_an_empty_one_is_none() -> None:
    judge = Says(longer)
    texts = ["tea", " tea ", "", "  ", "te", "tea", "t"]
    [(first, second)] = choose(judge, [PROMPT], [texts], "best_worst", random.Random(0))
    assert {texts[first], texts[second]} == {"tea", "t"}
    assert [(each.first, each.second) for each in judge.asked] == [
        ("tea", "te"),
        ("tea", "t"),
        ("te", "t"),
    ]


@pytest.mark.parametrize("texts", [["tea"] * 4, ["", " ", "", ""], ["", "tea", "", "tea"]])
def test_with_fewer_than_two_different_candidates_the_judge_is_not_asked(texts: list[str]) -> None:
    judge = Says(longer)
    assert choose(judge, [PROMPT], [texts], "best_worst", random.Random(0)) == [(0, 1)]
    assert judge.asked == []


def test_two_at_random_ask_no_judge_and_favour_no_place() -> None:
    judge = Says(longer)
    texts = ["a", "bb", "ccc", "dddd"]
    count = 600
    pairs = choose(judge, [PROMPT] * count, [texts] * count, "random", random.Random(0))
    assert judge.asked == []
    assert all(first != second for first, second in pairs)
    places = [place for pair in pairs for place in pair]
    # 1200 draws, a quarter each, standard deviation below 15: four of them either way.
    assert all(240 < places.count(place) < 360 for place in range(4))


def test_each_prompt_is_judged_on_its_own_candidates() -> None:
    judge = Says(longer)
    prompts = [[{"role": "user", "content": f"Question {number}?"}] for number in range(3)]
    candidates = [["a", "bb", "ccc"], ["same", "same", "same"], ["dddd", "eeeee", "f"]]
    pairs = choose(judge, prompts, candidates, "best_worst", random.Random(0))
    assert [set(pair) for pair in pairs] == [{0, 2}, {0, 1}, {1, 2}]
    for question in judge.asked:
        number = int(question.messages[0]["content"].split()[1].rstrip("?"))
        assert {question.first, question.second} <= set(candidates[number])


def test_a_prompts_choice_is_the_same_with_the_same_seed() -> None:
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    again = [chosen(longer, texts, "random", seed=seed % 3) for seed in range(6)]
    assert again[:3] == again[3:]
    assert any(first != second for first, second in pairwise(again[:3]))
