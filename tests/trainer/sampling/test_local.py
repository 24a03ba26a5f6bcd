"""Sampling: what is kept of a response, and that it is reproducible and on-policy."""

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig

from labeler.config.parts.sampling import Sampling
from labeler.domain.errors import BadInput, LivedpoError
from tests.support.architectures import logps_of
from tests.support.samples import sample_pairs
from tests.support.tiny import SAMPLED_BY_GENERATE, TEMPLATE, save_tiny_policy
from tests.trainer.conftest import SAMPLING, disturb, equal, load
from trainer.policy.batch import make_batch
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Response, batch_seed, worth_asking
from trainer.worker.candidate import write_candidate

PROMPTS = [[3, 20, 30, 0, 4], [3, 0, 4]]


def tokens(answers: Sequence[tuple[Response, ...]]) -> list[list[int]]:
    return [response.tokens for answer in answers for response in answer]


def sampled(
    policy: Policy, prompts: list[list[int]], settings: Sampling, *, seed: int
) -> list[tuple[Response, ...]]:
    return LocalSampler(policy).draw(LIVE, prompts, settings, seed=seed)


def test_the_same_seed_gives_the_same_pairs_and_another_gives_others(policy: Policy) -> None:
    with policy.adapter(LIVE):
        first, again, other = (
            sample_pairs(policy, PROMPTS, SAMPLING, seed=seed) for seed in (1, 1, 2)
        )
    assert first == again
    assert first != other


def test_a_response_ends_in_its_eos_or_at_the_limit_without_one(policy: Policy) -> None:
    with policy.adapter(LIVE):
        pairs = sample_pairs(policy, PROMPTS * 100, SAMPLING, seed=1)
    responses = [response for pair in pairs for response in pair]
    assert {response.finish for response in responses} == {"stop", "length"}
    for response in responses:
        ended = response.finish == "stop"
        assert (response.tokens[-1] == 0) is ended
        assert 0 not in response.tokens[:-1]
        assert ended or len(response.tokens) == SAMPLING.max_new_tokens


