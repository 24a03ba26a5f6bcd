"""The hints under which replies are drawn: ours, or one's own, each once."""

from pathlib import Path

import pytest

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.messages import with_hint
from labeler.files.hints import read_hints


def of(file: Path, data: bytes) -> Settings:
    file.write_bytes(data)
    return Settings(hint_share=0.5, hints=file)


def test_ours_are_sentences_and_tell_replies_apart() -> None:
    hints = read_hints(Settings(hint_share=0.5))
    assert len(hints) >= 8
    assert all(hint.endswith(".") and not hint.startswith("#") for hint in hints)


def test_there_are_none_where_none_are_wanted_or_nobody_chooses() -> None:
    assert read_hints(Settings(hint_share=0.0, hints=Path("no such file"))) == ()
    assert read_hints(Settings(hint_share=0.5, unattended=True)) == ()


def test_blank_lines_and_comments_are_none_and_each_counts_once(tmp_path: Path) -> None:
    data = "\ufeff# mine\r\n\r\n  Sei höflich.  \r\nBe brief.\r\nSei höflich.\r\n".encode()
    assert read_hints(of(tmp_path / "own.txt", data)) == ("Sei höflich.", "Be brief.")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\n# nothing\n", "There is no hint in"), (b"\xff\xfe\x00h", "not text in UTF-8")],
)
def test_a_file_without_a_hint_is_refused_in_a_sentence(
    data: bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=words):
        read_hints(of(tmp_path / "own.txt", data))


def test_a_file_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none.txt cannot be read: No such file"):
        read_hints(Settings(hint_share=0.5, hints=tmp_path / "none.txt"))


def test_a_hint_ends_the_turn_of_the_user_and_no_other() -> None:
    system = {"role": "system", "content": "You are kind."}
    asked = [system, {"role": "user", "content": "Tea?"}]
    hinted = with_hint(asked, "Be brief.")
    assert hinted == [system, {"role": "user", "content": "Tea?\n\nBe brief."}]
    assert asked[1]["content"] == "Tea?"
    assert with_hint([*asked, {"role": "assistant", "content": "Boil"}], "Be brief.") is None
