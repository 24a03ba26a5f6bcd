"""Prompts and replies become safe HTML: a small allow-list of Markdown, everything else as text.

What a model writes is hostile until shown otherwise: it must not run a script, fetch a file, cover
the page or fake its buttons, and it must not hide text from the rater either. So raw HTML, links,
images and entities appear as their own source, no attribute but `dir`, the numbers of lists and a
cell's alignment comes out, and characters that reorder or hide text are made visible. A text of
which Markdown would leave something out, as it does of a table's surplus cells, is shown plain.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from labeler.domain.messages import SPEAKERS, Messages
from labeler.domain.sentences.figures import counted
from labeler.domain.thought import parts_of

MAX_MARKDOWN_CHARS = 50_000
MAX_SHOWN_CHARS = 200_000
MAX_LINE_CHARS = 160
DEEPEST_NESTING = 40
MAX_CELLS = 10_000

_NAMED = "⟨U+{:04X}⟩"
_OFF = ["image", "link", "autolink", "html_inline", "html_block", "reference", "entity"]
_BLOCKS = {"paragraph_open", "heading_open", "blockquote_open", "list_item_open", "table_open"}
# Overrides, embeddings and isolates: they can show "harmful" where "harmless" is written.
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
# Of no width (Unicode's Default_Ignorable_Code_Point): whole sentences can be written in them. What
# scripts need stays: joiners and marks of direction (200C-200F), Mongolian selectors, and the two
# that say whether a sign is an emoji (FE0E, FE0F).
_HIDDEN = (
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x3164, 0xFEFF),
    *range(0x2060, 0x2066),
    *range(0x206A, 0x2070),
    *range(0xFE00, 0xFE0E),
    *(0xFFA0, *range(0xFFF0, 0xFFFC)),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000),
)
# One of those that stay behind another: a run of them would be the bits of a text that nobody sees.
# A joiner behind a selector is part of many an emoji.
_STAY = "\u180b-\u180d\u180f\u200c-\u200f\ufe0e\ufe0f"
_SECOND = re.compile(f"(?<=[{_STAY}])[{_STAY}](?<![\u180b-\u180d\u180f\ufe0f]\u200d)")
_CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_OTHERS = {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd")}
_VISIBLE = {code: _NAMED.format(code) for code in (*_BIDI, *_HIDDEN)} | _CONTROLS | _OTHERS
# What Markdown consists of, and may take away; with `.` and `)` the numbers of lists are compared.
_SYNTAX = re.compile(r"[\s*_#>+=~|:`\\-]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


def render_text(text: str) -> str:
    """One reply as HTML. Very long texts are cut with a note, long ones shown without Markdown."""
    shown = _visible(text[:MAX_SHOWN_CHARS])
    if len(text) > MAX_SHOWN_CHARS:
        return _plain(shown) + _note(f"Cut here: {len(text):,} characters are too many to show.")
    if len(shown) > MAX_MARKDOWN_CHARS or _cells(shown) > MAX_CELLS:
        return _plain(shown)
    tokens = _MARKDOWN.parse(shown)
    if _loses_text(shown, tokens):
        return _plain(shown)
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def render_reply(text: str) -> str:
    """One reply as HTML. A thought before it is folded, and shown as it was written."""
    parts = parts_of(text)
    thought = parts.thought.strip()
    if not thought:
        return render_text(parts.reply)
    title = f"Thought for {counted(len(thought.split()), 'word')}"
    folded = f"<summary>{title}</summary>{_plain(plain_text(thought))}"
    return f'<details class="thought">{folded}</details>{render_text(parts.reply)}'


def plain_text(text: str) -> str:
    """A text to be shown as it was written, with what reorders or hides it made visible."""
    shown = _visible(text[:MAX_SHOWN_CHARS])
    return shown if len(text) <= MAX_SHOWN_CHARS else f"{shown}…"


def prompt_line(messages: Messages) -> str:
    """The last thing that was asked, on one line and not too long."""
    words = " ".join(_visible(messages[-1]["content"][: 4 * MAX_LINE_CHARS]).split())
    return words if len(words) <= MAX_LINE_CHARS else f"{words[:MAX_LINE_CHARS]}…"


def render_prompt(messages: Messages) -> str:
    """A prompt as HTML: the bare question if it is one, else a conversation with its speakers."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return render_text(messages[0]["content"])
    return "".join(_turn(message["role"], message["content"]) for message in messages)