def test_the_penalties_and_cuts_that_a_model_ships_are_not_applied(tmp_path: Path) -> None:
    plain = load(save_tiny_policy(tmp_path / "plain"))
    folder = save_tiny_policy(tmp_path / "penalised")
    own = GenerationConfig(
        eos_token_id=0, repetition_penalty=5.0, min_p=0.5, no_repeat_ngram_size=1, do_sample=True
    )
    own.save_pretrained(folder)
    shipped = load(folder)
    assert shipped.eos_token_ids == plain.eos_token_ids == [0]
    drawn = []
    for policy in (plain, shipped):
        with policy.adapter(LIVE):
            drawn.append(sample_pairs(policy, PROMPTS * 4, SAMPLING, seed=1))
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("way", ["merged", "policy", "generate"])
def test_responses_come_with_the_probabilities_that_the_policy_gives(
    policy: Policy, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4000 responses of two tokens at temperature 0.7, in 16 cells each, by chi-square.

    A cell is a first token modulo 4 and a second one modulo 4; its probability is worked out from
    the model's own softmax for every first token. Chi-square has mean 15 and deviation sqrt(30).
    """
    if way == "generate":
        monkeypatch.setattr(
            "trainer.sampling.local.objection", lambda decoder, dtype: "of the test"
        )
    disturb(policy, LIVE)
    two_tokens = Sampling(temperature=0.7, top_p=1.0, max_new_tokens=2)
    prompt = PROMPTS[0]
    with policy.adapter(LIVE), torch.no_grad():
        first = (policy.model(torch.tensor([prompt])).logits[0, -1] / 0.7).softmax(-1)
        longer = torch.tensor([[*prompt, token] for token in range(len(first))])
        second = (policy.model(longer).logits[:, -1] / 0.7).softmax(-1)
    both = first[:, None] * second
    both[0], both[0, 0] = 0.0, first[0]  # token 0 is EOS: such a response has no second token
    cells = both.view(-1, 4, both.shape[1] // 4, 4).sum((0, 2)).flatten()
    sampler = LocalSampler(policy, merge=way == "merged")
    answers = sampler.draw(LIVE, [prompt] * 40, two_tokens, seed=3, copies=100)
    drawn = [([*response.tokens, 0])[:2] for answer in answers for response in answer]
    counts = Counter(a % 4 * 4 + b % 4 for a, b in drawn)
    chi_square = sum(
        (counts[cell] - 4000 * share) ** 2 / (4000 * share)
        for cell, share in enumerate(cells.tolist())
    )
    assert abs(chi_square - 15) < 4 * math.sqrt(30)


@pytest.mark.parametrize("kind", ["llama", *SAMPLED_BY_GENERATE])
def test_a_sampler_takes_the_adapter_it_is_told_and_follows_its_changes(
    kind: str, tmp_path: Path
) -> None:
    policy = load(save_tiny_policy(tmp_path, kind))
    sampler = LocalSampler(policy)
    disturb(policy, CANDIDATE)
    live, candidate, reference = (
        sampler.draw(name, PROMPTS, SAMPLING, seed=1) for name in (LIVE, CANDIDATE, None)
    )
    assert tokens(live) == tokens(reference)  # a fresh adapter changes nothing
    assert candidate != live
    policy.copy_adapter(CANDIDATE, LIVE)
    swapped = sampler.draw(LIVE, PROMPTS, SAMPLING, seed=1)
    assert tokens(swapped) == tokens(candidate)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gpt2"])
def test_with_and_without_a_merged_copy_the_responses_are_the_same(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And none of them comes from `generate`, which would be said."""
    policy = load(save_tiny_policy(tmp_path, kind))
    disturb(policy, CANDIDATE)
    merged, plain = (
        LocalSampler(policy, merge=merge).draw(CANDIDATE, PROMPTS * 3, SAMPLING, seed=1)
        for merge in (True, False)
    )
    assert tokens(merged) == tokens(plain)
    assert not caplog.records


@pytest.mark.parametrize("way", ["merged", "generate"])
def test_a_response_knows_its_log_probability_under_the_policy(
    policy: Policy, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "generate":
        monkeypatch.setattr(
            "trainer.sampling.local.objection", lambda decoder, dtype: "of the test"
        )
    disturb(policy, LIVE)
    cool = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=8)
    answers = LocalSampler(policy).draw(LIVE, PROMPTS, cool, seed=1)
    rows = [(p, r.tokens) for p, answer in zip(PROMPTS, answers, strict=True) for r in answer]
    batch = make_batch(rows, pad=policy.pad_token_id, device=policy.device)
    policy.temperature = cool.temperature
    with policy.adapter(LIVE), torch.no_grad():
        expected = policy.logps(batch).tolist()
    assert [r.logp for answer in answers for r in answer] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("merge", [True, False])
def test_sampling_between_two_training_steps_changes_nothing_in_training(
    tiny_policy: Path, merge: bool
) -> None:
    """The same ten steps with and without samples in between give the very same adapter."""
    states = []
    for samples in (False, True):
        policy = load(tiny_policy)
        sampler = LocalSampler(policy, merge=merge)
        before = policy.model.config._attn_implementation
        optimizer = torch.optim.AdamW(policy.parameters(CANDIDATE), lr=1e-2)
        rows = [(PROMPTS[0], [20, 21, 0]), (PROMPTS[1], [22, 0])]
        batch = make_batch(rows, pad=policy.pad_token_id, device=policy.device)
        for step in range(10):
            with policy.adapter(CANDIDATE, trains=True):
                loss = -policy.logps(batch).sum()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            if samples:
                sampler.draw(LIVE, PROMPTS, SAMPLING, seed=step)
            optimizer.step()
        assert policy.model.config._attn_implementation == before
        states.append(policy.adapter_state(CANDIDATE))
    assert equal(*states)


def test_a_prompt_that_nearly_fills_the_context_gets_a_short_response(tiny_policy: Path) -> None:
    policy = load(tiny_policy)
    for way in (sample_pairs, sampled):
        with policy.adapter(LIVE):
            pairs = way(policy, [[7] * 125, [7]], SAMPLING, seed=1)
        assert all(0 < len(response.tokens) <= 3 for response in pairs[0])
        assert max(len(response.tokens) for response in pairs[1]) > 3


@pytest.mark.parametrize("prompt", [[], [7] * 128, [7] * 500])
def test_a_prompt_without_room_for_a_response_is_refused(policy: Policy, prompt: list[int]) -> None:
    with pytest.raises(BadInput, match=f"{len(prompt)} tokens"):
        LocalSampler(policy).draw(LIVE, [PROMPTS[0], prompt], SAMPLING, seed=1)


def test_no_prompts_give_no_responses(policy: Policy) -> None:
    assert LocalSampler(policy).draw(LIVE, [], SAMPLING, seed=1) == []


def test_without_memory_for_a_copy_the_policy_itself_is_sampled_and_that_is_said(
    policy: Policy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    merged = LocalSampler(policy).draw(LIVE, PROMPTS, SAMPLING, seed=1)
    monkeypatch.setattr("trainer.sampling.local.free_bytes", lambda device: 100_000)
    sampler = LocalSampler(policy)
    for _ in range(2):
        assert tokens(sampler.draw(LIVE, PROMPTS, SAMPLING, seed=1)) == tokens(merged)
    (record,) = caplog.records
    assert record.message.startswith("There is no merged copy of the policy, because there is no m")


@pytest.mark.parametrize(
    ("kind", "why", "together"),
    [
        ("bloom", "its attention cannot be replaced", None),
        ("gpt_oss", "its logits come out", None),
        ("lfm2", "its state is more than keys and values (conv)", None),
        ("recurrent_gemma", "(linear_attention)", "rows of prompts of equal length"),
        ("rwkv", "(stateful)", "one row"),
    ],
)
def test_a_model_that_cannot_be_decoded_here_goes_through_generate_and_that_is_said(
    kind: str, why: str, together: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And only with rows that it computes rightly: every log-probability is that of its row alone.

    RecurrentGemma reads its padding into its state, and RWKV mixes up rows that it decodes.
    """
    policy = load(save_tiny_policy(tmp_path, kind))
    sampler = LocalSampler(policy)
    said = "\n".join(record.message for record in caplog.records)
    assert said.count("Responses come from `generate`") == 1
    assert why in said
    assert said.count("is right for the policy") == (together is not None)
    assert f"only with {together} at a time" in said or together is None
    disturb(policy, LIVE)
    first, again = (sampler.draw(LIVE, PROMPTS, SAMPLING, seed=1, copies=3) for _ in range(2))
    assert first == again
    assert [len(answer) for answer in first] == [3, 3]
    rows = [(p, r.tokens) for p, answer in zip(PROMPTS, first, strict=True) for r in answer]
    with policy.adapter(LIVE):
        expected = logps_of(policy.model, rows)
    assert [r.logp for answer in first for r in answer] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("first", "second", "worth"),
    [
        ("yes", "no", True),
        ("yes", " yes\n", False),
        ("", "no", False),
        (" \n", "no", False),
        ("<think>a</think>yes", "<think>b</think> yes", False),
        ("<think>a</think>yes", "<think>a</think>no", True),
        ("<think>cut", "no", False),
    ],
)
def test_pairs_that_no_one_could_choose_between_are_not_worth_asking(
    first: str, second: str, worth: bool
) -> None:
    pair = Response(first, [1], "stop", -1.0), Response(second, [2], "stop", -1.0)
    assert worth_asking(pair) is worth


OPENED = TEMPLATE.replace("<|assistant|>{% endif %}", "<|assistant|><think>\n{% endif %}")


@pytest.mark.parametrize(("template", "opening"), [(OPENED, "<think>\n"), (TEMPLATE, "")])
def test_a_thought_that_the_template_opens_and_nothing_closes_is_no_reply(
    template: str, opening: str, tmp_path: Path
) -> None:
    """As with DeepSeek-R1's distills, where the limit cuts them. The tokens stay as drawn."""
    folder = save_tiny_policy(tmp_path)
    (folder / "chat_template.jinja").write_text(template)
    policy = load(folder)
    prompt = policy.prompt_tokens([{"role": "user", "content": "hello"}])
    [pair] = LocalSampler(policy).draw(LIVE, [prompt], SAMPLING, seed=1)
    for response in pair:
        said = policy.tokenizer.decode(response.tokens, skip_special_tokens=True).strip()
        assert response.text == f"{opening}{said}"
    assert worth_asking(pair) is not bool(opening)
    closed = policy.response_tokens("so\n</think>\n\nTea.", ended=False)
    assert policy.text_of(prompt, closed) == "so\n</think>\n\nTea."
    inline = policy.response_tokens("so</think>Tea.", ended=False)
    assert policy.text_of(prompt, inline) == f"{opening}so</think>Tea."


def test_a_batch_seed_differs_with_every_part_and_fits_31_bits() -> None:
    seeds = {batch_seed(0, version, prompt) for version in range(20) for prompt in range(20)}
    assert len(seeds) == 400
    assert max(seeds) < 2**31
    assert batch_seed(0, 1, 2) == batch_seed(0, 1, 2)


@pytest.fixture
def written(policy: Policy, tmp_path: Path) -> Version:
    """A version in a folder, whose weights the policy's candidate adapter has as well."""
    disturb(policy, CANDIDATE)
    version, _ = write_candidate(policy, 1, tmp_path / "v0001")
    return version


def test_a_version_is_sampled_from_the_adapter_that_holds_it(
    policy: Policy, written: Version
) -> None:
    assert written.folder is not None
    shutil.rmtree(written.folder)
    sampler = LocalSampler(policy)
    sampled = dict(sampler.sample(written, PROMPTS, SAMPLING, seed=1))
    assert [sampled[0], sampled[1]] == sampler.draw(CANDIDATE, PROMPTS, SAMPLING, seed=1)
    policy.copy_adapter(CANDIDATE, LIVE)
    with policy.adapter(CANDIDATE, trains=True):
        assert policy.adapter_with(1) == LIVE


def test_a_version_that_no_adapter_holds_is_read_from_its_folder(
    tiny_policy: Path, policy: Policy, written: Version
) -> None:
    drawn = LocalSampler(policy).draw(CANDIDATE, PROMPTS, SAMPLING, seed=1)
    elsewhere = load(tiny_policy)
    before = [elsewhere.adapter_state(name) for name in (LIVE, CANDIDATE)]
    sampler = LocalSampler(elsewhere)
    base = dict(sampler.sample(Version(0, None), PROMPTS, SAMPLING, seed=1))
    assert [base[0], base[1]] == sampler.draw(None, PROMPTS, SAMPLING, seed=1)
    again = dict(sampler.sample(written, PROMPTS, SAMPLING, seed=1))
    assert tokens([again[0], again[1]]) == tokens(drawn)
    after = [elsewhere.adapter_state(name) for name in (LIVE, CANDIDATE)]
    assert all(map(equal, before, after))


def test_a_folder_of_another_rank_is_refused_in_one_sentence(
    tiny_policy: Path, written: Version
) -> None:
    sampler = LocalSampler(load(tiny_policy, lora_rank=2))
    with pytest.raises(LivedpoError, match="v0001 has another LoRA rank"):
        sampler.sample(written, PROMPTS, SAMPLING, seed=1)
