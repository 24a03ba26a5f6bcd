"""What can go wrong for a user, as one sentence each.

    LivedpoError    the command ends with exit code 1
    ├── BadInput    wrong use: a value or a file that the user can mend; exit code 2
    └── SamplerError    no server of --sampler draws what is asked for

The message names the value and the remedy. A command also makes a sentence of an OSError that names
its file. Anything else that is raised is a bug and keeps its traceback.
"""


class LivedpoError(Exception):
    """Something the user must know about, in one sentence."""

    exit_code = 1


class BadInput(LivedpoError):
    """A value, file or folder that the user gave and can mend."""

    exit_code = 2


class SamplerError(LivedpoError):
    """No server draws from the version that is asked for; it is asked again in a few seconds."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
