"""What is said of replies that end at the limit, and whether the limit it names would do."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from labeler.store import Store
from tests.support.store import alarm_of
from tests.support.tiny import worker_settings
from tests.support.worker import PROMPTS, HandTurned
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Response
from trainer.worker.cut import LAST_REPLIES, MIN_REPLIES, CutReplies
from trainer.worker.jobs.sample import SampleJob
from trainer.worker.supply import Supply

Draw = Callable[[random.Random], float]
LENGTHS: dict[str, Draw] = {
    "equally likely to end at every token": lambda lot: lot.expovariate(1 / 150),
    "around a usual length": lambda lot: lot.gauss(120, 40),
    "with a long tail": lambda lot: lot.lognormvariate(5, 0.8),
    "of two kinds": lambda lot: lot.gauss(60, 15) if lot.random() < 0.6 else lot.gauss(200, 50),
}


def reply(tokens: int, *, limit: int) -> Response:
    return Response("", [5] * min(tokens, limit), "length" if tokens > limit else "stop", -1.0)


def seen(lengths: list[int], *, limit: int, most: int = 4096) -> CutReplies:
    cut = CutReplies(limit, most)
    cut.saw((reply(tokens, limit=limit) for tokens in lengths), 0)
    return cut


@pytest.mark.parametrize("kind", list(LENGTHS))
@pytest.mark.parametrize("seed", range(5))
def test_at_the_limit_that_is_named_few_replies_would_be_cut(kind: str, seed: int) -> None:
    """At most a fifth of 5000, where 5 % is aimed at from 256 of them."""
    lot = random.Random(seed)
    lengths = [max(1, round(LENGTHS[kind](lot))) for _ in range(5000)]
    warning = seen(lengths[:LAST_REPLIES], limit=100).warning()
    assert warning is not None
    assert "replies were cut at --max-new-tokens 100" in warning
    found = re.search(r"(?:with|try) (\d+)", warning)
    assert found is not None
    assert sum(tokens > int(found[1]) for tokens in lengths) <= 0.2 * len(lengths)
    assert int(found[1]) <= 4 * 100


def test_up_to_a_fifth_may_be_cut_and_a_few_replies_say_nothing() -> None:
    assert seen([50] * 80 + [500] * 20, limit=100).warning() is None
    assert seen([50] * 79 + [500] * 21, limit=100).warning() is not None
    assert seen([500] * (MIN_REPLIES - 1), limit=100).warning() is None


def test_where_hardly_any_reply_ends_twice_the_limit_is_to_be_tried() -> None:
    warning = seen([500] * 100, limit=100).warning()
    assert warning == (
        "100% of the last 100 replies were cut at --max-new-tokens 100, and too few end by "
        "themselves to tell how long they would be; try 200."
    )


def test_the_context_bounds_what_is_named() -> None:
    lengths = [50] * 20 + [90] * 20 + [500] * 60
    assert "has room for 120" in str(seen(lengths, limit=100, most=120).warning())
    assert "has no room for more" in str(seen(lengths, limit=100, most=100).warning())


def test_only_the_last_replies_count() -> None:
    cut = seen([500] * 100, limit=100)
    cut.saw((reply(50, limit=100) for _ in range(LAST_REPLIES)), 0)
    assert cut.warning() is None


def test_what_an_earlier_version_said_is_not_held_against_a_new_one() -> None:
    cut = seen([500] * MIN_REPLIES, limit=100)
    assert cut.warning() is not None
    cut.saw([reply(50, limit=100)], 1)
    assert cut.warning() is None


def test_replies_that_are_cut_raise_an_alarm_and_are_said_once_in_the_log(
    store: Store,
    policy: Policy,
    tiny_policy: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A random model ends one reply in 27 within 12 tokens."""
    worker = HandTurned(store, policy, worker_settings(tiny_policy, tmp_path))
    for _ in range(3):
        worker.job(SampleJob).top_up(16)
    assert "replies were cut at --max-new-tokens 12" in str(alarm_of(store, "worker: replies"))
    assert len([record for record in caplog.records if "were cut" in record.message]) == 1


def test_where_nobody_is_there_they_are_in_the_log_alone(
    store: Store,
    policy: Policy,
    tiny_policy: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An alarm ends an unattended run in which nothing moves for a while."""
    store.prompts.add(PROMPTS, now=1.0)
    settings = worker_settings(tiny_policy, tmp_path, unattended=True)
    supply, base = Supply(store, policy, LocalSampler(policy), settings), Version(0, None)
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    supply.pairs(supply.sample(40, base), base)
    assert "were cut" in caplog.text
    assert alarm_of(store, "worker: replies") is None
