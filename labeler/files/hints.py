"""Hints under which replies are drawn: one sentence a line, of a file of one's own or of ours."""

from labeler.config.settings import Settings
from labeler.config.starter import HINTS
from labeler.domain.errors import BadInput

COMMENT = "#"


def read_hints(settings: Settings) -> tuple[str, ...]:
    """The hints that these settings ask for, each once; none where they ask for none.

    Blank lines and lines that begin with "#" are none. Nobody is asked in an unattended run, so no
    hint is drawn under there. Raises BadInput if there is no such file, or no hint in it.
    """
    if not settings.hint_share or settings.unattended:
        return ()
    file = settings.hints or HINTS
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except OSError as error:
        raise BadInput(f"The hints in {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"The hints in {file} are not text in UTF-8.") from error
    hints = tuple(dict.fromkeys(line for line in lines if line and not line.startswith(COMMENT)))
    if not hints:
        raise BadInput(f"There is no hint in {file}.")
    return hints
