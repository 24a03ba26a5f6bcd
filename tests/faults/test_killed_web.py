"""kill -9 of the web process between click and answer: the vote counts once.

The server that takes its place is one of this process.
"""

import signal
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from labeler.store import open_store
from tests.support import warm
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.service import PLAIN, Client, free_port, settings_environment
from tests.support.tiny import fill
from tests.support.web import serving


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/rating/state", **PLAIN).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize(
    ("point", "votes_before_the_retry"), [("vote before commit", 0), ("vote after commit", 1)]
)
def test_a_vote_whose_answer_was_lost_counts_once_when_it_is_sent_again(
    point: str, votes_before_the_retry: int, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'livedpo.sqlite'}"
    store = open_store(database)
    fill(store, 4)
    port = free_port()
    url, environment = (
        f"http://127.0.0.1:{port}",
        settings_environment(data_dir=tmp_path, port=port),
    )
    client = Client(url)
    with warm.role("tests.support.dying_role", point, environment=environment) as dying:
        wait_until(lambda: is_up(url), "the page")
        lease = client.pairs(1)[0]["lease_id"]
        with pytest.raises(httpx.HTTPError):
            client.vote(lease, vote_id="the-vote")
        assert dying.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    assert len(store.reports.votes()) == votes_before_the_retry

    with closing(open_store(database)) as fresh, serving(fresh, tmp_path, port=port):
        assert client.vote(lease, vote_id="the-vote")
        assert client.vote(lease, vote_id="the-vote")
    assert [row.vote.id for row in store.reports.votes()] == ["the-vote"]
