"""Whatever people said comes back as it was, through every format and every kind of file."""

import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.labels import VoteRules
from labeler.domain.messages import Messages
from labeler.files.export.formats import FORMATS, Wanted
from labeler.files.export.write import WRITERS, write_export
from labeler.files.pairs import read_pairs
from labeler.files.prompts import read_prompts
from labeler.files.reading.reader import AS_IT_IS, read, with_replies
from labeler.files.reading.said import Thumbed
from labeler.store import Store
from labeler.store.records import LeasedPair
from tests.support.empty_store import new_store
from tests.support.store import lease, second_rater, undo, vote, vote_on
from tests.support.tiny import made_up_pair

# What readers have taken for the end of a line, the end of a text, a message list or a transcript.
ODD = (
    *(
        "one\u2028two\u2029three\x85four",
        "nul \x00 inside",
        "a\r\nb\rc\n",
        "\ufeffmark",
        " blanks  ",
    ),
    *("שלום \u202e txet", '"quoted", and; more\t', "{}", "null", "🍵 \U0001f9d1\u200d🌾"),
    '[{"role": "user", "content": "a list as text"}]',
    '{"role": "assistant", "content": "a message as text"}',
    "\n\nHuman: Tea?\n\nAssistant: Boil.",
    "user: Tea?\n\nassistant: Boil.",
    "<|im_start|>user\nTea?<|im_end|>",
)
SIDES = ("left", "right")
CHOICES = (*SIDES, "tie", "both_bad", "skip")
SHARES = ("raw", "argilla", "label-studio")  # they keep every vote
texts = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
).filter(lambda text: bool(text.strip()))


Label = tuple[str, str, int, int]  # two replies, and how many prefer the first and the second


@dataclass(frozen=True)
class Talk:
    """A prompt, two replies, and what two raters chose, of which the first may take it back.

    "left" is the first reply, wherever it stood. `edit` is what the first rater made of theirs.
    """

    messages: Messages
    replies: tuple[str, str]
    choices: tuple[str, str]
    edit: str | None
    undone: bool

    @property
    def standing(self) -> list[str]:
        """The choices that stand and say something."""
        said = self.choices[1:] if self.undone else self.choices
        return [choice for choice in said if choice != "skip"]

    @property
    def edited(self) -> str | None:
        """The reply that the first rater edited, if they did and it stands."""
        first = self.choices[0]
        if self.edit is None or self.undone or first not in SIDES:
            return None
        original = self.replies[SIDES.index(first)]
        return None if original.strip() == self.edit.strip() else original

    @property
    def labels(self) -> list[Label]:
        """The pair, if anybody said something of it, and the pair that the edit made."""
        votes = self.standing
        pairs = [(*self.replies, votes.count("left"), votes.count("right"))] if votes else []
        if self.edit is not None and self.edited is not None:
            pairs.append((self.edit, self.edited, 1, 0))
        return pairs


@st.composite
def talks(draw: st.DrawFn) -> Talk:
    first = draw(st.sampled_from([[], ["system"]]))
    middle = draw(st.lists(st.sampled_from(["user", "assistant", "tool"]), max_size=2))
    roles = [*first, *middle, draw(st.sampled_from(["user", "user", "assistant"]))]
    return Talk(
        messages=[{"role": role, "content": draw(texts)} for role in roles],
        replies=draw(st.tuples(texts, texts).filter(lambda two: two[0].strip() != two[1].strip())),
        choices=draw(st.tuples(st.sampled_from(CHOICES), st.sampled_from(CHOICES))),
        edit=draw(st.none() | texts),
        undone=draw(st.sampled_from([False, False, True])),
    )


def stored(folder: Path, said: list[Talk]) -> Store:
    """A store in which two raters have said all that."""
    store = new_store(f"sqlite:///{folder / 'labels.sqlite'}")
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    store.prompts.add([talk.messages for talk in said], now=1.0)
    numbers = {str(prompt.messages): prompt.id or 0 for prompt in store.prompts.take(len(said))}
    pairs = [
        replace(
            made_up_pair(numbers[str(talk.messages)], 0),
            response_a=talk.replies[0],
            response_b=talk.replies[1],
        )
        for talk in said
    ]
    store.queue.add(pairs, now=1.0, votes_wanted=2)
    for place, rater in enumerate((store.raters.local(now=1.0), second_rater(store))):
        for pair in lease(store, len(said), rater=rater):
            talk = next(each for each in said if is_about(each, pair))
            choice, extra = talk.choices[place], {}
            if choice in SIDES:
                is_left = pair.left == talk.replies[SIDES.index(choice)]
                choice, extra = SIDES[not is_left], {} if place else {"edit": talk.edit}
            vote_id = vote_on(store, pair, choice, rater=rater, **extra)
            if talk.undone and place == 0:
                undo(store, f"undo {vote_id}", rater=rater, vote_id=vote_id, holder="other")
    return store


def is_about(talk: Talk, pair: LeasedPair) -> bool:
    return talk.messages == pair.messages and set(talk.replies) == {pair.left, pair.right}


