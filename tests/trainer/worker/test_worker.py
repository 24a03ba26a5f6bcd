"""The worker on a tiny policy and a real SQLite file, one iteration at a time."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from labeler.config.settings import Settings
from labeler.domain.adapter_folder import WEIGHTS
from labeler.domain.errors import BadInput
from labeler.domain.losses import Loss
from labeler.domain.sentences.loop import WAITING_FOR_FOLDER
from labeler.domain.states import UpdateState
from labeler.roles.process import report_trouble
from labeler.roles.promotion import repair
from labeler.roles.scheduler import open_due_update
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.store import alarms, change, last_update, live, rows, shown_to, vote_on
from tests.support.tiny import Clock, save_tiny_policy, worker_settings
from tests.support.worker import PROMPTS, HandTurned, lease_all, vote_for_longer
from tests.trainer.conftest import assert_measured, equal, load
from trainer.learning.examples import margins
from trainer.policy.adapters import DamagedCheckpointError, read_adapter
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Response
from trainer.worker import main
from trainer.worker.jobs.sample import SampleJob
from trainer.worker.jobs.update import UpdateJob
from trainer.worker.life import Stopped
from trainer.worker.main import threads_for
from trainer.worker.worker import Turn

N = 4


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=12)


@pytest.fixture
def worker(store: Store, policy: Policy, settings: Settings) -> HandTurned:
    return HandTurned(store, policy, settings)


def test_the_queue_is_filled_with_pairs_worth_asking_and_their_reference_log_probs(
    worker: HandTurned, store: Store, policy: Policy, settings: Settings
) -> None:
    worker.work()
    assert store.queue.ready() >= settings.queue_pairs
    vote_for_longer(store, settings.queue_pairs)
    for row in store.reports.votes():
        pair = row.pair
        assert pair.response_a != pair.response_b
        assert pair.version_id == 0
        assert set(pair.sampling) == {
            "temperature",
            "top_p",
            "max_new_tokens",
            "seed",
            "logp_temperature",
            "sampling_dtype",
            "acquisition",
        }
        assert_measured(policy, pair)


def test_log_probabilities_are_those_of_what_people_see(
    store: Store, policy: Policy, settings: Settings
) -> None:
    """Of a pair that is drawn at 0.6, and of one drawn at 1 that is trained on at 0.6."""
    for temperature in (1.0, 0.6):
        settings = settings.model_copy(update={"temperature": temperature, "queue_pairs": N})
        HandTurned(store, policy, settings).work()
        vote_for_longer(store, store.queue.ready())
    open_due_update(settings, store, now=2000.0)
    claim = store.updates.claim(worker="w", rules=settings.vote_rules, now=2001.0)
    assert claim is not None
    assert {label.temperature for label in claim.labels} == {1.0, 0.6}
    pairs = [(label.prompt_tokens, label.tokens_a, label.tokens_b) for label in claim.labels]
    for label, pair in zip(claim.labels, pairs, strict=True):
        policy.temperature = label.temperature
        known = [label.reference_logp_a, label.reference_logp_b]
        assert known == pytest.approx(logps_under(policy, None, [pair])[0].tolist(), abs=1e-3)
    policy.temperature = 0.6
    found = margins(policy, LIVE, claim.labels, settings).tolist()
    assert found == pytest.approx([0.0] * len(pairs), abs=1e-3)


def test_an_open_update_is_run_and_its_version_becomes_live_with_its_first_pairs(
    store: Store, policy: Policy, settings: Settings
) -> None:
    settings = settings.model_copy(update={"learning_rate": 0.1, "gate_prompts": 32})
    update = HandTurned(store, policy, settings).update()
    version = live(store)
    assert version.id == 1
    assert store.queue.ready() > 0
    saved = read_adapter(settings.adapters_dir / str(version.folder), str(version.sha256))
    assert equal(policy.adapter_state(LIVE), saved)
    finding = version.finding
    assert finding.loss_first is not None
    assert finding.loss_last is not None
    assert finding.loss_last < finding.loss_first
    assert finding.labels == N
    assert finding.kl_live != 0
    assert (update.state, update.steps_done, update.steps_total) == (UpdateState.PROMOTED, 2, 2)


def test_a_worker_that_starts_again_samples_from_the_same_live_version(
    worker: HandTurned, store: Store, policy: Policy, settings: Settings, tiny_policy: Path
) -> None:
    worker.update()
    folder = settings.adapters_dir / str(live(store).folder)
    restarted = load(tiny_policy, folder, lora_rank=8)
    HandTurned(store, restarted, settings)
    assert equal(policy.adapter_state(LIVE), restarted.adapter_state(LIVE))


def test_a_stop_in_the_middle_of_an_update_leaves_it_open_with_all_its_labels(
    store: Store, policy: Policy, settings: Settings
) -> None:
    stop = threading.Event()
    worker = HandTurned(store, policy, settings, stop=stop)
    worker.make_due()
    stop.set()
    with pytest.raises(Stopped):
        worker.step()
    assert {role.says for role in store.processes.all() if role.name == "worker"} == {
        "Training on 4 labels."
    }
    status = store.reports.status(max_staleness=2)
    assert status["updates"] == {"done": 0, "rejected": 0, "failed": 0, "running": 1}
    stop.clear()
    worker.step()
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N


def test_a_full_disk_fails_the_update_gives_its_labels_back_and_the_worker_lives(
    worker: HandTurned, store: Store, settings: Settings
) -> None:
    worker.make_due()
    settings.adapters_dir.write_text("a file where the folder should be")
    assert worker.step()
    status = store.reports.status(max_staleness=2)
    assert status["updates"]["failed"] == 1
    assert status["labels"]["fresh"] == N
    assert "\n" not in str(last_update(store).reason)
    settings.adapters_dir.unlink()
    open_due_update(settings, store, now=9000.0)
    worker.step()
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N


def break_references(database: Database) -> None:
    """Reference values that make the loss NaN."""
    nothing = float("-inf")
    for pair in rows(database, Pair):
        change(database, Pair, pair.id, reference_logp_a=nothing, reference_logp_b=nothing)


def test_a_candidate_that_became_nan_is_rejected_and_the_live_policy_stays(
    worker: HandTurned, store: Store, database: Database, policy: Policy
) -> None:
    worker.make_due()
    break_references(database)
    before = policy.adapter_state(LIVE)
    worker.step()
    status = store.reports.status(max_staleness=2)
    assert status["updates"]["rejected"] == 1
    assert status["policy"]["live"] == 0
    last = last_update(store)
    assert "NaN" in str(last.reason)
    assert last.finding.loss_last is None, "NaN is no JSON"
    assert equal(policy.adapter_state(LIVE), before)
    assert worker.job(SampleJob).top_up(4)


def test_a_prompt_that_is_too_long_is_set_aside_and_the_others_are_sampled(
    worker: HandTurned, store: Store
) -> None:
    store.prompts.add([[{"role": "user", "content": "long " * 200}]], now=1.0)
    for _ in range(8):
        worker.job(SampleJob).top_up(8)
    aside = [prompt.set_aside for prompt in store.prompts.all() if prompt.set_aside]
    assert len(aside) == 1
    assert "tokens" in aside[0]
    assert store.queue.ready() > 0


def test_a_prompt_that_the_chat_template_refuses_is_set_aside_with_its_words(
    store: Store, policy: Policy, settings: Settings
) -> None:
    policy.tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        + policy.tokenizer.chat_template
    )
    told = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tea?"}]
    HandTurned(store, policy, settings, prompts=[told, *PROMPTS[:3]]).work()
    aside = [prompt.set_aside for prompt in store.prompts.all() if prompt.set_aside]
    assert aside == ["no system role"]
    assert store.queue.ready() > 0
    [alarm] = shown_to(store, 0)["alarms"]
    assert alarm.startswith("worker: The chat template refuses 1 prompt (no system role).")


def test_what_was_set_aside_is_tried_again_when_the_worker_starts(
    worker: HandTurned, store: Store, policy: Policy, settings: Settings
) -> None:
    store.prompts.set_aside(1, "too long under other settings")
    HandTurned(store, policy, settings)
    assert [prompt.set_aside for prompt in store.prompts.all() if prompt.set_aside] == []


def test_a_response_length_that_fills_the_context_is_one_sentence(
    store: Store, policy: Policy, settings: Settings
) -> None:
    greedy = settings.model_copy(update={"max_new_tokens": 128})
    with pytest.raises(BadInput, match="'max_new_tokens' cannot be 128"):
        HandTurned(store, policy, greedy)


def test_a_claim_that_was_lost_while_the_update_broke_does_not_end_the_worker(
    worker: HandTurned, store: Store, settings: Settings
) -> None:
    worker.make_due()
    stale = store.updates.claim(worker="w", rules=settings.vote_rules, now=2001.0)
    assert stale is not None
    assert worker.step(), "the same worker's second attempt"
    worker.job(UpdateJob)._run(stale)
    assert store.reports.status(max_staleness=2)["updates"]["done"] == 1


def test_no_prompts_raise_an_alarm_that_ends_when_there_are_some(
    store: Store, policy: Policy, settings: Settings
) -> None:
    worker = HandTurned(store, policy, settings, prompts=())
    worker.step()
    assert "prompts add" in alarms(store)[0]
    store.prompts.add(PROMPTS, now=1.0)
    worker.step()
    assert alarms(store) == []


def test_a_data_dir_of_another_policy_is_refused(
    worker: HandTurned, store: Store, settings: Settings, tmp_path: Path
) -> None:
    other = load(save_tiny_policy(tmp_path / "other", "qwen2"))
    with pytest.raises(BadInput, match="belongs to the policy"):
        HandTurned(store, other, settings)


def test_a_live_version_whose_folder_is_damaged_is_not_served(
    worker: HandTurned, store: Store, policy: Policy, settings: Settings
) -> None:
    worker.update()
    (settings.adapters_dir / "v0001" / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(DamagedCheckpointError, match="v0001"):
        HandTurned(store, policy, settings)


def test_held_out_labels_examine_the_update_and_train_the_next(
    store: Store, policy: Policy, settings: Settings
) -> None:
    """Of 4 labels one is held out: 3 are used, and it is among the next update's 4."""
    settings = settings.model_copy(update={"held_out_share": 0.25, "acquisition": "random"})
    worker = HandTurned(store, policy, settings)
    first = worker.update()
    assert (first.finding.labels, first.finding.held_out) == (3, 1)
    assert first.finding.agreement_live.count == 1
    assert store.reports.status(max_staleness=2)["labels"]["used"] == 3
    worker.work()
    vote_for_longer(store, 3)
    open_due_update(settings, store, now=3000.0)
    worker.step()
    second = last_update(store)
    assert second.finding.agreement_live.count == 4, "one held out, three remembered"
    assert store.reports.status(max_staleness=2)["labels"]["used"] == 6


