"""Policies of the hub, from a hub on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from labeler.config.hub import dataset_folder, facts_folder, hub_folder
from labeler.domain.errors import BadInput
from tests.support.hub import hub_with

NAME = "somebody/model"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A model in two formats, and what nobody needs."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("config.json", "chat_template.jinja", "model.safetensors", "pytorch_model.bin"):
        (folder / name).write_bytes(name.encode() * 1000)
    (folder / "model.onnx").write_bytes(b"x")
    return folder


@pytest.fixture
def hub(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The hub that is asked; what is downloaded is kept in a folder of the test."""
    with hub_with(NAME, files) as address:
        use(address, tmp_path, monkeypatch)
        yield address


def use(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("hub")
def test_a_model_is_downloaded_without_what_nobody_needs_and_says_how_far_it_is() -> None:
    said: list[str] = []
    folder = hub_folder(NAME, said.append)
    assert names(folder) == {"config.json", "chat_template.jinja", "model.safetensors"}
    assert said
    assert said[0].startswith("Downloading somebody/model: 0.")


@pytest.mark.usefixtures("hub")
def test_what_it_says_of_itself_comes_without_its_weights() -> None:
    assert names(facts_folder(NAME)) == {"config.json", "chat_template.jinja"}


def test_weights_that_can_run_code_are_never_fetched(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "model.safetensors").unlink()
    with hub_with(NAME, files) as address:
        use(address, tmp_path, monkeypatch)
        with pytest.raises(BadInput, match="the hub has no safetensors of it"):
            hub_folder(NAME, print)
        assert "pytorch_model.bin" not in names(facts_folder(NAME))


def test_what_was_downloaded_serves_when_the_hub_is_gone(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_with(NAME, files) as address:
        use(address, tmp_path, monkeypatch)
        before = hub_folder(NAME, print)
    assert hub_folder(NAME, print) == before
    with pytest.raises(BadInput, match="the Hugging Face hub cannot be reached"):
        hub_folder("somebody/else", print)


@pytest.mark.usefixtures("hub")
def test_a_model_that_the_hub_does_not_have_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="the hub has no such model, or keeps it private"):
        hub_folder("somebody/else", print)


def test_a_data_set_is_downloaded_once_and_without_what_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train.jsonl", "README.md", "picture.png"):
        (folder / name).write_bytes(name.encode())
    with hub_with(NAME, folder, "datasets") as address:
        use(address, tmp_path, monkeypatch)
        found = dataset_folder(NAME)
        assert names(found) == {"train.jsonl", "README.md"}
        with pytest.raises(BadInput, match="the hub has no such data set"):
            dataset_folder("somebody/else")
    assert dataset_folder(NAME) == found
    with pytest.raises(BadInput, match="the Hugging Face hub cannot be reached"):
        dataset_folder("somebody/else")
