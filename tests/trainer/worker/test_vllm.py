"""The loop on a server that speaks as vLLM does: what is stored, and what never is."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from labeler.config.load import load_settings
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, SamplerError
from labeler.domain.report_keys import SAMPLER
from labeler.domain.states import UpdateState
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.support.store import alarm_of, alarms, last_update, rows, states
from tests.support.tiny import worker_settings
from tests.support.vllm_server import Server, vllm_server
from tests.support.worker import HandTurned, lease_all
from tests.trainer.conftest import assert_measured, load
from trainer.policy.policy import Policy
from trainer.sampling.choice import sampler_for
from trainer.sampling.local import LocalSampler


@pytest.fixture
def server(tiny_policy: Path) -> Server:
    return Server(load(tiny_policy), str(tiny_policy))


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=6, gate_prompts=2)


@pytest.fixture
def worker(
    store: Store, policy: Policy, settings: Settings, server: Server
) -> Iterator[HandTurned]:
    with vllm_server(server) as url:
        told = settings.model_copy(update={"sampler": f"vllm:{url}/v1"})
        with sampler_for(told, policy, partial(store.processes.alarm, SAMPLER)) as sampler:
            yield HandTurned(store, policy, told, sampler=sampler)


def test_an_update_goes_live_and_its_pairs_come_from_the_server(
    worker: HandTurned, store: Store, database: Database, policy: Policy, server: Server
) -> None:
    assert worker.update().state is UpdateState.PROMOTED
    lease_all(store)
    worker.work()
    newest = rows(database, Pair)[-1]
    assert newest.version_id == 1
    assert_measured(policy, newest)
    [name] = server.adapters
    assert server.drawn()[-1]["model"] == name
    assert alarms(store) == []


def test_a_version_that_the_server_serves_as_its_base_does_not_go_live(
    worker: HandTurned, store: Store, database: Database, server: Server
) -> None:
    worker.make_due()
    server.ignores_adapters = True
    worker.step()
    last = last_update(store)
    assert last.state is UpdateState.FAILED
    assert "it answers as the base does" in str(last.reason)
    assert states(store) == ["live"]
    assert {pair.version_id for pair in rows(database, Pair)} == {0}
    assert "#34186" in str(alarms(store))


def test_pairs_of_a_live_version_are_not_stored_while_the_server_serves_the_base(
    worker: HandTurned, store: Store, database: Database, server: Server
) -> None:
    worker.update()
    server.restart()  # with another vLLM, say
    server.ignores_adapters = True
    lease_all(store)
    known = len(rows(database, Pair))
    with pytest.raises(SamplerError, match="version 1, because it answers as the base does"):
        worker.step()
    assert len(rows(database, Pair)) == known
    assert "version 1" in str(alarm_of(store, SAMPLER))
    server.ignores_adapters = False
    worker.work()
    assert len(rows(database, Pair)) > known
    assert alarm_of(store, SAMPLER) is None


@pytest.mark.parametrize(
    "spec",
    ["vllm", "vllm:", "vllm:127.0.0.1:8000", "vllm:http://a:b@127.0.0.1", "openai:http://x", "tgi"],
)
def test_what_names_no_sampler_is_wrong_use(spec: str) -> None:
    with pytest.raises(BadInput, match="'sampler' cannot be"):
        load_settings({"sampler": spec}, {})


def test_without_the_setting_the_worker_samples(settings: Settings, policy: Policy) -> None:
    with sampler_for(settings, policy, print) as sampler:
        assert isinstance(sampler, LocalSampler)