def test_a_candidate_beyond_a_limit_is_kept_back_with_its_reasons_and_can_be_promoted(
    store: Store, policy: Policy, settings: Settings
) -> None:
    strict = settings.model_copy(
        update={"gate_max_kl_live": 1e-3, "learning_rate": 0.3, "passes": 32}
    )
    worker = HandTurned(store, policy, strict)
    before = policy.adapter_state(LIVE)
    last = worker.update()
    assert last.state is UpdateState.REJECTED
    for said in (last.finding.half_for, last.reason):
        assert "nats a token away from the live version" in str(said)
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == N
    assert equal(policy.adapter_state(LIVE), before)
    store.versions.make_live_again(1, now=2001.0)
    while worker.step():
        pass
    assert not equal(policy.adapter_state(LIVE), before)
    assert {pair.version_id for pair in lease_all(store)} == {1}


def test_what_went_too_far_is_taken_half_way_back_and_goes_live(
    store: Store, database: Database, policy: Policy, settings: Settings, tmp_path: Path
) -> None:
    """No merged copy, no cache and no folder may take the half for the whole."""
    start = policy.adapter_state(LIVE)
    aside = open_store(f"sqlite:///{tmp_path / 'aside.sqlite'}")
    far = {"loss": Loss.SIGMOID, "beta": 0.1, "learning_rate": 0.03}
    own = settings.model_copy(update={"data_dir": tmp_path / "aside"} | far)
    whole = HandTurned(aside, policy, own).update().finding
    aside.close()
    trained = policy.adapter_state(LIVE)
    assert whole.half_for is None
    assert whole.kl_live is not None
    policy.set_adapter_state(LIVE, start)
    limits = {"gate_max_kl_live": 0.7 * whole.kl_live} | far
    worker = HandTurned(store, policy, settings.model_copy(update=limits))
    update = worker.update()
    assert update.state is UpdateState.PROMOTED
    assert "nats a token away from the live version" in str(update.finding.half_for)
    folder = live(store).folder
    assert folder is not None
    assert [one.name for one in settings.adapters_dir.iterdir()] == [folder]
    half = read_adapter(settings.adapters_dir / folder)
    assert equal(half, policy.adapter_state(LIVE))
    for name, weight in half.items():
        assert torch.allclose(weight, (start[name] + trained[name]) / 2, atol=1e-6)
    assert_measured(policy, rows(database, Pair)[-1])


