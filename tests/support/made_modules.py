"""The scripts that the server makes, as files for what reads scripts outside of a browser.

Run: `python -m tests.support.made_modules FOLDER`.
"""

import sys
from pathlib import Path

from labeler.web.bounds import bounds_module
from labeler.web.dashboard.downloads import formats_module


def write_made_modules(folder: Path) -> None:
    """Write them where they lie below /page/."""
    made = {"shared/bounds.js": bounds_module(), "dashboard/formats.js": formats_module()}
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


if __name__ == "__main__":
    write_made_modules(Path(sys.argv[1]))
