"""Label Studio (community 1.23, SQLite, loopback) as the peer of `tests.benchmarks.load`.

It is installed into an environment of its own, outside of this repository, and started as its
documentation says for a package from PyPI: `label-studio start`, which is Django's server. Reports
to its makers are off. Each rater has an account of their own, made by its sign-up form, and does
what its labelling page does: asks for the next task, and sends an annotation. It trains nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page

from tests.benchmarks.crowd import LOST, Connection, Crowd, Figures, Plan, Tally, figures
from tests.support.patience import wait_until
from tests.support.service import free_port

VERSION = "1.23.0"
PASSWORD = "a-password-for-this-run"
ADMIN = "admin@example.com"
IMPORT_TASKS = 1000
SKIP_ERROR_CHARS = 60
CONFIG = """<View>
  <Text name="prompt" value="$prompt"/>
  <Pairwise name="choice" toName="left,right"/>
  <Text name="left" value="$left"/>
  <Text name="right" value="$right"/>
</View>"""
QUIET = {
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "DJANGO_DB": "sqlite",
    "LOG_LEVEL": "ERROR",
}


def install(environment: Path) -> None:
    """Label Studio in a virtual environment, if it is not there yet. Takes minutes."""
    if (environment / "bin" / "label-studio").exists():
        return
    print(f"Installing Label Studio {VERSION} into {environment}.", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"label-studio=={VERSION}"], check=True, stderr=subprocess.DEVNULL)


class LabelStudio:
    """A running server with one project of pairs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._admin: httpx.Client | None = None
        self._project = 0

    def make_project(self, pairs: Sequence[Mapping[str, str]]) -> None:
        """A project in which two texts are compared: `prompt`, `left` and `right` of each pair."""
        self._admin = self._session("/user/login/", ADMIN)
        made = self._post("/api/projects", {"title": "pairs", "label_config": CONFIG})
        self._project = int(made["id"])
        rows = [{"data": pair} for pair in pairs]
        for first in range(0, len(rows), IMPORT_TASKS):
            chunk = rows[first : first + IMPORT_TASKS]
            self._post(f"/api/projects/{self._project}/import", chunk)

    def open_labelling(self, page: Page) -> None:
        """Log in as the admin in a browser, and open what "Label All Tasks" opens."""
        page.goto(f"{self.url}/user/login/")
        page.fill("[name=email]", ADMIN)
        page.fill("[name=password]", PASSWORD)
        with page.expect_navigation():
            page.keyboard.press("Enter")
        page.goto(f"{self.url}/projects/{self._project}/data?labeling=1")

    def rater(self, number: int) -> "PeerRater":
        """Somebody with an account of their own."""
        session = self._session("/user/signup/", f"rater{number}@example.com")
        cookies = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
        headers = {"cookie": cookies, **_signed(session), "referer": self.url}
        session.close()
        return PeerRater(Connection(self.port, headers), self._project)

    def annotations(self) -> int:
        """How many the project has."""
        assert self._admin is not None
        answer = self._admin.get(f"/api/projects/{self._project}")
        answer.raise_for_status()
        return int(answer.json()["total_annotations_number"])

    def doubled(self) -> int:
        """Annotations beyond the first of their task: each was wanted from one rater."""
        assert self._admin is not None
        answer = self._admin.get(
            f"/api/projects/{self._project}/export", params={"exportType": "JSON_MIN"}
        )
        answer.raise_for_status()
        tasks = [row["id"] for row in answer.json()]
        return len(tasks) - len(set(tasks))

    def _session(self, form: str, email: str) -> httpx.Client:
        client = httpx.Client(base_url=self.url, timeout=120)
        client.get(form)
        fields = {
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
            "email": email,
            "password": PASSWORD,
            "allow_newsletters": "false",
        }
        answer = client.post(form, data=fields, headers={"referer": self.url + form})
        if answer.status_code != 302:
            raise RuntimeError(f"{form} answered {answer.status_code} to {email}")
        return client

    def _post(self, path: str, body: Any) -> Any:
        assert self._admin is not None
        headers = {**_signed(self._admin), "referer": self.url}
        answer = self._admin.post(path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()


class PeerRater:
    """One of its users."""

    def __init__(self, connection: Connection, project: int) -> None:
        self.tally = Tally()
        self._connection = connection
        self._project = project
        self._task: int | None = None
        self._voting = 0.0

    def is_ready(self) -> bool:
        """Ask for the next task; that ends the round trip that the last vote began."""
        if self._task is not None:
            return True
        begin = time.perf_counter()
        found = self._ask("GET", f"/api/projects/{self._project}/next", (200,))
        if found is None:
            return False
        self._task = int(found["id"])
        if self._voting:
            self.tally.both.append(self._voting + time.perf_counter() - begin)
        return True

    def vote(self) -> None:
        """Send an annotation. One that fails is not sent again: it might be there twice."""
        task, self._task, self._voting = self._task, None, 0.0
        number = uuid.uuid4().hex
        self.tally.sent.add(number)
        chosen = {
            "from_name": "choice",
            "to_name": "left,right",
            "type": "pairwise",
            "value": {"selected": "left"},
        }
        body = {"result": [chosen], "lead_time": 5.0, "project": self._project}
        begin = time.perf_counter()
        if self._ask("POST", f"/api/tasks/{task}/annotations/", (201,), body) is not None:
            self._voting = time.perf_counter() - begin
            self.tally.vote.append(self._voting)
            self.tally.saved.add(number)

    def look(self) -> None:
        """Its page asks for nothing meanwhile."""

    def _ask(self, method: str, path: str, good: tuple[int, ...], body: Any = None) -> Any:
        try:
            status, answer = self._connection.ask(method, path, body)
        except LOST as error:
            self.tally.errors[f"{method}: {type(error).__name__}"] += 1
            return None
        if status not in good:
            self.tally.errors[f"{method}: {status} {_reason(answer)}"] += 1
            return None
        return json.loads(answer)


@contextmanager
def label_studio(environment: Path, folder: Path) -> Iterator[LabelStudio]:
    """A fresh server on SQLite, with an admin."""
    server = LabelStudio(free_port())
    settings = {f"LABEL_STUDIO_{name}": value for name, value in QUIET.items()}
    data = {"LABEL_STUDIO_BASE_DATA_DIR": str(folder), "HOME": str(folder)}
    command = [
        *(str(environment / "bin" / "label-studio"), "start", "--no-browser"),
        *("--port", str(server.port), "--internal-host", "127.0.0.1"),
        *("--username", ADMIN, "--password", PASSWORD),
    ]
    log = (folder / "log.txt").open("wb")
    with (
        log,
        subprocess.Popen(
            command, env=os.environ | QUIET | settings | data, stdout=log, stderr=log
        ) as process,
    ):
        try:
            wait_until(lambda: _is_up(server.url), "Label Studio")
            yield server
        finally:
            process.terminate()


def measure_peer(plan: Plan, environment: Path) -> Figures:
    """One run of Label Studio."""
    with (
        tempfile.TemporaryDirectory() as folder,
        label_studio(environment, Path(folder)) as server,
    ):
        server.make_project([_task(number) for number in range(plan.tasks)])
        raters = [server.rater(number) for number in range(plan.raters)]
        begin = time.monotonic()
        Crowd(raters, plan.pace, seconds=plan.seconds, seed=1).wait()
        seconds = time.monotonic() - begin
        saved = sum(len(rater.tally.saved) for rater in raters)
        there, doubled = server.annotations(), server.doubled()
        lost = max(0, saved - there)
        more = {"unconfirmed_but_there": max(0, there - saved)}
        return figures(raters, seconds, lost=lost, doubled=doubled, more=more)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _signed(client: httpx.Client) -> dict[str, str]:
    return {"x-csrftoken": client.cookies["csrftoken"]}


def _task(number: int) -> dict[str, str]:
    """As long as those of the starter."""
    return {
        "prompt": f"How do I make tea for {number}?",
        "left": f"Left {number}. " + "Boil water, and pour it over the leaves. " * 6,
        "right": f"Right {number}. " + "Ask somebody who knows about tea. " * 7,
    }


def _reason(answer: bytes) -> str:
    text = answer.decode(errors="replace")
    if "database is locked" in text:
        return "database is locked"
    return " ".join(text.split())[:SKIP_ERROR_CHARS]
