"""A reward model as a judge: scores each response by itself, and prefers the higher one.

Any folder or hub id that loads as `AutoModelForSequenceClassification` with one output, with its
own tokenizer and chat template. A score that is no finite number makes no verdict.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from labeler.errors import BadInput
from labeler.settings import STARTER_REWARD

log = logging.getLogger(__name__)

Messages = list[dict[str, str]]
BATCH_RESPONSES = 32


class RewardModel:
    """Scores responses; only differences between two scores for one prompt mean something."""

    def __init__(self, name: str, device: torch.device) -> None:
        """Load it. Raises BadInput if it is missing, or is no reward model with one output."""
        try:
            model, info = AutoModelForSequenceClassification.from_pretrained(
                name, num_labels=1, dtype=torch.float32, output_loading_info=True
            )
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            first_line = str(error).strip().splitlines()[0]
            raise BadInput(f"The judge '{name}' cannot be loaded: {first_line}") from error
        if info["missing_keys"] or not self._tokenizer.chat_template:
            raise BadInput(
                f"The judge '{name}' is no reward model: it lacks "
                f"{min(info['missing_keys'], default='a chat template')}."
            )
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._tokenizer.padding_side = "right"
        self._model = model.to(device).eval()
        self._model.config.pad_token_id = self._tokenizer.pad_token_id

    def prefer(self, pairs: Sequence[tuple[Messages, str, str]]) -> list[float | None]:
        """P(first response is better) of each (prompt, first, second), by Bradley and Terry.

        None where a score is not finite.
        """
        chats = [
            [*messages, {"role": "assistant", "content": response}]
            for messages, first, second in pairs
            for response in (first, second)
        ]
        scores = self._scores(chats)
        return [
            _sigmoid(first - second) if math.isfinite(first - second) else None
            for first, second in zip(scores[::2], scores[1::2], strict=True)
        ]

    def _scores(self, chats: Sequence[Messages]) -> list[float]:
        found: list[float] = []
        for start in range(0, len(chats), BATCH_RESPONSES):
            # The template writes the special tokens itself; a second BOS would be a fault.
            encoded = self._tokenizer.apply_chat_template(
                list(chats[start : start + BATCH_RESPONSES]),
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                padding=True,
            )
            with torch.inference_mode():
                logits = self._model(**encoded.to(self._model.device)).logits
            found += logits[:, 0].float().tolist()
        return found


def load_judge(spec: str, device: torch.device) -> RewardModel:
    """The judge of a `--judge` spec: `starter`, or `rm:DIR_OR_HUB_ID`."""
    name = str(STARTER_REWARD) if spec == "starter" else spec.removeprefix("rm:")
    return RewardModel(name, device)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
