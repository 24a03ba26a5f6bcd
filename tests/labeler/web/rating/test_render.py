import re
from html import escape, unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeler.web.rating.render import MAX_SHOWN_CHARS, render_prompt, render_reply, render_text

TAGS = {
    "blockquote", "br", "code", "details", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol",
    "p", "pre", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"class", "dir", "start", "value", "align"}


def assert_harmless(html: str) -> None:
    for tag, attributes in re.findall(r"<\s*/?\s*([^\s>/]+)([^>]*)>", html):
        assert tag in TAGS
        assert set(re.findall(r"([a-z-]+)=", attributes)) <= ATTRIBUTES


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<form action="http://evil.example"><button>1</button></form>',
        '<div id="vote-left" style="position:fixed;inset:0">x</div>',
        "<style>body{display:none}</style>",
        "![x](http://evil.example/x.png)",
        "[x](javascript:alert(1))",
        "<http://evil.example>",
        "[x]: http://evil.example\n\n[x]",
        '```"><script>alert(1)</script>\nx\n```',
        "| a |\n|---|\n| <svg onload=alert(1)> |",
        "<!-- hidden -->",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<details open ontoggle=alert(1)>",
        "\x00<scr\x00ipt>",
    ],
)
def test_hostile_markdown_becomes_text(hostile: str) -> None:
    assert_harmless(render_text(hostile))


def test_links_images_and_definitions_show_their_source() -> None:
    source = "![x](http://a.b/c.png) [y](http://a.b) <http://a.b>\n\n[z]: http://a.b"
    html = render_text(source)
    for part in ("![x](http://a.b/c.png)", "[y](http://a.b)", "&lt;http://a.b&gt;", "[z]: http"):
        assert part in html


