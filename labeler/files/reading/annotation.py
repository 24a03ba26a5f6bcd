"""What annotation tools export: Argilla's records, Label Studio's tasks, Prodigy's choices."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from labeler.domain.messages import Messages
from labeler.domain.states import Choice
from labeler.files.reading.columns import PROMPT, Row, folded, has_prompt, prompt_of
from labeler.files.reading.messages import conversation, waiting
from labeler.files.reading.said import Compared, Said
from labeler.files.reading.sides import by_rank, choice_of, compared, names_a_reply, two_columns

LEFT_RIGHT = "left", "right"
# What Label Studio's short export adds to the columns of a task.
MIN_META = frozenset(
    ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")
)
# What ratings of each reply answer together.
RATINGS = "ratings"
# What our own export adds to the prompt and the replies of a task.
OUR_DATA = frozenset(("pair_id", "policy_version"))
# Who says what our own exports have for suggestions and predictions: votes, which are data there.
OURS = "livedpo"
# By choice the metadata of our records that counts the votes for it.
VOTES = {
    Choice.A: "votes_a",
    Choice.B: "votes_b",
    Choice.TIE: "votes_tie",
    Choice.BOTH_BAD: "votes_both_bad",
}
_REPLIES = "response_a", "response_b"


# Label Studio


def label_studio_prompt(row: Row) -> Messages:
    """The prompt of a task."""
    return _asked(_data(row))


def label_studio_task(row: Row) -> list[Said]:
    """A task with its annotations, each an opinion of its own."""
    data = _data(row)
    prompt, said = _asked(data), []
    annotations = row.get("annotations") or row.get("completions") or []
    if not annotations and (annotations := _our_votes(row)):
        data |= {name: _spoken(data[name]) for name in _REPLIES}
    for annotation in annotations:
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            continue
        results = annotation.get("result") or []
        values = [result.get("value") or {} for result in results]
        said += _opinions(data, prompt, values, str(row.get("id", "")), _order(results))
    return said


def label_studio_prompt_of_short(row: Row) -> Messages:
    """The prompt among the columns of the short export."""
    return _asked(row)


def label_studio_short(row: Row) -> list[Said]:
    """A task as in Label Studio's JSON-MIN and CSV: one annotation among the task's own columns."""
    prompt, replies = _asked(row), _clear_replies(row)
    own = MIN_META | OUR_DATA | {*PROMPT, *(replies or ())}
    cells = [_unpacked(cell) for name, cell in row.items() if name not in own]
    values = [value for cell in cells if (value := _value(cell, replies)) is not None]
    return _opinions(row, prompt, values, str(row.get("id", "")))


def _our_votes(row: Row) -> list[Row]:
    """The votes of a task that we exported, as long as nobody has annotated it."""
    said = row.get("predictions") or []
    return [one for one in said if str(one.get("model_version", "")).startswith(f"{OURS}/")]


def _spoken(text: str) -> dict[str, str]:
    """A text of our own export as a reply, also where it looks like a message list."""
    return {"role": "assistant", "content": text}


def _order(results: list[Any]) -> list[str]:
    """The replies from left to right, where an export says so."""
    named = [str(result.get("to_name", "")).split(",") for result in results]
    return next((names for names in named if len(names) == 2), [])


def _opinions(
    data: Row, prompt: Messages, values: list[Row], pair: str, order: Sequence[str] = ()
) -> list[Said]:
    """What the results of one annotation say of the replies."""
    ranked = [value["ranker"] for value in values if isinstance(value.get("ranker"), dict)]
    if ranked:
        return [*by_rank(prompt, _ranked(data, ranked[0]), pair)]
    names = _two_replies(data)
    if sorted(order) == sorted(names):
        names = order[0], order[1]
    picked = {choice_of(value["selected"], LEFT_RIGHT) for value in values if "selected" in value}
    for value in values:
        for word in value.get("choices") or []:
            if _is_figure(word, names):
                raise ValueError(
                    f"whether {word!r} is a reply or a figure is unclear; call the choice like its "
                    f"reply, such as '{names[0]}'"
                )
            picked.add(choice_of(word, names))
    if len(picked) > 1:
        raise ValueError("one annotation chooses two things at once")
    texts = data[names[0]], data[names[1]]
    return [compared(prompt, texts, names, choice, pair) for choice in picked]


def _ranked(data: Row, ranker: dict[str, list[str]]) -> list[tuple[str, Any, float]]:
    """The replies of a `Ranker`, best first: items with an id and a text."""
    if len(ranker) != 1:
        raise ValueError("a ranking in several buckets")
    (order,) = ranker.values()
    lists = [value for value in data.values() if isinstance(value, list)]
    items = {
        str(item["id"]): item.get("body") or item.get("text") or item.get("html")
        for found in lists
        for item in found
        if isinstance(item, dict) and "id" in item
    }
    if missing := [name for name in order if str(name) not in items]:
        raise ValueError(f"the ranking names {missing[0]!r}, which is no item of the task")
    return [(str(name), items[str(name)], place) for place, name in enumerate(order)]


def _value(cell: Any, replies: tuple[str, str] | None) -> Row | None:
    """The value of a result in a cell; None for a cell that chooses nothing."""
    if isinstance(cell, dict) and cell.keys() & {"selected", "choices", "ranker"}:
        return cell
    if cell in LEFT_RIGHT:
        return {"selected": cell}
    if replies is None or not isinstance(cell, str) or _is_figure(cell, replies):
        return None
    try:
        choice_of(cell, replies)
    except ValueError:
        return None
    return {"choices": [cell]}


def _unpacked(cell: Any) -> Any:
    """What a cell holds: of JSON its value, of a list of one thing that thing."""
    if isinstance(cell, str) and cell.lstrip().startswith(("{", "[")):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return None
    return cell[0] if isinstance(cell, list) and len(cell) == 1 else cell


def _is_figure(word: Any, replies: tuple[str, str]) -> bool:
    """Whether a word is a number alone, which may count something else."""
    return str(word).strip().isdigit() and not names_a_reply(word, replies)


def _data(row: Row) -> Row:
    """The task's own columns, and those that `--map` named."""
    return folded(row["data"]) | {name: row[name] for name in ("prompt", *_REPLIES) if name in row}


