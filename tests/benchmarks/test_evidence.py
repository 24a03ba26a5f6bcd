"""The harness that compares online with offline, on a tiny policy and a tiny reward model."""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from labeler.config.parts.training import Training
from labeler.domain.errors import BadInput
from labeler.domain.judging import Question
from labeler.domain.labels import Preference, TrainingLabel
from tests.benchmarks.evidence import learning, peer, plan
from tests.benchmarks.evidence.__main__ import main
from tests.benchmarks.evidence.fitted import FittedReward
from tests.benchmarks.evidence.learning import PairSource, Votes, learn
from tests.benchmarks.evidence.plan import TRAINED, ArmName, Tuned
from tests.benchmarks.evidence.rater import Rater
from tests.benchmarks.evidence.world import NothingToAsk, Pair, Place, World
from tests.trainer.judge.test_reward import save_reward
from trainer.policy.policy import LIVE, Policy

ENVIRONMENT = {"LIVEDPO_MAX_NEW_TOKENS": "12", "LIVEDPO_LORA_RANK": "4", "LIVEDPO_DEVICE": "cpu"}
PROMPTS = [f"how do you make tea number {number}?" for number in range(10)]
TUNED = Tuned(1e-2, 0.1)
SURE = Rater(50.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_policy: Path) -> Place:
    """A tiny policy, a tiny reward model, prompts, and another model's pairs."""
    folder = tmp_path_factory.mktemp("evidence")
    prompts, static = folder / "prompts.jsonl", folder / "static.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in PROMPTS))
    rows = [
        {"prompt": text, "chosen": f"tea {number}", "rejected": f"water {number} and more"}
        for number in range(3)
        for text in PROMPTS
    ]
    static.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reward = save_reward(folder / "reward")
    return Place(str(tiny_policy), str(prompts), f"rm:{reward}", str(static))


@pytest.fixture(scope="module")
def world(place: Place) -> Iterator[World]:
    """All of it in memory."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield World(place)


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """Every test begins with the policy as it starts."""
    if "world" in request.fixturenames:
        loaded: World = request.getfixturevalue("world")
        loaded.policy.set_adapter_state(LIVE, loaded.untrained)


def weights(world: World) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in world.policy.parameters(LIVE)])


@pytest.mark.parametrize("arm", TRAINED)
def test_each_arm_learns_and_is_looked_at_where_it_should(
    arm: ArmName, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "RESPONSES", 32)
    before = weights(world)
    labels = (4, 8) if arm != "rloo" else (40,)
    run = plan.plain(arm, TUNED, labels, 0, "curves")
    looks = list(learn(run, world, SURE, 2))
    assert [look.labels for look in looks] == list(labels)
    assert all(look.seconds > 0 and len(look.scores) == 2 for look in looks)
    assert torch.equal(before, weights(world)) == (arm == "best_of")


def test_a_run_can_be_done_again_to_the_same_scores(world: World) -> None:
    run = plan.plain("online", TUNED, (8,), 3, "curves")
    first, second = (next(learn(run, world, SURE, 2)) for _ in range(2))
    assert first.scores == second.scores


def test_offline_training_starts_from_the_base_at_each_number_of_labels(world: World) -> None:
    """A small learning rate moves weights little, so what is far away has not been started from."""
    run = plan.plain("static", TUNED, (4, 8), 0, "curves")
    walk = learn(run, world, SURE, 2)
    next(walk)
    after_four = weights(world)
    world.policy.set_adapter_state(LIVE, {n: w + 1 for n, w in world.untrained.items()})
    next(walk)
    assert (weights(world) - after_four).abs().max() < 0.5


def test_no_prompt_that_is_learned_on_is_measured_on(world: World) -> None:
    learned = [json.dumps(messages) for messages in world.training_prompts]
    assert len(learned) == 8
    assert len(world.held_out) == 2
    assert not {json.dumps(messages) for messages in world.held_out} & set(learned)


def test_stale_pairs_are_what_the_version_before_said(world: World) -> None:
    usual = plan.plain("online", TUNED, (8,), 0, "ablation")
    base = [pair.tokens for pair in PairSource(usual, world).take(4)]
    moved = {name: weight + 0.5 for name, weight in world.untrained.items()}
    said = {}
    for staleness in (0, 1, 2):
        world.policy.set_adapter_state(LIVE, world.untrained)
        source = PairSource(replace(usual, staleness=staleness), world)
        world.policy.set_adapter_state(LIVE, moved)
        source.publish()
        said[staleness] = [pair.tokens for pair in source.take(4)]
    assert said[1] == said[2] == base
    assert said[0] != base


def test_a_policy_that_has_broken_down_to_one_answer_is_measured_as_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, asked = world.sample, 0

    def once(*given: Any, **more: Any) -> list[Pair]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise NothingToAsk("one answer")
        return sample(*given, **more)

    monkeypatch.setattr(world, "sample", once)
    run = replace(plan.plain("online", TUNED, (4, 8, 12), 0, "curves"), update_labels=4)
    walk = learn(run, world, SURE, 2)
    next(walk)
    after_four = weights(world)
    assert [look.labels for look in walk] == [8, 12]
    assert asked == 2
    assert torch.equal(weights(world), after_four)
    with pytest.raises(NothingToAsk):  # as it starts, the policy is no good for this
        next(learn(run, world, SURE, 2))


def test_another_models_pairs_stand_on_either_side(world: World) -> None:
    pairs = world.static_pairs(0, 20)
    sides = {pair.question.first.split()[0] for pair in pairs}
    assert sides == {"tea", "water"}
    assert pairs != world.static_pairs(1, 20)
    with pytest.raises(BadInput, match="holds 30 pairs, and 31 are needed"):
        world.static_pairs(0, 31)


def test_used_labels_are_drawn_again_and_the_rate_falls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Updates of 4 labels with half of them replayed: 4, then 4 + 4; the rate 1, then 1/2."""
    seen = []

    def noted(
        _: Policy,
        labels: list[TrainingLabel],
        settings: Training,
        *,
        seed: int,
        filled: list[TrainingLabel],
    ) -> list[Any]:
        assert not filled
        seen.append((len(labels), len({id(label) for label in labels}), settings.learning_rate))
        return []

    monkeypatch.setattr(learning, "train", noted)
    usual = replace(plan.plain("online", TUNED, (8,), 0, "ablation"), ties="coin_flip")
    run = replace(usual, update_labels=4, replay_share=0.5, decay_labels=4)
    list(learn(run, world, SURE, 2))
    assert seen == [(4, 4, 1e-2), (8, 8, 5e-3)]


