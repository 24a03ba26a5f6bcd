"""Rows in the shapes that other tools write: what each says of its prompt and its replies."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.labels import VoteRules
from labeler.domain.messages import Messages
from labeler.files.golds import read_golds
from labeler.files.pairs import read_pairs
from labeler.files.prompts import read_prompts

TEA = [{"role": "user", "content": "Tea?"}]
BRIEF = [{"role": "system", "content": "Be brief."}, *TEA]
TALK = [*TEA, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "How?"}]
GOOD, BAD = {"role": "assistant", "content": "Boil."}, {"role": "assistant", "content": "No."}


def said(role: str, text: str) -> dict[str, str]:
    return {"from": role, "value": text}


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_text(folder: Path, text: str, *rows: Any) -> Path:
    """Rows after a text."""
    path = write(folder, *rows)
    path.write_text(text + path.read_text())
    return path


def feedback(rating: Any, *answers: str, rated: int = 0, **more: Any) -> dict[str, Any]:
    """A row of Open WebUI's export: one question, several answers, one of them rated."""
    names = [f"a{number}" for number in range(len(answers))]
    messages: dict[str, Any] = {
        "q": {"id": "q", "parentId": None, "childrenIds": names, "role": "user", "content": "Tea?"}
    }
    for name, text in zip(names, answers, strict=True):
        messages[name] = {
            **{"id": name, "parentId": "q", "childrenIds": [], "role": "assistant"},
            **{"content": text, "done": True, "model": name},
        }
    chat = {"history": {"messages": messages, "currentId": names[rated]}} | more
    return {
        **{"id": "f1", "user_id": "u1", "version": 0, "type": "rating"},
        "data": {"rating": rating, "model_id": names[rated], "reason": "", "tags": []},
        "meta": {"arena": True, "chat_id": "c", "message_id": names[rated]},
        "snapshot": {"chat": {"id": "c", "title": "Tea", "chat": chat}},
        **{"created_at": 1, "updated_at": 2},
    }


def label_studio(*results: Any, **data: Any) -> dict[str, Any]:
    """A task of Label Studio's export with one annotation."""
    annotation = {"id": 1, "completed_by": 1, "was_cancelled": False, "result": list(results)}
    return {
        "id": 7,
        "data": {"prompt": "Tea?", "text1": "Boil.", "text2": "No."} | data,
        "annotations": [annotation],
        "predictions": [],
    }


def pairwise(side: str, to_name: str = "pw") -> dict[str, Any]:
    value = {"selected": side}
    return {"from_name": "pw", "to_name": to_name, "type": "pairwise", "value": value}


def choices(*words: str) -> dict[str, Any]:
    value = {"choices": list(words)}
    return {"from_name": "tie", "to_name": "prompt", "type": "choices", "value": value}


FIELDS = {"prompt": "Tea?", "response1": "Boil.", "response2": "No."}


def argilla(question: str, *values: Any, **fields: Any) -> dict[str, Any]:
    answers = [{"value": value, "user_id": f"u{n}"} for n, value in enumerate(values)]
    return {
        **{"id": "1", "fields": FIELDS | fields, "metadata": {}, "suggestions": {}},
        **{"responses": {question: answers}, "vectors": {}, "status": "completed"},
    }


BATTLE = {"question_id": "1", "model_a": "x", "model_b": "y", "turn": 1, "language": "English"}
OPTIONS = [{"id": 1, "text": "Boil."}, {"id": 2, "text": "No."}]
SHORT = {
    **{"id": 7, "prompt": "Tea?", "text1": "No.", "text2": "Boil.", "annotator": 1},
    **{"annotation_id": 3, "created_at": "2026-11-01", "updated_at": "2026-11-01"},
    "lead_time": 3.2,
}
KAGGLE = {"id": 1, "model_a": "x", "model_b": "y", "prompt": '["Tea?"]', "winner_tie": 0}
OUR = {"prompt": "Tea?", "response_a": "No.", "response_b": "Boil."}

