"""Every setting, as it was given on the command line, is what each role works with."""

import contextlib
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from labeler.cli import main as cli
from labeler.cli import options
from labeler.config.load import as_environment, handed_down_settings, load_settings
from labeler.config.settings import FIELDS, Settings
from labeler.domain.errors import BadInput
from labeler.roles import MODULES
from labeler.roles.serve import serve
from labeler.roles.supervisor import Supervisor
from labeler.roles.unattended.run import settings_for_judge
from labeler.store import open_store

# One that differs from its default for each setting; together they are a valid combination.
CHANGED: dict[str, Any] = {
    "policy": "some/model",
    "prompts": Path("prompts.jsonl"),
    "template_kwargs": {"enable_thinking": False},
    "data_dir": Path("elsewhere"),
    "database": "sqlite:///other.sqlite",
    "database_file": Path("database.url"),
    "versions_url": "file:///mnt/versions",
    "report_to": "tensorboard",
    "host": "0.0.0.0",
    "port": 8001,
    "public_url": "https://rate.example.org",
    "trusted_proxies": "10.0.0.5 10.1.0.0/16",
    "embed_in": "https://lab.example.org",
    "tls_certificate": Path("chain.pem"),
    "tls_key": Path("key.pem"),
    "session_hours": 1.5,
    "metrics_token": "not-a-real-token",
    "votes_per_pair": 3,
    "gold_share": 0.125,
    "repeat_share": 0.25,
    "min_reading_seconds": 2.5,
    "weigh_raters": True,
    "guidelines": Path("house rules.md"),
    "reason_tags": 'brave, "new", größe = 3\nline',
    "mode": "iterative",
    "labels_per_update": 7,
    "cooldown_seconds": 12.5,
    "queue_pairs": 9,
    "acquisition": "random",
    "hint_share": 0.75,
    "hints": Path("our hints.txt"),
    "lease_seconds": 60.0,
    "max_staleness": 4,
    "temperature": 0.7,
    "top_p": 0.95,
    "max_new_tokens": 33,
    "ties": "coin_flip",
    "strong_weight": 3.5,
    "held_out_share": 0.1,
    "replay_share": 0.3,
    "replay_max_age": 5,
    "judge": "py:some.module:function",
    "judge_after": 20.0,
    "judge_weight": 0.75,
    "judge_check_share": 0.2,
    "judge_min_agreement": 0.6,
    "judge_max_abstain": 0.4,
    "judge_inconsistent": "abstain",
    "judge_concurrency": 3,
    "judge_timeout": 5.5,
    "judge_max_requests": 77,
    "candidates": 4,
    "candidate_pair": "random",
    "max_updates": 11,
    "max_labels": 512,
    "max_hours": 1.25,
    "stop_rejected": 3,
    "stop_stalled_seconds": 61.0,
    "stop_length_change": 3.5,
    "stop_unfinished_rise": 0.4,
    "stop_entropy_share": 0.3,
    "stop_distinct_share": 0.2,
    "loss": "robust",
    "beta": 0.3,
    "label_smoothing": 0.05,
    "simpo_gamma": 0.75,
    "length_alpha": 0.01,
    "reference": "previous",
    "learning_rate": 3e-7,
    "update_kl": 0.07,
    "decay_labels": 100,
    "passes": 3,
    "batch_pairs": 5,
    "lora_rank": 3,
    "lora_alpha": 6.5,
    "lora_targets": "q_proj,v_proj",
    "trust_remote_code": True,
    "fill": 3,
    "fill_candidates": 6,
    "max_grad_norm": 0.5,
    "seed": 2**62 + 1,
    "micro_tokens": 2048,
    "gate_prompts": 8,
    "gate_max_kl_live": 0.4,
    "gate_max_kl_reference": 2.5,
    "gate_max_length_change": 1.5,
    "gate_max_unfinished_rise": 0.2,
    "gate_max_repetition_rise": 0.3,
    "gate_max_agreement_drop": 0.4,
    "device": "cpu",
    "dtype": "bfloat16",
    "sampling_dtype": "float32",
    "sampler": "vllm:http://127.0.0.1:8000,http://127.0.0.1:8001/v1",
    "sampler_timeout": 20.5,
    "threads": 2,
    "nproc": 4,
    "shard": True,
    "launcher": "srun torchrun --nnodes 2",
    "keep_versions": 6,
}
EMPTY = {"bool": "false", "int": "0", "float": "0", "str": "", "Path": ""}


def empties() -> dict[str, Any]:
    """What is typed to make a setting empty or zero, for each that may be."""
    found = {}
    for name, field in FIELDS.items():
        kind = next((kind for kind in EMPTY if kind in str(field.annotation)), "str")
        try:
            settings = Settings(**{"judge": "starter", name: EMPTY[kind]})
        except ValidationError:
            continue
        if getattr(settings, name) != field.default:
            found[name] = EMPTY[kind]
    return found


