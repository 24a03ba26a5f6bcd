"""The build, from the grammar to the finished folders: tokenizer, policy, reward model, prompts.

The same seed and sizes give the same bytes on the same machine and library versions.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import torch

from trainer.starter import cards
from trainer.starter.conversations import sample_conversation
from trainer.starter.grammar import (
    TOPICS,
    held_out_prompts,
    prompts,
    sample_response,
    score,
    write_prompts,
)
from trainer.starter.policy import PolicyFigures, measure_policy, save_policy, train_policy
from trainer.starter.reward import measure_reward, sample_pair, save_reward, train_reward
from trainer.starter.settings import THREADS, Sizes
from trainer.starter.tokenizer import train_tokenizer
from trainer.starter.training import count_parameters


@dataclass(frozen=True)
class Report:
    """What a build made."""

    prompts: int
    policy_parameters: int
    reward_parameters: int
    grammar_score: float  # mean score of the grammar's own responses
    trained: PolicyFigures  # on wordings that were trained on
    held_out: PolicyFigures  # on wordings that were not
    reward_accuracy: float


def build(out: Path, prompts_file: Path, seed: int, sizes: Sizes) -> Report:
    """Make everything anew: `out`/policy, `out`/reward and the file of prompts."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    rng = random.Random(f"tokenizer {seed}")
    sample = (sample_conversation(rng) for _ in range(sizes.vocabulary_conversations))
    tokenizer = train_tokenizer(sample, sizes.vocabulary, sizes.context_tokens)

    raw_policy = train_policy(tokenizer, sizes, seed)
    raw_reward = train_reward(raw_policy, tokenizer, sizes, seed)
    policy = save_policy(raw_policy, tokenizer, out / "policy")
    reward = save_reward(raw_reward, tokenizer, out / "reward")

    rng = random.Random(f"measure {seed}")
    asked = rng.sample([text for text, _ in prompts()], sizes.measured_prompts)
    new = [text for text, _ in held_out_prompts()][: sizes.measured_prompts]
    questions = list(held_out_prompts())
    pairs = [sample_pair(questions, rng) for _ in range(sizes.reward_held_out_pairs)]
    report = Report(
        prompts=write_prompts(prompts_file),
        policy_parameters=count_parameters(policy),
        reward_parameters=count_parameters(reward),
        grammar_score=measure_grammar(rng),
        trained=measure_policy(policy, tokenizer, asked, sizes.max_new_tokens, seed),
        held_out=measure_policy(policy, tokenizer, new, sizes.max_new_tokens, seed),
        reward_accuracy=measure_reward(reward, tokenizer, pairs),
    )
    write_cards(report, out, sizes)
    return report


def measure_grammar(rng: random.Random) -> float:
    """The mean score of one response of the grammar to each prompt."""
    scores = [score(prompt, sample_response(topic, rng)) for prompt, topic in prompts()]
    return sum(scores) / len(scores)


def write_cards(report: Report, out: Path, sizes: Sizes) -> None:
    """Write the figures and the settings beside the weights."""
    cards.write_policy_card(
        out / "policy",
        parameters=report.policy_parameters,
        topics=len(TOPICS),
        conversations=sizes.policy_conversations,
        grammar=report.grammar_score,
        limit=sizes.max_new_tokens,
        trained=report.trained,
        held_out=report.held_out,
    )
    cards.write_reward_card(
        out / "reward",
        parameters=report.reward_parameters,
        pairs=sizes.reward_pairs,
        held_out=sizes.reward_held_out_pairs,
        accuracy=report.reward_accuracy,
    )
