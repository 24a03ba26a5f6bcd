"""Offline DPO on a tiny policy: from a file to a candidate version, through the gate."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from labeler.config.load import as_environment
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.labels import VoteRules
from labeler.domain.states import VersionState
from labeler.files.pairs import read_pairs
from labeler.store import Store, open_store
from tests.support.command import fails, run
from tests.support.service import settings_environment
from tests.support.store import live
from tests.support.tiny import EASY
from tests.support.worker import PROMPTS
from tests.trainer.conftest import equal, load
from trainer.policy.adapters import read_adapter
from trainer.policy.policy import LIVE
from trainer.programs import export, offline
from trainer.programs.offline import Offline, as_many_updates, run_offline
from trainer.sampling.local import LocalSampler


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return Settings(
        policy=str(tiny_policy),
        data_dir=tmp_path,
        database=f"sqlite:///{tmp_path / 'test.sqlite'}",
        max_new_tokens=12,
        learning_rate=1e-2,
        lora_rank=4,
        **EASY | {"held_out_share": 0.2},
        threads=1,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Twenty pairs in which the friendly reply is preferred."""
    rows = [
        {"prompt": f"how are you {n}?", "chosen": f"good, hello {n}!", "rejected": f"tea {n}"}
        for n in range(20)
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_file_becomes_a_candidate_version_that_learnt_it_and_the_live_one_stays(
    store: Store, settings: Settings, file: Path
) -> None:
    store.prompts.add(PROMPTS[:8], now=1.0)
    said = run_offline(file, settings, threading.Event())
    assert "Version 1 was trained on 16 pairs" in said
    assert "`livedpo versions promote 1`" in said
    version = store.versions.get(1)
    assert version.state is VersionState.CANDIDATE
    before, after = version.finding.agreement_live, version.finding.agreement_candidate
    assert before.value is not None
    assert after.value is not None
    assert after.value > before.value
    assert live(store).id == 0
    read_adapter(settings.adapters_dir / str(version.folder), str(version.sha256))


def test_how_replies_are_drawn_is_recorded_for_what_goes_out(
    store: Store, settings: Settings, tiny_policy: Path
) -> None:
    policy = load(tiny_policy)
    policy.shipped_generation_config.update(do_sample=True, top_p=0.9)
    told = settings.model_copy(update={"temperature": 0.7})
    Offline(store, policy, LocalSampler(policy), told).start()
    recorded = store.reports.drawing()
    assert recorded is not None
    assert (recorded["temperature"], recorded["top_p"]) == (0.7, 0.9)


def test_a_reply_ends_in_the_token_that_ends_a_turn_and_a_cut_one_in_none(
    store: Store, settings: Settings, file: Path, tiny_policy: Path
) -> None:
    """The template ends a turn with token 0; the model would also stop at token 7, listed first."""
    policy = load(tiny_policy)
    policy.model.generation_config.eos_token_id = [7, 0]
    (pair,) = read_pairs(file, VoteRules()).pairs[:1]
    program = Offline(store, policy, LocalSampler(policy), settings)
    (label,), _ = program._labels([replace(pair, ended_b=False)])
    assert label.tokens_a[-1] == 0
    assert policy.tokenizer.decode(label.tokens_a[:-1]) == pair.response_a
    assert policy.tokenizer.decode(label.tokens_b) == pair.response_b
    assert label.reference_logp_a < 0


@pytest.mark.parametrize(("labels", "kl"), [(4, 0.02), (16, 0.02), (64, 0.08), (10_000, 0.1)])
def test_a_file_of_many_labels_moves_the_policy_as_far_as_updates_on_as_many(
    labels: int, kl: float
) -> None:
    settings = Settings(labels_per_update=16, update_kl=0.02, gate_max_kl_live=0.2)
    assert as_many_updates(settings, labels).update_kl == pytest.approx(kl)


def test_it_starts_from_the_live_version(
    store: Store, settings: Settings, file: Path, tiny_policy: Path
) -> None:
    store.prompts.add(PROMPTS[:8], now=1.0)
    run_offline(file, settings, threading.Event())
    store.versions.make_live_again(1, now=2.0)
    version = store.versions.get(1)
    policy = load(tiny_policy, lora_alpha=settings.lora_alpha)
    Offline(store, policy, LocalSampler(policy), settings).start()
    saved = read_adapter(settings.adapters_dir / str(version.folder), str(version.sha256))
    assert equal(policy.adapter_state(LIVE), saved)


def test_pairs_that_the_context_cannot_take_are_left_out_and_counted(
    store: Store, settings: Settings, file: Path
) -> None:
    store.prompts.add(PROMPTS[:8], now=1.0)
    long = {"prompt": "tea? " * 200, "chosen": "yes", "rejected": "no"}
    file.write_text(file.read_text() + json.dumps(long) + "\n")
    said = run_offline(file, settings, threading.Event())
    assert "1 pairs that the policy cannot take were left out." in said
    file.write_text(json.dumps(long))
    with pytest.raises(BadInput, match="None of the 1 pairs can be used"):
        run_offline(file, settings, threading.Event())


def test_a_candidate_that_cannot_be_examined_leaves_no_folder_behind(
    store: Store, settings: Settings, file: Path
) -> None:
    store.prompts.add(PROMPTS[:8], now=1.0)
    for prompt in store.prompts.all():
        store.prompts.set_aside(prompt.id or 0, "too long")
    with pytest.raises(LivedpoError, match="no prompts to examine the candidate on"):
        run_offline(file, settings, threading.Event())
    assert list(settings.adapters_dir.iterdir()) == []
    assert [version.id for version in store.versions.all()] == [0]


def test_beside_a_running_service_it_is_refused(
    store: Store, settings: Settings, file: Path
) -> None:
    with (
        FileLock(settings.data_dir / "worker.lock"),
        pytest.raises(LivedpoError, match="stop it first"),
    ):
        run_offline(file, settings, threading.Event())


def test_the_command_says_what_came_of_it_and_merges_the_version(
    settings: Settings, file: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": p[0]["content"]}) + "\n" for p in PROMPTS[:8]))
    settings = settings.model_copy(update={"prompts": prompts})
    command = [sys.executable, "-m", "labeler.cli.main", "train", str(file)]
    told = settings_environment(**settings.model_dump(exclude_defaults=True))
    trained = subprocess.run(command, capture_output=True, text=True, env=told)
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.startswith("Version 1 was trained on 16 pairs")
    environment, out = as_environment(settings), tmp_path / "merged"
    merged = run(export.main, "export", 1, out, "merged", **environment)
    assert merged.stdout.startswith(f"Version 1 is in {out}."), merged.stderr
    store = open_store(settings.database_url)
    version = store.versions.get(1)
    store.close()
    folder = settings.adapters_dir / str(version.folder)
    plain, tuned = load(tmp_path / "merged"), load(Path(settings.policy), folder)
    tuned.set_adapter_state(LIVE, read_adapter(folder, str(version.sha256)))
    ids = torch.tensor([[3, 20, 30, 0, 4, 40, 41]])
    with torch.no_grad(), plain.reference():
        ours = plain.model(ids).logits
    with torch.no_grad(), tuned.adapter(LIVE):
        assert torch.allclose(ours, tuned.model(ids).logits, atol=1e-4)
    fails(run(export.main, "export", 1, out, "merged", **environment), 2, "exists already")
    fails(run(offline.main, "train", tmp_path / "nowhere.jsonl", **environment), 2, "nowhere.jsonl")
    asked = json.dumps({"split": None, "names": {"chosen": "good"}})
    fails(run(offline.main, "train", file, asked, **environment), 2, "no column 'good'")
