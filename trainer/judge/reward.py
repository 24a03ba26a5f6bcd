"""A reward model as a judge: scores each response by itself, and prefers the higher one.

Any folder or hub id that loads as `AutoModelForSequenceClassification` with one output, with its
own tokenizer and chat template. Only differences between two scores for one prompt mean something.
"""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from labeler.domain.errors import BadInput, first_line
from labeler.domain.judging import Cause, Judgement, Question
from labeler.domain.messages import Messages
from trainer.judge.fence import neutral
from trainer.judge.rows import budget, by_length, right_padded, without_control
from trainer.policy.chat import Chat, Refused
from trainer.policy.context import context_of
from trainer.policy.folders import refuse_pickles

log = logging.getLogger(__name__)

Row = tuple[int, ...]


class RewardModel:
    """P(first is better) = sigmoid(score of first - score of second), by Bradley and Terry."""

    waits = False
    one_by_one = False
    requests_spent = 0

    def __init__(
        self,
        name: str,
        device: torch.device,
        *,
        spec: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Load it, in float32 on a CPU and in bfloat16 elsewhere, unless `dtype` says otherwise.

        Raises BadInput if it is missing, or is no reward model with one output.
        """
        self.spec = spec or f"rm:{name}"
        dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
        model, tokenizer = _load(name, dtype)
        self._chat = Chat(tokenizer, family=model.config.model_type)
        self._told: set[str] = set()
        self._last: dict[Row, float] = {}
        _score_exactly(model)
        self._model = model.to(device).eval()
        self._own_pad: int | None = model.config.get_text_config().pad_token_id
        self._max_tokens = min(context_of(model.config), tokenizer.model_max_length)

    def close(self) -> None:
        """It waits for nobody."""

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        """One judgement a question, with the scores of both responses."""
        rows = [_both(self._row, question) for question in questions]
        wanted = {row for found in rows if not isinstance(found, Cause) for row in found}
        scores = self._scores(sorted(wanted), pause)
        return [
            Judgement(None, found)
            if isinstance(found, Cause)
            else _compare(scores[found[0]], scores[found[1]])
            for found in rows
        ]

    def _row(self, messages: Messages, response: str) -> Row | Cause:
        """The tokens of a conversation that ends in a response, or why there are none."""
        try:
            row = tuple(self._chat.with_reply(without_control(messages), neutral(response)))
        except Refused as error:
            if str(error) not in self._told:
                self._told.add(str(error))
                log.warning("The chat template of %s refuses a pair: %s.", self.spec, error)
            return Cause.TEMPLATE
        return row if 0 < len(row) <= self._max_tokens else Cause.TOO_LONG

    def _scores(self, rows: Sequence[Row], pause: Callable[[], None] | None) -> dict[Row, float]:
        """The score of each row; equal rows are one, so equal responses tie exactly.

        What was scored last is kept: a version's first pairs are asked about twice, by the gate and
        then for their labels.
        """
        found = {row: self._last[row] for row in rows if row in self._last}
        new = [row for row in rows if row not in found]
        for part in by_length([len(row) for row in new], budget(self._model.device)):
            if pause is not None:
                pause()
            some = [new[place] for place in part]
            found |= dict(zip(some, self._forward(some), strict=True))
        self._last = found
        return found

    def _forward(self, rows: Sequence[Row]) -> list[float]:
        """NaN for each row if the model has not one output a row."""
        config = self._model.config.get_text_config()
        if self._own_pad is None:
            # The model finds a row's last token by what is no padding, as it does when it reads the
            # row alone. It has no padding token of its own, so any will do that ends no row.
            ends = {row[-1] for row in rows}
            config.pad_token_id = next(token for token in range(len(ends) + 1) if token not in ends)
        ids, mask = right_padded(rows, pad=config.pad_token_id, device=self._model.device)
        with torch.inference_mode():
            logits: Tensor = self._model(input_ids=ids, attention_mask=mask).logits
        if logits.shape != (len(rows), 1):
            return [math.nan] * len(rows)
        scores: list[float] = logits[:, 0].float().tolist()
        return scores


def _load(name: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Model and tokenizer. Raises BadInput."""
    try:
        refuse_pickles(Path(name))
        model, info = AutoModelForSequenceClassification.from_pretrained(
            name,
            num_labels=1,
            dtype=dtype,
            output_loading_info=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise BadInput(f"The judge '{name}' cannot be loaded: {first_line(error)}") from error
    if info["missing_keys"] or not tokenizer.chat_template:
        raise BadInput(
            f"The judge '{name}' is no reward model: it lacks "
            f"{min(info['missing_keys'], default='a chat template')}."
        )
    return model, tokenizer


def _score_exactly(model: Any) -> None:
    """Compute the last layer in float32: in bfloat16, scores about 20 come in steps of 0.125."""
    head = getattr(model, "score", None)
    if isinstance(head, nn.Linear):
        head.float()
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def _both(row: Any, question: Question) -> tuple[Row, Row] | Cause:
    first, second = (row(question.messages, r) for r in (question.first, question.second))
    if isinstance(first, Cause):
        return first
    return second if isinstance(second, Cause) else (first, second)


def _compare(first: float, second: float) -> Judgement:
    if not math.isfinite(first - second):
        return Judgement(None, Cause.NOT_FINITE)
    return Judgement(_sigmoid(first - second), scores=(first, second))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
