"""Data sets that the libraries of other tools write themselves, where they are installed."""

import json
import warnings
from pathlib import Path
from typing import Any

import datasets
import pytest

from labeler.domain.labels import VoteRules
from labeler.files.pairs import read_pairs
from labeler.files.prompts import read_prompts

LABELING = """<View>
  <Text name="prompt" value="$prompt"/><Text name="text1" value="$text1"/>
  <Text name="text2" value="$text2"/>
  <Pairwise name="pw" toName="text1,text2"/>
  <Choices name="tie" toName="prompt"><Choice value="tie"/><Choice value="both bad"/></Choices>
</View>"""


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


IMPLICIT: list[dict[str, Any]] = [
    {
        "chosen": [user("Sky?"), assistant("It is blue.")],
        "rejected": [user("Sky?"), assistant("It is green.")],
    },
    {
        "chosen": [user("Sky?"), assistant("Hm?"), user("Colour?"), assistant("Blue.")],
        "rejected": [user("Sky?"), assistant("Hm?"), user("Colour?"), assistant("Green.")],
    },
    {"chosen": "The sky is blue.", "rejected": "The sky is green."},
]


@pytest.mark.parametrize("row", IMPLICIT)
def test_an_implicit_prompt_is_the_one_that_trl_takes(row: dict[str, Any], tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        from trl.data_utils import maybe_extract_prompt
    theirs = maybe_extract_prompt(row)
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (pair,) = read_pairs(path, VoteRules()).pairs
    if isinstance(theirs["prompt"], str):
        ours: list[Any] = [pair.messages[0]["content"], pair.response_a, pair.response_b]
        assert ours == [theirs[name].strip() for name in ("prompt", "chosen", "rejected")]
    else:
        assert pair.messages == theirs["prompt"]
        assert [assistant(pair.response_a)] == theirs["chosen"]
        assert [assistant(pair.response_b)] == theirs["rejected"]


def test_the_same_rows_come_out_of_every_format_of_datasets(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [user(f"What, {n}?")],
            "chosen": [assistant(f'"Good" {n}\nline')],
            "rejected": [assistant("bad; 'x'")],
        }
        for n in range(3)
    ]
    table = datasets.Dataset.from_list(rows)
    table.save_to_disk(tmp_path / "saved")
    table.to_parquet(tmp_path / "p.parquet")
    table.to_json(tmp_path / "p.jsonl")
    table.to_json(tmp_path / "list.json", lines=False)
    table.to_csv(tmp_path / "p.csv")
    found = [read_pairs(path, VoteRules()).pairs for path in sorted(tmp_path.iterdir())]
    assert len(found) == 5
    assert all(pairs == found[0] for pairs in found)
    assert [pair.response_a for pair in found[0]] == [f'"Good" {n}\nline' for n in range(3)]


def test_records_of_argilla_are_read_in_both_of_its_layouts(tmp_path: Path) -> None:
    rg = pytest.importorskip("argilla")
    io = pytest.importorskip("argilla.records._io")
    user_id = "4d22845c-eec5-416b-a4a7-8ea08573021c"
    ranks = [{"value": "response2", "rank": 1}, {"value": "response1", "rank": 2}]
    records = [
        rg.Record(
            id=str(number),
            fields={"prompt": f"Tea {number}?", "response1": "No.", "response2": "Boil."},
            responses=[rg.Response(name, value, user_id=user_id, status="submitted")],
        )
        for number, (name, value) in enumerate([("rank", ranks), ("label", "response2")])
    ]
    io.JsonIO.to_json(records, tmp_path / "nested.json")
    flat = io.GenericIO.to_list(records, flatten=True)
    datasets.Dataset.from_list(flat).save_to_disk(tmp_path / "flat")
    for name in ("nested.json", "flat"):
        pairs = read_pairs(tmp_path / name, VoteRules()).pairs
        assert [(pair.response_b, pair.said.target) for pair in pairs] == [("Boil.", 0.0)] * 2
        assert [p[0]["content"] for p in read_prompts(tmp_path / name).prompts] == [
            "Tea 0?",
            "Tea 1?",
        ]


def test_exports_of_label_studio_are_read_in_all_of_its_layouts(tmp_path: Path) -> None:
    pytest.importorskip("label_studio_sdk")
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.label_interface import LabelInterface

    def result(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        return {"id": "x", "from_name": name, "to_name": name, "type": kind, "value": value}

    said = [
        result("pw", "pairwise", {"selected": "left"}),
        result("pw", "pairwise", {"selected": "right"}),
        result("tie", "choices", {"choices": ["tie"]}),
    ]
    tasks: list[Any] = [
        {
            "id": number,
            "data": {"prompt": f"Tea {number}?", "text1": "Boil.", "text2": "No."},
            "annotations": [{"id": number, "completed_by": 1, "result": [one], "created_at": "x"}],
        }
        for number, one in enumerate(said)
    ]
    LabelInterface(LABELING).validate()
    export = tmp_path / "export.json"
    export.write_text(json.dumps(tasks))
    converter = Converter(LABELING, project_dir=None)
    converter.convert_to_json_min(export, tmp_path / "min", is_dir=False)
    converter.convert_to_csv(export, tmp_path / "csv", is_dir=False, sep=",", header=True)
    for path in (export, tmp_path / "min" / "result.json", tmp_path / "csv" / "result.csv"):
        found = read_pairs(path, VoteRules())
        assert [pair.said.target for pair in found.pairs] == [1.0, 0.0]
        assert found.undecided == 1
