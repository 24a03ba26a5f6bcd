"""Somebody who votes on, whatever happens: like the page, until a vote is answered."""

import threading
import time
import uuid
from typing import Any

import httpx

ANSWER_SECONDS = 5.0
PAUSE_SECONDS = 0.3


class Voter:
    """Votes in a thread while `goes` is set; `saved` has the votes that were answered as saved."""

    def __init__(self, url: str) -> None:
        self.goes = threading.Event()
        self.sent: set[str] = set()
        self.saved: dict[str, float] = {}  # with the moment at which the vote was first sent
        self.tries = self.refusals = 0
        self._url = url
        self._holder = uuid.uuid4().hex
        self._ended = threading.Event()
        # Plain HTTP needs no certificates, which take longer to load than all else.
        self._http = httpx.Client(
            base_url=url, headers={"Origin": url}, timeout=ANSWER_SECONDS, verify=False
        )
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def close(self) -> None:
        """Stop for good."""
        self._ended.set()
        self.goes.set()
        self._thread.join()
        self._http.close()

    def first_saved_since(self, moment: float) -> float | None:
        """When the first vote was saved that was sent after that; None if none was yet."""
        return min((at for at in self.saved.values() if at >= moment), default=None)

    def _live(self) -> None:
        while not self._ended.is_set():
            self.goes.wait()
            if not self._ended.is_set():
                self._vote()
            self._ended.wait(PAUSE_SECONDS)

    def _vote(self) -> None:
        """Vote on the next pair, if there is one; give up only if told to stop."""
        body = {"holder": self._holder, "shown": [], "give_back": [], "wanted": 1}
        answer = self._post("/rating/pairs", body)
        if answer is None or not answer["pairs"]:
            return
        vote_id, sent_at = uuid.uuid4().hex, time.monotonic()
        vote = {"vote_id": vote_id, "lease_id": answer["pairs"][0]["lease_id"], "choice": "left"}
        self.sent.add(vote_id)
        while (answer := self._post("/rating/votes", {"votes": [vote]})) is None:
            if self._ended.wait(PAUSE_SECONDS):
                return
        if answer["receipts"][0]["saved"]:
            self.saved[vote_id] = sent_at

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        self.tries += 1
        try:
            answer = self._http.post(path, json=body)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError):
            self.refusals += 1
            return None