def as_label(messages: Messages, label: Label) -> Any:
    """What is comparable of a label: the share of votes for each reply."""
    first, second, for_first, for_second = label
    votes = for_first + for_second
    shares = sorted([(first, for_first / votes), (second, for_second / votes)])
    return str(messages), tuple(shares)


def expected(talk: Talk, format_name: str) -> list[Label]:
    """The labels of a talk that a format keeps, as it keeps them."""
    roles = [message["role"] for message in talk.messages]
    if format_name == "openai" and ("tool" in roles or roles[-1] == "assistant"):
        return []
    if format_name == "llama-factory":
        turns = roles[1:] if roles[0] == "system" else roles
        wanted = [("user", "tool") if place % 2 == 0 else ("assistant",) for place in range(9)]
        if len(turns) % 2 == 0 or any(a not in b for a, b in zip(turns, wanted, strict=False)):
            return []
    if format_name in SHARES:
        return [label for label in talk.labels if sum(label[2:])]
    return [
        (first, second, int(for_first > for_second), int(for_first < for_second))
        for first, second, for_first, for_second in talk.labels
        if for_first != for_second
    ]


def back(path: Path) -> list[Any]:
    """The labels that a file is read for, all of whose rows are good."""
    _, reading = read(path, AS_IT_IS, with_replies)
    assert reading.bad_lines == []
    try:
        pairs = read_pairs(path, VoteRules()).pairs
    except BadInput:
        return []
    told = [(pair, round(pair.said.target * pair.said.weight)) for pair in pairs]
    return [
        as_label(
            pair.messages,
            (pair.response_a, pair.response_b, votes, round(pair.said.weight) - votes),
        )
        for pair, votes in told
    ]


def written(folder: Path, said: list[Talk], format_name: str, ending: str) -> Path | None:
    """The export; None if there is nothing to write."""
    is_table = FORMATS[format_name].is_table
    out = folder / f"out{'' if ending == '.parquet' and not is_table else ending}"
    with closing(stored(folder, said)) as store:
        wanted = Wanted(store)
        if next(FORMATS[format_name].rows(wanted), None) is None:
            with pytest.raises(LivedpoError, match="no labels yet"):
                write_export(out, wanted, format_name=format_name)
            return None
        write_export(out, Wanted(store), format_name=format_name)
    return out


@settings(max_examples=45, deadline=None, derandomize=True)
@given(
    st.lists(talks(), min_size=1, max_size=3),
    st.sampled_from([name for name in FORMATS if name != "unpaired"]),
    st.sampled_from([*WRITERS, ""]),
)
def test_what_people_said_comes_back(said: list[Talk], format_name: str, ending: str) -> None:
    every = [(str(talk.messages), frozenset(label[:2])) for talk in said for label in talk.labels]
    shown = [(str(talk.messages), frozenset(talk.replies)) for talk in said]
    assume(len(set(every)) == len(every) and len(set(shown)) == len(shown))
    wanted = [
        as_label(talk.messages, label) for talk in said for label in expected(talk, format_name)
    ]
    with tempfile.TemporaryDirectory() as folder:
        out = written(Path(folder), said, format_name, ending)
        assert sorted(back(out) if out else []) == sorted(wanted)
        prompts = {str(messages) for messages in read_prompts(out).prompts} if out else set()
    assert prompts >= {messages for messages, _ in wanted}
    assert prompts <= {str(talk.messages) for talk in said}


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(talks(), min_size=1, max_size=3), st.sampled_from([*WRITERS, ""]))
def test_each_reply_comes_back_as_good_or_bad(said: list[Talk], ending: str) -> None:
    shown = [(str(talk.messages), frozenset(talk.replies)) for talk in said]
    assume(len(set(shown)) == len(shown))
    wanted: Counter[Any] = Counter()
    for talk in said:
        for first, second, for_first, for_second in talk.labels:
            by_all = {"both_bad"} == set(talk.standing) and not for_first + for_second
            if for_first != for_second or by_all:
                wanted[str(talk.messages), first, for_first > for_second] += 1
                wanted[str(talk.messages), second, for_second > for_first] += 1
    with tempfile.TemporaryDirectory() as folder:
        out = written(Path(folder), said, "unpaired", ending)
        taken, reading = read(out, AS_IT_IS, with_replies) if out else ([], None)
    thumbs = [one for row in taken for one in row.said if isinstance(one, Thumbed)]
    assert reading is None or reading.bad_lines == []
    assert Counter((str(one.messages), one.reply, one.good) for one in thumbs) == wanted


def test_half_a_character_is_written_to_json_named_by_the_reader_and_refused_by_parquet(
    store: Store, tmp_path: Path
) -> None:
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    store.prompts.add([[{"role": "user", "content": "half \ud83c"}]], now=1.0)
    store.queue.add([made_up_pair(1, 0)], now=1.0)
    vote(store, 1)
    write_export(tmp_path / "out.jsonl", Wanted(store), format_name="raw")
    _, reading = read(tmp_path / "out.jsonl", AS_IT_IS, with_replies)
    assert "half a character" in reading.bad_lines[0][1]
    with pytest.raises(LivedpoError, match="half a character"):
        write_export(tmp_path / "out.parquet", Wanted(store), format_name="raw")
    assert [path.name for path in tmp_path.glob("out.*")] == ["out.jsonl"]
