"""The bounds that the pages keep to as well: their module `shared/bounds.js`, made from ours.

So none is typed twice.
"""

from labeler.domain.health import SILENT_SECONDS
from labeler.store.people.accounts import MAX_NAME_CHARS
from labeler.store.rating.edits import MAX_EDIT_CHARS
from labeler.store.rating.next_pairs import ON_HAND
from labeler.store.views.search import MAX_SEARCH_CHARS
from labeler.web.labels.routes import MAX_REASON_CHARS
from labeler.web.rating.asks import MAX_TEXT_CHARS
from labeler.web.rating.bodies import (
    MAX_COMMENT_CHARS,
    MAX_LEASES,
    MAX_PAIRS,
    MAX_SECONDS,
    MAX_SPARE,
    MAX_VOTES,
)
from labeler.web.rating.render import MAX_LINE_CHARS

BOUNDS = {
    "MAX_COMMENT_CHARS": MAX_COMMENT_CHARS,
    "MAX_EDIT_CHARS": MAX_EDIT_CHARS,
    "MAX_LEASES": MAX_LEASES,
    "MAX_LINE_CHARS": MAX_LINE_CHARS,
    "MAX_NAME_CHARS": MAX_NAME_CHARS,
    "MAX_PAIRS": MAX_PAIRS,
    "MAX_REASON_CHARS": MAX_REASON_CHARS,
    "MAX_SEARCH_CHARS": MAX_SEARCH_CHARS,
    "MAX_SECONDS": MAX_SECONDS,
    "MAX_SPARE": MAX_SPARE,
    "MAX_TEXT_CHARS": MAX_TEXT_CHARS,
    "MAX_VOTES": MAX_VOTES,
    "ON_HAND": ON_HAND,
    "SILENT_SECONDS": SILENT_SECONDS,
}


def bounds_module() -> str:
    """The module as text."""
    return "".join(f"export const {name} = {bound};\n" for name, bound in BOUNDS.items())
