"""Files and folders of every kind: the same rows, or one sentence that says what is wrong."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from labeler.domain.errors import BadInput
from labeler.domain.labels import VoteRules
from labeler.files.golds import read_golds
from labeler.files.pairs import read_pairs
from labeler.files.prompts import read_prompts
from labeler.files.reading.reader import Asked

ROWS = [{"prompt": "Tea, please?"}, {"prompt": "Is it 5° warm?"}]
MAX_PATH = 4096
EXPECTED = [[{"role": "user", "content": row["prompt"]}] for row in ROWS]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
TABLE = pyarrow.Table.from_pylist(ROWS)
CSV = 'prompt,topic\n"Tea, please?",x\nIs it 5° warm?,y\n'

TEXTS = {
    "p.jsonl": LINES,
    "P.JSONL": LINES,
    "p.ndjson": LINES,
    "bom.jsonl": "\ufeff" + LINES,
    "crlf.jsonl": LINES.replace("\n", "\r\n"),
    "list.json": json.dumps(ROWS),
    "list.jsonl": json.dumps(ROWS),
    "pretty.json": json.dumps(ROWS, indent=2),
    "object.json": json.dumps({"version": 1, "data": ROWS}),
    "p.csv": CSV,
    "bom.csv": "\ufeff" + CSV.replace("\n", "\r\n"),
    "semicolon.csv": "prompt;topic\nTea, please?;x\nIs it 5° warm?;y\n",
    "blanks.csv": 'id, prompt\n1, "Tea, please?"\n2, Is it 5° warm?\n',
    "CAPITALS.CSV": CSV.replace("prompt", "Prompt "),
    "p.tsv": "prompt\ttopic\nTea, please?\tx\nIs it 5° warm?\ty\n",
    "tabs.csv": "prompt\ttopic\nTea, please?\tx\nIs it 5° warm?\ty\n",
    "p.txt": "Tea, please?\n\nIs it 5° warm?\r\n",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("packed", ["", "utf-16", ".gz"])
def test_texts_are_read_as_they_are_packed(name: str, packed: str, tmp_path: Path) -> None:
    content = TEXTS[name].removeprefix("\ufeff" if packed == "utf-16" else "")
    data = content.encode("utf-16" if packed == "utf-16" else "utf-8")
    path = tmp_path / (name + (packed if packed == ".gz" else ""))
    path.write_bytes(gzip.compress(data) if packed == ".gz" else data)
    found = read_prompts(path)
    assert found.prompts == EXPECTED
    assert not found.bad_lines


def _parquet(path: Path) -> None:
    pyarrow.parquet.write_table(TABLE, path)


def _stream(path: Path) -> None:
    with pyarrow.ipc.new_stream(path, TABLE.schema) as stream:
        stream.write_table(TABLE)


WRITERS = {
    "p.parquet": _parquet,
    "p.PARQUET": _parquet,
    "file.arrow": lambda path: pyarrow.feather.write_feather(TABLE, path),
    "stream.arrow": _stream,
    "saved": lambda path: datasets.Dataset(TABLE).save_to_disk(path),
    "dict": lambda path: datasets.DatasetDict({"train": datasets.Dataset(TABLE)}).save_to_disk(
        path
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_tables_are_read_as_they_are_packed(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    assert read_prompts(tmp_path / name).prompts == EXPECTED


def test_packed_parquet_and_dictionaries_are_read(tmp_path: Path) -> None:
    encoded = pyarrow.table({"prompt": TABLE["prompt"].dictionary_encode()})
    pyarrow.parquet.write_table(encoded, tmp_path / "p.parquet")
    packed = tmp_path / "p.parquet.gz"
    packed.write_bytes(gzip.compress((tmp_path / "p.parquet").read_bytes()))
    assert read_prompts(packed).prompts == EXPECTED


def test_a_folder_that_cannot_be_looked_into_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < MAX_PATH - 250:
        folder /= "x" * 200
    folder /= "x" * (MAX_PATH - len(str(folder)) - 3)
    folder.mkdir(parents=True)
    with pytest.raises(BadInput, match="xxx cannot be read: File name too long"):
        read_prompts(folder)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A folder as the hub keeps data sets: two splits of data files, and a card."""
    folder = tmp_path / "snapshot"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("# A data set\n")
    _parquet(folder / "data" / "train-00000-of-00001.parquet")
    _parquet(folder / "data" / "test-00000-of-00002.parquet")
    _parquet(folder / "data" / "test-00001-of-00002.parquet")
    return folder


