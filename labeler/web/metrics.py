"""The service's figures in the format of Prometheus: GET /metrics.

They are counted at each scrape. What is told by version is told of the newest ones, so that a long
run does not make ever more series.
"""

import time
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from labeler.config.settings import Settings
from labeler.domain.finding import plotted
from labeler.roles.disk import disk_of
from labeler.store import Store

MAX_VERSIONS = 50
# What is told of each version, by its name in `plotted`.
BY_VERSION = {
    "labels": "Labels that it trained on for the first time.",
    "filled_pairs": "Pairs that nobody rated which it trained on.",
    "loss_first": "Loss of the first step of its training.",
    "loss_last": "Loss of the last step of its training.",
    "kl_live": "KL from the version before, in nats a token.",
    "kl_reference": "KL from the base policy, in nats a token.",
    "win_rate": "Share of comparisons won against the version before, by the judge.",
}


def metrics_routes(settings: Settings, store: Store) -> APIRouter:
    """The route."""
    routes = APIRouter()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(settings, store))

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return routes


class _Figures(Collector):
    """Looks at the database whenever it is asked."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Every figure as it is now."""
        settings, reports = self._settings, self._store.reports
        status = reports.status(max_staleness=settings.max_staleness, votes=settings.vote_rules)
        disk = disk_of(settings.data_dir)
        yield from _counts(status)
        yield _gauge("alarms", "Alarms now.", len(reports.alarms(now=time.time(), disk=disk)))
        if disk is not None:
            yield _gauge("disk_free_bytes", "Room on the disk of the data dir.", disk.free)
        beats = GaugeMetricFamily(
            "livedpo_heard_timestamp_seconds",
            "When a process last gave a sign of life.",
            labels=["process"],
        )
        for process in self._store.processes.all():
            if process.beat_at is not None:
                beats.add_metric([process.name], process.beat_at)
        yield beats
        yield from self._by_version()

    def _by_version(self) -> Iterator[Metric]:
        newest = self._store.versions.all()[-MAX_VERSIONS:]
        for name, about in BY_VERSION.items():
            family = GaugeMetricFamily(f"livedpo_version_{name}", about, labels=["version"])
            for version in newest:
                if (value := plotted(version.finding).get(name)) is not None:
                    family.add_metric([str(version.id)], value)
            yield family


def _counts(status: dict[str, Any]) -> Iterator[Metric]:
    """What `status` counts."""
    pairs = GaugeMetricFamily("livedpo_pairs", "Pairs by state.", labels=["state"])
    for state, number in status["pairs"].items():
        pairs.add_metric([state], number)
    yield pairs
    labels = status["labels"]
    standing = GaugeMetricFamily("livedpo_labels", "Standing labels by source.", labels=["source"])
    for source in ("human", "judge"):
        standing.add_metric([source], labels[source])
    yield standing
    yield _gauge("labels_fresh", "Labels that no update has used and one can.", labels["fresh"])
    yield _gauge("labels_used", "Labels that an update has used.", labels["used"])
    updates = CounterMetricFamily("livedpo_updates", "Ended updates.", labels=["outcome"])
    for outcome in ("done", "rejected", "failed"):
        updates.add_metric([outcome], status["updates"][outcome])
    yield updates
    yield _gauge("updates_running", "Whether an update runs.", status["updates"]["running"])
    yield _gauge("raters", "Accounts of people.", status["raters"])
    yield _gauge("prompts_usable", "Prompts to sample for.", status["prompts"]["usable"])
    if status["policy"]["live"] is not None:
        yield _gauge("live_version", "Number of the live version.", status["policy"]["live"])


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"livedpo_{name}", about, value=value)
