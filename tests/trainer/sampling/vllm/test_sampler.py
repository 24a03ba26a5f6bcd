"""Responses from vLLM servers: what is asked, what comes of it, which versions stay loaded."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

from labeler.config.parts.sampling import Sampling
from tests.support.vllm_server import Server
from tests.trainer.conftest import SAMPLING, load
from tests.trainer.sampling.vllm.test_faults import BASE, PROMPTS, Place, place_of
from trainer.policy.logps import row_logps
from trainer.policy.policy import CANDIDATE, Policy
from trainer.sampling.sampler import Version


@pytest.fixture
def place(policy: Policy, tmp_path: Path, tiny_policy: Path) -> Iterator[Place]:
    with place_of(policy, tmp_path, Server(load(tiny_policy), str(tiny_policy))) as made:
        yield made


def test_replies_are_the_versions_with_its_log_probabilities(place: Place) -> None:
    version = place.version()
    answers = place.draw(version)
    assert sorted(answers) == [0, 1, 2, 3]
    for number, responses in answers.items():
        assert len(responses) == 2
        rows = [(PROMPTS[number], response.tokens) for response in responses]
        with torch.inference_mode(), place.policy.adapter(CANDIDATE):
            own = row_logps(place.policy, rows).tolist()
        assert [response.logp for response in responses] == pytest.approx(own, abs=1e-3)
        for response in responses:
            ended = response.tokens[-1] in place.policy.eos_token_ids
            assert response.finish == ("stop" if ended else "length")
            assert ended or len(response.tokens) == SAMPLING.max_new_tokens


def test_log_probabilities_are_at_the_temperature_that_replies_are_drawn_at(place: Place) -> None:
    place.policy.temperature = 0.5
    settings = Sampling(max_new_tokens=12, temperature=0.5, top_p=0.9)
    answers = dict(place.sampler.sample(BASE, PROMPTS, settings, seed=1))
    rows = [(PROMPTS[number], pair[0].tokens) for number, pair in answers.items()]
    with torch.inference_mode(), place.policy.reference():
        own = row_logps(place.policy, rows).tolist()
    assert [pair[0].logp for pair in answers.values()] == pytest.approx(own, abs=1e-3)


def test_the_same_seed_gives_the_same_replies_and_equal_prompts_differ(place: Place) -> None:
    assert place.draw(seed=1) == place.draw(seed=1) != place.draw(seed=2)
    twice = dict(place.sampler.sample(BASE, [PROMPTS[0]] * 2, SAMPLING, seed=1))
    assert twice[0][0].tokens != twice[1][0].tokens


def test_a_request_says_all_that_shapes_a_reply(place: Place) -> None:
    settings = Sampling(max_new_tokens=9, temperature=0.7, top_p=0.9)
    list(place.sampler.sample(BASE, [PROMPTS[0]], settings, seed=1, copies=3))
    asked = place.servers[0].drawn()[-1]
    seed = asked.pop("seed")
    assert 0 <= seed < 2**31
    assert asked == {
        "model": "base",
        "prompt": PROMPTS[0],
        "n": 3,
        "max_tokens": 9,
        "min_tokens": 0,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop": [],
        "stop_token_ids": list(place.policy.eos_token_ids),
        "ignore_eos": True,
        "logprobs": 0,
        "return_token_ids": True,
        "add_special_tokens": False,
        "skip_special_tokens": True,
    }


def test_versions_used_longest_ago_are_unloaded_and_no_name_comes_twice(place: Place) -> None:
    [server] = place.servers
    versions = [place.version(number, seed=number) for number in (1, 2, 3)]
    for version in versions:
        place.draw(version)
    held = [name.split("-")[3] for name in server.adapters]
    assert held == ["v2", "v3"]
    assert len(list((place.folder / "vllm").glob("livedpo-*"))) == 2
    place.draw(versions[0])  # a rollback
    assert len(set(server.loads())) == len(server.loads()) == 4


def test_a_version_stays_loaded_while_it_is_in_flight(place: Place) -> None:
    [server] = place.servers
    first = place.version(1)
    under_way = place.sampler.sample(first, PROMPTS, SAMPLING, seed=1)
    next(under_way)
    for number in (2, 3):
        place.draw(place.version(number, seed=number))
    assert "v1" in [name.split("-")[3] for name in server.adapters]
    list(under_way)
    place.draw()
    assert len(server.adapters) == 2


def test_other_weights_of_the_same_number_are_another_version(place: Place) -> None:
    """As after an update that failed: its number is given again."""
    place.draw(place.version(1, seed=1))
    place.draw(place.version(1, seed=2))
    assert len(place.servers[0].loads()) == 2


def test_what_an_earlier_start_left_is_unloaded_and_removed(place: Place) -> None:
    [server] = place.servers
    place.draw(place.version())
    place.sampler.close()
    later = Place(place.policy, place.folder, place.servers, place.urls)
    later.sampler.start()
    assert server.adapters == {}
    assert list((place.folder / "vllm").glob("livedpo-*")) == []
    later.sampler.close()


def test_another_process_that_lives_keeps_what_it_has(place: Place) -> None:
    [server] = place.servers
    place.draw(place.version())
    beside = Place(place.policy, place.folder, place.servers, place.urls)
    beside.sampler.start()
    assert len(server.adapters) == 1
    beside.sampler.close()


def test_whoever_waits_can_end_it(place: Place) -> None:
    class Enough(Exception):
        pass

    def hear(_: Mapping[int, int]) -> None:
        raise Enough

    version = place.version()
    with pytest.raises(Enough):
        list(place.sampler.sample(version, PROMPTS, SAMPLING, seed=1, progress=hear))
    assert len(place.draw(version)) == 4


def test_no_prompts_ask_nothing(place: Place) -> None:
    assert list(place.sampler.sample(Version(0, None), [], SAMPLING, seed=1)) == []
    assert place.servers[0].asked == []


def test_replies_without_probabilities_are_an_error(place: Place) -> None:
    version = place.version()
    with torch.no_grad():
        for weight in place.policy.parameters(CANDIDATE):
            weight.fill_(math.nan)
    with pytest.raises(FloatingPointError):
        place.draw(version)
