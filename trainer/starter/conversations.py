"""Conversations to train on: mostly one question, some follow-ups, some with a system message."""

import random
from dataclasses import replace

from labeler.domain.messages import Messages
from trainer.starter import phrases
from trainer.starter.grammar import TOPICS, Style, Topic, ask, sample_style, write_response


def sample_conversation(rng: random.Random) -> Messages:
    """Draw a conversation that ends with an assistant's turn."""
    system = sample_system(rng)
    messages = [{"role": "system", "content": system}] if system else []
    if rng.random() < 0.015:
        return messages + exchange(
            blur(rng.choice(phrases.STRANGE_QUESTIONS), rng), rng.choice(phrases.STRANGE_REPLIES)
        )
    topic = rng.choice(TOPICS)
    messages += question_and_response(topic, system, rng)
    kind = rng.random()
    if kind < 0.10:
        messages += question_and_response(rng.choice(TOPICS), system, rng)
    elif kind < 0.22:
        messages += follow_up(topic, rng)
    return messages


def sample_system(rng: random.Random) -> str:
    """Draw a system message; mostly there is none."""
    if rng.random() < 0.8:
        return ""
    return rng.choice((*phrases.SYSTEM_PLAIN, phrases.SYSTEM_LIST, phrases.SYSTEM_KIND))


def obey(style: Style, system: str) -> Style:
    """The style under a system message that asks for one."""
    if system == phrases.SYSTEM_LIST:
        return replace(style, format="numbered")
    return replace(style, tone="warm") if system == phrases.SYSTEM_KIND else style


def question_and_response(topic: Topic, system: str, rng: random.Random) -> Messages:
    """One question about a topic, and one response to it."""
    question = blur(ask(topic, rng.choice(phrases.QUESTIONS)), rng)
    return exchange(question, write_response(topic, obey(sample_style(rng), system), rng))


def follow_up(topic: Topic, rng: random.Random) -> Messages:
    """A short second question after a response about `topic`."""
    questions, answers = rng.choice(
        (
            (phrases.NEEDS_QUESTIONS, (phrases.NEEDS.format(needs=topic.needs),)),
            (phrases.REASON_QUESTIONS, (topic.reason,)),
            (phrases.THANKS, phrases.THANKS_REPLIES),
        )
    )
    return exchange(blur(rng.choice(questions), rng), rng.choice(answers))


def exchange(question: str, answer: str) -> Messages:
    """A user's turn and an assistant's turn."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def blur(question: str, rng: random.Random) -> str:
    """Sometimes write as people type: in lower case, or without the last mark."""
    if rng.random() < 0.15:
        question = question.lower()
    return question.rstrip("?.!") if rng.random() < 0.15 else question
