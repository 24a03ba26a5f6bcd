"""What people are shown of the store, counted once more from the model's rows."""

from collections import Counter

from labeler.domain.rules import DueRules
from labeler.domain.states import Choice, PairState, Source, UpdateState
from labeler.files.export.formats import FORMATS, Wanted
from labeler.store import Store
from tests.support.model.rows import Rows, Vote
from tests.support.model.rules import fresh, live, opened, standing, untried, waiting


def check_views(store: Store, rows: Rows, due: DueRules, *, raters: int, now: float) -> None:
    """Raises AssertionError if `status`, the dashboard or an export differ from the model."""
    _check_status(store, rows, due, raters)
    _check_dashboard(store, rows, due, now)
    _check_exports(store, rows)


def _check_status(store: Store, rows: Rows, due: DueRules, raters: int) -> None:
    status = store.reports.status(max_staleness=due.max_staleness)
    states = Counter(pair.state for pair in rows.pairs.values())
    assert status["pairs"] == {
        "ready": len(waiting(rows)),
        "leased": _leased(rows),
        "labelled": states[PairState.LABELLED],
        "expired": states[PairState.EXPIRED],
    }
    assert status["labels"] == {
        "human": len(_labels(rows, Source.HUMAN)),
        "judge": len(_labels(rows, Source.JUDGE)),
        "fresh": len(fresh(rows, max_staleness=due.max_staleness)),
        "used": _used(rows),
    }
    assert status["policy"]["live"] == live(rows)
    assert status["policy"]["versions"] == len(rows.versions)
    updates = Counter(update.state for update in rows.updates.values())
    assert status["updates"] == {
        "done": updates[UpdateState.PROMOTED],
        "rejected": updates[UpdateState.REJECTED],
        "failed": updates[UpdateState.FAILED],
        "running": int(opened(rows) is not None),
    }
    assert status["raters"] == raters


def _check_dashboard(store: Store, rows: Rows, due: DueRules, now: float) -> None:
    totals, moment = store.dashboard.totals(), store.dashboard.now(due, now=now)
    assert (totals.human, totals.judge, totals.used) == (
        len(_labels(rows, Source.HUMAN)),
        len(_labels(rows, Source.JUDGE)),
        _used(rows),
    )
    states = Counter(pair.state for pair in rows.pairs.values())
    assert totals.labelled == states[PairState.LABELLED]
    assert totals.expired == states[PairState.EXPIRED]
    waiting = fresh(rows, max_staleness=due.max_staleness)
    assert moment.fresh == len(untried(rows, waiting))
    assert (moment.live, moment.leased) == (live(rows), _leased(rows))
    assert moment.parent == rows.versions[live(rows)].parent
    assert moment.aside == sum(pair.aside_at is not None for pair in rows.pairs.values())
    now_open = opened(rows)
    assert (moment.open_update or {}).get("id") == (now_open.id if now_open else None)


def _check_exports(store: Store, rows: Rows) -> None:
    raw = list(FORMATS["raw"].rows(Wanted(store)))
    assert sorted(row["vote_id"] for row in raw) == sorted(rows.votes)
    for row in raw:
        vote = rows.votes[row["vote_id"]]
        assert row["choice"] == vote.choice
        assert row["used_in_update"] == vote.used
        assert (row["superseded_by"] is None) == (vote.undone is None)
    texts = {row["pair_id"]: {"a": row["response_a"], "b": row["response_b"]} for row in raw}
    decided = Counter(
        (texts[pair][winner], texts[pair]["b" if winner == "a" else "a"])
        for pair in texts
        if (winner := _winner(rows, pair)) is not None
    )
    rows_of = FORMATS["preference"].rows(Wanted(store))
    assert Counter((row["chosen"], row["rejected"]) for row in rows_of) == decided


def _winner(rows: Rows, pair: int) -> str | None:
    """What most people prefer, or judges where nobody has voted, of a pair to learn from."""
    if rows.pairs[pair].state is PairState.CHECK or rows.pairs[pair].aside_at is not None:
        return None
    votes = standing(rows, pair)
    people = [vote for vote in votes if vote.source is Source.HUMAN]
    said = Counter(vote.choice for vote in people or votes)
    if said[Choice.A] == said[Choice.B]:
        return None
    return "a" if said[Choice.A] > said[Choice.B] else "b"


def _leased(rows: Rows) -> int:
    return len({lease.pair for lease in rows.leases.values() if lease.ended_at is None})


def _labels(rows: Rows, source: Source) -> list[Vote]:
    """Standing votes that say something of a pair that checks nobody."""
    return [
        vote
        for vote in rows.votes.values()
        if vote.undone is None
        and vote.source is source
        and vote.choice is not Choice.SKIP
        and rows.pairs[vote.pair].state is not PairState.CHECK
    ]


def _used(rows: Rows) -> int:
    return sum(vote.used is not None and vote.undone is None for vote in rows.votes.values())