def test_a_split_is_named_and_never_all_of_them_are_read(snapshot: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"the splits train \(1 file\), test \(2 files\); name one"):
        read_prompts(snapshot)
    assert read_prompts(snapshot, Asked("train")).prompts == EXPECTED
    assert read_prompts(snapshot, Asked("test")).prompts == EXPECTED * 2
    with pytest.raises(BadInput, match="no split 'valid'; it has train"):
        read_prompts(snapshot, Asked("valid"))
    splits = {"train": datasets.Dataset(TABLE), "test": datasets.Dataset(TABLE)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "dict")
    with pytest.raises(BadInput, match=r"the splits train \(2 rows\), test \(2 rows\); name one"):
        read_prompts(tmp_path / "dict")
    assert read_prompts(tmp_path / "dict", Asked("train")).prompts == EXPECTED
    assert read_prompts(tmp_path / "dict" / "train").prompts == EXPECTED
    lists = tmp_path / "lists.json"
    lists.write_text(json.dumps({"train": ROWS, "test": ROWS[:1]}))
    with pytest.raises(BadInput, match="several lists: train, test; name one with --split"):
        read_prompts(lists)
    assert read_prompts(lists, Asked("test")).prompts == EXPECTED[:1]
    (tmp_path / "p.csv").write_text(CSV)
    with pytest.raises(BadInput, match="has no splits"):
        read_prompts(tmp_path / "p.csv", Asked("train"))


def test_a_configuration_is_named_with_its_split(snapshot: Path) -> None:
    card = "---\nconfigs:\n"
    for name, split in (("good", "train"), ("other", "test")):
        files = f"  - split: {split}\n    path: data/{split}-*\n"
        card += f"- config_name: {name}\n  data_files:\n{files}"
    (snapshot / "README.md").write_text(card + "---\n# A data set\n")
    with pytest.raises(BadInput, match=r"the configurations \['good', 'other'\]; name one"):
        read_prompts(snapshot)
    assert read_prompts(snapshot, Asked("good/train")).prompts == EXPECTED
    assert "as a whole" not in read_prompts(snapshot, Asked("other/test")).reading.understood()


def test_a_folder_of_jsonl_is_read_by_the_same_rules(tmp_path: Path) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "train.jsonl").write_text(LINES + "nonsense\n")
    found = read_prompts(folder)
    assert found.prompts == EXPECTED
    assert found.bad_lines == [(3, "not JSON")]