# Each prefers "Boil." over "No."; what it answers is beside it.
PAIRS: dict[str, tuple[Any, Messages]] = {
    "ours, votes": (OUR | {"choice": "b"}, TEA),
    "ours, gold": ({"prompt": "Tea?", "better": "Boil.", "worse": "No."}, TEA),
    "TRL, texts": ({"prompt": "Tea?", "chosen": "Boil.", "rejected": "No."}, TEA),
    "TRL, conversations": ({"prompt": TALK, "chosen": [GOOD], "rejected": [BAD]}, TALK),
    "TRL, implicit": ({"chosen": [*BRIEF, GOOD], "rejected": [*BRIEF, BAD]}, BRIEF),
    "TRL, implicit texts": ({"chosen": "Tea?\nBoil.", "rejected": "Tea?\nNo."}, TEA),
    "HH": (
        {
            "chosen": "\n\nHuman: Tea?\n\nAssistant: Yes.\n\nHuman: How?\n\nAssistant: Boil.",
            "rejected": "\n\nHuman: Tea?\n\nAssistant: Yes.\n\nHuman: How?\n\nAssistant: No.",
        },
        TALK,
    ),
    "HH, with a prompt": (
        {"prompt": "\n\nHuman: Tea?\n\nAssistant:", "chosen": " Boil.", "rejected": " No."},
        TEA,
    ),
    "HH, replies with their speaker": (
        {
            **{"prompt": "\n\nHuman: Tea?", "chosen": "\n\nAssistant:Boil."},
            "rejected": "\n\nAssistant: No.",
        },
        TEA,
    ),
    "UltraFeedback": (
        {
            **{"prompt": "Tea?", "prompt_id": "x", "chosen": [*TEA, GOOD], "rejected": [*TEA, BAD]},
            **{"messages": [*TEA, GOOD], "score_chosen": 9.0, "score_rejected": 2.0},
        },
        TEA,
    ),
    "UltraFeedback with a system": (
        {
            **{"prompt": "Tea?", "chosen": [*BRIEF, GOOD], "rejected": [*BRIEF, BAD]},
            **{"score_chosen": 9.0, "score_rejected": 2.0},
        },
        BRIEF,
    ),
    "whole conversations as text": (
        {"prompt": "Tea?", "chosen": str([*BRIEF, GOOD]), "rejected": json.dumps([*BRIEF, BAD])},
        BRIEF,
    ),
    "LLaMA-Factory, ShareGPT": (
        {
            "conversations": [said("human", "Tea?"), said("gpt", "Yes."), said("human", "How?")],
            **{"chosen": said("gpt", "Boil."), "rejected": said("gpt", "No.")},
        },
        TALK,
    ),
    "LLaMA-Factory, Alpaca": (
        {"instruction": "Tea?", "input": "", "chosen": "Boil.", "rejected": "No."},
        TEA,
    ),
    "LLaMA-Factory, older": (
        {"instruction": "Tea?", "input": "", "output": ["Boil.", "No."], "system": "Be brief."},
        BRIEF,
    ),
    "LLaMA-Factory, history": (
        {
            "instruction": "How?",
            "history": [["Tea?", "Yes."]],
            "chosen": "Boil.",
            "rejected": "No.",
        },
        TALK,
    ),
    "Orca": (
        {"system": "Be brief.", "question": "Tea?", "chosen": "Boil.", "rejected": "No."},
        BRIEF,
    ),
    "OpenAI": (
        {
            "input": {"messages": BRIEF, "tools": [], "parallel_tool_calls": True},
            **{"preferred_output": [GOOD], "non_preferred_output": [BAD]},
        },
        BRIEF,
    ),
    "ms-swift": ({"messages": [*TALK, GOOD], "rejected_response": "No."}, TALK),
    "ms-swift with a system": (
        {"system": "Be brief.", "messages": [*TEA, GOOD], "rejected_response": "No."},
        BRIEF,
    ),
    "Argilla, ranking": (
        argilla(
            "preference", [{"value": "response2", "rank": 2}, {"value": "response1", "rank": 1}]
        ),
        TEA,
    ),
    "Argilla, label": (argilla("preference", "response1"), TEA),
    "Argilla, counted from zero": (
        {
            **argilla("which", "Answer 1"),
            "fields": {"prompt": "Tea?", "response0": "No.", "response1": "Boil."},
        },
        TEA,
    ),
    "Label Studio, counted from zero": (
        {
            **label_studio(choices("Reply 0")),
            "data": {"prompt": "Tea?", "answer0": "Boil.", "answer1": "No."},
        },
        TEA,
    ),
    "Label Studio, sides named and chosen by number": (
        label_studio(pairwise("right", "text2,text1"), choices("Response 1")),
        TEA,
    ),
    "Argilla, chat": (argilla("which", "Response 1", prompt=TALK), TALK),
    "Argilla, flat": (
        {
            **{"id": "1", "_server_id": None, "preference.suggestion": "response2"},
            **FIELDS,
            "preference.responses": ["response1", "response2"],
            "preference.responses.users": ["u0", "u1"],
            "preference.responses.status": ["submitted", "discarded"],
        },
        TEA,
    ),
    "Label Studio": (label_studio(pairwise("left")), TEA),
    "Label Studio, sides named": (label_studio(pairwise("right", "text2,text1")), TEA),
    "Label Studio, choices": (label_studio(choices("Response A")), TEA),
    "Label Studio, ranker": (
        {
            **label_studio(
                {"from_name": "rank", "type": "ranker", "value": {"ranker": {"rank": ["y", "x"]}}}
            ),
            "data": {
                "prompt": "Tea?",
                "items": [{"id": "x", "body": "No."}, {"id": "y", "body": "Boil."}],
            },
        },
        TEA,
    ),
    "Label Studio, short": (SHORT | {"pw": [{"selected": "right"}]}, TEA),
    "Label Studio, short choices": (SHORT | {"which": "text2"}, TEA),
    "Open WebUI": (feedback(1, "Boil.", "No."), TEA),
    "Open WebUI, thumb down": (feedback("-1", "Boil.", "No.", rated=1), TEA),
    "Open WebUI, system": (feedback(1, "Boil.", "No.", params={"system": "Be brief."}), BRIEF),
    "Arena": (
        BATTLE
        | {"winner": "model_b", "conversation_a": [*TEA, BAD], "conversation_b": [*TEA, GOOD]},
        TEA,
    ),
    "Arena on Kaggle": (
        KAGGLE
        | {"response_a": '["Boil."]', "response_b": '["No."]', "winner_model_a": 1}
        | {"winner_model_b": 0},
        TEA,
    ),
    "Prodigy": ({"text": "Tea?", "options": OPTIONS, "accept": [1], "answer": "accept"}, TEA),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_row_of_each_tool_is_one_pair_and_one_prompt(name: str, tmp_path: Path) -> None:
    row, prompt = PAIRS[name]
    path = write(tmp_path, row)
    (pair,) = read_pairs(path, VoteRules()).pairs
    better, worse = pair.response_a, pair.response_b
    if pair.said.target == 0.0:
        better, worse = worse, better
    assert (pair.messages, better, worse) == (prompt, "Boil.", "No.")
    assert read_prompts(path).prompts == [prompt]
    (gold,), _ = read_golds(path)
    assert (gold.messages, gold.better, gold.worse) == (prompt, "Boil.", "No.")


PROMPTS: dict[str, tuple[Any, Messages]] = {
    "text": ("Tea?", TEA),
    "messages alone": (TALK, TALK),
    "ShareGPT": (
        {"conversations": [said("system", "Be brief."), said("human", "Tea?"), said("gpt", "Yes")]},
        BRIEF,
    ),
    "ShareGPT, system beside": (
        {"system": "Be brief.", "conversations": [said("human", "Tea?"), said("gpt", "Yes")]},
        BRIEF,
    ),
    "Alpaca": (
        {"instruction": "Translate.", "input": "Tee", "output": "Tea"},
        [{"role": "user", "content": "Translate.\nTee"}],
    ),
    "OpenAI, developer": (
        {"messages": [{"role": "developer", "content": "Be brief."}, *TEA, GOOD]},
        BRIEF,
    ),
    "OpenAI, parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Tea?"}]}]},
        TEA,
    ),
    "OpenAI, tool": (
        {"messages": [*TEA, {"role": "tool", "content": "rain"}, GOOD]},
        [*TEA, {"role": "tool", "content": "rain"}],
    ),
    "prompt and whole conversation": ({"prompt": "Tea?", "messages": [*BRIEF, GOOD]}, BRIEF),
    "a list as JSON": ({"prompt": json.dumps(TALK)}, TALK),
    "a list as Python has it": ({"prompt": str(TALK)}, TALK),
    "Open WebUI, chats": (
        {"id": "c", "title": "Tea", "chat": feedback(1, "Boil.")["snapshot"]["chat"]["chat"]},
        TEA,
    ),
    "a list that is no conversation": (
        {"prompt": 'Sort [{"name": "x"}]'},
        [{"role": "user", "content": 'Sort [{"name": "x"}]'}],
    ),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_a_row_with_a_prompt_alone_is_read(name: str, tmp_path: Path) -> None:
    row, prompt = PROMPTS[name]
    path = write(tmp_path, row)
    assert read_prompts(path).prompts == [prompt]
    with pytest.raises(BadInput, match="do not say which of two replies is better"):
        read_pairs(path, VoteRules())


