"""How good a response is, computed from its text alone; never used as a judge, only to measure.

The response is split into sentences, and each is matched by its words with the sentences that
the grammar knows. What adds and what subtracts:

    +3.00  all steps of the topic are mentioned (a part of it for a part of the steps)
    +1.00  the mentioned steps are in the right order (scaled by the part that is mentioned)
    +0.25  says what is needed            +0.50  gives the reason
    +0.75  a warm tone                    +0.50  numbered list, +0.30 bullet list
    -1.50  a rude tone                    -0.50  a gushing tone
    -0.40  each filler sentence           -0.60  each sentence said again
    -0.75  each sentence about another topic, at most -2.25
    -0.40  each sentence that the grammar does not know, at most -2.00
    -1.00  the last sentence is not finished

The sum is cut to [LOWEST, HIGHEST] = [-4, 6]; a response without words, or to a question about
no known topic, gets LOWEST. A heading and linking words count as nothing.

Leaves out: any understanding. A good response in other words than the grammar's scores low, so
the score only says something about models that were trained on this grammar.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations
from typing import Literal

from trainer.starter import phrases
from trainer.starter.topics import TOPICS, Topic

LOWEST, HIGHEST = -4.0, 6.0

Kind = Literal["step", "needs", "reason", "filler", "foreign", "unknown"] | phrases.Tone

_WORD = re.compile(r"[a-z0-9']+")
_NUMBER = re.compile(r"^\s*\d+[.)]\s+", re.MULTILINE)
_BULLET = re.compile(r"^\s*[-*•]\s+", re.MULTILINE)
_HEADING = re.compile(r"^\s*(?:\*\*[^*\n]*\*\*|#+ [^\n]*)\s*$", re.MULTILINE)
_LINK = re.compile(r"^(?:first|to begin|then|next|after that|finally|at last),?\s+", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_ENOUGH_SHARED_WORDS = 0.6  # Jaccard similarity of two sentences that count as the same


@dataclass(frozen=True)
class Sentence:
    """A sentence of a response, recognised: what it does, for which topic, which step it is."""

    kind: Kind
    topic: str = ""  # empty where it fits every topic
    step: int = -1


UNKNOWN = Sentence("unknown")


def score(prompt: str, response: str) -> float:
    """The quality of a response to a question, in [-4, 6]; see the module's docstring."""
    topic = find_topic(prompt)
    if topic is None or not words(response):
        return LOWEST
    texts = split(response)
    sentences = [recognise(text, topic.name) for text in texts]
    total = (
        content_points(sentences, topic)
        + tone_points(sentences)
        + format_points(response)
        - waste_penalty(sentences)
        - 0.6 * count_repeated(texts)
        - (0.0 if is_finished(response) else 1.0)
    )
    return round(min(HIGHEST, max(LOWEST, total)), 4)


def content_points(sentences: Sequence[Sentence], topic: Topic) -> float:
    """Steps, their order, what is needed and why; in [0, 4.75]."""
    own = [s for s in sentences if s.topic == topic.name]
    mentioned = list(dict.fromkeys(s.step for s in own if s.kind == "step"))
    part = len(mentioned) / len(topic.steps)
    extras = 0.25 * any(s.kind == "needs" for s in own)
    extras += 0.5 * any(s.kind == "reason" for s in own)
    return 3.0 * part + part * order(mentioned) + extras


def order(mentioned: Sequence[int]) -> float:
    """The part of all pairs of mentioned steps that stand in the right order; 0 below two steps.

    >>> order([0, 1, 3]), order([1, 0]), order([2])
    (1.0, 0.0, 0.0)
    """
    pairs = list(combinations(mentioned, 2))
    return sum(a < b for a, b in pairs) / len(pairs) if pairs else 0.0


