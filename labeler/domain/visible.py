"""Text of strangers made fit for a terminal and a log: what would steer either is shown instead.

    visible("\\x1b[2J and \\u202e")  ->  the same, with both characters written as escapes

Prompts, replies, names, a judge's words and what an exception quotes can hold escape sequences that
clear a screen or write to a clipboard, line breaks that forge a line, and marks that turn the
reading direction around. Letters, emoji and their joiners stay as they are.
"""

import unicodedata

# Control, format, surrogate, and the two separators that break a line.
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # Persian and emoji need them, and they steer nothing


def visible(text: str) -> str:
    r"""One line: every character that steers is written as Python would escape it.

    >>> visible("a\tb\x1b]0;title\x07"), visible("\u202eabc\ud800")
    ('a\\tb\\x1b]0;title\\x07', '\\u202eabc\\ud800')
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def visible_lines(text: str) -> str:
    """The same for text of several lines that is meant to have them, as a traceback is."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in STEERING or character in JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")
