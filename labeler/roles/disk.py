"""How full the disk of a folder is."""

import shutil
from pathlib import Path

from labeler.domain.health import Disk


def disk_of(folder: Path) -> Disk | None:
    """The disk that this folder is on; None if the folder is not there or cannot be read."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(free=usage.free, total=usage.total)