def test_after_a_refusal_the_next_update_is_gentler_until_one_passes(
    store: Store, policy: Policy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, clock = [], Clock()
    for found in (["nobody wants it"], ["nor this"], [], []):
        monkeypatch.setattr("trainer.gate.gate.misleads", lambda *_, said=found: said)
        monkeypatch.setattr("trainer.gate.examine.misleads", lambda *_, said=found: said)
        worker = HandTurned(store, policy, settings, clock=clock)
        update = worker.update()
        rates.append(update.finding.learning_rate)
    assert rates == [1e-2, 5e-3, 2.5e-3, 1e-2]


def test_the_learning_rate_falls_with_the_labels_that_were_learned_from(
    store: Store, policy: Policy, settings: Settings
) -> None:
    """It is halved once N have been used: 1, 1/2, 1/3 of it."""
    settings = settings.model_copy(update={"decay_labels": N})
    worker = HandTurned(store, policy, settings)
    rates = []
    for _ in range(3):
        update = worker.update()
        rates.append(update.finding.learning_rate)
    assert rates == pytest.approx([1e-2, 1e-2 / 2, 1e-2 / 3])


def test_a_rollback_is_followed_at_once_and_the_next_pairs_are_the_old_versions(
    worker: HandTurned, store: Store, policy: Policy
) -> None:
    base = policy.adapter_state(LIVE)
    worker.update()
    worker.work()
    assert not equal(policy.adapter_state(LIVE), base)
    store.versions.make_live_again(0, now=2001.0)
    assert store.queue.ready() == 0
    worker.step()
    assert equal(policy.adapter_state(LIVE), base)
    assert {pair.version_id for pair in lease_all(store)} == {0}


def test_a_round_ends_when_its_pairs_are_labelled_and_the_next_begins_with_the_new_version(
    store: Store, policy: Policy, settings: Settings
) -> None:
    rounds = settings.model_copy(update={"mode": "iterative"})
    worker = HandTurned(store, policy, rounds)
    for number in range(2):
        worker.work()
        assert store.queue.ready() == N
        vote_for_longer(store, N - 1)
        open_due_update(rounds, store, now=2000.0 + number)
        assert not worker.step(), "the round is not over"
        vote_for_longer(store, 1)
        open_due_update(rounds, store, now=2000.5 + number)
        assert worker.step()
        last = last_update(store)
        assert (last.mode, last.version_id) == ("iterative", number + 1)


def test_ties_train_where_the_loss_learns_them(
    store: Store, policy: Policy, settings: Settings
) -> None:
    davidson = Settings(**settings.model_dump(exclude={"loss"}), loss="dpo_d")
    worker = HandTurned(store, policy, davidson)
    worker.work()
    for pair, choice in zip(lease_all(store), ["tie", "left", "both_bad", "right"], strict=False):
        vote_on(store, pair, choice, now=2.0)
    open_due_update(davidson, store, now=2000.0)
    worker.step()
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N


def test_steps_are_measured_on_pairs_that_the_update_does_not_train_on(
    worker: HandTurned, store: Store, settings: Settings
) -> None:
    worker.make_due()
    claim = store.updates.claim(worker="w", rules=settings.vote_rules, now=2000.0)
    assert claim is not None
    probe = worker.job(UpdateJob)._probe(claim)
    assert len(probe) == settings.queue_pairs - len(claim.labels)
    assert not any(label.tokens in probe for label in claim.labels)


@pytest.mark.parametrize(("shared", "fewer"), [(1, 0), (10**12, 1)])
def test_a_small_policy_leaves_a_core_to_the_page(
    policy: Policy, monkeypatch: pytest.MonkeyPatch, shared: int, fewer: int
) -> None:
    monkeypatch.setattr("trainer.worker.main.SHARED_PARAMETERS", shared)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert threads_for(policy) == 4 - fewer


def test_a_version_that_cannot_answer_cannot_be_promoted(
    worker: HandTurned, store: Store, database: Database
) -> None:
    worker.make_due()
    break_references(database)
    worker.step()
    with pytest.raises(BadInput, match="Version 1 cannot generate"):
        store.versions.find(1)


def test_a_version_of_another_rank_is_noticed_before_anything_is_overwritten(
    worker: HandTurned, store: Store, settings: Settings, tiny_policy: Path
) -> None:
    worker.update()
    store.versions.make_live_again(0, now=2001.0)
    other = settings.model_copy(update={"lora_rank": 2})
    policy = load(tiny_policy, lora_rank=2)
    second = HandTurned(store, policy, other)
    before = policy.adapter_state(LIVE)
    store.versions.make_live_again(1, now=2002.0)
    assert second.turn() is Turn.OTHER_SHAPE
    assert equal(policy.adapter_state(LIVE), before)


def test_prompts_that_had_to_be_set_aside_are_replaced_by_others(
    worker: HandTurned, store: Store
) -> None:
    long = [[{"role": "user", "content": f"long {n} " * 200}] for n in range(20)]
    worker.work()
    store.prompts.add(long, now=1.0)
    place = worker.job(SampleJob)._place
    assert len(place.supply.sample(8, place.live.version)) == 8


class FolderSampler:
    """Draws with a policy of its own, as another process would: it knows versions by folders."""

    def __init__(self, policy: Policy) -> None:
        self._sampler = LocalSampler(policy)
        self.asked: list[int] = []

    def sample(
        self, version: Version, *prompts: Any, **how: Any
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        self.asked.append(version.number)
        return self._sampler.sample(version, *prompts, **how)


def test_a_sampler_that_knows_versions_by_their_folders_alone_runs_the_loop(
    store: Store, database: Database, policy: Policy, settings: Settings, tiny_policy: Path
) -> None:
    """So a candidate is written before anything is sampled from it."""
    elsewhere = load(tiny_policy)
    untouched = elsewhere.adapter_state(LIVE)
    sampler = FolderSampler(elsewhere)
    worker = HandTurned(store, policy, settings, sampler=sampler)
    for _ in range(2):
        worker.update()
    worker.work()
    assert set(sampler.asked) == {0, 1, 2}
    assert {pair.version_id for pair in lease_all(store)} == {2}
    assert_measured(policy, rows(database, Pair)[-1])
    assert equal(elsewhere.adapter_state(LIVE), untouched)


def test_a_folder_of_the_live_version_that_goes_is_an_alarm_until_it_is_back(
    worker: HandTurned, store: Store, settings: Settings
) -> None:
    version = worker.update().version_id
    folder = settings.adapters_dir / f"v{version:04d}"
    worker.work()
    assert alarms(store) == []
    away = folder.rename(settings.data_dir / "away")
    worker.step()
    [alarm] = alarms(store)
    assert f"{folder} of the live version is gone" in alarm
    assert "`livedpo versions repair`" in alarm
    away.rename(folder)
    worker.step()
    assert alarms(store) == []


def test_a_damaged_version_that_was_made_live_is_an_alarm_until_another_one_is(
    worker: HandTurned, store: Store, settings: Settings
) -> None:
    version = worker.update().version_id
    assert version is not None
    store.versions.make_live_again(0, now=1.0)
    worker.step()
    (settings.adapters_dir / f"v{version:04d}" / WEIGHTS).unlink()
    store.versions.make_live_again(version, now=1.0)
    with pytest.raises(DamagedCheckpointError) as damaged:
        worker.step()
    report_trouble("worker", store, damaged.value)
    [alarm] = alarms(store)
    assert "is incomplete" in alarm
    assert "`livedpo versions repair`" in alarm
    store.versions.make_live_again(0, now=1.0)
    worker.step()
    assert alarms(store) == []


def test_a_live_version_without_its_folder_is_waited_for_and_repaired_by_hand(
    worker: HandTurned,
    store: Store,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker.work()
    worker.make_due()
    worker.update()
    lost = live(store)
    shutil.rmtree(settings.adapters_dir / str(lost.folder))
    worker.close()
    for pair in lease_all(store):  # nothing is left to rate
        vote_on(store, pair, "tie")
    monkeypatch.setattr(main, "TROUBLE_SECONDS", 0.05)
    stop = threading.Event()
    thread = threading.Thread(target=main.run_worker, args=(settings, store, stop))
    thread.start()
    try:
        told = wait_until(lambda: [says for says in alarms(store) if "versions repair" in says])
        assert f"{lost.folder} is gone. " in told[0]
        assert live(store).id == lost.id  # never by itself
        rater = store.raters.local(now=1.0)
        wait_until(lambda: shown_to(store, rater)["processes"]["worker"] == WAITING_FOR_FOLDER)
        told_of_it = repair(settings, store, now=2.0)
        assert f"Version {lost.parent_id} is live now, in place of version {lost.id}." in told_of_it
        wait_until(lambda: store.queue.ready() > 0, "pairs of the version that is live now")
        assert "adapter folder" not in " ".join(alarms(store))
    finally:
        stop.set()
        thread.join(timeout=PATIENCE_SECONDS)
    assert not thread.is_alive()
