"""The log of a role: what it shows, what it holds back, and what a full disk does to it."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labeler.domain.errors import LivedpoError
from labeler.roles.logs import Lines, LogFile, OnceAMinute, Terminal

HOSTILE = "\x1b]0;owned\x07 and \u202ebackwards\ud800\nworker: All is well."


def record(message: str, *, at: float = 0.0, error: Exception | None = None) -> logging.LogRecord:
    found = logging.LogRecord("a", logging.ERROR, __file__, 1, message, (), None)
    found.created = at
    if error is not None:
        try:
            raise error
        except Exception as raised:
            found.exc_info = (type(raised), raised, raised.__traceback__)
    return found


def test_a_strangers_text_makes_no_second_line_and_steers_nothing() -> None:
    line = Lines("worker").format(record(HOSTILE))
    assert line.endswith(
        r" worker: \x1b]0;owned\x07 and \u202ebackwards\ud800\nworker: All is well."
    )


def test_a_traceback_goes_to_the_file_and_the_terminal_says_where(tmp_path: Path) -> None:
    bug = record("Update 3 failed.", error=ValueError(HOSTILE))
    kept = Lines("worker").format(bug)
    assert "Traceback (most recent call last)" in kept
    assert "\x1b" not in kept
    told = Lines("worker", traceback_in=tmp_path / "worker.log").format(bug)
    assert told.endswith(f"Update 3 failed. (its traceback is in {tmp_path}/worker.log)")
    assert "\n" not in told


def test_trouble_that_a_sentence_explains_has_no_traceback() -> None:
    known = record("The disk is full.", error=LivedpoError("The disk is full."))
    assert "\n" not in Lines("worker").format(known)


def test_a_sentence_comes_once_a_minute_with_its_count() -> None:
    once = OnceAMinute()
    found = [record("The disk is full.", at=at) for at in range(0, 200, 2)]
    told = [each for each in found if once.filter(each)]
    assert [each.created for each in told] == [0, 60, 120, 180]
    assert Lines("web").format(told[1]).endswith("The disk is full. (29 times more in between)")


def test_what_a_record_is_about_is_held_back_whatever_its_words() -> None:
    once, first, second = OnceAMinute(), record("3 of 16 failed"), record("4 of 16 failed")
    first.__dict__["about"] = second.__dict__["about"] = "the judge"
    assert once.filter(first)
    assert not once.filter(second)


def test_news_is_never_held_back() -> None:
    once, news = OnceAMinute(), record("Version 2 is live.")
    news.levelno = logging.INFO
    assert once.filter(news)
    assert once.filter(news)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """A logger of its own, as the root is to a process."""
    logger = logging.getLogger("labeler.roles.logs")
    logger.propagate = False
    yield logger
    logger.propagate = True
    for handler in [*logger.handlers]:
        handler.close()
        logger.removeHandler(handler)


def test_a_disk_without_room_costs_one_line_on_the_terminal_and_lost_lines_are_counted(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "worker.log"
    path.symlink_to("/dev/full")  # opens, and has no room
    file = LogFile(path)
    file.setFormatter(Lines("worker"))
    root.addHandler(file)
    for number in range(100):
        root.error("Trouble %d.", number)
    told = capsys.readouterr().err
    assert told == f"The log {path} cannot be written: No space left on device.\n"

    path.unlink()  # now there is room
    root.error("It goes on.")
    [line, count] = path.read_text().splitlines()
    assert line.endswith("It goes on.")
    assert count.endswith("100 lines are missing here: the file could not be written.")


def test_a_folder_that_cannot_be_made_is_no_end(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file")
    root.addHandler(LogFile(tmp_path / "logs" / "web.log"))
    root.error("Trouble.")
    assert capsys.readouterr().err.count("\n") == 1


def test_a_terminal_that_is_gone_is_no_trouble(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    gone = os.fdopen(write, "w")
    root.addHandler(Terminal(gone))
    root.error("Trouble.")
    assert capsys.readouterr().err == ""
    with contextlib.suppress(BrokenPipeError):
        gone.close()
