"""Figures of each version for programs that plot: `--report-to tensorboard`, `wandb` or `trackio`.

    a version that is new  ->  its loss, KL, win rate and votes  ->  the program's own client

The number of the version is the step. What was told is noted in the data dir, so a service that is
started again goes on with the same run and tells nothing twice. The scheduler does this beside its
other jobs: a client that fails is an alarm, and is tried again.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.finding import plotted
from labeler.store import Store

NOTED = "reported.json"
PROJECT = "livedpo"


class Client(Protocol):
    """One run of a program that plots."""

    def log(self, figures: Mapping[str, float], *, version: int, at: float) -> None:
        """Tell the figures of a version that was made at this time, in seconds since 1970."""

    def close(self) -> None:
        """Send what is left."""


@dataclass(frozen=True)
class Noted:
    """The run at a program, and the newest version that it was told of; 0 for none."""

    run: str
    version: int = 0


class Reporter:
    """Tells one program of each version once. The client is made when there is something to tell,
    for it may ask the network.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        assert settings.report_to is not None
        self._program: str = settings.report_to
        self._folder = settings.data_dir
        self._store = store
        self._client: Client | None = None

    def step(self) -> None:
        """Tell of the versions that are new. Raises whatever the client raises."""
        noted = self._noted()
        if self._store.versions.next_id() <= noted.version + 1:
            return
        new = [one for one in self._store.versions.all() if one.id > noted.version]
        for version in new:
            figures = plotted(version.finding)
            figures |= self._store.reports.labels_at(version.created_at)
            if self._client is None:
                self._client = client_of(self._program, self._folder, noted.run)
            self._client.log(figures, version=version.id, at=version.created_at)
            self._note(Noted(noted.run, version.id))

    def close(self) -> None:
        """Send what is left."""
        if self._client is not None:
            self._client.close()

    def _noted(self) -> Noted:
        found = self._all_noted().get(self._program)
        return Noted(**found) if found else Noted(uuid.uuid4().hex[:8])

    def _all_noted(self) -> dict[str, Any]:
        file = self._folder / NOTED
        return dict(json.loads(file.read_text())) if file.is_file() else {}

    def _note(self, noted: Noted) -> None:
        new = self._folder / f"{NOTED}.new"
        new.write_text(json.dumps(self._all_noted() | {self._program: vars(noted)}))
        new.replace(self._folder / NOTED)


def refuse_missing_client(settings: Settings) -> None:
    """Raise BadInput if the program to report to has no client here."""
    program = settings.report_to
    if program is not None and find_spec(program) is None:
        raise BadInput(
            f"--report-to {program} needs its client; install it with "
            f"`pip install 'livedpo[{program}]'`."
        )


def client_of(program: str, folder: Path, run: str) -> Client:
    """The client of a program, for a run that is new or goes on."""
    if program == "tensorboard":
        return _TensorBoard(folder / "tensorboard")
    return _WandB(folder, run) if program == "wandb" else _Trackio(run)


class _TensorBoard:
    """Writes event files into the data dir; `tensorboard --logdir` shows them."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary import Writer

        self._writer = Writer(str(folder))

    def log(self, figures: Mapping[str, float], *, version: int, at: float) -> None:
        """One scalar each."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, version, wall_time=at)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()


class _WandB:
    """Weights & Biases; WANDB_MODE and WANDB_API_KEY say where it sends them."""

    def __init__(self, folder: Path, run: str) -> None:
        import wandb

        self._run = wandb.init(project=PROJECT, id=run, resume="allow", dir=str(folder))

    def log(self, figures: Mapping[str, float], *, version: int, at: float) -> None:
        """One step."""
        self._run.log({**figures, "made_at": at}, step=version)

    def close(self) -> None:
        """Wait until all is sent."""
        self._run.finish()


class _Trackio:
    """trackio; TRACKIO_SPACE_ID and TRACKIO_SERVER_URL say where it sends them."""

    def __init__(self, run: str) -> None:
        import trackio

        quiet = {"embed": False, "auto_log_cpu": False, "auto_log_gpu": False}
        self._run = trackio.init(project=PROJECT, name=run, resume="allow", **quiet)

    def log(self, figures: Mapping[str, float], *, version: int, at: float) -> None:
        """One step."""
        self._run.log({**figures, "made_at": at}, step=version)

    def close(self) -> None:
        """Wait until all is sent."""
        self._run.finish()