def _asked(data: Row) -> Messages:
    if not has_prompt(data):
        raise ValueError("no prompt in the task; say where it is, as in --map prompt=data.dialogue")
    return prompt_of({name: value for name, value in data.items() if name != "context"})


def _two_replies(data: Row) -> tuple[str, str]:
    return _REPLIES if data.keys() >= set(_REPLIES) else two_columns(_texts(data))


def _clear_replies(data: Row) -> tuple[str, str] | None:
    """The two replies; None where they are unclear, as in a task with a list of them."""
    try:
        return _two_replies(data)
    except ValueError:
        return None


def _texts(data: Row) -> list[str]:
    return [name for name, value in data.items() if isinstance(value, (str, list))]


# Argilla


def argilla_prompt(row: Row) -> Messages:
    """The prompt of a record, or its chat."""
    fields = _record(row)[0]
    if not has_prompt(fields) and isinstance(fields.get("chat"), list):
        return waiting(conversation(fields["chat"]))
    return prompt_of(fields)


def argilla_record(row: Row) -> list[Said]:
    """A record with its responses: a ranking, a label that names a reply, or ratings of each."""
    fields, responses = _record(row)
    prompt, ours = argilla_prompt(row), _our_questions(row)
    said: list[Said] = []
    for values in responses.values():
        said += [replace(one, question=RATINGS) for one in _rated(fields, prompt, values)]
        for question, value in values.items():
            for one in _answer(fields, prompt, value):
                named = one.named or question in ours
                said.append(replace(one, question=question, named=named))
    if responses and not said:
        raise ValueError("no question of the record compares its replies")
    return said


def is_our_record(row: Row) -> bool:
    """Whether it is a record of an export of ours, to which nobody has responded."""
    return not row.get("responses") and bool(_our_questions(row))


def our_record(row: Row) -> list[Said]:
    """A record of an export of ours: its metadata counts the votes."""
    fields, metadata = folded(row["fields"]), row["metadata"]
    prompt, texts = prompt_of(fields), [_spoken(fields[name]) for name in _REPLIES]
    said: list[Said] = []
    for choice, name in VOTES.items():
        votes = int(metadata.get(name) or 0)
        said += [compared(prompt, (texts[0], texts[1]), _REPLIES, choice)] * votes
    return said


def _our_questions(row: Row) -> set[str]:
    """The questions that an export of ours answers by a suggestion."""
    suggested = row.get("suggestions")
    said = suggested if isinstance(suggested, dict) else {}
    return {
        str(question).lower()
        for question, one in said.items()
        if isinstance(one, dict) and one.get("agent") == OURS
    }


