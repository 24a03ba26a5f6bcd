"""No text steers a terminal: shown over every character there is, for each is shown by itself."""

import random
import re
import sys
import unicodedata

from labeler.domain.visible import visible, visible_lines

EVERY_CHARACTER = [chr(point) for point in range(sys.maxunicode + 1)]
CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
SURROGATES = [0xD800, 0xDBFF, 0xDC00, 0xDFFF]


def test_no_character_that_steers_is_left() -> None:
    shown = visible("".join(EVERY_CHARACTER))
    assert not {chr(point) for point in [*CONTROLS, *BIDI, *SURROGATES, 0x2028, 0x2029]} & {*shown}
    assert shown.encode("utf-8"), "it can be written anywhere"


def test_a_character_is_either_kept_or_written_as_python_would_escape_it() -> None:
    for character in EVERY_CHARACTER:
        shown = visible(character)
        assert shown == character or (
            re.fullmatch(r"\\(?:[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", shown)
            and shown.encode("ascii").decode("unicode_escape") == character
        )


def test_what_people_write_stays_as_it_is() -> None:
    for category in ("Lu", "Ll", "Lo", "Mn", "Nd", "Po", "Sm", "So", "Zs"):
        kept = "".join(c for c in EVERY_CHARACTER if unicodedata.category(c) == category)
        assert visible(kept) == kept
    family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"
    assert visible(family + persian) == family + persian


def test_a_text_is_shown_character_by_character_and_only_once() -> None:
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(rng.choices([*EVERY_CHARACTER[:0x250], *map(chr, BIDI), "\ud800"], k=20))
        assert visible(text) == "".join(map(visible, text))
        assert visible(visible(text)) == visible(text)
        assert visible_lines(text).split("\n") == [visible(line) for line in text.split("\n")]
