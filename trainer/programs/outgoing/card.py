"""The README.md of a folder that goes out: how to serve it, how it was checked, what it came of."""

from collections.abc import Sequence
from dataclasses import dataclass

from huggingface_hub import ModelCardData

from labeler.config.hub import is_hub_id
from labeler.domain.targets import TARGETS
from trainer.programs.outgoing.evidence import Evidence, history, win_rate
from trainer.programs.outgoing.probe import Compared, Probe

ADAPTERS = ("adapter", "mlx", "vllm")
LIBRARIES = {"adapter": "peft", "vllm": "peft", "mlx": "mlx", "gguf": "gguf", "ollama": "gguf"}


@dataclass(frozen=True)
class Told:
    """What a card tells. `policy` is the base's name here, and `base` what plain peft loads.

    `ends` are the tokens that end a reply, spelled out.
    """

    version: int
    target: str
    policy: str
    base: str
    commands: Sequence[str]
    notes: Sequence[str]
    ends: Sequence[str]


def card(told: Told, evidence: Evidence, probe: Probe, compared: Sequence[Compared]) -> str:
    """The whole text."""
    parts = [
        f"---\n{_facts(told)}\n---",
        f"# Version {told.version} of {told.policy}",
        f"Tuned by livedpo, with Online DPO on votes. This folder holds {TARGETS[told.target]}.",
        "## Serve it",
        "```sh\n" + "\n".join(told.commands) + "\n```",
        *told.notes,
        "## How it was checked",
        _checked(told, probe, compared),
        "## What it came of",
        "\n".join([win_rate(evidence), "", *history(evidence)]),
        "## Votes",
        "\n".join(evidence.votes),
        "## Base",
        "\n".join(evidence.base),
    ]
    return "\n\n".join(parts) + "\n"


def checked(one: Compared) -> str:
    """How close a library came, in a sentence."""
    same = one.answers - len(one.parted)
    said = f"{same} of {one.answers} greedy answers the same"
    if one.parted:
        said += f", the others part at words that are at most {max(one.parted):.2g} nats apart"
    return (
        f"{one.by}: same tokens by the chat template, same end of turn, {said}, "
        f"log-probabilities {one.nats:.2g} nats a token apart"
    )


def _facts(told: Told) -> str:
    """What hubs read at the head of a card."""
    data = ModelCardData(
        base_model=told.base if is_hub_id(told.base) else None,
        library_name=LIBRARIES.get(told.target, "transformers"),
        pipeline_tag="text-generation",
        tags=["livedpo", "online-dpo", *(["lora"] if told.target in ADAPTERS else [])],
    )
    text: str = data.to_yaml()
    return text.strip()


def _checked(told: Told, probe: Probe, compared: Sequence[Compared]) -> str:
    tokens = sum(map(len, probe.own.logps))
    lines = [
        f"What was written was read again. {len(probe.own.answers)} conversations and "
        f"{len(probe.own.logps)} replies of {tokens} tokens together were compared with what the "
        "service says:",
        "",
        *(f"- {checked(one)}." for one in compared),
        "",
        f"The version itself is {probe.moved:.2g} nats a token from its base on these replies. "
        f"A reply ends with {', '.join(f'`{end}`' for end in told.ends) or 'no token'}.",
    ]
    return "\n".join(lines)
