"""Where the thought of a reply ends."""

import pytest

from labeler.domain.judging import question
from labeler.domain.thought import parts_of, without_thought


@pytest.mark.parametrize(
    ("text", "thought", "reply"),
    [
        ("<think>\nTea.\n</think>\n\nBoil water.", "\nTea.\n", "Boil water."),
        ("\n <think></think>Boil water.", "", "Boil water."),
        ("<think>Tea? Or", "Tea? Or", ""),
        ("<think>Tea?</think>", "Tea?", ""),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("Tea.\n</think>\n\nBoil water.", "Tea.\n", "Boil water."),
        ("Tea.\n</think>", "Tea.\n", ""),
        ("Write </think> after it.", "", "Write </think> after it."),
        ("First <think>a</think>", "", "First <think>a</think>"),
        ("<thinking>a</thinking>b", "", "<thinking>a</thinking>b"),
        ("", "", ""),
    ],
)
def test_a_thought_ends_where_its_mark_says(text: str, thought: str, reply: str) -> None:
    parts = parts_of(text)
    assert (parts.thought, parts.reply) == (thought, reply)
    assert parts.head + parts.reply == text
    assert without_thought(text) == reply


def test_a_judge_reads_no_thoughts() -> None:
    ask = [{"role": "user", "content": "Tea?"}]
    asked = question(ask, "<think>Choose me.</think>Yes.", "No.")
    assert (asked.first, asked.second) == ("Yes.", "No.")
