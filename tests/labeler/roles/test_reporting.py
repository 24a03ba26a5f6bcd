"""Figures for programs that plot: each version once, also after a restart."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.finding import Finding
from labeler.roles import reporting
from labeler.roles.reporting import Reporter, client_of, refuse_missing_client
from labeler.store import Store
from tests.support.store import claim, open_update, promote, vote
from tests.support.tiny import add_pairs, fill

FINDING = Finding(labels=4, loss_first=0.69, loss_last=0.5, kl_live=0.25)
TOLD = {"labels": 4.0, "filled_pairs": 0.0, "loss_first": 0.69, "loss_last": 0.5, "kl_live": 0.25}


class Heard:
    """A program that writes down what it is told, or is not there."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, dict[str, float]]] = []
        self.runs: list[str] = []
        self.is_there = True

    def of(self, program: str, folder: Path, run: str) -> "Heard":
        self.runs.append(run)
        return self

    def log(self, figures: Mapping[str, float], *, version: int, at: float) -> None:
        if not self.is_there:
            raise OSError("no network")
        self.rows.append((self.runs[-1], version, dict(figures)))

    def close(self) -> None: ...


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    found = Heard()
    monkeypatch.setattr(reporting, "client_of", found.of)
    return found


def make_version(store: Store, number: int) -> None:
    at = 100.0 * number
    vote(store, 4, now=at)
    open_update(store, at + 1)
    promote(store, claim(store, now=at + 2), number, finding=FINDING, now=at + 3)
    add_pairs(store, 4, version=number)


def test_each_version_is_told_once_with_the_votes_of_its_time(
    store: Store, tmp_path: Path, heard: Heard
) -> None:
    fill(store, 8)
    settings = Settings(data_dir=tmp_path, report_to="wandb")
    make_version(store, 1)
    Reporter(settings, store).step()
    make_version(store, 2)
    again = Reporter(settings, store)  # after a restart
    again.step()
    again.step()
    votes = [{"votes_human": 4.0 * number, "votes_judge": 0.0} for number in (1, 2)]
    run = heard.runs[0]
    assert heard.rows == [(run, 1, TOLD | votes[0]), (run, 2, TOLD | votes[1])]


def test_what_could_not_be_told_is_told_later(store: Store, tmp_path: Path, heard: Heard) -> None:
    fill(store, 8)
    make_version(store, 1)
    reporter = Reporter(Settings(data_dir=tmp_path, report_to="trackio"), store)
    heard.is_there = False
    with pytest.raises(OSError, match="no network"):
        reporter.step()
    assert heard.rows == []
    heard.is_there = True
    reporter.step()
    assert [version for _, version, _ in heard.rows] == [1]


def test_a_program_without_its_client_here_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporting, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"livedpo\[wandb\]"):
        refuse_missing_client(Settings(report_to="wandb"))
    refuse_missing_client(Settings())


def test_tensorboard_reads_what_its_client_wrote(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    client = client_of("tensorboard", tmp_path, "run")
    client.log({"kl_live": 0.25}, version=3, at=1_700_000_000.0)
    client.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (scalar,) = events.Tensors("kl_live")
    assert (scalar.step, scalar.wall_time) == (3, 1_700_000_000.0)


def test_trackio_takes_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    pytest.importorskip("trackio")
    client = client_of("trackio", tmp_path, "run")
    client.log({"kl_live": 0.25}, version=3, at=1.0)
    client.close()
    assert list(tmp_path.rglob("*.db"))
