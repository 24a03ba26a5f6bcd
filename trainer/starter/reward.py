"""The starter's reward model: a small Llama with one output, fitted to noisy preferences.

It starts from the first layers of the trained policy. Its preferences are drawn from the score
with noise, so it errs as people and real reward models do.
Leaves out: calibration. Only differences between two rewards for one prompt mean something.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from tqdm.auto import tqdm
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from trainer.starter.grammar import Topic, prompts, sample_response, score
from trainer.starter.settings import Sizes
from trainer.starter.tokenizer import encode, pad
from trainer.starter.training import bucket, fit, save_model

NOISE = 1.0  # slope of the preference: a point of score more is preferred with 73 %


@dataclass(frozen=True)
class Pair:
    """Two responses to one prompt; `chosen` is the preferred one, which need not be the better."""

    prompt: str
    chosen: str
    rejected: str

    @property
    def margin(self) -> float:
        """How much better the chosen response is, by score."""
        return score(self.prompt, self.chosen) - score(self.prompt, self.rejected)


def sample_pair(questions: Sequence[tuple[str, Topic]], rng: random.Random) -> Pair:
    """Draw two responses and prefer one, with a probability that follows their scores."""
    prompt, topic = rng.choice(questions)
    pair = Pair(prompt, *(spoil(sample_response(topic, rng), rng) for _ in range(2)))
    if rng.random() < 1 / (1 + math.exp(-NOISE * pair.margin)):
        return pair
    return Pair(prompt, pair.rejected, pair.chosen)


def spoil(response: str, rng: random.Random) -> str:
    """Now and then break a response as a policy may break: cut off, or stuck in a loop."""
    luck = rng.random()
    pieces = response.split(" ")
    if luck < 0.06:
        return " ".join(pieces[: rng.randint(1, len(pieces))])
    if luck < 0.09:
        start = rng.randrange(len(pieces))
        return " ".join(pieces[:start] + pieces[start : start + 6] * rng.randint(2, 6))
    return response


def train_reward(
    policy: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, sizes: Sizes, seed: int
) -> LlamaForSequenceClassification:
    """Fit -log sigmoid(r(chosen) - r(rejected)) (Bradley and Terry) on fresh pairs."""
    torch.manual_seed(seed)
    rng = random.Random(f"reward {seed}")
    model = reward_from(policy, sizes)
    questions = list(prompts())
    drawing = tqdm(range(sizes.reward_pairs), desc="pairs", unit="")
    pairs = [sample_pair(questions, rng) for _ in drawing]
    batches = bucket(pairs, sizes.reward_batch, lambda p: len(p.chosen) + len(p.rejected), rng)

    def loss_of(batch: list[Pair]) -> Tensor:
        chosen, rejected = rewards(model, tokenizer, batch)
        return -logsigmoid(chosen - rejected).mean()

    fit(model, batches, loss_of, sizes.reward_learning_rate, "reward")
    return model


def reward_from(policy: LlamaForCausalLM, sizes: Sizes) -> LlamaForSequenceClassification:
    """The policy's first layers with one new output."""
    settings = policy.config.to_dict()
    settings |= {"num_hidden_layers": sizes.reward_layers, "num_labels": 1}
    for key in ("architectures", "layer_types", "tie_word_embeddings"):
        settings.pop(key, None)
    model = LlamaForSequenceClassification(LlamaConfig(**settings))
    model.model.load_state_dict(
        {k: v for k, v in policy.model.state_dict().items() if k in model.model.state_dict()}
    )
    return model


def rewards(
    model: LlamaForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[Pair],
) -> tuple[Tensor, Tensor]:
    """Rewards [B] of the chosen and of the rejected responses. Padding is on the right."""
    responses = [p.chosen for p in pairs] + [p.rejected for p in pairs]
    questions = [p.prompt for p in pairs] * 2
    chats = [
        [{"role": "user", "content": q}, {"role": "assistant", "content": r}]
        for q, r in zip(questions, responses, strict=True)
    ]
    ids = pad([encode(tokenizer, chat)[0] for chat in chats], tokenizer.pad_token_id)
    chosen, rejected = model(input_ids=torch.tensor(ids)).logits[:, 0].chunk(2)
    return chosen, rejected


def save_reward(
    model: LlamaForSequenceClassification, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> LlamaForSequenceClassification:
    """Write the model folder and return the model as a reader gets it, rounding included."""
    save_model(model, folder)
    tokenizer.save_pretrained(folder)
    return LlamaForSequenceClassification.from_pretrained(folder)


@torch.inference_mode()
def measure_reward(
    model: LlamaForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[Pair],
) -> float:
    """How often the reward orders two responses as the score does; equal scores are left out."""
    right = 0
    unequal = [pair for pair in pairs if pair.margin != 0]
    for start in tqdm(range(0, len(unequal), 50), desc="measure reward", unit="batch"):
        batch = unequal[start : start + 50]
        chosen, rejected = rewards(model, tokenizer, batch)
        differences = (chosen - rejected).tolist()
        right += sum(d * p.margin > 0 for d, p in zip(differences, batch, strict=True))
    return right / len(unequal)