def test_files_of_a_folder_that_are_not_read_are_named(snapshot: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name, content in (("a.jsonl", LINES), ("b.csv", CSV), ("c.csv", CSV), (".d.csv", CSV)):
        (mixed / name).write_text(content)
    found = read_prompts(mixed).reading.understood()
    assert "the folder, split train (b.csv, c.csv; not read: a.jsonl), read as" in found
    assert "not read" not in read_prompts(snapshot, Asked("train")).reading.understood()
    for number in range(4):
        (snapshot / f"extra{number}.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    found = read_prompts(snapshot, Asked("train")).reading.understood()
    extra = "extra0.jsonl.gz, extra1.jsonl.gz, extra2.jsonl.gz and 1 more"
    assert f"(train-00000-of-00001.parquet; not read: {extra})" in found


PAIR = b"prompt,better,worse\n"
BROKEN: dict[str, tuple[str, bytes, str]] = {
    "an unquoted comma": (
        "g.csv",
        PAIR + b"Name a fruit, please,An apple.,A chair.\nName a city,Oslo,table\n",
        "4 cells on line 2 where its header has 3, so nothing of it was taken",
    ),
    "an unquoted comma at the end": (
        "g.csv",
        PAIR + b"Name a city,Oslo,table\nName fruits,A chair.,Apples, pears\n",
        "4 cells on line 3",
    ),
    "a missing cell": ("g.csv", PAIR + b"Name a city,Oslo\n", "2 cells on line 2"),
    "an unquoted semicolon": (
        "g.csv",
        b"prompt;better;worse\nName a river; any;Glomma;x\n",
        "4 cells on line 2",
    ),
    "an open quote": (
        "p.csv",
        b'id,prompt\n1,What?\n2,"A board that is 16 wide\n3,Name a colour.\n4,Name a city.\n',
        "the row that begins on line 3 .a double quote is opened there and never closed",
    ),
    "two open quotes": (
        "p.csv",
        b'id,prompt\n1,"A board\n2,A "good" board\n3,x\n',
        "the row that begins on line 2 .a text goes on after its closing quote",
    ),
    "a column twice": ("p.csv", b"prompt,prompt\na,b\n", "two columns 'prompt'"),
    "a column twice but for capitals": ("p.csv", b"prompt,Prompt\na,b\n", "two columns 'prompt'"),
    "no header": ("p.csv", b"What is tea?\nWhat is coffee?\n", "the columns what is tea\\? are no"),
    "Latin 1": ("p.csv", "prompt\nGrün?\n".encode("latin-1"), "is not UTF-8"),
    "Latin 1 in JSONL": ("p.jsonl", '{"prompt":"Grün?"}\n'.encode("latin-1"), "line 1: not UTF-8"),
    "UTF-16 without a mark": ("p.jsonl", '{"prompt":"x"}'.encode("utf-16-le"), "byte-order mark"),
    "a pointer of Git LFS": (
        "p.parquet",
        b"version https://git-lfs.github.com/spec/v1\n",
        "lfs pull",
    ),
    "a pointer in JSONL": ("p.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "lfs pull"),
    "a web page": ("p.parquet", b"<html>404</html>", "an HTML page"),
    "nothing": ("p.parquet", b"", "is empty"),
    "a spreadsheet": ("p.csv", b"PK\x03\x04\x14", "a ZIP archive or a spreadsheet"),
    "Parquet under another name": ("p.jsonl", b"PAR1\x00", "name it .parquet"),
    "JSON as text": ("p.txt", b'{"prompt": "Tea?"}\n', "holds JSON; name it .jsonl"),
    "a damaged archive": ("p.jsonl.gz", gzip.compress(LINES.encode())[:-12], "cannot be read"),
    "a table by columns": (
        "p.json",
        b'{"prompt": {"0": "Tea?"}, "x": {"0": "y"}}',
        "but an object|do not say",
    ),
    "a key twice": (
        "p.jsonl",
        b'{"prompt": "a", "prompt": "b"}\n',
        "the key 'prompt' is there twice",
    ),
    "a list with a comma too many": (
        "p.jsonl",
        b'[\n{"prompt": "a"},\n{"prompt": "b"},\n]\n',
        r"one JSON value and broken: line \d: .*; nothing was taken",
    ),
    "a list without a comma": (
        "p.jsonl",
        b'[{"prompt": "a"},\n{"prompt": "b"}\n{"prompt": "c"}]\n',
        "broken: line 3: expecting ',' delimiter; nothing was taken",
    ),
    "a list without its first comma": (
        "p.jsonl",
        b'[{"prompt": "a"}\n{"prompt": "b"}]\n',
        "broken: line 2: expecting ',' delimiter",
    ),
    "a list that is cut off": (
        "p.jsonl",
        b'[{"prompt": "a"}, {"prompt": "b"}',
        "broken: line 1: expecting ',' delimiter",
    ),
    "an object with a list that is cut off": (
        "p.jsonl",
        b'{"version": 1, "rows": [\n{"prompt": "a"},\n{"prompt": "b"}\n',
        "broken: line 4: expecting ',' delimiter",
    ),
    "a list with a key twice": (
        "p.json",
        b'[\n{"prompt": "a", "prompt": "b"},\n{"prompt": "c"}\n]',
        "broken: the key 'prompt' is there twice",
    ),
    "a list with Latin 1 in it": (
        "p.json",
        '[\n{"prompt": "Grün?"},\n{"prompt": "c"}\n]'.encode("latin-1"),
        "broken: not UTF-8",
    ),
    "a value with words before it": ("p.json", b'rows =\n{"prompt": "a"}\n', "broken: line 1"),
    "no prompts in an object": (
        "p.json",
        b'{"version": 1, "rows": []}',
        "the columns version, rows are",
    ),
    "a class instead of a reply": ("p.csv", b"text,label\nTea?,1\n", "--map prompt=text"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_would_be_misread_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    file, content, words = BROKEN[name]
    path = tmp_path / file
    path.write_bytes(content)
    for read in (read_prompts, read_golds, lambda path: read_pairs(path, VoteRules())):
        with pytest.raises(BadInput, match=words) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_line_that_is_broken_costs_that_line_alone_also_the_first_one(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    for broken in ('{"prompt": "Tea', '[{"role": "user", "cont'):
        path.write_text(f"{broken}\n{json.dumps(EXPECTED[0])}\n")
        found = read_prompts(path)
        assert found.prompts == EXPECTED[:1]
        assert found.bad_lines == [(1, "not JSON")]


def test_bytes_are_no_text_and_named(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"prompt": [b"a"]}), tmp_path / "p.parquet")
    with pytest.raises(BadInput, match="row 1: neither a text nor a list of messages, but bytes"):
        read_prompts(tmp_path / "p.parquet")


def test_damaged_texts_of_arrow_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "p.arrow"
    pyarrow.feather.write_feather(TABLE, path, compression="uncompressed")
    path.write_bytes(path.read_bytes().replace(b"Tea", b"\xff\xfe\xfd"))
    with pytest.raises(BadInput, match=r"not an Arrow file, or damaged: .*Invalid UTF8"):
        read_prompts(path)


def test_a_folder_of_a_newer_datasets_is_one_sentence(tmp_path: Path) -> None:
    datasets.Dataset(TABLE).save_to_disk(tmp_path / "saved")
    info = tmp_path / "saved" / "dataset_info.json"
    info.write_text(info.read_text().replace('"Value"', '"FutureType"'))
    with pytest.raises(BadInput, match="was saved by a newer `datasets`"):
        read_prompts(tmp_path / "saved")


CELLS: list[Any] = [
    [{"role": "user", "content": "Name a fruit."}],
    [{"role": "assistant", "content": "Apple's"}],
    [{"role": "assistant", "content": 'A "chair".'}],
]


@pytest.mark.parametrize("as_text", [json.dumps, str])
def test_message_lists_in_cells_are_lists(as_text: Any, tmp_path: Path) -> None:
    names = "prompt", "chosen", "rejected"
    row = {name: as_text(cell) for name, cell in zip(names, CELLS, strict=True)}
    datasets.Dataset.from_list([row]).to_csv(tmp_path / "p.csv")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "p.parquet")
    for name in ("p.csv", "p.parquet"):
        (pair,) = read_pairs(tmp_path / name, VoteRules()).pairs
        assert pair.messages == CELLS[0]
        assert (pair.response_a, pair.response_b) == ("Apple's", 'A "chair".')


def test_lines_are_those_of_the_file_and_texts_keep_their_breaks(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('prompt,n\n"two\nlines",1\n,2\n"a\u2028b\x85c",3\n', newline="")
    found = read_prompts(path)
    assert [prompt[0]["content"] for prompt in found.prompts] == ["two\nlines", "a\u2028b\x85c"]
    assert [line for line, _ in found.bad_lines] == [4]


def test_columns_are_mapped_by_name(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("Task,good,bad,id\nName a city,Oslo,table,1\n")
    asked = Asked(None, {"prompt": "task", "chosen": "good", "rejected": "Bad"})
    found = read_pairs(path, VoteRules(), asked)
    assert [(pair.response_a, pair.response_b) for pair in found.pairs] == [("Oslo", "table")]
    first, example = found.reading.understood().splitlines()
    assert first == (
        f"{path}: 1 row of CSV, read as preference pairs, from task as prompt, good as chosen, "
        "bad as rejected; not read: id."
    )
    assert example == 'For example "Name a city": "Oslo" over "table"'
    with pytest.raises(BadInput, match="--map knows no 'promt'; it maps prompt, "):
        read_prompts(path, Asked(None, {"promt": "task"}))
    with pytest.raises(BadInput, match="no column 'question', which --map names"):
        read_prompts(path, Asked(None, {"prompt": "question"}))


def test_a_column_within_another_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"data": {"text": "Tea?"}}) + "\n")
    assert read_prompts(path, Asked(None, {"prompt": "data.text"})).prompts == [
        [{"role": "user", "content": "Tea?"}]
    ]
