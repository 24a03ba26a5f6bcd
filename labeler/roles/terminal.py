"""The door to the terminal: all that a command or a program prints goes through it.

What stands in a sentence may be a stranger's text, so nothing reaches the terminal that steers it.
"""

import contextlib
import sys
import traceback

import click

from labeler.domain.visible import visible, visible_lines


def tell(sentence: str, *, err: bool = False) -> None:
    """Print one line. One who has stopped to listen, as in `livedpo serve | head`, is no error."""
    _print(visible(sentence), err=err)


def say(sentence: str) -> None:
    """The same of a service, which goes on where there is no room for what it says."""
    with contextlib.suppress(OSError):
        tell(sentence)


def tell_lines(text: str, *, err: bool = False) -> None:
    """Print text that is meant to have several lines, as the help of a command."""
    _print(visible_lines(text), err=err)


def show_bugs() -> None:
    """From now on the traceback of a bug, which may quote anything, comes by this door too."""
    sys.excepthook = lambda kind, error, where: tell_lines(
        "".join(traceback.format_exception(kind, error, where)).rstrip(), err=True
    )


def _print(text: str, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    # A terminal of another alphabet gets escapes for what it cannot show.
    encoding = stream.encoding or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    with contextlib.suppress(BrokenPipeError):
        click.echo(shown, err=err)
