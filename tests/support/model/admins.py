"""What admins do by hand: make versions live, refuse, keep and prune them."""

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import rule

from labeler.domain.errors import BadInput
from labeler.domain.finding import Finding
from labeler.domain.states import LabelRole, UpdateState, VersionState
from tests.support.model.handing import retire_of
from tests.support.model.loop import Loop
from tests.support.model.rows import Version, rows_of
from tests.support.model.rules import go_live, listed, live, opened, prunable
from tests.support.model.world import choose, deaths, numbers


class Admins(Loop):
    """Whoever has a say over versions."""

    @rule(version=numbers, back=st.booleans(), death=deaths)
    def make_live(self, version: int, back: bool, death: int | None) -> None:
        """By hand: an older version, or one that the gate refused; by default the parent."""
        number = None if back else choose(list(self.rows.versions), version)
        target = self.rows.versions[live(self.rows)].parent if back else number
        row, now = None if target is None else self.rows.versions[target], self.time()
        with self.process(death) as call:
            try:
                found = self.store.versions.find(number).id
                call(self.store.versions.make_live_again, found, now=now, by="admin")
            except BadInput:
                assert row is None or row.state is VersionState.LIVE or row.pruned_at is not None
                return
            assert row is not None
            assert row.pruned_at is None, "a version without a folder is live"
            if row.state is VersionState.REJECTED:
                self._use_labels_of(row)
            previous = live(self.rows)
            go_live(self.rows, row.id, now)
            if row.id < previous:  # whoever goes back does away with it
                retire_of(self.rows, previous)

    def _use_labels_of(self, version: Version) -> None:
        """A version that the gate refused, made live after all, has learnt from its labels."""
        for update in self.rows.updates.values():
            if update.version == version.id and update.state is UpdateState.REJECTED:
                for number in listed(self.rows, update.id, LabelRole.TRAIN):
                    vote = self.rows.votes[number]
                    if vote.used is None and vote.undone is None:
                        vote.used = update.id

    @rule(version=numbers, death=deaths)
    def refuse(self, version: int, death: int | None) -> None:
        row, now = choose(list(self.rows.versions.values()), version), self.time()
        parent = None if row.parent is None else self.rows.versions[row.parent]
        was_live = row.state is VersionState.LIVE
        possible = row.pruned_at is None and (
            row.state is VersionState.CANDIDATE
            or (was_live and parent is not None and parent.pruned_at is None)
        )
        with self.process(death) as call:
            try:
                call(self.store.versions.reject, row.id, now=now, by="admin")
            except BadInput:
                assert not possible
                return
            assert possible
            if was_live and parent is not None:
                go_live(self.rows, parent.id, now)
                retire_of(self.rows, row.id)
            row.state = VersionState.REJECTED

    @rule(
        what=st.sampled_from(["train apart", "keep", "let go", "prune", "prune"]),
        version=numbers,
        death=deaths,
    )
    def manage_versions(self, what: str, version: int, death: int | None) -> None:
        """A version of `livedpo train`, folders that stay, and folders that go."""
        now, versions = self.time(), self.store.versions
        row, parent, keep = (
            choose(list(self.rows.versions.values()), version),
            live(self.rows),
            version % 3,
        )
        may_go = prunable(self.rows, keep)
        with self.process(death) as call:
            if what == "train apart":
                number = call(
                    versions.add_candidate,
                    folder="apart",
                    sha256="x",
                    finding=Finding(labels=1),
                    parent=parent,
                    now=now,
                )
                assert number not in self.rows.versions
                self.rows.versions[number] = Version(number, parent, VersionState.CANDIDATE)
            elif what == "prune":
                call(versions.prune, keep=keep, now=now)
                there = rows_of(self.database).versions
                gone = {number for number in may_go if there[number].pruned_at == now}
                assert gone == may_go or opened(self.rows) is not None
                for number in gone:
                    self.rows.versions[number].pruned_at = now
            else:
                with suppress(BadInput):
                    call(versions.keep, row.id, kept=what == "keep")
                    assert row.id != 0
                    assert row.pruned_at is None
                    row.kept = what == "keep"
