"""The api: judge against servers on loopback: a real one, and one that does everything wrong."""

import gzip
import logging
import math
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from labeler.domain.errors import BadInput
from labeler.domain.judging import Cause, Judgement, Question
from tests.support.faulty_server import (
    Asked,
    Response,
    Script,
    Server,
    completion,
    fails,
    likely,
    proxy,
    says,
)
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.service import free_port
from tests.support.tiny import save_tiny_policy, tiny_model, tiny_tokenizer
from trainer.judge.api import ApiJudge, model_and_url
from trainer.judge.verdict import letter_of

KEY = "sk-a-secret-of-the-test"
ASK = [{"role": "user", "content": "How do I make tea?"}]
QUESTION = Question(ASK, "Boil water, add the bag.", "No.")


def judge_at(url: str, model: str = "test/judge", **changes: Any) -> ApiJudge:
    settings: dict[str, Any] = {
        "inconsistent": "tie",
        "concurrency": 4,
        "timeout_seconds": 20.0,
        "max_requests": 0,
    }
    return ApiJudge(f"api:{model}@{url}", **(settings | changes))


def judged(script: Script, question: Question = QUESTION, **changes: Any) -> Judgement:
    with Server(script) as server:
        (judgement,) = judge_at(server.url, **changes).judge([question])
    return judgement


def shown_as_a(asked: Asked) -> str:
    """Reply A of a prompt."""
    return asked.prompt.split("=== reply A begins")[1].split("\n| ")[1].split("\n===")[0]


def good_one(asked: Asked) -> str:
    """The letter of the first response of QUESTION, whichever side it is on."""
    return "A" if QUESTION.first in shown_as_a(asked) else "B"


def once(fault: Response, then: Script) -> Script:
    """A fault for each of the two orders' first tries, and then what it should be."""
    seen: set[str] = set()

    def script(asked: Asked) -> Response:
        if shown_as_a(asked) in seen:
            return then(asked)
        seen.add(shown_as_a(asked))
        return fault

    return script


# What it answers.


@pytest.mark.parametrize(
    "written",
    [
        *("{}", " {}\n", "**{}**", "[[{}]]", "({})", "{}.", "Answer: {}", "The better reply is {}"),
        *(
            "Reply {}",
            'The answer is "{}".',
            '{{"winner": "{}"}}',
            "<think>A or B? A!</think>\n\n{}",
        ),
    ],
)
def test_a_letter_in_any_usual_dress_is_the_verdict(written: str) -> None:
    assert [letter_of(written.format(letter)) for letter in "ABC"] == ["A", "B", "C"]


@pytest.mark.parametrize(
    "written",
    [
        *(
            "CORRECT",
            "A B",
            "A or B",
            "A/B",
            "Both",
            "A is better than B.",
            "A good answer",
            "not A",
        ),
        *("", "  ", "D", "AA", "I think A", '{"winner": "A", "loser": "B"}', "≠A", "<think>A", "1"),
    ],
)
def test_anything_else_is_no_verdict(written: str) -> None:
    assert letter_of(written) is None


def test_a_server_that_prefers_a_response_on_both_sides_has_chosen_it() -> None:
    judgement = judged(lambda asked: says(good_one(asked)))
    assert (judgement.probability, judgement.orders) == (1.0, (1.0, 1.0))


@pytest.mark.parametrize(
    ("setting", "probability", "cause"),
    [("tie", 0.5, None), ("abstain", None, Cause.INCONSISTENT)],
)
def test_a_server_that_always_says_a_has_not_chosen(
    setting: str, probability: float | None, cause: Cause | None
) -> None:
    judgement = judged(lambda _: says("A"), inconsistent=setting)
    assert (judgement.probability, judgement.cause) == (probability, cause)


def test_log_probs_of_all_ways_to_write_a_letter_make_the_probability() -> None:
    """A: .5 + .1, B: .2, C: .1, other: .1; so P(A) = (.6 + .05) / .9."""
    shares = {"A": 0.5, " a": 0.1, "B": 0.2, "C": 0.1, "The": 0.1}
    logprobs = likely("A", **{token: math.log(share) for token, share in shares.items()})
    judgement = judged(lambda _: says("A", logprobs=logprobs))
    assert judgement.orders == pytest.approx((0.65 / 0.9, 1 - 0.65 / 0.9))


