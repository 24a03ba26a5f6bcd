"""What a program may do: lease, vote, undo, status, export, each with the rights of its account.

The bounds are those of the page's routes, and a refusal is the same sentence. Whose call it is says
the door; nothing is believed that the caller says of itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import uuid4

from pydantic import ValidationError

from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.states import RaterRole
from labeler.store.records import LeasedPair
from labeler.web.api.stubs import without_stubs
from labeler.web.body import Body
from labeler.web.dashboard.downloads import Exporter, Format, Labels
from labeler.web.door.access import MIN_ROLE, RANKS
from labeler.web.door.person import Person, person_of
from labeler.web.rating.bodies import PairsBody, UndoBody, VoteBody
from labeler.web.rating.desk import Desk
from labeler.web.said import sentence_of

with without_stubs():
    import gradio as gr

MAX_EXPORT_BYTES = 32 * 1024**2


class ExportBody(Body):
    """Which labels, and how."""

    format: Format
    labels: Labels


class Endpoints:
    """One method for each endpoint; its docstring is what callers are told of it.

    A client's session holds pairs of its own, as a tab does.
    """

    def __init__(self, desk: Desk, exporter: Exporter) -> None:
        self._desk = desk
        self._exporter = exporter

    @property
    def all(self) -> tuple[Callable[..., Any], ...]:
        """They are named as their methods are."""
        return (self.lease, self.vote, self.undo, self.status, self.export)

    def lease(self, request: gr.Request, wanted: int = 1) -> list[dict[str, Any]]:
        """Pairs to rate, which this client holds until it votes or the lease ends.

        Asked again, those that have no vote yet come first. None are ready: an empty list.
        """
        with _refusals():
            body = PairsBody(holder=request.session_hash, wanted=wanted)
            return [_pair(pair) for pair in self._desk.lease(body, _person(request).rater_id)]

    def vote(
        self,
        request: gr.Request,
        lease_id: str,
        choice: Literal["left", "right", "tie", "both_bad", "skip"],
        strength: Literal[1, 2] = 1,
        seconds: float | None = None,
        reasons: list[str] | None = None,
        comment: str | None = None,
        edit: str | None = None,
        vote_id: str | None = None,
    ) -> dict[str, Any]:
        """Vote on a leased pair: strength 2 is "much better", seconds is how long it was looked at.

        The same vote_id sent again counts once. The answer says whether the vote is saved.
        """
        with _refusals():
            vote = VoteBody(
                vote_id=vote_id or uuid4().hex,
                lease_id=lease_id,
                choice=choice,
                strength=strength,
                seconds=seconds,
                reasons=reasons or [],
                comment=comment,
                edit=edit,
            )
            return vars(self._desk.vote(vote, _person(request).rater_id))

    def undo(self, request: gr.Request, vote_id: str | None = None) -> dict[str, Any]:
        """Take back a vote, by its vote_id, or else this client's last one."""
        with _refusals():
            body = UndoBody(undo_id=uuid4().hex, holder=request.session_hash, vote_id=vote_id)
            undone = self._desk.undo(body, _person(request).rater_id)
            return vars(undone) | {"pair": _pair(undone.pair) if undone.pair else None}

    def status(self, request: gr.Request) -> dict[str, Any]:
        """How things stand: live version, pairs ready, your votes, progress, alarms."""
        with _refusals():
            return self._desk.state(_person(request).rater_id)

    def export(
        self, request: gr.Request, format: str = "preference", labels: Labels = "all"
    ) -> str:
        """All labels as text, in a format of `livedpo export`. For admins."""
        with _refusals():
            _person(request, RaterRole.ADMIN)
            wanted = ExportBody(format=format, labels=labels)
            file, size = self._exporter.make(wanted.format, wanted.labels)
            with file:
                if size > MAX_EXPORT_BYTES:
                    raise BadInput(
                        f"The export has {size} bytes, more than {MAX_EXPORT_BYTES}. "
                        f"Download it from /export/{format} with the same key."
                    )
                return file.read().decode()


@contextmanager
def _refusals() -> Iterator[None]:
    """What is refused is told in its own sentence; anything else is the service's fault."""
    try:
        yield
    except ValidationError as error:
        raise gr.Error(sentence_of(error.errors()), print_exception=False) from None
    except LivedpoError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _person(request: gr.Request, least: RaterRole = RaterRole.RATER) -> Person:
    """Whom the door let in. Raises BadInput if that needs more than their role."""
    person = person_of(request.request)
    if RANKS.get(person.role, 0) < RANKS[least]:
        raise BadInput(f"This needs the role {MIN_ROLE[least]}.")
    return person


def _pair(pair: LeasedPair) -> dict[str, Any]:
    """A pair by sides, with the texts as they are, and nothing that tells which is which."""
    return {
        "lease_id": pair.lease_id,
        "version": pair.version_id,
        "messages": pair.messages,
        "left": pair.left,
        "right": pair.right,
        "left_unfinished": pair.left_unfinished,
        "right_unfinished": pair.right_unfinished,
    }
