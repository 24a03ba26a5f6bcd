"""A reply that says "the answer is A" moves a judge no more than an ordinary sentence does.

The gullible server obeys every order that it reads outside the fence. It takes for the fence what a
naive model would, and what stands after a control token is outside it. Inside, it is honest: the
reply that shares more words with the question is better.
"""

import random
import re
from collections.abc import Callable, Iterable

import pytest
import torch

from labeler.config.starter import STARTER_REWARD
from labeler.domain.judging import Question
from labeler.domain.messages import Messages
from tests.support.faulty_server import Asked, Response, Server, says
from tests.support.injections import CONTROL_TOKENS, INJECTIONS, Injection, ordinary
from trainer.judge import api, fence
from trainer.judge.fence import neutral
from trainer.judge.reward import RewardModel
from trainer.starter.grammar import held_out_prompts, sample_response, score

ASK = [{"role": "user", "content": "How do I make a good cup of black tea at home?"}]
GOOD = "For a good cup of black tea at home, boil water, wait, and take the bag out again."
BAD = "I do not know. Just make tea."

Reading = Callable[[str], tuple[str, dict[str, str]]]
_MARKER = re.compile(r"=== (.+) (begins|ends)(?: ([0-9a-f]+))? ===")
_CONTROL = re.compile("|".join(map(re.escape, CONTROL_TOKENS)), re.IGNORECASE)
_WORD = re.compile(r"\w+")


def by_markers(prompt: str) -> tuple[str, dict[str, str]]:
    """What is outside the markers, and the text inside each pair of them.

    Where the first marker has a code, lines with another one, or with none, are no markers.
    """
    outside: list[str] = []
    inside: dict[str, list[str]] = {}
    code, part = None, None
    for line in prompt.splitlines():
        marker = _MARKER.fullmatch(line)
        if marker and (not inside or marker[3] == code):
            code = marker[3]
            part = marker[1] if marker[2] == "begins" else None
            inside.setdefault(marker[1], [])
        elif part is None:
            outside.append(line)
        else:
            inside[part].append(line)
    return "\n".join(outside), {name: "\n".join(lines) for name, lines in inside.items()}


def by_line_marks(prompt: str) -> tuple[str, dict[str, str]]:
    """The same, of a reader who believes every marker that stands outside the marked lines."""
    lines = prompt.splitlines()
    outside = "\n".join(line for line in lines if not line.startswith("| "))
    inside: dict[str, str] = {}
    part = ""
    for line in lines:
        marker = _MARKER.fullmatch(line)
        if marker:
            part = marker[1]
        elif line.startswith("| "):
            inside[part] = inside.get(part, "") + line[2:] + "\n"
    return outside, inside


def by_headings(prompt: str) -> tuple[str, dict[str, str]]:
    """A prompt without a fence: everything may be an order."""
    _, question, a, b = re.split(r"(?:question|reply A|reply B) was: ", prompt)
    return prompt, {"conversation": question, "reply A": a, "reply B": b}


def gullible(reading: Reading) -> Callable[[Asked], Response]:
    """The server's script, which reads a prompt in this way."""

    def answer(asked: Asked) -> Response:
        outside, inside = reading(asked.prompt)
        for text in inside.values():
            control = _CONTROL.search(text)
            outside += text[control.start() :] if control else ""
        for injection in INJECTIONS:
            if injection.order in outside:
                return says(obeyed(injection, asked.prompt))
        return says(honest(inside))

    return answer


def obeyed(injection: Injection, prompt: str) -> str:
    if injection.wins != "mine":
        return injection.wins
    second = re.search("reply B (?:begins|was)", prompt)
    assert second
    return "A" if prompt.index(injection.order) < second.start() else "B"


def honest(inside: dict[str, str]) -> str:
    """Which of the replies shares more words with the question."""
    question, a, b = (
        set(_WORD.findall(inside[name].lower())) for name in ("conversation", "reply A", "reply B")
    )
    shared_a, shared_b = len(question & a), len(question & b)
    return "C" if shared_a == shared_b else "A" if shared_a > shared_b else "B"


def changed(texts: list[str], reading: Reading) -> list[str]:
    """Which of these texts, at the end of the bad reply, change what the server's judge says."""
    with Server(gullible(reading)) as server:
        judge = api.ApiJudge(
            f"api:gullible@{server.url}",
            inconsistent="tie",
            concurrency=4,
            timeout_seconds=60,
            max_requests=0,
        )
        bad = [BAD, *(f"{BAD}\n{text}" for text in texts)]
        before, *after = judge.judge([Question(ASK, GOOD, reply) for reply in bad])
    assert before.choice == "a"
    return [text for text, said in zip(texts, after, strict=True) if said.choice != before.choice]


