import json
import random
from collections import Counter
from pathlib import Path

import pytest

from trainer.starter import phrases
from trainer.starter.grammar import (
    TOPICS,
    Style,
    Topic,
    held_out_prompts,
    prompts,
    sample_response,
    write_prompts,
    write_response,
)
from trainer.starter.scoring import (
    HIGHEST,
    LOWEST,
    find_topic,
    is_finished,
    recognise,
    score,
    split,
)

GOOD = Style(tone="warm", format="numbered", reason=True, needs=True)


def mean_score(topic: Topic, style: Style) -> float:
    prompt = f"How do I {topic.task}?"
    rng = random.Random(1)
    return sum(score(prompt, write_response(topic, style, rng)) for _ in range(10)) / 10


def test_there_are_at_least_40_topics_and_300_prompts_without_a_double() -> None:
    texts = [text for text, _ in prompts()]
    assert len(TOPICS) >= 40
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert len(texts) == len(set(texts)) >= 300


def test_held_out_prompts_are_no_trained_prompts() -> None:
    assert not {text for text, _ in held_out_prompts()} & {text for text, _ in prompts()}


def test_each_sentence_of_the_table_occurs_once() -> None:
    sentences = Counter(
        " ".join(split(text))
        for topic in TOPICS
        for text in (*topic.steps, topic.reason, topic.complaint)
    )
    assert [text for text, times in sentences.items() if times > 1] == []


def test_the_scorer_recognises_every_step_of_every_topic() -> None:
    for topic in TOPICS:
        found = [recognise(step, topic.name) for step in topic.steps]
        assert [(s.kind, s.topic, s.step) for s in found] == [
            ("step", topic.name, number) for number in range(len(topic.steps))
        ]


def test_drawn_responses_are_finished_and_hold_only_known_sentences() -> None:
    rng = random.Random(0)
    for topic in TOPICS * 10:
        response = sample_response(topic, rng)
        assert is_finished(response)
        assert all(recognise(s, topic.name).kind != "unknown" for s in split(response)), response


def test_every_prompt_leads_to_its_own_topic() -> None:
    for text, topic in (*prompts(), *held_out_prompts()):
        assert find_topic(text) is topic, text
        assert find_topic(text.lower().rstrip("?.")) is topic, text


@pytest.mark.parametrize(
    "worse",
    [
        Style(tone="rude", format="numbered", reason=True, needs=True),
        Style(tone="gushing", format="numbered", reason=True, needs=True),
        Style(tone="warm", format="numbered", reason=True, needs=True, missing=2),
        Style(tone="warm", format="numbered", reason=True, needs=True, shuffled=True),
        Style(tone="warm", format="numbered", reason=True, needs=True, fillers=2),
        Style(tone="warm", format="numbered", reason=True, needs=True, repeated=True),
        Style(tone="warm", format="numbered", reason=True, needs=True, drift="partly"),
        Style(tone="warm", format="numbered", reason=True, needs=True, drift="wholly"),
        Style(tone="warm", format="prose", reason=True, needs=True),
        Style(tone="warm", format="numbered"),
    ],
    ids=str,
)
def test_a_complete_polite_ordered_response_scores_above_a_worse_one(worse: Style) -> None:
    for topic in TOPICS:
        assert mean_score(topic, GOOD) > mean_score(topic, worse), topic.name


def test_the_best_response_reaches_the_highest_score() -> None:
    # 3 for all steps + 1 for order + 0.25 needs + 0.5 reason + 0.75 warm + 0.5 numbered = 6.
    response = (
        "I am glad that you ask. You need a kettle, a mug and a tea bag.\n"
        "1. Boil fresh water in a kettle.\n2. Pour it over the tea bag.\n"
        "3. Wait for three to five minutes.\n4. Take the bag out and add milk if you like.\n"
        "Hot water draws the taste out of the leaves."
    )
    assert score("How do I make tea?", response) == HIGHEST == 6.0


def test_two_of_four_steps_in_wrong_order_count_for_one_and_a_half() -> None:
    # 3 * 2/4 for two of four steps, nothing for order, format or tone.
    response = "Pour it over the tea bag. Boil fresh water in a kettle."
    assert score("How do I make tea?", response) == 1.5


def test_a_response_that_stops_in_the_middle_loses_a_point() -> None:
    # The same without its last word: three steps of four in order = 3 * 3/4 + 3/4; cut off: -1.
    whole = "Boil fresh water in a kettle. Pour it over the tea bag. Wait for three to five"
    assert score("How do I make tea?", f"{whole} minutes.") == 3.0
    assert score("How do I make tea?", whole) == 2.0


@pytest.mark.parametrize(
    "garbage",
    ["", " \n", "!!!", "\x00\ufffd", "1. 1. 1.", "**", "- ", "tea " * 500, "日本語", "{task}"],
)
def test_garbage_gets_a_low_score_and_no_error(garbage: str) -> None:
    assert LOWEST <= score("How do I make tea?", garbage) <= 0


def test_random_bytes_never_break_the_score() -> None:
    rng = random.Random(0)
    for _ in range(200):
        text = bytes(rng.randrange(256) for _ in range(rng.randrange(80))).decode("latin-1")
        assert LOWEST <= score("How do I make tea?", text) <= HIGHEST


def test_a_prompt_about_no_topic_gets_the_lowest_score() -> None:
    assert score("", "Boil fresh water in a kettle.") == LOWEST
    assert score("What is the capital of France?", "Paris.") == LOWEST


def test_a_loop_scores_below_the_same_text_said_once() -> None:
    once = "Boil fresh water in a kettle. "
    assert score("How do I make tea?", once * 8) < score("How do I make tea?", once)


def test_the_same_random_state_draws_the_same_response() -> None:
    assert sample_response(TOPICS[0], random.Random(7)) == sample_response(
        TOPICS[0], random.Random(7)
    )


def test_the_styles_of_drawn_responses_are_spread() -> None:
    rng = random.Random(0)
    scores = sorted(score(text, sample_response(topic, rng)) for text, topic in prompts())
    assert scores[len(scores) // 10] < 1.0
    assert scores[-len(scores) // 10] > 4.0


def test_the_file_of_prompts_holds_one_object_a_line(tmp_path: Path) -> None:
    count = write_prompts(tmp_path / "data" / "prompts.jsonl")
    lines = (tmp_path / "data" / "prompts.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert count == len(rows) == len(TOPICS) * len(phrases.QUESTIONS)
    assert all(set(row) == {"prompt", "topic"} for row in rows)