REFUSED = {
    "identical replies": ({"prompt": "Tea?", "chosen": "x", "rejected": "x "}, "are the same"),
    "identical conversations": (
        {"chosen": [*TEA, GOOD], "rejected": [*TEA, GOOD]},
        "both replies are the same",
    ),
    "turns that differ before the last": (
        {"prompt": TEA, "chosen": [GOOD, *TEA, GOOD], "rejected": [BAD, *TEA, GOOD]},
        "differ before their last message",
    ),
    "a reply by the user": (
        {"prompt": TEA, "chosen": [GOOD, *TEA], "rejected": [BAD, *TEA]},
        "'chosen' ends with a message of the user",
    ),
    "another prompt in the replies": (
        {"prompt": "Coffee?", "chosen": [*TEA, GOOD], "rejected": [*TEA, BAD]},
        "does not begin with the prompt",
    ),
    "a system in one of them": (
        {"chosen": [*BRIEF, GOOD], "rejected": [*TEA, BAD]},
        "differ before their last message",
    ),
    "half a character": (
        {"prompt": "Tea?", "chosen": "\ud83d", "rejected": "x"},
        "lone surrogate",
    ),
    "half a character in the prompt": (
        {"prompt": "\ud83d", "chosen": "y", "rejected": "x"},
        "lone surrogate",
    ),
    "an empty reply": ({"prompt": "Tea?", "chosen": "y", "rejected": " "}, "empty text"),
    "a reply that is a number": ({"prompt": "Tea?", "chosen": 3, "rejected": "x"}, "a number"),
    "a list that cannot be read": (
        {"prompt": "[{'role': 'user', 'content': 'x'} {'role': 'user'}]", "chosen": "y"}
        | {"rejected": "x"},
        "neither JSON nor Python's",
    ),
    "an image": (
        {"prompt": [{"role": "user", "content": [{"type": "image_url"}]}], "chosen": "y"}
        | {"rejected": "x"},
        r"no text \(image_url\)",
    ),
    "images beside": (
        {"prompt": "Tea?", "images": ["x.png"], "chosen": "y", "rejected": "x"},
        "'images' cannot be taken",
    ),
    "two systems": (
        {"system": "Be long.", "prompt": BRIEF, "chosen": "y", "rejected": "x"},
        "two messages of the system that differ",
    ),
    "a gold reply that is a list": (
        {"prompt": "Tea?", "better": json.dumps([*TEA, *TEA]), "worse": "x"},
        "'better' is a whole conversation|'better' ends with",
    ),
    "a tool call": (
        {"prompt": [*TEA, GOOD | {"tool_calls": [{"id": "x"}]}, *TEA], "chosen": "y"}
        | {"rejected": "x"},
        "has a tool call",
    ),
    "a template's text": (
        {"prompt": "<|im_start|>user\nTea?<|im_end|>", "chosen": "y", "rejected": "x"},
        "a chat template has laid this text out",
    ),
    "roles as text": (
        {"prompt": "user: Tea?\n\nassistant: Yes.\n\nuser: How?", "chosen": "y", "rejected": "x"},
        "--format conversational",
    ),
    "a prompt that ends in a word": (
        {"chosen": "Tea is", "rejected": "Tea it"},
        "middle of a word",
    ),
    "no prompt": ({"chosen": "Yes.", "rejected": "No."}, "no beginning in common"),
    "another choice": (OUR | {"choice": "left"}, "not known"),
    "an endless strength": (
        OUR | {"choice": "a", "strength": float("inf")},
        "not laid out as livedpo votes are",
    ),
    "a probability that is none": (OUR | {"probability": 7}, "not between 0 and 1"),
    "a label that is a class": (
        {"prompt": "Tea?", "completion": "x", "label": 3},
        "neither true nor false",
    ),
    "an HH dialogue that parts early": (
        {
            "chosen": "\n\nHuman: Tea?\n\nAssistant: Yes.\n\nHuman: How?\n\nAssistant: Boil.",
            "rejected": "\n\nHuman: Tea?\n\nAssistant: No.\n\nHuman: Why?\n\nAssistant: So.",
        },
        "differ before their last message",
    ),
    "an Arena battle of many turns": (
        BATTLE
        | {"winner": "model_a", "conversation_a": [*TEA, GOOD, *TEA, GOOD]}
        | {"conversation_b": [*TEA, BAD, *TEA, BAD]},
        "differ before their last message",
    ),
    "Kaggle's turns": (
        KAGGLE
        | {"prompt": '["a", "b"]', "response_a": '["x", "y"]', "response_b": '["v", "w"]'}
        | {"winner_model_a": 1},
        "has 2 turns",
    ),
    "Open WebUI without the chat": (
        feedback(1, "Boil.", "No.") | {"snapshot": None},
        "the snapshot of the chat is missing",
    ),
    "Open WebUI with a folded thought": (
        feedback(1, '<details type="reasoning">…</details>Boil.', "No."),
        "folded into its text",
    ),
    "Label Studio's unknown columns": (
        {**label_studio(pairwise("left")), "data": {"prompt": "Tea?", "x": "1", "y": "2"}},
        "which two columns are the replies is unclear",
    ),
    "Label Studio's unknown choice": (
        label_studio(choices("helpful")),
        "'helpful' chooses neither of two replies",
    ),
    "a second reply where they count from zero": (
        {**label_studio(choices("answer 2"))}
        | {"data": {"prompt": "Tea?", "answer0": "Boil.", "answer1": "No."}},
        "'answer 2' chooses neither",
    ),
    "Label Studio's choice that may be a figure": (
        label_studio(choices("1")),
        "whether '1' is a reply or a figure",
    ),
    "Label Studio's short export with two choices": (
        SHORT | {"pw": "left", "neither": "tie"},
        "chooses two things at once",
    ),
    "Argilla's other question": (argilla("topic", "food"), "no question of the record compares"),
    "Argilla's other question, answered by a number": (
        argilla("severity", "1"),
        "no question of the record compares",
    ),
    "Argilla's two questions about the replies": (
        argilla("longer", "response2")
        | {"responses": {name: [{"value": "response2"}] for name in ("better", "longer")}},
        "the questions 'better' and 'longer' both compare the replies",
    ),
    "a Prodigy option that is gone": (
        {"text": "Tea?", "options": OPTIONS, "accept": [9], "answer": "accept"},
        "'9' was accepted and is no option",
    ),
    "ratings of several models": (
        {"instruction": "Tea?", "models": ["x"], "completions": [{"response": "y"}]},
        "Alpaca instructions do not say which",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_that_would_be_misread_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    row, words = REFUSED[name]
    path = write(tmp_path, PAIRS["TRL, texts"][0], row)
    found = read_pairs(path, VoteRules())
    assert len(found.pairs) == 1
    ((line, why),) = found.bad_lines
    assert line == 2
    assert re.search(words, why), why


@pytest.mark.parametrize(
    ("row", "choice"),
    [
        (BATTLE | {"winner": "tie (bothbad)"}, "both_bad"),
        (BATTLE | {"winner": "tie"}, "tie"),
    ],
)
def test_a_tie_of_the_arena_is_no_pair_and_counted(
    row: dict[str, Any], choice: str, tmp_path: Path
) -> None:
    sides = {"conversation_a": [*TEA, GOOD], "conversation_b": [*TEA, BAD]}
    path = write(tmp_path, row | sides, PAIRS["Arena"][0])
    found = read_pairs(path, VoteRules())
    assert (len(found.pairs), found.undecided) == (1, 1)
    assert "1 pair was left out: no one says which is better." in found.left_out()
    assert found.reading.example.endswith(choice.replace("_", " "))
    (pair, tie) = sorted(
        read_pairs(path, VoteRules(ties="learn")).pairs, key=lambda pair: pair.said.tie
    )
    assert (pair.said.tie, tie.said.tie) == (0.0, 1.0)


NOTHING_SAID = [
    label_studio() | {"annotations": []},
    SHORT,
    SHORT | {"pair_id": "1", "policy_version": "2"},
    SHORT | {"text1": "left", "text2": "tie"},
    SHORT | {"severity": "2"},
    label_studio(pairwise("left")) | {"annotations": [{"was_cancelled": True, "result": []}]},
    {"text": "Tea?", "options": OPTIONS, "accept": [], "answer": "ignore"},
    argilla("preference") | {"responses": {}},
    feedback(None, "Boil.", "No."),
    OUR | {"choice": "a", "superseded_by": "x"},
]


@pytest.mark.parametrize("row", NOTHING_SAID)
def test_a_row_that_says_nothing_yet_is_a_prompt_and_no_pair(
    row: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path, row)
    assert read_prompts(path).prompts == [TEA]
    with pytest.raises(BadInput, match="There are no labelled pairs"):
        read_pairs(path, VoteRules())


def test_good_and_bad_replies_to_one_prompt_make_pairs_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    rows = [
        {"prompt": "Tea?", "completion": text, "label": good}
        for text, good in (("Boil.", True), ("No.", False), ("Steep.", True))
    ]
    alone = feedback(1, "Yes.")
    chat = {"prompt": TALK, "completion": [BAD], "label": False}
    found = read_pairs(write(tmp_path, *rows, chat, alone), VoteRules())
    ((one, two),) = [(pair.response_a, pair.response_b) for pair in found.pairs]
    assert (one, two) == ("Boil.", "No.")
    assert found.alone == 3 - 1 + 1


THUMB = {"prompt": "Tea?", "completion": "Boil."}
NO_LABEL: list[tuple[list[dict[str, Any]], str]] = [
    (
        [THUMB | {"label": True}],
        "1 rating was left out: nothing is there to compare the reply with.",
    ),
    ([OUR | {"choice": "tie"}], "1 pair was left out: no one says which is better."),
    (
        [THUMB | {"label": True}, THUMB | {"label": False}],
        "1 pair was left out: the same reply is called good and bad.",
    ),
    ([feedback(None, "Boil.", "No.")], "1 row was left out: there is no rating that counts."),
]


@pytest.mark.parametrize(("rows", "sentence"), NO_LABEL)
def test_rows_without_a_label_are_told_whether_the_file_has_others_or_not(
    rows: list[dict[str, Any]], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as refused:
        read_pairs(write(tmp_path, *rows), VoteRules())
    assert str(refused.value).endswith(f"). {sentence}")
    with pytest.raises(BadInput, match="line 1: not JSON") as refused:
        read_pairs(write_text(tmp_path, "{}x\n", *rows), VoteRules())
    assert str(refused.value).endswith(f"not JSON. {sentence}")
    found = read_pairs(write(tmp_path, PAIRS["TRL, texts"][0], *rows), VoteRules())
    assert found.left_out() == sentence


def test_a_file_has_no_rows_only_where_it_has_none(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,chosen,rejected\n")
    with pytest.raises(BadInput, match=r"no labelled pairs in .*p.csv: it has no rows\.$"):
        read_pairs(path, VoteRules())


def test_an_answer_wins_over_each_other_answer_to_the_same_message(tmp_path: Path) -> None:
    found = read_pairs(write(tmp_path, feedback(1, "Boil.", "No.", "Ask.")), VoteRules())
    assert [(pair.response_a, pair.response_b) for pair in found.pairs] == [
        ("Boil.", "No."),
        ("Boil.", "Ask."),
    ]


def test_opinions_of_several_people_on_one_pair_become_one_label(tmp_path: Path) -> None:
    task = label_studio(pairwise("left"))
    again = [{"result": [pairwise(side)]} for side in ("left", "right", "left")]
    (pair,) = read_pairs(write(tmp_path, task | {"annotations": again}), VoteRules()).pairs
    assert (pair.said.target, pair.said.weight) == (pytest.approx(2 / 3), 3.0)


def test_a_pair_that_nobody_rated_weighs_and_says_what_the_reward_model_did(tmp_path: Path) -> None:
    row = {**OUR, "prompt": TEA, "probability": 0.81, "weight": 0.75, "used_in_update": 4}
    (pair,) = read_pairs(write(tmp_path, row), VoteRules()).pairs
    assert (pair.said.target, pair.said.weight) == (pytest.approx(0.81), pytest.approx(0.75))


def test_ratings_of_each_reply_rank_them(tmp_path: Path) -> None:
    record = argilla("x") | {
        "fields": {"instruction": "Tea?", "generation-0": "No.", "generation-1": "Boil."},
        "responses": {
            "generation-0-rating": [{"value": 2, "user_id": "u"}],
            "generation-1-rating": [{"value": 5, "user_id": "u"}],
        },
    }
    (pair,) = read_pairs(write(tmp_path, record), VoteRules()).pairs
    assert (pair.response_b, pair.said.target) == ("Boil.", 0.0)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [({"pw": "right"}, (0.0, 0.0)), ({"pw": "left"}, (1.0, 0.0)), ({"neither": "tie"}, (0.0, 1.0))],
)
def test_only_the_annotation_chooses_in_the_short_export_of_our_own_tasks(
    chosen: dict[str, str], said: tuple[float, float], tmp_path: Path
) -> None:
    task = SHORT | {"pair_id": "1", "policy_version": "2", "severity": "2"}
    replies = {"text1": "left", "text2": "same"}
    found = read_pairs(write(tmp_path, task | replies | chosen), VoteRules(ties="learn"))
    assert [(pair.said.target, pair.said.tie) for pair in found.pairs] == [said]


def test_a_number_alone_counts_from_zero_where_the_replies_do(tmp_path: Path) -> None:
    record = argilla("which", "response0", "1", "0")
    fields = {"prompt": "Tea?", "response0": "Boil.", "response1": "No."}
    (pair,) = read_pairs(write(tmp_path, record | {"fields": fields}), VoteRules()).pairs
    assert (pair.said.target, pair.said.weight) == (pytest.approx(2 / 3), 3.0)


@pytest.mark.parametrize("word", ["1", "A", "left", "None", "same", "skip"])
def test_an_answer_to_an_unrelated_question_of_argilla_is_no_vote(
    word: str, tmp_path: Path
) -> None:
    record = argilla("comment", word)
    record["responses"]["preference"] = argilla("", "response2")["responses"][""]
    path = write(tmp_path, record)
    found = read_pairs(path, VoteRules(ties="learn"))
    assert [(pair.said.target, pair.said.tie, pair.said.weight) for pair in found.pairs] == [
        (0.0, 0.0, 1.0)
    ]
    assert found.reading.example.endswith('"No." over "Boil."')
    (gold,), _ = read_golds(path)
    assert (gold.better, gold.worse) == ("No.", "Boil.")


def test_a_tie_of_argilla_counts_where_its_question_names_replies_elsewhere(tmp_path: Path) -> None:
    tie = argilla("preference", "tie")
    again = argilla("preference", "response1", response1="Steep.")
    rules = VoteRules(ties="learn")
    found = read_pairs(write(tmp_path, tie, again), rules).pairs
    assert [pair.said.tie for pair in found] == [1.0, 0.0]
    with pytest.raises(BadInput, match="no question of the record compares"):
        read_pairs(write(tmp_path, tie), rules)
    ours = {"preference": {"value": "tie", "score": 1.0, "agent": "livedpo"}}
    (pair,) = read_pairs(write(tmp_path, tie | {"suggestions": ours}), rules).pairs
    assert pair.said.tie == 1.0


def test_a_reason_is_short_however_much_of_the_row_it_quotes(tmp_path: Path) -> None:
    battle = {"conversation_a": [*TEA, GOOD], "conversation_b": [*TEA, BAD], "winner": "x" * 9_000}
    with pytest.raises(BadInput) as refused:
        read_pairs(write(tmp_path, battle), VoteRules())
    assert "xxx…" in str(refused.value)
    assert len(str(refused.value)) < 1_000
