"""What a GGUF file says of itself, and the files that can be no policy."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from labeler.config.gguf import read_content
from labeler.config.load import load_settings
from labeler.domain.errors import BadInput
from labeler.roles.serve import serve
from tests.support.gguf_file import write_gguf
from tests.support.service import free_port
from tests.support.tiny import TEMPLATE, tiny_model


def test_a_file_tells_its_packing_its_weights_and_its_chat_template(tmp_path: Path) -> None:
    content = read_content(write_gguf(tmp_path / "tiny.gguf", packing="Q4_1"))
    assert content.packing == "Q4_1"
    assert content.weights == tiny_model().num_parameters()
    assert content.metadata["tokenizer.chat_template"] == TEMPLATE
    assert content.metadata["tokenizer.ggml.tokens"] == tiny_model().config.vocab_size
    assert (content.token("eos"), content.token("bos")) == (0, None)


def damaged(file: Path) -> None:
    """Break the table of tensors, which comes after the metadata."""
    written = bytearray(file.read_bytes())
    place = written.index(b"token_embd.weight")
    written[place - 8 : place] = (2**40).to_bytes(8, "little")
    file.write_bytes(written)


def newer(file: Path) -> None:
    written = bytearray(file.read_bytes())
    written[4:8] = (9).to_bytes(4, "little")
    file.write_bytes(written)


def cut(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 100)


def emptied(file: Path) -> None:
    file.write_bytes(b"GGUF")


def replaced(file: Path) -> None:
    file.write_text("<html>not found</html>")


def removed(file: Path) -> None:
    file.unlink()


def made_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("written", "then", "words"),
    [
        ({"template": None}, None, "has no chat template"),
        ({"template": ""}, None, "has no chat template"),
        ({"split__count": 3}, None, "is one of 3 parts"),
        ({}, cut, "is cut short"),
        ({}, damaged, "is damaged"),
        ({}, newer, "its version is 9"),
        ({}, emptied, "is damaged"),
        ({}, replaced, "is not a GGUF file"),
        ({}, removed, "No such file"),
        ({}, made_a_folder, "Is a directory"),
    ],
)
def test_a_file_that_can_be_no_policy_is_one_sentence_before_anything_starts(
    written: dict[str, str], then: Callable[[Path], None] | None, words: str, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", **written)  # type: ignore[arg-type]
    if then is not None:
        then(file)
    data_dir = tmp_path / "run"
    flags = {"policy": str(file), "data_dir": str(data_dir), "port": str(free_port())}
    with pytest.raises(BadInput, match=words) as caught:
        serve(load_settings(flags, {}), threading.Event(), print)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not data_dir.exists()
