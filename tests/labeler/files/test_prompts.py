"""Prompt files of every kind, with good and bad lines."""

import json
from pathlib import Path

import datasets
import pytest

from labeler.config.policies import SMOLLM2, first_prompts
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.files.prompts import add_first_prompts, read_prompts
from labeler.store import Store

TEA = [{"role": "user", "content": "Tea?"}]
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "How?"},
]


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_texts_prompts_and_message_lists_are_read_from_jsonl(tmp_path: Path) -> None:
    replied = {"messages": [*CHAT, {"role": "assistant", "content": "Boil water."}]}
    lines = ["Tea?", {"prompt": "Tea?"}, {"prompt": TEA}, {"prompt": CHAT}, replied]
    found = read_prompts(write(tmp_path / "p.jsonl", *lines))
    assert found.prompts == [TEA, TEA, TEA, CHAT, CHAT]
    assert found.bad_lines == []


def test_csv_parquet_and_datasets_folders_are_read(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('prompt,topic\n"Tea, please?",x\nCoffee?,y\n')
    expected = [[{"role": "user", "content": text}] for text in ("Tea, please?", "Coffee?")]
    assert read_prompts(tmp_path / "p.csv").prompts == expected
    table = datasets.Dataset.from_list([{"prompt": "Tea, please?"}, {"prompt": "Coffee?"}])
    table.to_parquet(tmp_path / "p.parquet")
    assert read_prompts(tmp_path / "p.parquet").prompts == expected
    table.save_to_disk(tmp_path / "folder")
    assert read_prompts(tmp_path / "folder").prompts == expected
    datasets.DatasetDict({"train": table}).save_to_disk(tmp_path / "splits")
    assert read_prompts(tmp_path / "splits").prompts == expected


def test_good_lines_are_taken_and_bad_ones_named_by_number_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(
        b'{"prompt": "Tea?"}\n'
        b"{not json\n"
        b'{"prompt": "  "}\n'
        b'{"words": "Tea?"}\n'
        b"\n"
        b'{"prompt": [{"role": "poet", "content": "x"}]}\n'
        b'{"prompt": [{"role": "system", "content": "x"}]}\n'
        b"\xff\xfe\n"
        b"17\n"
        b'{"prompt": "Coffee?"}\n'
    )
    found = read_prompts(path)
    assert len(found.prompts) == 2
    assert dict(found.bad_lines) == {
        2: "not JSON",
        3: "empty text",
        4: "the columns words are no shape that is read here; say which is which, as in "
        "`--map prompt=words`",
        6: "a message needs one of the roles system, user, assistant, tool",
        7: "the last message is from the system",
        8: "not UTF-8",
        9: "neither a text, nor a list of messages, nor an object",
    }
    complaint = found.reading.complaint()
    assert complaint.startswith("7 bad lines were skipped (line 2: not JSON; line 3: empty text; ")


def test_a_csv_cell_may_hold_a_message_list_and_lines_are_numbered_as_in_the_file(
    tmp_path: Path,
) -> None:
    cell = json.dumps(CHAT).replace('"', '""')
    (tmp_path / "p.csv").write_text(f'prompt\n"{cell}"\n"two\nlines"\n""\nTea?\n')
    found = read_prompts(tmp_path / "p.csv")
    assert found.prompts == [CHAT, [{"role": "user", "content": "two\nlines"}], TEA]
    assert found.bad_lines == [(5, "all cells are empty")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.jsonl", b"[" * 100_000 + b"\n", "broken: nested too deeply"),
        ("p.jsonl", b'{"prompt": "a \\ud800 b"}\n', "half a character"),
        ("p.csv", b"prompt\nCaf\xe9?\n", "not UTF-8"),
        ("p.csv", b"prompt\n" + b"x" * 3_000_000 + b"\n", "field larger than"),
        ("p.jsonl", b"", "is empty"),
        ("p.jsonl", b"\n", "no usable prompts"),
        ("p.jsonl", b"nonsense\n", "line 1: not JSON"),
        ("p.parquet", b"nonsense", "not a Parquet file"),
        ("p.md", b"Tea?", "not a .jsonl"),
        ("p.csv", b"words\nTea?\n", "no usable prompt"),
    ],
)
def test_a_file_with_nothing_usable_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=words) as caught:
        read_prompts(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_of_something_else_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file"):
        read_prompts(tmp_path / "nowhere.jsonl")
    with pytest.raises(BadInput, match="not a folder saved by"):
        read_prompts(tmp_path)


def test_a_developer_is_the_system_and_a_tools_answer_or_a_begun_reply_may_come_last(
    tmp_path: Path,
) -> None:
    told = [{"role": "developer", "content": "Be brief."}, *TEA]
    tool = [*TEA, {"role": "tool", "content": "rain"}]
    begun = [*TEA, {"role": "assistant", "content": "First, boil"}]
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": prompt}) for prompt in (told, tool, begun)))
    found = read_prompts(path)
    assert found.bad_lines == []
    assert found.prompts == [[{"role": "system", "content": "Be brief."}, *TEA], tool, begun]


@pytest.mark.parametrize("policy", [SMOLLM2, "my-model"])
def test_a_new_database_gets_the_prompts_that_go_with_its_policy(policy: str, store: Store) -> None:
    add_first_prompts(Settings(policy=policy), store, print)
    expected = read_prompts(first_prompts(policy))
    assert expected.bad_lines == []
    assert [prompt.messages for prompt in store.prompts.all()] == expected.prompts
