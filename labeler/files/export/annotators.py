"""Rows for annotation tools, with the settings that make the data set there: Argilla, Label Studio.

Both get every vote that counts, ties too, as what a model says: people there can look at it and go
on. Raters are numbers, not names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from labeler.domain.states import Choice, Source
from labeler.files.export.labels import Labelled
from labeler.files.reading.annotation import OURS, VOTES

Row = dict[str, Any]
QUESTION = "preference"
SIDES = {Choice.A: "left", Choice.B: "right"}
ANSWERS = {
    Choice.A: "response_a",
    Choice.B: "response_b",
    Choice.TIE: "tie",
    Choice.BOTH_BAD: "both_bad",
}
LABELING = f"""<View>
  <Paragraphs name="prompt" value="$prompt" layout="dialogue" nameKey="role" textKey="content"/>
  <View style="display: flex; gap: 1em">
    <Text name="response_a" value="$response_a"/>
    <Text name="response_b" value="$response_b"/>
  </View>
  <Pairwise name="{QUESTION}" toName="response_a,response_b"/>
  <Choices name="neither" toName="prompt" choice="single">
    <Choice value="tie"/>
    <Choice value="both bad"/>
  </Choices>
</View>
"""


def argilla_rows(pairs: Iterable[Labelled]) -> Iterator[Row]:
    """One record a pair: what most votes say is the suggestion, and how many say what is metadata.

    Responses would need accounts of the same people there.
    """
    for each in pairs:
        votes = Counter(each.choices)
        most, count = votes.most_common(1)[0]
        suggestion = {"value": ANSWERS[most], "score": count / len(each.votes), "agent": OURS}
        counts = {name: votes[choice] for choice, name in VOTES.items()}
        yield {
            "id": str(each.pair.id),
            "fields": {
                "prompt": each.messages,
                "response_a": each.pair.response_a,
                "response_b": each.pair.response_b,
            },
            "metadata": {"policy_version": each.pair.version_id} | counts,
            "suggestions": {QUESTION: suggestion},
            "responses": {},
            "vectors": {},
            "status": "pending",
            "_server_id": None,
        }


def argilla_settings() -> Row:
    """What `rg.Settings.from_json` makes the data set of."""
    options = [{"value": value, "text": _title(value)} for value in ANSWERS.values()]
    answers = {"type": "label_selection", "options": options, "visible_options": len(options)}
    return {
        "guidelines": "Read the prompt and both responses. Which response is better?",
        "fields": [
            _named("prompt", "chat") | {"required": True},
            _named("response_a", "text", use_markdown=True) | {"required": True},
            _named("response_b", "text", use_markdown=True) | {"required": True},
        ],
        "questions": [
            {
                "name": QUESTION,
                "title": "Which response is better?",
                "type": "label_selection",
                "required": True,
                "settings": answers,
            }
        ],
        "metadata": [
            _named(name, "integer") | {"visible_for_annotators": False}
            for name in ("policy_version", *VOTES.values())
        ],
        "vectors": [],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def argilla_dataset() -> Row:
    """What `rg.Dataset.from_disk` reads of the data set besides its settings."""
    return {"name": "livedpo", "status": "draft", "guidelines": None, "allow_extra_metadata": False}


def label_studio_rows(pairs: Iterable[Labelled]) -> Iterator[Row]:
    """One task a pair, with a prediction a vote: its score is the share of votes that say so."""
    for each in pairs:
        votes = Counter(each.choices)
        yield {
            "data": {
                "prompt": each.messages,
                "response_a": each.pair.response_a,
                "response_b": each.pair.response_b,
                "pair_id": each.pair.id,
                "policy_version": each.pair.version_id,
            },
            "predictions": [
                {
                    "model_version": f"{OURS}/{_who(vote.source)} {vote.rater_id}",
                    "score": votes[vote.choice] / len(each.votes),
                    "result": [_result(vote.choice) | {"id": vote.id}],
                }
                for vote in each.votes
            ],
        }


def _who(source: Source) -> str:
    return "rater" if source is Source.HUMAN else "judge"


def _result(choice: Choice) -> Row:
    """A choice as the labeling config has it; `Pairwise` knows no ties."""
    if choice in SIDES:
        value = {"selected": SIDES[choice]}
        return _region(QUESTION, "response_a", "pairwise", value)
    return _region("neither", "prompt", "choices", {"choices": [choice.replace("_", " ")]})


def _region(name: str, about: str, kind: str, value: Row) -> Row:
    return {"from_name": name, "to_name": about, "type": kind, "value": value}


def _named(name: str, kind: str, **settings: Any) -> Row:
    return {"name": name, "title": _title(name), "settings": {"type": kind} | settings}


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