def _answer(fields: Row, prompt: Messages, value: Any) -> list[Compared]:
    """What one answer to one question may say; nothing if it is about something else."""
    if isinstance(value, dict) and value.keys() >= {"rank", "value"}:
        names, ranks = value["value"], value["rank"]
        value = [{"value": name, "rank": rank} for name, rank in zip(names, ranks, strict=True)]
    if isinstance(value, list):
        if not all(isinstance(item, dict) and item.keys() >= {"value", "rank"} for item in value):
            return []
        missing = [item["value"] for item in value if str(item["value"]).lower() not in fields]
        if missing:
            raise ValueError(f"the ranking names {missing[0]!r}, which is no field of the record")
        ranked = [(str(i["value"]), fields[str(i["value"]).lower()], i["rank"]) for i in value]
        return by_rank(prompt, ranked)
    if not isinstance(value, str):
        return []
    try:
        names = two_columns(_texts(fields))
        choice = choice_of(value, names)
    except ValueError:
        return []
    said = compared(prompt, (fields[names[0]], fields[names[1]]), names, choice)
    return [replace(said, named=names_a_reply(value, names))]


def _rated(fields: Row, prompt: Messages, values: dict[str, Any]) -> list[Compared]:
    """One person's ratings of the replies, such as `generation-0-rating`: more is better."""
    ratings = {
        name.removesuffix("-rating").removesuffix("_rating"): value
        for name, value in values.items()
        if name.endswith(("-rating", "_rating")) and isinstance(value, (int, float))
    }
    rated = [(name, fields[name], -rate) for name, rate in ratings.items() if name in fields]
    return by_rank(prompt, rated) if len(rated) > 1 else []


def _record(row: Row) -> tuple[Row, dict[str, dict[str, Any]]]:
    """The fields, and each person's answers by question: of a record, or of its flat columns."""
    answers: dict[str, dict[str, Any]] = {}
    if isinstance(row.get("fields"), dict):
        for question, given in (row.get("responses") or {}).items():
            for number, response in enumerate(given or []):
                who = str(response.get("user_id") or number)
                if response.get("status") in (None, "submitted"):
                    answers.setdefault(who, {})[question.lower()] = response.get("value")
        return folded(row["fields"]), answers
    for name, values in row.items():
        if not name.endswith(".responses"):
            continue
        people = row.get(f"{name}.users") or range(len(values))
        states = row.get(f"{name}.status") or [None] * len(values)
        for value, who, state in zip(values, people, states, strict=True):
            if state in (None, "submitted"):
                answers.setdefault(str(who), {})[name.removesuffix(".responses")] = value
    marks = (".responses", ".responses.users", ".responses.status")
    return {name: value for name, value in row.items() if not name.endswith(marks)}, answers


# Prodigy


def prodigy_prompt(row: Row) -> Messages:
    """The text that the options answer."""
    return prompt_of(row) if has_prompt(row) else waiting(conversation(row.get("text")))


def prodigy_choice(row: Row) -> list[Said]:
    """Each accepted option over each other one; "reject" calls all of them bad."""
    answer, accepted = row.get("answer", "accept"), [str(name) for name in row.get("accept") or []]
    if answer == "ignore":
        return []
    options = {str(option.get("id")): option.get("text") for option in row["options"]}
    if unknown := [name for name in accepted if name not in options]:
        raise ValueError(f"{unknown[0]!r} was accepted and is no option")
    replies = {name: text for name, text in options.items() if not _is_verdict(name)}
    prompt = prodigy_prompt(row)
    if answer == "reject" or any(_is_verdict(name) for name in accepted):
        choice = Choice.BOTH_BAD if answer == "reject" else choice_of(accepted[0], LEFT_RIGHT)
        return [
            compared(prompt, (replies[first], replies[second]), (first, second), choice)
            for first, second in combinations(replies, 2)
        ]
    return [
        compared(prompt, (replies[better], replies[worse]), (better, worse), Choice.A)
        for better in accepted
        for worse in replies
        if worse not in accepted
    ]


def _is_verdict(name: str) -> bool:
    """Whether an option is no reply but says that there is no better one."""
    try:
        return choice_of(name, LEFT_RIGHT) not in (Choice.A, Choice.B)
    except ValueError:
        return False