def _turn(speaker: str, content: str) -> str:
    name = escape(SPEAKERS.get(speaker, speaker))
    kind = speaker if speaker in SPEAKERS else "other"
    text = render_reply(content) if speaker == "assistant" else render_text(content)
    return f'<div class="turn {kind}"><p class="role">{name}</p>{text}</div>'


def _visible(text: str) -> str:
    text = text.replace("\r\n", "\n").translate(_VISIBLE)
    text = _SECOND.sub(lambda found: _NAMED.format(ord(found[0])), text)
    return _SURROGATES.sub("\ufffd", text)


def _plain(text: str) -> str:
    return f'<pre class="plain" dir="auto">{escape(text)}</pre>'


def _note(sentence: str) -> str:
    return f'<p class="note">{escape(sentence)}</p>'


def _cells(text: str) -> int:
    """The most table cells it can have: a row gets as many as the widest, however short it is.

    Some kilobytes of "|" can make 65,000, over which a browser thinks for half a minute.
    """
    lines = text.split("\n")
    return len(lines) * max(line.count("|") for line in lines)


def _loses_text(source: str, tokens: Sequence[Token]) -> bool:
    """Whether less is shown than was written, or the parser gave up on blocks nested too deep."""
    if any(token.level >= DEEPEST_NESTING - 2 for token in tokens):
        return True
    return _SYNTAX.sub("", source) != _SYNTAX.sub("", "".join(_texts(tokens)))


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    """All that is shown, in the order of the source."""
    for token in tokens:
        if token.type == "list_item_open":
            yield token.info + token.markup
        elif token.type == "fence":
            yield token.info + token.content
        elif token.children is not None:
            yield from _texts(token.children)
        else:
            yield token.content


def _open_block(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Each block finds its own writing direction, headings stay below those of the page, and items
    have the numbers that were written.
    """
    tokens[index].attrSet("dir", "auto")
    if tokens[index].type == "list_item_open" and tokens[index].info:
        tokens[index].attrSet("value", tokens[index].info)
    return _retagged(self, tokens, index, options, env)


def _cell(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """A table's cell, aligned by an attribute: a strict policy allows no style."""
    style = str(tokens[index].attrs.pop("style", ""))
    if style:
        tokens[index].attrSet("align", style.removeprefix("text-align:"))
    return self.renderToken(tokens, index, options, env)


def _retagged(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    if token.type.startswith("heading"):
        token.tag = f"h{min(6, int(token.markup.count('#') or token.tag[1]) + 2)}"
    return self.renderToken(tokens, index, options, env)


def _code_block(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """A code block with its info string in sight: nothing that the model wrote is hidden."""
    token = tokens[index]
    label = f'<span class="language">{escape(token.info)}</span>' if token.info.strip() else ""
    return f'<pre dir="ltr">{label}<code>{escape(token.content)}</code></pre>\n'


def _markdown() -> MarkdownIt:
    options = {"html": False, "breaks": True, "maxNesting": DEEPEST_NESTING}
    markdown = MarkdownIt("commonmark", options).enable("table").disable(_OFF)
    for block in _BLOCKS:
        markdown.add_render_rule(block, _open_block)
    for cell in ("th_open", "td_open"):
        markdown.add_render_rule(cell, _cell)
    markdown.add_render_rule("heading_close", _retagged)
    markdown.add_render_rule("fence", _code_block)
    markdown.add_render_rule("code_block", _code_block)
    return markdown


_MARKDOWN = _markdown()
