"""That every stored pair comes from the version it is stored under, however it was sampled."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from labeler.config.parts.sampling import Sampling
from labeler.config.settings import Settings
from labeler.domain.report_keys import TROUBLE
from labeler.domain.states import UpdateState
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.support.store import alarm_of, last_update, rows, states
from tests.support.tiny import SAMPLED_BY_GENERATE, save_tiny_policy, worker_settings
from tests.support.worker import PROMPTS, HandTurned
from tests.trainer.conftest import disturb, load
from tests.trainer.worker.test_asking import ask, look
from trainer.policy.logps import logps_under
from trainer.policy.policy import CANDIDATE, LIVE, OTHER, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.origin import WrongVersionError
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Progress, Response
from trainer.worker.candidate import write_candidate
from trainer.worker.jobs.sample import SampleJob
from trainer.worker.main import _turn
from trainer.worker.supply import Supply


class Liar:
    """Draws from another adapter than that of the version, and says its probabilities."""

    def __init__(self, policy: Policy, *, honest: bool = False) -> None:
        self.honest = honest
        self._sampler = LocalSampler(policy)
        policy.set_adapter_state(OTHER, policy.adapter_state(LIVE))
        disturb(policy, OTHER, scale=2.0)

    def sample(
        self,
        version: Version,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        *,
        seed: int,
        copies: int = 2,
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        if self.honest:
            return self._sampler.sample(version, prompts, settings, seed=seed, copies=copies)
        return enumerate(self._sampler.draw(OTHER, prompts, settings, seed=seed, copies=copies))


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=6)


@pytest.mark.parametrize("kind", SAMPLED_BY_GENERATE)
def test_after_a_refused_update_pairs_come_from_the_live_version_still(
    kind: str, store: Store, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.gate.examine.objections", lambda *_: ["nobody wants it"])
    settings = worker_settings(save_tiny_policy(tmp_path, kind), tmp_path, learning_rate=0.1)
    policy = load(tmp_path)
    worker = HandTurned(store, policy, settings)
    worker.make_due()
    before = {pair.id for pair in rows(database, Pair)}
    worker.step()
    assert states(store) == ["live", "rejected"]
    worker.job(SampleJob).top_up(16)
    fresh = [pair for pair in rows(database, Pair) if pair.id not in before]
    assert {pair.version_id for pair in fresh} == {0}
    tokens = [(pair.prompt_tokens, pair.tokens_a, pair.tokens_b) for pair in fresh]
    live, candidate = (logps_under(policy, adapter, tokens) for adapter in (LIVE, CANDIDATE))
    assert [pair.logp_a for pair in fresh] == pytest.approx(live[:, 0].tolist(), abs=1e-3)
    assert (live - candidate).abs().mean() > 0.05, "or the test would show nothing"


def test_a_sampler_that_draws_from_another_adapter_gets_nothing_stored(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    worker = HandTurned(store, policy, settings, sampler=Liar(policy))
    with pytest.raises(WrongVersionError, match="does not draw from version 0"):
        worker.step()
    ask(store, "a")
    with pytest.raises(WrongVersionError):
        worker.step()
    assert look(store, "a").pair is None
    assert rows(database, Pair) == []


def test_a_worker_says_what_its_sampler_does_wrong_and_goes_on(
    store: Store, policy: Policy, settings: Settings
) -> None:
    sampler = Liar(policy)
    worker = HandTurned(store, policy, settings, sampler=sampler).worker
    said: list[str | None] = []

    class Rest(threading.Event):
        """Looks at the alarm while the worker rests from its trouble, and ends the lie."""

        def wait(self, timeout: float | None = None) -> bool:
            said.append(alarm_of(store, TROUBLE.format("worker")))
            sampler.honest = True
            return False

        def is_set(self) -> bool:
            return store.queue.ready() >= settings.queue_pairs

    _turn(worker, store, Rest())
    assert len(said) == 1
    assert "does not draw from version 0" in str(said[0])
    assert alarm_of(store, TROUBLE.format("worker")) is None


def test_a_candidate_that_a_sampler_took_for_another_is_not_examined(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    sampler = Liar(policy, honest=True)
    worker = HandTurned(store, policy, settings, sampler=sampler)
    worker.make_due()
    sampler.honest = False
    worker.step()
    last = last_update(store)
    assert last.state is UpdateState.FAILED
    assert "does not draw from version 1" in str(last.reason)
    assert states(store) == ["live"]
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == settings.labels_per_update


def test_a_version_that_no_adapter_holds_is_checked_against_its_folder(
    store: Store, policy: Policy, settings: Settings, tmp_path: Path
) -> None:
    sampler = LocalSampler(policy)
    disturb(policy, CANDIDATE, seed=1)
    version, _ = write_candidate(policy, 1, tmp_path / "v0001")
    policy.copy_adapter(LIVE, CANDIDATE)

    class Elsewhere(Liar):
        """Draws in a process of its own, so to say: the policy here never held the version."""

        def sample(
            self, *arguments: object, **more: object
        ) -> Iterator[tuple[int, tuple[Response, ...]]]:
            drawn = list(sampler.sample(*arguments, **more))
            policy.copy_adapter(LIVE, OTHER)
            return iter(drawn)

    store.prompts.add(PROMPTS, now=1.0)
    supply = Supply(store, policy, Elsewhere(policy), settings)
    assert len(supply.sample(4, version)) == 4
    with pytest.raises(WrongVersionError):
        Supply(store, policy, Liar(policy), settings).sample(4, version)