class _Shown(HTMLParser):
    """What a browser shows of HTML: its text, and the number before each item of a list."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += dict(attrs).get("value") or ""

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "text",
    [
        "| task | command |\n|---|---|\n| count | `` `ls | wc -l && rm -rf /` `` |",
        "| a |\n|---|\n| shown | HIDDEN SENTENCE |",
        "> | a |\n> |---|\n> | shown | 😀 |",
        "- | a |\n  |---|\n  | shown | it costs | $5 |",
        "a | b\n--|--\n1 | 2 | !",
    ],
)
def test_a_table_whose_surplus_cells_would_be_dropped_is_shown_plain(text: str) -> None:
    assert render_text(text) == f'<pre class="plain" dir="auto">{escape(text)}</pre>'


def test_a_table_without_surplus_cells_stays_one() -> None:
    html = render_text("| a | b |\n|--|--|\n| `1 \\| 2` | 3 |\n| 4 |")
    assert html.count("<td") == 4
    assert "<code>1 | 2</code>" in html


def test_items_have_the_numbers_that_were_written() -> None:
    html = render_text("3. three\n2. two\n2. two")
    assert re.findall(r'value="(\d)"', html) == ["3", "2", "2"]


ATOMS = (
    "a", "7", "é", "😀", "\u202e", " ", "  ", "\t", "\n", "\n\n", "\n    ", "1. ", "2) ", "- ",
    "> ", "|", "\n|-|\n", "\n|--|:-:|\n|", "`", "``", "```", "~~~", "*", "_", "**", "#", "# ",
    "\\", "---", "[a]", "[a]: ", "(b 'c')", "!", "<b>", "<!--", "-->", "&lt;", "&#65;",
    "http://a.b", "[^1]", "$",
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(ATOMS), max_size=30).map("".join))
def test_no_text_loses_anything_but_what_markdown_is_written_in(text: str) -> None:
    def kept(shown: str) -> str:
        return re.sub(r"[\s*_#>+=~|:`\\.)-]", "", shown)

    assert kept(_Shown(render_text(text)).text) == kept(text.replace("\u202e", "⟨U+202E⟩"))


def test_headings_lists_emphasis_tables_and_code_are_rendered() -> None:
    html = render_text("# T\n\n1. *a*\n2. **b**\n\n| h |\n|--:|\n| c |\n\n```py\nx < 1\n```")
    assert '<h3 dir="auto">T</h3>' in html
    assert "<ol>" in html
    assert "<em>a</em>" in html
    assert '<td align="right">c</td>' in html
    assert '<span class="language">py</span><code>x &lt; 1\n</code>' in html


def test_underlined_headings_close_the_tag_they_open() -> None:
    assert render_text("T\n===\n\nU\n---") == '<h3 dir="auto">T</h3>\n<h4 dir="auto">U</h4>\n'


def test_line_breaks_are_kept() -> None:
    assert "one<br />\ntwo" in render_text("one\ntwo")


def test_characters_that_reorder_or_hide_text_become_visible() -> None:
    html = render_text("a\u202egnp.exe\u2066 \x00 \x1b \x7f \x85")
    assert "a⟨U+202E⟩gnp.exe⟨U+2066⟩ ␀ ␛ ␡ \ufffd" in html


HIDDEN = (
    *("\u202e", "\u2066", "\u00ad", "\u200b", "\u2065", "\u206a", "\u206f", "\ufff9", "\ufffb"),
    *("\u034f", "\u115f", "\u17b4", "\u3164", "\uffa0", "\ufe00", "\U0001d173", "\U0001bca0"),
    *("\U000e0001", "\U000e0041", "\U000e0100", "\U000e01ef", "\U000e0fff"),
)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_no_character_that_reorders_or_hides_text_gets_through(hidden: str) -> None:
    """Neither as it is nor as an entity, in none of the places that a text can be in."""
    code = ord(hidden)
    places = ("{}", "**{}**", "`{}`", "# {}", "```{}\nx\n```", "    {}", "| {} |\n|---|\n| {} |")
    for place in places:
        for written in (hidden, f"&#x{code:X};", f"&#{code};"):
            shown = unescape(render_text(place.format(f"a{written}b", f"a{written}b")))
            assert hidden not in shown
            assert (f"a⟨U+{code:04X}⟩b" if written == hidden else f"a{written}b") in shown


def test_an_entity_is_shown_as_it_is_written() -> None:
    assert "AT&amp;amp;T &amp;rlm;&amp;zwj;" in render_text("AT&amp;T &rlm;&zwj;")


def test_emoji_keep_their_selectors_joiners_and_tones() -> None:
    text = "❤️ 1️⃣ ☎︎ 👨‍👩‍👧 🏳️‍🌈 👍🏿 می‌خواهم"
    assert text in render_text(text)


def test_of_characters_that_nobody_sees_one_stands_alone() -> None:
    """Two kinds of them in a row would be the bits of a text."""
    assert "x\ufe0f⟨U+FE0E⟩⟨U+FE0F⟩y" in render_text("x\ufe0f\ufe0e\ufe0fy")
    assert "x\u200c⟨U+200D⟩⟨U+200C⟩y" in render_text("x\u200c\u200d\u200cy")
    assert "x\u200e⟨U+200F⟩⟨U+200E⟩y" in render_text("x\u200e\u200f\u200ey")
    assert "x\u180b⟨U+180D⟩⟨U+180F⟩y" in render_text("x\u180b\u180d\u180fy")
    assert "x\ufe0f\u200d⟨U+FE0F⟩y" in render_text("x\ufe0f\u200d\ufe0fy")


def test_each_block_finds_its_own_direction() -> None:
    assert render_text("שלום").startswith('<p dir="auto">')


def test_a_lone_surrogate_can_be_sent_as_utf8() -> None:
    assert "\ufffd" in render_text("\ud800").encode().decode()


@pytest.mark.parametrize("opening", [">", "- ", "1. "])
def test_blocks_nested_too_deep_lose_no_text(opening: str) -> None:
    assert "needle" in render_text(opening * 500 + "needle")


def test_ten_megabytes_are_cut_with_a_note() -> None:
    """Uncut, this takes the parser hours."""
    html = render_text("*a_[`" * 2_000_000)
    assert len(html) < 2 * MAX_SHOWN_CHARS
    assert "Cut here: 10,000,000 characters" in html


def test_a_single_question_is_shown_bare() -> None:
    assert render_prompt([{"role": "user", "content": "Why?"}]) == '<p dir="auto">Why?</p>\n'


def test_a_conversation_is_shown_with_its_roles() -> None:
    html = render_prompt(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "<b>tool</b>", "content": "x"},
        ]
    )
    assert '<div class="turn system"><p class="role">Instruction</p>' in html
    assert '<div class="turn user"><p class="role">User</p>' in html
    assert '<div class="turn other"><p class="role">&lt;b&gt;tool&lt;/b&gt;</p>' in html


def test_a_thought_is_folded_and_shown_as_it_was_written() -> None:
    text = "<think>\n**Tea** or <b>not</b>?\n</think>\n\n**Boil** water."
    html = render_reply(text)
    assert html == (
        '<details class="thought"><summary>Thought for 3 words</summary>'
        '<pre class="plain" dir="auto">**Tea** or &lt;b&gt;not&lt;/b&gt;?</pre></details>'
        '<p dir="auto"><strong>Boil</strong> water.</p>\n'
    )
    assert_harmless(html)
    more = {"role": "user", "content": "And then?"}
    assert html in render_prompt([{"role": "assistant", "content": text}, more])


def test_a_reply_cannot_write_a_folded_part_of_its_own() -> None:
    for text in ("<details open><summary>1</summary>x</details>", "<think>a</think><details>x"):
        assert render_reply(text).count("<details") == text.count("<think>")


def test_a_reply_without_a_thought_is_rendered_as_any_text() -> None:
    for text in ("Boil **water**.", "<think></think>Boil **water**."):
        assert render_reply(text) == render_text("Boil **water**.")
