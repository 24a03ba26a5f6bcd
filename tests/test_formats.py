"""The examples of data/formats.md are read by the code, or look like what the code writes."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from labeler.config.load import load_settings
from labeler.domain.adapter_folder import MANIFEST, verify
from labeler.domain.drawing import Drawing
from labeler.domain.errors import BadInput
from labeler.domain.judging import Question
from labeler.domain.labels import Preference, VoteRules
from labeler.domain.states import Purpose
from labeler.files.backup import FORMAT, Backup
from labeler.files.export.formats import EVERY_FORMAT, FORMATS, Wanted
from labeler.files.export.ours import filled_rows, imported_rows
from labeler.files.export.write import write_export
from labeler.files.golds import read_golds
from labeler.files.pairs import read_pairs
from labeler.files.prompts import read_prompts
from labeler.roles.unattended.summary import as_json
from labeler.store import Store
from labeler.store.tables import FilledPair
from labeler.store.views.exported import FilledRow
from tests.labeler.roles.unattended.test_summary import RUN
from tests.support.adapter import write_folder
from tests.support.store import vote
from tests.support.tiny import fill

FORMATS_MD = (Path(__file__).resolve().parent.parent / "data" / "formats.md").read_text()


def examples(kind: str) -> list[tuple[str, str]]:
    """Ending and content of each example of a kind."""
    found = re.findall(rf"^```(\w+) {kind}\n(.*?)^```", FORMATS_MD, re.DOTALL | re.MULTILINE)
    assert found, kind
    return found


def example(kind: str) -> Any:
    """The first JSON value of a kind's only example."""
    ((ending, content),) = examples(kind)
    return json.loads(content.splitlines()[0] if ending == "jsonl" else content)


def files(folder: Path, kind: str) -> list[Path]:
    """The examples of a kind as files."""
    paths = []
    for number, (ending, content) in enumerate(examples(kind)):
        paths.append(folder / f"{number}.{ending}")
        paths[-1].write_text(content)
    return paths


def shape(value: Any) -> Any:
    """Keys and types all the way down; of a list, the shape of its first member."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return float if type(value) is int else type(value)


@pytest.fixture
def rated(store: Store) -> Store:
    """A store with one decided vote."""
    fill(store, 1)
    vote(store, 1, seconds=4.2, reasons=["clear"])
    return store


def test_the_prompts_are_read(tmp_path: Path) -> None:
    for path in files(tmp_path, "prompts"):
        found = read_prompts(path)
        assert len(found.prompts) == 2
        assert not found.bad_lines


def test_the_gold_pairs_are_read(tmp_path: Path) -> None:
    for path in files(tmp_path, "gold"):
        golds, bad = read_golds(path)
        assert len(golds) == 1
        assert not bad.bad_lines


def test_the_labelled_pairs_are_read(tmp_path: Path) -> None:
    for path in files(tmp_path, "pairs"):
        found = read_pairs(path, VoteRules())
        assert len(found.pairs) == len(path.read_text().splitlines())
        assert not found.bad_lines


@pytest.mark.parametrize("format_name", EVERY_FORMAT)
def test_the_exports_are_read_back(format_name: str, tmp_path: Path) -> None:
    (path,) = files(tmp_path, format_name)
    assert len(read_pairs(path, VoteRules()).pairs) == 1


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_export_looks_like_its_example(format_name: str, rated: Store, tmp_path: Path) -> None:
    write_export(tmp_path / "out.jsonl", Wanted(rated), format_name=format_name)
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    shown = example(format_name)
    assert list(row) == list(shown)
    known = {key for key in row if row[key] is not None and shown[key] is not None}
    assert {key: shape(row[key]) for key in known} == {key: shape(shown[key]) for key in known}


@pytest.mark.parametrize("format_name", ["raw", "filled", "imported"])
def test_every_column_of_a_table_like_export_is_explained(format_name: str) -> None:
    section = re.split(r"\n###? ", FORMATS_MD.partition(f"### {format_name}\n")[2])[0]
    heads = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(heads)) == list(example(format_name))


def test_a_pair_that_was_filled_in_looks_like_its_example() -> None:
    pair = FilledPair(
        update_id=4, prompt_id=1, version_id=3, first="a", second="b", target=0.8, weight=0.7
    )
    [row] = filled_rows([FilledRow(pair, [{"role": "user", "content": "q"}])])
    assert list(row) == list(example("filled"))
    assert shape(row) == shape(example("filled"))


def test_every_purpose_of_a_pair_is_explained() -> None:
    assert all(f"`{purpose}`" in FORMATS_MD for purpose in Purpose)


def test_a_folder_holds_what_the_doc_says(rated: Store, tmp_path: Path) -> None:
    write_export(tmp_path / "out", Wanted(rated), format_name="preference")
    written = {
        str(path.relative_to(tmp_path / "out"))
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == {"README.md", "data/train-00000-of-00001.parquet"}
    assert all(f"`{name}`" in FORMATS_MD for name in written)


def test_the_status_looks_like_its_example(rated: Store) -> None:
    rated.versions.note_drawing(Drawing(1.0, "as set", 1.0, "the default", 160))
    found = rated.reports.status(max_staleness=2)
    assert shape(found | {"alarms": []}) == shape(example("status"))


def test_a_summary_looks_like_its_example() -> None:
    found, shown = json.loads(as_json(RUN)), example("summary")
    assert list(found) == list(shown)
    promoted = found["versions"][1]
    assert shape(promoted) == shape(shown["versions"][0])
    assert shape(found["shares"]) == shape(shown["shares"])


def test_a_policy_may_have_the_settings_of_the_example(tmp_path: Path) -> None:
    ((_, content),) = examples("policy")
    (tmp_path / "livedpo.toml").write_text(content)
    values = tomllib.loads(content)
    judge = values.pop("judge")
    found = load_settings({"policy": str(tmp_path)}, {})
    assert {name: getattr(found, name) for name in values} == values
    unattended = load_settings({"policy": str(tmp_path)}, {}, unattended=True)
    assert {name: getattr(unattended, name) for name in judge} == judge


def test_every_setting_that_a_policy_may_own_is_listed(tmp_path: Path) -> None:
    section = FORMATS_MD.partition("These can be set: ")[2].partition("A file given by")[0]
    (tmp_path / "livedpo.toml").write_text("port = 1\n")
    with pytest.raises(BadInput) as refused:
        load_settings({"policy": str(tmp_path)}, {})
    allowed = str(refused.value).partition("only ")[2].rstrip(".").split(", ")
    assert sorted(re.findall(r"`(\w+)`", section)) == sorted(allowed)


def test_an_adapter_folder_has_the_manifest_of_the_example(tmp_path: Path) -> None:
    folder = tmp_path / "v0007"
    verify(folder, write_folder(folder))
    assert shape(json.loads((folder / MANIFEST).read_text())) == shape(example("manifest"))


def test_an_imported_pair_looks_like_its_example(store: Store) -> None:
    asked = Question([{"role": "user", "content": "q"}], "a", "b")
    store.imported.add("file.jsonl", [(asked, Preference(0.0, tie=1.0))], now=1.0)
    [row] = imported_rows(store.imported.all())
    assert list(row) == list(example("imported"))
    assert shape(row) == shape(example("imported"))
    assert row["probability"] == 0.5


def test_the_manifest_of_a_backup_is_described() -> None:
    described = example("backup")
    assert described.pop("format") == FORMAT
    not_written = {"lost", "pruned"}
    assert set(described) == set(Backup.__dataclass_fields__) - not_written
