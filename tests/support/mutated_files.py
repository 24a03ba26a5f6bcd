"""Files of every kind and shape that is read, and what becomes of them: strategies and a check.

A file begins as rows of a shape that some tool writes. Then something in a row is changed, the rows
are packed in one of the containers, and some of the bytes are changed.
"""

import copy
import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from hypothesis import strategies as st

from labeler.domain.errors import BadInput
from labeler.domain.labels import VoteRules
from labeler.files.golds import read_golds
from labeler.files.pairs import read_pairs
from labeler.files.prompts import read_prompts
from labeler.files.reading.reader import AS_IT_IS, Reading, Taken, prompt_only, read, with_replies

MAX_SENTENCE_CHARS = 5_000
NESTED = 3_000
TALK = [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Boil."}]
OTHER = [TALK[0], {"role": "assistant", "content": "No."}]
SHARED = [{"from": "human", "value": "Tea?"}, {"from": "gpt", "value": "Boil."}]
WORDS = ("", " ", "\0", "\ud800", "a,b;c\td", '"', "\r", "é", "[{", "\n\nHuman: x", "<s>[INST]")
STORED = {
    "q": {
        "id": "q",
        "parentId": None,
        "childrenIds": ["a", "b"],
        "role": "user",
        "content": "Tea?",
    },
    "a": {"id": "a", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "Boil."},
    "b": {"id": "b", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "No."},
}
HISTORY = {"history": {"messages": STORED, "currentId": "a"}}
# A row of each shape, with one to spare for those that come in two ways.
ROWS: tuple[Mapping[str, Any], ...] = (
    {"prompt": "Tea?", "response_a": "No.", "response_b": "Boil.", "choice": "b", "pair_id": 1},
    {"prompt": "Tea?", "response_a": "No.", "response_b": "Boil.", "probability": 0.3},
    {"prompt": "Tea?", "better": "Boil.", "worse": "No."},
    {"prompt": TALK[:1], "chosen": TALK[1:], "rejected": OTHER[1:]},
    {"chosen": TALK, "rejected": OTHER, "score_chosen": 4.0, "score_rejected": 1.0},
    {
        "chosen": "\n\nHuman: Tea?\n\nAssistant: Boil.",
        "rejected": "\n\nHuman: Tea?\n\nAssistant: No.",
    },
    {"prompt": "Tea?", "completion": "Boil.", "label": True},
    {"conversations": SHARED, "chosen": SHARED[1], "rejected": {"from": "gpt", "value": "No."}},
    {"conversations": SHARED, "system": "Be brief."},
    {
        "instruction": "Make tea.",
        "input": "Green.",
        "output": ["Boil.", "No."],
        "history": [["a", "b"]],
    },
    {"messages": TALK, "rejected_response": "No."},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Tea?"}]}]},
    {
        "input": {"messages": TALK[:1]},
        "preferred_output": TALK[1:],
        "non_preferred_output": OTHER[1:],
    },
    {
        "data": {"rating": 1, "model_id": "a"},
        "meta": {"message_id": "a", "chat_id": "c"},
        "snapshot": {"chat": {"chat": HISTORY}},
    },
    {"chat": HISTORY},
    {
        "id": 7,
        "data": {"prompt": "Tea?", "text1": "Boil.", "text2": "No."},
        "annotations": [
            {
                "id": 1,
                "result": [{"to_name": "pw", "type": "pairwise", "value": {"selected": "left"}}],
            }
        ],
    },
    {
        "id": 7,
        "prompt": "Tea?",
        "text1": "No.",
        "text2": "Boil.",
        "annotation_id": 3,
        "annotator": 1,
    }
    | {"choice": "right"},
    {
        "fields": {"prompt": "Tea?", "response1": "Boil.", "response2": "No."},
        "responses": {"better": [{"value": "response1", "user_id": "u", "status": "submitted"}]},
    },
    {"prompt": "Tea?", "response1": "a", "response2": "b", "better.responses": ["response1"]},
    {"conversation_a": TALK, "conversation_b": OTHER, "winner": "model_a"},
    {"prompt": '["Tea?"]', "response_a": '["Boil."]', "response_b": '["No."]', "winner_model_a": 1}
    | {"winner_model_b": 0, "winner_tie": 0},
    {"text": "Tea?", "options": [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}], "accept": [1]},
)
CONTAINERS = ("a.jsonl", "a.json", "b.json", "a.csv", "a.tsv", "a.parquet", "a.arrow", "a.txt")
# Of these a file that ends too early is known to: what is read of it is never half a row.
WHOLE = (".jsonl", ".json", ".parquet", ".arrow", ".gz")

junk: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, 0, -1, 10**400, 1e308, float("nan"), [], {}, [[]], *WORDS]),
    st.sampled_from([TALK, OTHER, SHARED, STORED, "x" * 3_000]),
    st.text(max_size=6),
).map(copy.deepcopy)


