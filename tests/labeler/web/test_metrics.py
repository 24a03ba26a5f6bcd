"""Figures for Prometheus, read by its own parser, and who may read them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding
from labeler.domain.states import RaterRole
from tests.support.people import client_of, member
from tests.support.store import claim, open_update, promote, vote
from tests.support.tiny import add_pairs
from tests.support.web import WebServer, add_questions, open_test_store, serving

TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A service with one version that four votes made, two votes since, and an account."""
    folder: Path = tmp_path_factory.mktemp("metrics")
    with closing(open_test_store(folder)) as store:
        add_questions(store, 12)
        vote(store, 4)
        open_update(store)
        finding = Finding(
            labels=4, loss_first=0.69, loss_last=0.5, kl_live=0.25, win_rate=Estimate.rate(0.75, 16)
        )
        promote(store, claim(store), 1, finding=finding)
        add_pairs(store, 3, version=1)
        vote(store, 2)
        member(store, "Boss", RaterRole.ADMIN)
        with serving(store, folder, metrics_token=TOKEN, labels_per_update=4) as running:
            yield running


def asked(house: WebServer, header: str | None) -> httpx.Response:
    with client_of(house) as client:
        return client.get("/metrics", headers={"authorization": header} if header else {})


def test_a_program_with_the_token_gets_what_status_counts_and_the_figures_of_each_version(
    house: WebServer,
) -> None:
    answer = asked(house, f"Bearer {TOKEN}")
    assert answer.headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    status = house.store.reports.status(max_staleness=2)
    assert found["livedpo_labels", "human"] == status["labels"]["human"] == 6
    assert found["livedpo_labels_used",] == 4
    assert found["livedpo_pairs", "ready"] == status["pairs"]["ready"]
    assert found["livedpo_updates_total", "done"] == 1
    assert found["livedpo_live_version",] == 1
    assert found["livedpo_version_loss_last", "1"] == 0.5
    assert found["livedpo_version_kl_live", "1"] == 0.25
    assert found["livedpo_version_win_rate", "1"] == 0.75
    assert ("livedpo_version_kl_reference", "1") not in found  # nobody measured it
    assert found["livedpo_disk_free_bytes",] > 0


@pytest.mark.parametrize(
    "header", [None, "Bearer", f"Bearer {TOKEN}x", TOKEN, "Bearer \u00e4".encode()]
)
def test_without_the_token_one_has_to_log_in(house: WebServer, header: str | None) -> None:
    assert asked(house, header).status_code == 401


def test_the_token_opens_nothing_else(house: WebServer) -> None:
    with client_of(house) as client:
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert client.get("/dashboard/figures", headers=headers).status_code == 401
