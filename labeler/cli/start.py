"""What the `livedpo` script runs: the command line, ready for Ctrl-C before it is imported."""

from labeler.cli.hiding import hide_passwords
from labeler.roles.interrupt import leave_at_once


def start() -> None:
    """Run the command line; see `labeler.cli.main`."""
    leave_at_once()
    hide_passwords()
    from labeler.cli.main import main

    main()
