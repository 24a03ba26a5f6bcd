"""The scripts that the server makes, as files for what reads scripts outside of a browser.

Run: `python -m tests.support.made_modules FOLDER`.
"""

import sys
from pathlib import Path

from labeler.web.app import made_modules


def write_made_modules(folder: Path) -> None:
    """Write them where they lie among the pages' files."""
    for name, text in made_modules().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


if __name__ == "__main__":
    write_made_modules(Path(sys.argv[1]))