def test_log_probs_are_those_of_the_place_of_the_letter() -> None:
    first = {"token": "**", "logprob": -0.1, "top_logprobs": [{"token": "B", "logprob": -0.2}]}
    letter = likely("A", A=math.log(0.8), B=math.log(0.2))["content"][0]
    logprobs = {"content": [first, letter, first]}
    judgement = judged(lambda _: says("**A**", logprobs=logprobs))
    assert judgement.orders == pytest.approx((0.8, 0.2))


def test_a_tie_that_is_likelier_than_either_reply_is_a_tie_and_nothing_near_it() -> None:
    logprobs = likely("C", A=math.log(0.2), B=math.log(0.1), C=math.log(0.7))
    assert judged(lambda _: says("C", logprobs=logprobs), inconsistent="abstain").probability == 0.5


def test_letters_with_little_mass_are_no_verdict() -> None:
    logprobs = likely("A", A=math.log(0.3), The=math.log(0.29), I=math.log(0.28))
    assert judged(lambda _: says("A", logprobs=logprobs)).cause == Cause.UNCLEAR


# What goes wrong.

FAULTS: dict[str, tuple[Response, Cause]] = {
    "429 for good": (fails(429), Cause.RATE_LIMITED),
    "500 for good": (fails(500), Cause.SERVER_ERROR),
    "503 for good": (fails(503), Cause.SERVER_ERROR),
    "a wrong key": (fails(401), Cause.REFUSED),
    "no such model": (fails(404), Cause.REFUSED),
    "a bad request": (fails(400, "I do not like it"), Cause.REFUSED),
    "to another place": (fails(307, location="http://127.0.0.1:9/"), Cause.REFUSED),
    "too long": (fails(400, "maximum context length is 8; max_tokens too large"), Cause.TOO_LONG),
    "prose": (says("I would say that reply A is better."), Cause.UNCLEAR),
    "empty": (says(""), Cause.UNCLEAR),
    "no content": (says(None), Cause.UNCLEAR),
    "both letters": (says("A and B"), Cause.UNCLEAR),
    "cut JSON": (Response(completion([])[:-20]), Cause.BAD_ANSWER),
    "a web page": (
        Response(b"<html>A</html>", headers={"content-type": "text/html"}),
        Cause.BAD_ANSWER,
    ),
    "a body that breaks off": (Response(b'{"choices": [', promised=99), Cause.UNREACHABLE),
    "no UTF-8": (Response(b'{"choices": "\xff"}'), Cause.BAD_ANSWER),
    "nothing at all": (Response(b""), Cause.BAD_ANSWER),
    "no choices": (Response(completion([])), Cause.BAD_ANSWER),
    "choices of another kind": (Response(completion({"text": "A"})), Cause.BAD_ANSWER),
    "an error as 200": (Response(b'{"error": {"message": "A"}}'), Cause.BAD_ANSWER),
    "a list as 200": (Response(b'["A"]'), Cause.BAD_ANSWER),
    "a number for content": (says(1), Cause.BAD_ANSWER),
    "log-probs that are none": (says("A", logprobs=likely("A", A=math.nan)), Cause.BAD_ANSWER),
    "log-probs above one": (says("A", logprobs=likely("A", A=1e9)), Cause.BAD_ANSWER),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_server_does_wrong_is_none_with_its_cause(fault: str) -> None:
    response, cause = FAULTS[fault]
    judgement = judged(lambda _: response)
    assert (judgement.probability, judgement.cause) == (None, cause)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_bounds_is_not_read_to_its_end(
    status: int, packed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Fifty megabytes to each question, or fifty kilobytes that unpack to them."""
    body = b"A" * 50_000_000
    headers = {"content-encoding": "gzip"} if packed else {}
    response = Response(gzip.compress(body) if packed else body, status, headers=headers)
    tracemalloc.start()
    with caplog.at_level(logging.WARNING):
        judgement = judged(lambda _: response)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (judgement.cause, judgement.requests) == (Cause.BAD_ANSWER, 2)
    assert "the answer is longer than 4,000,000 bytes" in caplog.text
    assert peak < 40_000_000


def test_a_packed_answer_is_read() -> None:
    def answer(asked: Asked) -> Response:
        said = says(good_one(asked))
        return Response(gzip.compress(said.body), headers={"content-encoding": "gzip"})

    assert judged(answer).probability == 1.0


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_fault_that_passes_is_asked_again(status: int) -> None:
    judgement = judged(once(fails(status), lambda asked: says(good_one(asked))))
    assert (judgement.probability, judgement.requests) == (1.0, 4)


def test_a_request_that_is_wrong_is_not_asked_again() -> None:
    assert judged(lambda _: fails(401)).requests == 2


def test_it_waits_as_long_as_the_server_says_before_it_asks_again() -> None:
    with Server(once(fails(429, retry_after="1"), lambda asked: says(good_one(asked)))) as server:
        (judgement,) = judge_at(server.url).judge([QUESTION])
    times: dict[str, list[float]] = {}
    for asked in server.asked:
        times.setdefault(shown_as_a(asked), []).append(asked.at)
    assert judgement.probability == 1.0
    assert all(again - first >= 1.0 for first, again in times.values())


def test_a_wait_beyond_the_deadline_has_the_servers_word_as_its_cause() -> None:
    judgement = judged(lambda _: fails(429, retry_after="60"), timeout_seconds=0.1)
    assert judgement.cause == Cause.RATE_LIMITED


def test_a_server_that_never_answers_is_a_time_out_without_all_tries() -> None:
    """8 requests, one at a time, and 2 more: 10 time-outs. All tries would be 24."""
    never = threading.Event()
    with Server(lambda _: Response(b"", until=never)) as server:
        judge = judge_at(server.url, timeout_seconds=0.15, concurrency=1)
        judgements = judge.judge([QUESTION] * 4)
        never.set()
    assert [judgement.cause for judgement in judgements] == [Cause.TIMEOUT] * 4
    assert len(server.asked) <= 10


def test_an_answer_that_never_ends_costs_no_other_question() -> None:
    """Each of its bytes comes well within the time-out of 2 s; three of these are all it gets."""
    endless = Response(b" " * 6000, drip_seconds=0.01)
    with Server(lambda asked: says(good_one(asked)) if asked.number else endless) as server:
        judge = judge_at(server.url, timeout_seconds=2.0, concurrency=1)
        judgements = judge.judge([QUESTION] * 2)
    assert [judgement.cause for judgement in judgements] == [Cause.TIMEOUT, None]


def test_a_server_that_is_not_there_is_unreachable() -> None:
    (judgement,) = judge_at(f"http://127.0.0.1:{free_port()}/v1").judge([QUESTION])
    assert judgement.cause == Cause.UNREACHABLE


def test_one_answer_that_fails_leaves_the_others_alone() -> None:
    other = Question(ASK, "Ask someone.", "Never.")
    with Server(
        lambda asked: fails(500) if "Ask someone" in asked.prompt else says(good_one(asked))
    ) as server:
        judgements = judge_at(server.url).judge([QUESTION, other, QUESTION])
    assert [judgement.probability for judgement in judgements] == [1.0, None, 1.0]


@pytest.mark.parametrize("option", ["logprobs", "temperature", "max_tokens"])
def test_an_option_that_a_server_refuses_is_left_out_from_then_on(option: str) -> None:
    def script(asked: Asked) -> Response:
        if option in asked.body:
            return fails(400, f"Unsupported parameter: '{option}' is not known to this model.")
        return says(good_one(asked))

    with Server(script) as server:
        judge = judge_at(server.url)
        first, second = judge.judge([QUESTION]) + judge.judge([QUESTION])
    assert (first.probability, second.probability, second.requests) == (1.0, 1.0, 2)


def test_a_model_that_thinks_gets_room_for_it_from_then_on() -> None:
    def script(asked: Asked) -> Response:
        if asked.body["max_tokens"] < 1000:
            return says("<think>Let me see, A", finish_reason="length")
        return says(f"<think>Let me see.</think>{good_one(asked)}")

    with Server(script) as server:
        judge = judge_at(server.url)
        first, second = judge.judge([QUESTION]) + judge.judge([QUESTION])
    assert (first.probability, first.requests) == (1.0, 4)
    assert (second.probability, second.requests) == (1.0, 2)


# What it costs, and keeps to itself.


def test_requests_and_tokens_are_counted_with_those_that_failed() -> None:
    script = once(fails(500), lambda asked: says(good_one(asked)))
    with Server(script) as server:
        judge = judge_at(server.url, requests_spent=7)
        (judgement,) = judge.judge([QUESTION])
    assert (judgement.requests, judgement.tokens) == (len(server.asked), 200) == (4, 200)
    assert judge.requests_spent == 11


def test_what_would_exceed_the_budget_is_not_sent() -> None:
    with Server(lambda asked: says(good_one(asked))) as server:
        judge = judge_at(server.url, max_requests=10, requests_spent=6, concurrency=1)
        judgements = judge.judge([QUESTION] * 4)
    assert len(server.asked) == 4
    assert [judgement.cause for judgement in judgements] == [None, None] + [Cause.BUDGET] * 2


def test_tries_after_a_failure_keep_to_the_budget_too() -> None:
    with Server(lambda _: fails(500)) as server:
        (judgement,) = judge_at(server.url, max_requests=3).judge([QUESTION])
    assert (len(server.asked), judgement.requests) == (3, 3)
    assert judgement.cause == Cause.BUDGET


def test_no_more_than_the_set_number_of_requests_is_open_at_a_time() -> None:
    """The first three are answered when a fourth is there, or has had 0.3 s to come."""
    fourth = threading.Event()

    def script(asked: Asked) -> Response:
        if asked.number < 3:
            fourth.wait(0.3)
        else:
            fourth.set()
        return says(good_one(asked))

    with Server(script) as server:
        judgements = judge_at(server.url, concurrency=3).judge([QUESTION] * 6)
    assert [judgement.probability for judgement in judgements] == [1.0] * 6
    assert server.max_at_once == 3


def test_whoever_waits_for_its_answers_does_something_else_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which may ask the same judge."""
    monkeypatch.setattr("trainer.judge.api.PAUSE_SECONDS", 0.01)
    paused, nested = threading.Event(), list[Judgement]()

    def script(asked: Asked) -> Response:
        assert paused.wait(PATIENCE_SECONDS)
        return says(good_one(asked))

    with Server(script) as server:
        judge = judge_at(server.url)

        def pause() -> None:
            paused.set()
            if not nested:
                nested.extend(judge.judge([QUESTION]))

        said = judge.judge([QUESTION] * 2, pause)
    assert [one.probability for one in (*said, *nested)] == [1.0] * 3


def test_closing_ends_a_judge_that_waits() -> None:
    never = threading.Event()
    with Server(lambda _: Response(b"", until=never)) as server:
        judge = judge_at(server.url, timeout_seconds=600.0)
        got: list[Judgement] = []
        waiting = threading.Thread(target=lambda: got.extend(judge.judge([QUESTION])))
        waiting.start()
        wait_until(lambda: len(server.asked) == 2, "both requests")
        judge.close()
        waiting.join(timeout=PATIENCE_SECONDS)
        never.set()
    assert [judgement.cause for judgement in got] == [Cause.TIMEOUT]
    assert judge.judge([QUESTION])[0].requests == 0


def test_no_thread_stays_behind() -> None:
    before = set(threading.enumerate())
    judged(lambda asked: says(good_one(asked)))

    def left() -> list[str]:
        names = {thread.name for thread in set(threading.enumerate()) - before}
        return [name for name in names if "process_request" not in name]  # the server's own

    wait_until(lambda: not left(), "its threads to end")


def test_the_key_is_sent_and_told_to_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the server repeats it in its error."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with Server(lambda asked: fails(401, f"wrong: {asked.headers['authorization']}")) as server:
        judge = judge_at(server.url)
        (judgement,) = judge.judge([QUESTION])
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    told = [record.getMessage() for record in caplog.records]
    assert any("2 refused" in line for line in told)
    assert KEY not in " ".join([*told, caplog.text, repr(judge), str(judge), repr(judgement)])


def test_a_key_that_no_header_can_hold_is_one_sentence_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sec\nret")
    with pytest.raises(BadInput, match="OPENAI_API_KEY") as caught:
        judge_at("http://127.0.0.1:1/v1")
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize("model", ["m", "org/name", "org/name@v2", "a@b@c", "gpt:latest"])
def test_a_models_name_may_hold_what_separates_it_from_the_url(model: str) -> None:
    assert model_and_url(f"api:{model}@https://host:81/v1") == (model, "https://host:81/v1")


@pytest.mark.parametrize(
    "spec",
    [
        *("api:m", "api:@http://h/v1", "api:m@h:80", "api:m@http://", "api:m@http://h:99999/v1"),
        *("api:m@http://h h/v1", f"api:m@http://{'h' * 64}/v1", "api:m@ftp://h/v1"),
        *("api:m@http://[:::]/v1", "api:m@http://a..b/v1", "api:m@http://h:0/v1"),
    ],
)
def test_a_spec_of_another_form_is_one_sentence(spec: str) -> None:
    with pytest.raises(BadInput, match="is not of the form"):
        model_and_url(spec)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput, match="password") as caught:
        model_and_url("api:m@https://me:hunter2@host/v1")
    assert "hunter2" not in str(caught.value)


def test_text_that_no_utf8_can_carry_is_judged_all_the_same() -> None:
    strange = Question(ASK, QUESTION.first + "\ud800\x00\u2028", "")
    assert judged(lambda asked: says(good_one(asked)), strange).probability == 1.0


# A real server.


def save_model_that_says_a(folder: Path) -> Path:
    """A Llama that answers A and ends, whatever it reads.

    Its layers add nothing. Every embedding points along the first axis, from which the head reads
    an A; only that of A points along the second, from which the head reads the end.
    """
    model, tokenizer = tiny_model(context=4096), tiny_tokenizer()
    letter = tokenizer.convert_tokens_to_ids("A")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings, head = model.model.embed_tokens.weight.zero_(), model.lm_head.weight.zero_()
        embeddings[:, 0] = 1.0
        embeddings[letter, :2] = torch.tensor([0.0, 1.0])
        head[letter, 0] = head[tokenizer.eos_token_id, 1] = 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `transformers serve`, which loads the folder that it is asked for."""
    port = free_port()
    command = ["serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with (tmp_path_factory.mktemp("log") / "serve.log").open("w+") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "transformers"), *command],
            stdout=output,
            stderr=subprocess.STDOUT,
        )

        def ready() -> bool:
            assert process.poll() is None, Path(output.name).read_text()
            try:
                return httpx.get(
                    f"http://127.0.0.1:{port}/health", trust_env=False, verify=False
                ).is_success
            except httpx.TransportError:
                return False

        try:
            wait_until(ready, "the server")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def test_a_real_server_with_a_model_that_knows_nothing_gives_no_verdict(
    real: str, tmp_path: Path
) -> None:
    judge = judge_at(real, model=str(save_tiny_policy(tmp_path, context=4096)), timeout_seconds=60)
    judgements = judge.judge([QUESTION, QUESTION])
    assert [judgement.cause for judgement in judgements] == [Cause.UNCLEAR] * 2
    assert all(judgement.requests == 2 for judgement in judgements)
    assert all(judgement.tokens > 200 for judgement in judgements)


def test_a_real_server_with_a_model_that_always_says_a_goes_by_the_place(
    real: str, tmp_path: Path
) -> None:
    judge = judge_at(real, model=str(save_model_that_says_a(tmp_path)), timeout_seconds=60)
    (judgement,) = judge.judge([QUESTION])
    assert (judgement.probability, judgement.orders) == (0.5, (1.0, 0.0))


def test_faults_between_us_and_a_real_server_pass(real: str, tmp_path: Path) -> None:
    """One order meets 500 and 429, the other a body that breaks off."""
    model = str(save_model_that_says_a(tmp_path))
    faults = {0: fails(500), 1: fails(429, retry_after="1"), 3: Response(b"{", promised=5)}
    with proxy(real, faults) as between:
        judge = judge_at(between.url, model=model, concurrency=1, timeout_seconds=60)
        (judgement,) = judge.judge([QUESTION])
    assert (judgement.orders, judgement.requests) == ((1.0, 0.0), 5)
    assert between.asked[0].body == between.asked[2].body
