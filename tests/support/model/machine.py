"""The store as a state machine: people, judge, scheduler, worker and admins, in any order."""

from hypothesis.stateful import rule

from tests.support.model.admins import Admins
from tests.support.model.loop import DUE
from tests.support.model.people import People
from tests.support.model.views import check_views
from tests.support.model.world import RATERS


class StoreMachine(People, Admins):
    """Everybody at once on one store."""

    @rule()
    def look(self) -> None:
        """What `status`, the dashboard and the exports say is what the model counts."""
        check_views(self.store, self.rows, DUE, raters=RATERS, now=self.time())

    look_again = look