@dataclass(frozen=True)
class File:
    """A file, and the bytes that it had before any of them were changed."""

    name: str
    content: bytes
    whole: bytes


@st.composite
def rows(draw: st.DrawFn) -> Any:
    """A row of some shape in which up to three things are changed."""
    row = copy.deepcopy(dict(draw(st.sampled_from(ROWS))))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        place: Any = row
        while True:
            names: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not names:
                break
            name = draw(st.sampled_from(names))
            inner = place[name]
            if isinstance(inner, (dict, list)) and draw(st.booleans()):
                place = inner
                continue
            match draw(st.sampled_from(["junk", "junk", "junk", "gone", "wrapped", "text"])):
                case "junk":
                    place[name] = draw(junk)
                case "gone":
                    del place[name]
                case "wrapped":
                    place[name] = [inner]
                case _:
                    place[name] = json.dumps(inner)
            break
    return draw(st.sampled_from([row, row, row, row, row, row, draw(junk)]))


def packed(name: str, values: list[Any]) -> bytes:
    """Rows in a container; as JSON where it cannot hold them."""
    objects = [value if isinstance(value, dict) else {"prompt": value} for value in values]
    match name.removesuffix(".gz"):
        case "a.json":
            return json.dumps(values).encode()
        case "b.json":
            return json.dumps({"version": 1, "rows": values}).encode()
        case "a.csv" | "a.tsv":
            text = io.StringIO()
            names = list(dict.fromkeys(key for row in objects for key in row))
            table = csv.DictWriter(text, names, delimiter="," if "csv" in name else "\t")
            table.writeheader()
            for row in objects:
                table.writerow({key: _cell(value) for key, value in row.items()})
            return text.getvalue().encode("utf-8", "surrogatepass")
        case "a.parquet" | "a.arrow":
            return _table(name, objects)
        case "a.txt":
            return "\n".join(_cell(value) for value in values).encode("utf-8", "surrogatepass")
    return "\n".join(json.dumps(value) for value in values).encode()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _table(name: str, objects: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    try:
        table = pyarrow.Table.from_pylist(objects)
        if name.startswith("a.parquet"):
            pyarrow.parquet.write_table(table, out)
        else:
            with pyarrow.ipc.new_file(out, table.schema) as writer:
                writer.write_table(table)
    except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError):
        return json.dumps(objects).encode()
    return out.getvalue()


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file of some rows, mostly with something changed in its bytes."""
    name = draw(st.sampled_from(CONTAINERS)) + draw(st.sampled_from(["", "", "", ".gz"]))
    whole = packed(name, draw(st.lists(rows(), min_size=1, max_size=3)))
    if name.endswith(".gz"):
        whole = gzip.compress(whole, 1, mtime=0)
    content, where = bytearray(whole), draw(st.integers(0, len(whole)))
    match draw(st.sampled_from(["", "", "", "cut", "bytes", "bytes", "twice", "deep", "wide"])):
        case "cut":
            del content[where:]
        case "bytes":
            content[where : where + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        case "twice":
            content[where:where] = content[where : where + draw(st.integers(0, 60))]
        case "deep":
            content[where:where] = draw(st.sampled_from([b"[", b'{"prompt":'])) * NESTED
        case "wide":
            content = bytearray(content.decode("latin-1").encode("utf-16"))
    return File(name, bytes(content), whole)


def check_file(folder: Path, file: File) -> None:
    """What must hold of any file: rows are taken or named, or one sentence refuses all of it.

    Nothing else is ever raised, and reading it again says the same.
    """
    path = folder / file.name
    path.write_bytes(file.content)
    for take in (prompt_only, with_replies):
        found = _read(path, take)
        assert found == _read(path, take)
        if found is not None:
            taken, reading = found
            assert reading.rows == len(taken) + len(reading.bad_lines)
            for told in (reading.understood(), reading.complaint()):
                assert len(told) <= MAX_SENTENCE_CHARS
    for reader in (
        lambda: read_prompts(path),
        lambda: read_golds(path),
        lambda: read_pairs(path, VoteRules()),
    ):
        with _in_a_sentence():
            reader()
    if path.suffix in WHOLE and file.content == file.whole[: len(file.content)]:
        _check_cut(path, file)


def _check_cut(path: Path, file: File) -> None:
    """Of a file that was cut off only rows are taken that the whole file has."""
    cut = _read(path, prompt_only)
    path.write_bytes(file.whole)
    whole = _read(path, prompt_only)
    if cut is not None and whole is not None:
        assert all(row in whole[0] for row in cut[0])


def _read(path: Path, take: Any) -> tuple[list[Taken], Reading] | None:
    """What is in the file; None if it is refused as a whole."""
    with _in_a_sentence():
        return read(path, AS_IT_IS, take)
    return None


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Nothing is raised here but one sentence for the user."""
    sentence = "."
    try:
        yield
    except BadInput as error:
        sentence = str(error)
    assert 0 < len(sentence) <= MAX_SENTENCE_CHARS