def tone_points(sentences: Sequence[Sentence]) -> float:
    """Each tone counts once, however often it is heard."""
    heard = {s.kind for s in sentences}
    return 0.75 * ("warm" in heard) - 1.5 * ("rude" in heard) - 0.5 * ("gushing" in heard)


def format_points(response: str) -> float:
    """Two list lines or more make a list."""
    if len(_NUMBER.findall(response)) >= 2:
        return 0.5
    return 0.3 if len(_BULLET.findall(response)) >= 2 else 0.0


def waste_penalty(sentences: Sequence[Sentence]) -> float:
    """Filler, sentences about other topics, and sentences that the grammar does not know."""
    counts = Counter(s.kind for s in sentences)
    foreign = min(2.25, 0.75 * counts["foreign"])
    return 0.4 * counts["filler"] + foreign + min(2.0, 0.4 * counts["unknown"])


def count_repeated(texts: Sequence[str]) -> int:
    """How many sentences say in the same words what was said before."""
    return len(texts) - len({tuple(words(text)) for text in texts})


def is_finished(response: str) -> bool:
    """Whether the response ends where a sentence may end."""
    return response.rstrip().endswith((".", "!", "?"))


def words(text: str) -> list[str]:
    """Lower-case words and numbers."""
    return _WORD.findall(text.lower())


def find_topic(prompt: str) -> Topic | None:
    """The topic whose own words fill the largest part of themselves in the prompt."""
    asked = set(words(prompt))
    best, best_part = None, 0.5
    for topic in TOPICS:
        for own in (topic.task, topic.doing, topic.complaint):
            shared = [w in asked for w in words(own)]
            part = sum(shared) / len(shared) + 0.001 * len(shared)  # the longer match wins a tie
            if part > best_part:
                best, best_part = topic, part
    return best


def split(response: str) -> list[str]:
    """The sentences of a response, without headings, list marks and linking words."""
    text = _HEADING.sub("", response)
    text = _BULLET.sub("", _NUMBER.sub("", text))
    found = (_LINK.sub("", sentence.strip()) for sentence in _SENTENCE_END.split(text))
    return [sentence for sentence in found if words(sentence)]


@lru_cache(maxsize=50_000)
def recognise(sentence: str, topic: str) -> Sentence:
    """What a sentence does for one who asked about `topic`; other topics are looked at last."""
    own_words = frozenset(words(sentence))
    for names in (["", topic], [t.name for t in TOPICS if t.name != topic]):
        known = [entry for name in names for entry in known_sentences()[name]]
        closest, match = max(known, key=lambda entry: jaccard(own_words, entry[0]))
        if jaccard(own_words, closest) >= _ENOUGH_SHARED_WORDS:
            return match if match.topic in ("", topic) else Sentence("foreign", match.topic)
    return UNKNOWN


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared words over all words."""
    return len(a & b) / len(a | b)


@cache
def known_sentences() -> dict[str, list[tuple[frozenset[str], Sentence]]]:
    """All sentences of the grammar as word sets, by topic; "" holds those of no topic."""
    table: dict[str, list[tuple[frozenset[str], Sentence]]] = {"": []}

    def add(text: str, sentence: Sentence) -> None:
        if text:
            table.setdefault(sentence.topic, []).append((frozenset(words(text)), sentence))

    for filler in phrases.FILLERS + phrases.ASIDES:
        add(filler, Sentence("filler"))
    for topic in TOPICS:
        for number, step in enumerate(topic.steps):
            add(step, Sentence("step", topic.name, number))
        add(phrases.NEEDS.format(needs=topic.needs), Sentence("needs", topic.name))
        add(topic.reason, Sentence("reason", topic.name))
    for tone in phrases.TONES:
        for text in phrases.OPENERS[tone] + phrases.CLOSERS[tone]:
            if "{" not in text:
                add(text, Sentence(tone))
                continue
            for topic in TOPICS:
                named = text.format(task=topic.task, doing=topic.doing)
                add(named, Sentence(tone, topic.name))
    return table