def made_up(world: World, margins: list[float]) -> list[Pair]:
    messages = world.training_prompts[0]
    prompt = world.policy.prompt_tokens(messages)
    return [
        Pair(Question(messages, f"a{n}", f"b{n}"), prompt, ([20 + n % 9, 0], [30, 0]), margin)
        for n, margin in enumerate(margins)
    ]


def test_ties_are_votes_that_teach_only_where_a_rule_says_so(world: World) -> None:
    pairs = made_up(world, [5.0, 0.0, -5.0])
    usual = replace(plan.plain("online", TUNED, (8,), 0, "ablation"), noise=0.0)
    found = {}
    for ties in ("drop", "coin_flip", "learn"):
        votes = Votes(replace(usual, ties=ties), world, SURE)  # type: ignore[arg-type]
        found[ties] = [(x.target, x.tie) for x in votes.labels(pairs, votes.on(pairs))]
    assert found["drop"] == [(1.0, 0.0), (0.0, 0.0)]
    assert found["coin_flip"] == [(1.0, 0.0), (0.5, 0.0), (0.0, 0.0)]
    assert found["learn"] == [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]


def test_pairs_are_chosen_by_the_reward_model_that_was_fitted_to_the_votes(world: World) -> None:
    rng = random.Random(0)
    words = ["tea", "good", "world", "make"]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 9))) for _ in range(120)]
    pairs = [
        Pair(Question(rng.choice(world.training_prompts), a, b), [], ([], []), len(a) - len(b))
        for a, b in zip(texts[:60], texts[60:], strict=True)
        if len(a) != len(b)
    ]
    fitted = FittedReward(world.policy, 0)
    assert fitted.choose(pairs, 3, "widest") == pairs[:3]
    fitted.hear(pairs, [Preference(float(pair.margin > 0)) for pair in pairs])
    assert fitted.is_fitted
    scores = fitted.scores([pair.question for pair in pairs])
    gaps = (scores[:, 0] - scores[:, 1]).abs()
    chosen = fitted.choose(pairs, 3, "widest")
    assert [pairs.index(pair) for pair in chosen] == sorted(gaps.topk(3).indices.tolist())
    assert fitted.choose(pairs, 3, "unsure") != chosen


def test_the_command_runs_on_any_policy_resumes_and_reports(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ["evidence", "--quick", "--policy", place.policy, "--prompts", place.prompts]
    words += ["--rater", place.rater, "--static", str(place.static), "--out", str(out)]
    words += ["--labels", "4,8", "--arms", "online,static", "--jobs", "2"]
    monkeypatch.setattr(sys, "argv", words)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    main()
    summary = json.loads((out / "summary.json").read_text())
    record = summary["online_vs_static"]
    assert record["labels"] == 8
    assert record["seeds"] == 2
    assert record["win"] + record["tie"] + record["loss"] == pytest.approx(1, abs=1e-3)
    assert "labels_to_static_best" in summary
    assert "Online DPO" in (out / "README.md").read_text()
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    lines = (out / "runs.jsonl").read_text().splitlines()
    assert len(lines) == 6  # start, online and static at two seeds

    (out / "runs.jsonl").write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])
    main()
    again = (out / "runs.jsonl").read_text().splitlines()
    assert again[:-1] == lines[:-1]
    scores = [json.loads(line)["looks"][-1]["scores"] for line in (lines[-1], again[-1])]
    assert scores[0] == scores[1]


def test_another_policy_needs_a_rater(
    tiny_policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["evidence", "--policy", str(tiny_policy)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "evidence: The grammar scores the starter only; give --rater rm:FOLDER_OR_HUB_ID.\n"
    )