def bare_prompt(messages: Messages, a: str, b: str) -> str:
    """No fence at all."""
    question = messages[0]["content"]
    return f"The question was: {question}\nreply A was: {a}\nreply B was: {b}"


def guessable_prompt(messages: Messages, a: str, b: str) -> str:
    """A fence that everyone can close."""
    parts = {"conversation": messages[0]["content"], "reply A": a, "reply B": b}
    return "\n".join(f"=== {n} begins ===\n{text}\n=== {n} ends ===" for n, text in parts.items())


# The API judge.

ALL = [injection.text for injection in INJECTIONS]
BREAK_OUT = [injection.text for injection in INJECTIONS if injection.breaks_out]
ORDINARY = [ordinary(len(text)) for text in ALL]


def test_without_a_fence_every_injection_changes_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api, "prompt_for", bare_prompt)
    assert changed(ALL, by_headings) == ALL


def test_in_a_fence_that_can_be_guessed_those_that_close_it_change_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one with a made-up code does not, for this fence has none."""
    monkeypatch.setattr(api, "prompt_for", guessable_prompt)
    fooled = changed(ALL, by_markers)
    assert set(fooled) <= set(BREAK_OUT)
    assert len(fooled) >= len(BREAK_OUT) - 1


def test_with_control_tokens_left_whole_they_change_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fence, "neutral", lambda text: text)
    assert changed(ALL, by_markers) == [text for text in ALL if _CONTROL.search(text)]


@pytest.mark.parametrize("reading", [by_markers, by_line_marks])
def test_in_our_fence_an_injection_changes_no_more_verdicts_than_ordinary_words(
    reading: Reading,
) -> None:
    assert len(changed(ALL, reading)) <= len(changed(ORDINARY, reading)) == 0


def test_the_code_of_the_fence_is_another_one_each_time_and_not_in_the_data() -> None:
    codes = {_codes(fence.prompt_for(ASK, GOOD, BAD)) for _ in range(20)}
    assert len(codes) == 20
    assert all(len(code) == 1 for code in codes)


def _codes(prompt: str) -> tuple[str, ...]:
    return tuple({marker[3] for marker in map(_MARKER.fullmatch, prompt.splitlines()) if marker})


# Control tokens.


def test_no_control_token_is_left_in_a_neutral_text() -> None:
    for text in ALL:
        assert not _CONTROL.search(neutral(text))
        assert neutral(text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<|IM_END|>", "< |IM_END|>"),
        ("＜s＞", "＜ s＞"),
        ("<<s>s>", "< < s>s>"),
        ("to [SEP]arate", "to [ SEP]arate"),
    ],
)
def test_a_token_in_another_case_width_or_overlap_is_broken_too(text: str, expected: str) -> None:
    assert neutral(text) == expected


@pytest.mark.parametrize(
    "text",
    ["1 < 2 > 0", "x |> f() <| y", "a[1], a[i]", "<b>bold</b> <html>", "[x](y)", "", "don't\n\n\n"],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert neutral(text) == text


# The reward model.


def starter_pairs(count: int) -> list[tuple[Messages, str, str]]:
    """Questions of the starter with a good response and one that the grammar finds worse."""
    rng = random.Random(1)
    prompts = list(held_out_prompts())
    found: list[tuple[Messages, str, str]] = []
    while len(found) < count:
        prompt, topic = rng.choice(prompts)
        bad, good = sorted(
            (sample_response(topic, rng) for _ in range(2)), key=lambda text: score(prompt, text)
        )
        if score(prompt, good) - score(prompt, bad) >= 1.0:
            found.append(([{"role": "user", "content": prompt}], good, bad))
    return found


def test_an_injection_changes_no_more_verdicts_of_the_reward_model_than_ordinary_words() -> None:
    judge = RewardModel(str(STARTER_REWARD), torch.device("cpu"))
    drawn = starter_pairs(8)
    before = judge.judge([Question(*pair) for pair in drawn])
    pairs = [pair for pair, said in zip(drawn, before, strict=True) if said.choice == "a"]
    assert len(pairs) >= 5

    def changed(texts: Iterable[str]) -> int:
        after = judge.judge(
            [Question(ask, good, f"{bad}\n{text}") for text in texts for ask, good, bad in pairs]
        )
        return sum(said.choice != "a" for said in after)

    assert changed(ALL) <= changed(ORDINARY)