def words(values: dict[str, Any]) -> list[str]:
    """Settings as they are typed on a command line."""
    return [
        word for name, value in values.items() for word in ("--" + name.replace("_", "-"), value)
    ]


@pytest.fixture
def handed_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., dict[str, Settings]]:
    """Run a command; the settings that each process it starts would work with, by module."""
    found: dict[str, Settings] = {}

    def become(_: str, command: list[str], environment: dict[str, str]) -> None:
        found[command[2]] = handed_down_settings(environment)

    def started(settings: Settings, *_: object) -> int:
        store = open_store(f"sqlite:///{tmp_path}/any.sqlite")
        roles = Supervisor(settings, store, print, tuple(MODULES))
        for child in roles._children.values():
            found[MODULES[child.name]] = handed_down_settings(child.environment)
        store.close()
        return 0

    monkeypatch.setattr("os.execve", become)
    monkeypatch.setattr("labeler.roles.serve.serve", started)

    def run(command: str, values: dict[str, Any], *arguments: str) -> dict[str, Settings]:
        found.clear()
        typed = [
            json.dumps(word) if isinstance(word, dict) else str(word) for word in words(values)
        ]
        monkeypatch.setattr(sys, "argv", ["livedpo", command, *arguments, *typed])
        with contextlib.suppress(SystemExit):
            cli.main()
        return dict(found)

    return run


COMMANDS = {
    "serve": ((), set(MODULES.values())),
    "web": ((), {MODULES["web"]}),
    "worker": ((), {MODULES["worker"]}),
    "scheduler": ((), {MODULES["scheduler"]}),
    "train": (("file.jsonl",), {"trainer.programs.offline"}),
}


def test_the_table_holds_every_setting_and_no_default() -> None:
    assert set(CHANGED) == set(FIELDS) == set(options.ALL)
    same = [name for name, field in FIELDS.items() if field.default == CHANGED[name]]
    assert same == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_reaches_every_role(
    command: str, handed_down: Callable[..., dict[str, Settings]]
) -> None:
    arguments, modules = COMMANDS[command]
    found = handed_down(command, CHANGED, *arguments)
    assert set(found) == modules
    for settings in found.values():
        assert settings.model_dump(exclude={"unattended", "chosen"}) == CHANGED


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_empty_or_zero_reaches_every_role_as_such(
    command: str, handed_down: Callable[..., dict[str, Settings]]
) -> None:
    arguments, modules = COMMANDS[command]
    assert {"reason_tags", "gold_share", "max_staleness", "judge_after"} <= set(empties())
    for name, typed in empties().items():
        given = {"judge": "starter", name: typed}
        found = handed_down(command, given, *arguments)
        assert set(found) == modules
        for settings in found.values():
            assert settings == load_settings(given, {}), name


def test_no_reason_tags_are_none(handed_down: Callable[..., dict[str, Settings]]) -> None:
    found = handed_down("serve", {"reason_tags": ""})
    assert {settings.reasons for settings in found.values()} == {()}


def test_the_environment_of_the_parent_does_not_change_what_was_handed_down(
    handed_down: Callable[..., dict[str, Settings]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEDPO_TEMPERATURE", "0.5")
    found = handed_down("worker", {"temperature": "1.0"})
    assert found[MODULES["worker"]].temperature == 1.0


def test_what_is_handed_down_is_one_value() -> None:
    [(name, value)] = as_environment(Settings(**CHANGED)).items()
    assert name == "LIVEDPO_SETTINGS"
    assert json.loads(value)["reason_tags"] == CHANGED["reason_tags"]


def test_unattended_is_handed_down_and_leaves_nothing_to_people() -> None:
    run = settings_for_judge(Settings(judge_after=20.0, judge="starter"))
    assert run.unattended
    assert handed_down_settings(as_environment(run)) == run
    assert (run.judge_rules.after_seconds, run.judge_rules.left_to_people) == (0.0, 0)
    served = Settings(judge_after=20.0, judge="starter", queue_pairs=8).judge_rules
    assert (served.after_seconds, served.left_to_people) == (20.0, 4)


def test_a_judge_that_labels_at_once_is_not_served(tmp_path: Path) -> None:
    at_once = Settings(data_dir=tmp_path, judge="starter", judge_after=0.0)
    with pytest.raises(BadInput, match="A judge that labels at once leaves nothing for people"):
        serve(at_once, threading.Event(), print)


def test_what_another_version_of_livedpo_hands_down_is_refused_in_one_sentence() -> None:
    (name,) = as_environment(Settings())
    with pytest.raises(BadInput, match="'warmth' cannot be 2"):
        handed_down_settings({name: json.dumps({"warmth": 2})})
