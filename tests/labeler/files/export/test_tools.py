"""What is written for other tools, as their own libraries read it; where those are installed."""

import json
import warnings
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionAssistantMessageParam, ChatCompletionMessageParam
from pydantic import TypeAdapter

from labeler.domain.errors import LivedpoError
from labeler.domain.messages import Messages
from labeler.files.export import annotators, trainers
from labeler.files.export.formats import FORMATS, Wanted
from labeler.files.export.write import write_export
from labeler.store import Store
from tests.support.loopback import serving
from tests.support.store import lease, second_rater, vote, vote_on
from tests.support.tiny import fill, made_up_pair

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "How?"},
]
TOOL = [*TALK[:3], {"role": "tool", "content": "42"}]
BEGUN = [*TALK, {"role": "assistant", "content": "First, "}]


def talk_about(store: Store, *prompts: Messages, wanted: int = 1) -> None:
    """A new store with a pair for each prompt."""
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    store.prompts.add(prompts, now=1.0)
    taken = store.prompts.take(len(prompts))
    pairs = [made_up_pair(prompt.id or 0, 0) for prompt in taken]
    store.queue.add(pairs, now=1.0, votes_wanted=wanted)


def choose(store: Store, *choices: str, rater: int | None = None) -> None:
    """Votes of a rater on the next pairs: "good", "bad", or a word of the page."""
    for pair, choice in zip(lease(store, len(choices), rater=rater), choices, strict=True):
        side = "left" if pair.left.startswith(choice) else "right"
        vote_on(store, pair, side if choice in ("good", "bad") else choice, rater=rater)


@pytest.fixture
def disputed(store: Store) -> Store:
    """Two raters agree on one of four conversations only."""
    talk_about(store, TALK, TOOL, BEGUN, TALK[:2], wanted=2)
    choose(store, *["good"] * 4)
    choose(store, "good", "bad", "tie", "both_bad", rater=second_rater(store))
    return store


def exported(store: Store, out: Path, format_name: str) -> list[Any]:
    write_export(out, Wanted(store), format_name=format_name)
    return [json.loads(line) for line in out.read_text().splitlines()]


class Argilla(BaseHTTPRequestHandler):
    """As much of a server as Argilla's client asks for before it does anything."""

    def do_GET(self) -> None:
        me = {"id": "4d22845c-eec5-416b-a4a7-8ea08573021c", "username": "ann", "role": "owner"}
        body = json.dumps(me).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_argilla_reads_the_records_and_makes_the_data_set(disputed: Store, tmp_path: Path) -> None:
    rg = pytest.importorskip("argilla")
    write_export(tmp_path / "out", Wanted(disputed), format_name="argilla")
    rows = json.loads((tmp_path / "out" / "records.json").read_text())
    assert [rg.Record.from_dict(row).to_dict() for row in rows] == rows
    with serving(Argilla) as address:
        rg.Argilla(api_url=address, api_key="x")
        made = rg.Settings.from_json(tmp_path / "out" / ".argilla" / "settings.json")
    made.validate()
    fields = {field.name: field.type for field in made.fields}
    assert fields == {"prompt": "chat", "response_a": "text", "response_b": "text"}
    answers = [
        option["value"] for option in made.serialize()["questions"][0]["settings"]["options"]
    ]
    assert {row["suggestions"]["preference"]["value"] for row in rows} <= set(answers)
    known = {each.name for each in made.metadata}
    assert all(set(row["metadata"]) == known for row in rows)


def test_argilla_is_told_how_many_votes_say_what(disputed: Store, tmp_path: Path) -> None:
    rows = exported(disputed, tmp_path / "out.jsonl", "argilla")
    counts = [
        sum(row["metadata"][name] for name in row["metadata"] if "votes" in name) for row in rows
    ]
    assert counts == [2] * 4
    assert sorted(row["suggestions"]["preference"]["score"] for row in rows) == [0.5, 0.5, 0.5, 1.0]


def test_label_studio_takes_the_interface_the_tasks_and_the_predictions(
    disputed: Store, tmp_path: Path
) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    write_export(tmp_path / "out", Wanted(disputed), format_name="label-studio")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    config = interface.LabelInterface((tmp_path / "out" / "labeling.xml").read_text())
    config.validate()
    for task in tasks:
        assert config.validate_task({"data": task["data"]})
        assert len(task["predictions"]) == 2
        for prediction in task["predictions"]:
            assert config.validate_prediction(prediction, return_errors=True) == []


