"""The only place that opens a database session. One verb is one transaction; now is an argument.

store = open_store(settings.database_url)
store.votes.record(ballot, rater_id=1, now=time.time())
"""

from contextlib import AbstractContextManager
from pathlib import Path

from labeler.domain.errors import BadInput
from labeler.store.database import Database
from labeler.store.holders import Holders
from labeler.store.learning.follow_ups import FollowUps
from labeler.store.learning.imported import Imported
from labeler.store.learning.judging import Judging
from labeler.store.learning.pruning import tidy
from labeler.store.learning.updates import Updates
from labeler.store.learning.versions import Versions
from labeler.store.people.accounts import Accounts
from labeler.store.people.keys import Keys
from labeler.store.people.logins import Logins
from labeler.store.processes import Processes
from labeler.store.rating.asks import Asks
from labeler.store.rating.checks import GoldPairs
from labeler.store.rating.edits import Edits
from labeler.store.rating.overlap import Overlap
from labeler.store.rating.prompts import Prompts
from labeler.store.rating.queue import Queue
from labeler.store.rating.votes import Votes
from labeler.store.views.changes import Changes
from labeler.store.views.dashboard import Dashboard
from labeler.store.views.exported import Exports
from labeler.store.views.history import History
from labeler.store.views.labelled import Labelled
from labeler.store.views.reports import Reports
from labeler.store.views.runs import Runs
from labeler.store.views.trust import Trust

__all__ = ["Store", "objection_to", "open_store"]


class Store:
    """The verbs of the database, grouped by noun."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.prompts = Prompts(database)
        self.queue = Queue(database)
        self.overlap = Overlap(database)
        self.gold = GoldPairs(database)
        self.trust = Trust(database)
        self.votes = Votes(database)
        self.edits = Edits(database)
        self.history = History(database)
        self.updates = Updates(database)
        self.versions = Versions(database)
        self.raters = Accounts(database)
        self.logins = Logins(database)
        self.keys = Keys(database)
        self.processes = Processes(database)
        self.holders = Holders(database)
        self.judging = Judging(database)
        self.imported = Imported(database)
        self.asks = Asks(database)
        self.changes = Changes(database)
        self.follow_ups = FollowUps(database)
        self.runs = Runs(database)
        self.reports = Reports(database)
        self.exports = Exports(database)
        self.dashboard = Dashboard(database)
        self.labelled = Labelled(database)

    def tidy(self, *, now: float) -> int:
        """Delete pairs that nobody answered; returns how many. See `learning.pruning`."""
        return tidy(self._database, now=now)

    def change_mark(self) -> int:
        """A number that changes with every commit, for whoever polls for news."""
        return self._database.change_mark()

    def worker_lock(self) -> AbstractContextManager[object] | None:
        """Held by the one worker of this database; None if this kind of database has no locks."""
        return self._database.lock("worker")

    def checkpoint(self) -> None:
        """Keep the files beside the database small; to be called now and then."""
        self._database.checkpoint()

    def copy_to(self, file: Path) -> None:
        """Write the database as it is now to a new file, while the service goes on."""
        self._database.copy_to(file)

    def close(self) -> None:
        """Give the database connections back."""
        self._database.close()


def open_store(url: str, *, create: bool = True) -> Store:
    """Open the database, creating it or bringing it up to date unless `create` is false.

    Raises BadInput if there is none, or if it is of another version of livedpo.
    """
    database = Database(url, create=create)
    if not database.is_current():
        if not create and database.is_empty():
            raise BadInput(
                f"There is nothing in the database {database.shown} yet; start `livedpo serve` "
                "first."
            )
        if not create:
            raise BadInput(
                f"The database {database.shown} is of another version of livedpo; use that one, "
                "or let `livedpo serve` bring an older one up to date."
            )
        database.migrate()
        database.checkpoint()  # so that a copy of the file alone has the tables at least
    return Store(database)


def objection_to(url: str) -> str | None:
    """What is wrong with the database at `url`, in a clause, after reading all of it; or None."""
    database = Database(url, create=False)
    try:
        return database.objection()
    finally:
        database.close()
