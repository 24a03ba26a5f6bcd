"""The grammar of the starter: everyday questions, and responses that vary on purpose.

A response is drawn in two steps: a `Style` (tone, completeness, order, padding, format, drift)
and its words. People can see every one of these differences, so they have something to prefer.
`score` says from the text alone how good a response is; its rules are in `scoring`.

Leaves out: anything that needs torch, and real knowledge beyond the table in `topics`.
Run `python -m trainer.starter.grammar` to print a few responses with their scores.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.starter import phrases
from trainer.starter.phrases import Tone
from trainer.starter.scoring import score
from trainer.starter.topics import TOPICS, Topic

__all__ = [
    "TOPICS",
    "Style",
    "Topic",
    "ask",
    "held_out_prompts",
    "prompts",
    "sample_response",
    "sample_style",
    "score",
    "write_prompts",
    "write_response",
]

Format = Literal["numbered", "bullets", "prose"]


@dataclass(frozen=True)
class Style:
    """Everything in which two responses to one question differ, apart from word choice."""

    tone: Tone = "neutral"
    missing: int = 0  # steps left out; at least one step stays
    shuffled: bool = False
    fillers: int = 0  # sentences without content
    repeated: bool = False  # one step is said again
    format: Format = "prose"
    heading: bool = False  # a line in bold above the rest
    drift: Literal["none", "partly", "wholly"] = "none"  # towards another topic
    needs: bool = False  # say what is needed
    reason: bool = False  # say why


def ask(topic: Topic, template: str) -> str:
    """Put a topic into a question template."""
    return template.format(task=topic.task, doing=topic.doing, complaint=topic.complaint)


def prompts() -> Iterator[tuple[str, Topic]]:
    """Every question that the starter is trained on, with its topic."""
    for topic in TOPICS:
        for template in phrases.QUESTIONS:
            yield ask(topic, template), topic


def held_out_prompts() -> Iterator[tuple[str, Topic]]:
    """Questions about the same topics in words that are never trained on."""
    for topic in TOPICS:
        for template in phrases.HELD_OUT_QUESTIONS:
            yield ask(topic, template), topic


def write_prompts(path: Path) -> int:
    """Write the questions as JSONL (`prompt`, `topic`), topics mixed; return how many."""
    rows = [{"prompt": text, "topic": topic.name} for text, topic in prompts()]
    random.Random(0).shuffle(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return len(rows)


def sample_style(rng: random.Random) -> Style:
    """Draw how a response will be: about a third are complete, about a fifth are unfriendly."""
    return Style(
        tone=rng.choices(phrases.TONES, (24, 30, 16, 14, 16))[0],
        missing=rng.choices((0, 1, 2, 3), (40, 25, 22, 13))[0],
        shuffled=rng.random() < 0.3,
        fillers=rng.choices((0, 1, 2), (62, 24, 14))[0],
        repeated=rng.random() < 0.1,
        format=rng.choices(("numbered", "bullets", "prose"), (32, 22, 46))[0],
        heading=rng.random() < 0.15,
        drift=rng.choices(("none", "partly", "wholly"), (86, 9, 5))[0],
        needs=rng.random() < 0.35,
        reason=rng.random() < 0.3,
    )


def sample_response(topic: Topic, rng: random.Random, style: Style | None = None) -> str:
    """Draw a response to a question about `topic`, in a given or in a drawn style."""
    return write_response(topic, style or sample_style(rng), rng)


def write_response(topic: Topic, style: Style, rng: random.Random) -> str:
    """Write out a response: heading, opening, steps, ending, each part only where it has words."""
    opening = [rng.choice(phrases.OPENERS[style.tone]).format(task=topic.task, doing=topic.doing)]
    if style.needs:
        opening.append(phrases.NEEDS.format(needs=topic.needs))
    ending = [topic.reason] if style.reason else []
    for filler in rng.sample(phrases.FILLERS, style.fillers):
        (opening if rng.random() < 0.5 else ending).append(filler)
    ending.append(rng.choice(phrases.CLOSERS[style.tone]))

    steps = choose_steps(topic, style, rng)
    body = write_steps(steps, style.format, rng)
    if style.drift == "partly":
        other = neighbour(topic, rng)
        ending.insert(0, rng.choice(phrases.ASIDES) + " " + " ".join(other.steps[:2]))
    parts = [f"**How to {topic.task}**"] if style.heading else []
    parts += [join(opening), body, join(ending)]
    separator = " " if style.format == "prose" and not style.heading else "\n"
    return separator.join(part for part in parts if part)


def choose_steps(topic: Topic, style: Style, rng: random.Random) -> list[str]:
    """The steps that the response mentions, in the order in which it mentions them."""
    if style.drift == "wholly":
        topic = neighbour(topic, rng)
    kept = max(1, len(topic.steps) - style.missing)
    steps = [topic.steps[i] for i in sorted(rng.sample(range(len(topic.steps)), kept))]
    if style.shuffled:
        rng.shuffle(steps)
    if style.repeated:
        steps.append(rng.choice(steps))
    return steps


def neighbour(topic: Topic, rng: random.Random) -> Topic:
    """The topic that a response drifts to: one of three, which a small model can learn."""
    return TOPICS[(TOPICS.index(topic) + rng.choice((1, 2, 3))) % len(TOPICS)]


def write_steps(steps: list[str], form: Format, rng: random.Random) -> str:
    """Steps as a numbered list, a bullet list, or a paragraph with linking words."""
    if form == "numbered":
        return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    if form == "bullets":
        return "\n".join(f"- {step}" for step in steps)
    if rng.random() < 0.3:
        return " ".join(steps)
    words = [rng.choice(phrases.NEXT) for _ in steps]
    words[0] = rng.choice(phrases.FIRST)
    if len(steps) > 2:
        words[-1] = rng.choice(phrases.LAST)
    return " ".join(link(word, step) for word, step in zip(words, steps, strict=True))


def link(word: str, step: str) -> str:
    """`link("Then", "Boil water.")` is `"Then boil water."`."""
    return f"{word} {step[0].lower()}{step[1:]}" if word else step


def join(sentences: list[str]) -> str:
    """Sentences in a row, the empty ones left out."""
    return " ".join(sentence for sentence in sentences if sentence)


def main() -> None:
    """Print some drawn responses with their scores."""
    rng = random.Random()
    for prompt, topic in rng.sample(list(prompts()), 8):
        response = sample_response(topic, rng)
        print(f"> {prompt}\n{response}\n  [{score(prompt, response):+.2f}]\n")


if __name__ == "__main__":
    main()