def test_a_task_that_people_have_annotated_says_what_they_said(
    disputed: Store, tmp_path: Path
) -> None:
    from labeler.files.reading.annotation import label_studio_task

    task = exported(disputed, tmp_path / "out.jsonl", "label-studio")[0]
    assert len(label_studio_task(task)) == 2
    assert label_studio_task(task | {"annotations": [{"result": []}]}) == []


def test_llama_factory_converts_every_row(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("llamafactory.data.converter", exc_type=ImportError)
    from llamafactory.data.converter import SharegptDatasetConverter
    from llamafactory.data.parser import get_dataset_list

    talk_about(store, TALK)
    choose(store, "good")
    write_export(tmp_path / "out", Wanted(store), format_name="llama-factory")
    [about] = get_dataset_list(["livedpo"], str(tmp_path / "out"))
    [line] = (tmp_path / "out" / about.dataset_name).read_text().splitlines()
    found = SharegptDatasetConverter(about, None)(json.loads(line))
    assert found["_system"] == "Be brief."
    assert [turn["content"] for turn in found["_prompt"]] == ["Tea?", "Yes.", "How?"]
    assert [turn["content"].split()[0] for turn in found["_response"]] == ["good", "bad"]


def test_what_a_trainer_would_refuse_is_left_out_and_counted(store: Store, tmp_path: Path) -> None:
    talk_about(store, TALK, TOOL, BEGUN, [*TALK[:2], TALK[1]])
    vote(store, 4)
    told = {}
    for name in ("llama-factory", "openai"):
        written = write_export(tmp_path / f"{name}.jsonl", Wanted(store), format_name=name)
        told[name] = written.rows, set(written.told)
    assert told["llama-factory"] == (2, {f"2 pairs were left out: {trainers.NO_TURNS}."})
    assert told["openai"] == (
        2,
        {
            f"1 pair was left out: {trainers.NO_TOOLS}.",
            f"1 pair was left out: {trainers.NO_PREFIX}.",
        },
    )


def test_an_export_of_which_everything_is_left_out_says_why(store: Store, tmp_path: Path) -> None:
    talk_about(store, BEGUN)
    vote(store, 1)
    with pytest.raises(LivedpoError, match=r"nothing was written\. 1 pair was left out: OpenAI"):
        write_export(tmp_path / "out.jsonl", Wanted(store), format_name="openai")


def test_openai_s_own_types_fit_every_row(disputed: Store, tmp_path: Path) -> None:
    rows = exported(disputed, tmp_path / "out.jsonl", "openai")
    assert rows
    for row in rows:
        TypeAdapter(list[ChatCompletionMessageParam]).validate_python(row["input"]["messages"])
        for name in ("preferred_output", "non_preferred_output"):
            TypeAdapter(list[ChatCompletionAssistantMessageParam]).validate_python(row[name])
            assert len(row[name]) == 1


@pytest.mark.parametrize("format_name", ["preference", "unpaired"])
def test_conversations_keep_their_roles_and_the_command_says_so(
    format_name: str, store: Store, tmp_path: Path
) -> None:
    fill(store, 1)
    vote(store, 1)
    rows = exported(store, tmp_path / "texts.jsonl", format_name)
    assert all(isinstance(value, (str, bool)) for row in rows for value in row.values())
    talk_about(store, TALK)
    vote(store, 1)
    written = write_export(tmp_path / "out.jsonl", Wanted(store), format_name=format_name)
    assert "some prompts are conversations" in written.told[0]
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert TALK in [row["prompt"] for row in rows]
    assert all(isinstance(row["prompt"], list) for row in rows)
    with warnings.catch_warnings(action="ignore"):
        from trl.data_utils import is_conversational
    assert all(is_conversational(row) for row in rows)


def test_only_tables_can_be_parquet() -> None:
    assert [name for name, form in FORMATS.items() if not form.is_table] == [
        *("llama-factory", "openai", "argilla", "label-studio")
    ]
    assert annotators.LABELING.count("$") == 3
