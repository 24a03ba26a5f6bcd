"""The live policy: one frozen base in memory, and LoRA adapters on it.

`live` is what pairs are sampled from, `candidate` is what an update trains, and no adapter at all
is the reference; `other` is made only if yet another version is asked for. A fresh adapter changes
nothing (its B matrices are zero), so version 0 needs no case of its own. Adapter state is global to
the module (peft #804), so one thread owns a policy.
"""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from peft.utils import set_peft_model_state_dict
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from labeler.domain.errors import BadInput
from labeler.domain.messages import Messages
from labeler.domain.thought import OPEN, parts_of
from trainer.fast.lora import make_lean
from trainer.policy.batch import Batch
from trainer.policy.chat import Chat
from trainer.policy.context import context_of
from trainer.policy.token_logps import token_logps
from trainer.policy.turn_end import ends_of_turn

LIVE, CANDIDATE, OTHER = "live", "candidate", "other"


class Policy:
    """A causal language model with its tokenizer and its adapters.

    `versions` are the numbers of the versions that the adapters hold, where they hold one;
    `base_name` is what plain peft loads the base from, and `stored_dtype` what its files say.
    `products` is the dtype in which the base multiplies when an adapter trains; None: its own.
    `packing` is how the base's weights are kept packed, as nf4; None: they are plain.
    `eos_token_ids` are the tokens that end a response, that of the chat template first.
    """

    def __init__(
        self,
        base: PreTrainedModel,
        tokenizer: Any,
        lora: LoraConfig,
        *,
        name: str,
        base_name: str,
        stored_dtype: torch.dtype | None,
        seed: int,
        template_kwargs: Mapping[str, Any] | None = None,
        products: torch.dtype | None = None,
        packing: str | None = None,
    ) -> None:
        self.name = name
        self.base_name = base_name
        self.stored_dtype = stored_dtype
        self.tokenizer = tokenizer
        self.chat = Chat(tokenizer, family=base.config.model_type, variables=template_kwargs)
        self.fingerprint = _fingerprint(base)
        self.eos_token_ids = ends_of_turn(tokenizer, base.generation_config)
        # Models ship penalties and cuts of their own; the sampler must draw from the policy itself.
        self.shipped_generation_config = base.generation_config
        base.generation_config = GenerationConfig(eos_token_id=self.eos_token_ids or None)
        torch.manual_seed(seed)
        with peft_quirk():
            self.model = get_peft_model(base, lora, adapter_name=LIVE).eval()
        self.model.add_adapter(CANDIDATE, lora)
        self.versions: dict[str, int] = {}
        self.copy_adapter(LIVE, CANDIDATE)
        self.model.requires_grad_(False)
        make_lean(self.model, products)
        self.products = products
        self.packing = packing
        self.computes_twice = False  # whether layers are computed again in the backward pass
        self.temperature = 1.0  # what logits are divided by: people see what is drawn at it
        self.packs: bool | None = None  # whether it computes packed rows; None: not tried yet
        self.pads: bool | None = None  # whether it computes rows padded on the left, likewise

    def multiply_in(self, products: torch.dtype) -> None:
        """From now on multiply in this dtype when an adapter trains."""
        make_lean(self.model, products)
        self.products = products

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = self.model.device
        return device

    @property
    def pad_token_id(self) -> int:
        """What fills short rows; masked everywhere. One that the embedding has."""
        pad = self.tokenizer.pad_token_id
        known = pad is not None and pad < len(self.model.get_input_embeddings().weight)
        return int(pad if known else next(iter(self.eos_token_ids), 0))

    @property
    def context_tokens(self) -> int:
        """Longest prompt and response together."""
        return context_of(self.model.config)

    def prompt_tokens(self, messages: Messages) -> list[int]:
        """The conversation under the model's chat template, ready for a reply. Raises Refused."""
        return self.chat.prompt(messages)

    def response_tokens(self, text: str, *, ended: bool = True) -> list[int]:
        """A response that was not sampled: tokens as they would have been, and its end if it has.

        The end is the one that the chat template writes. What reads like a control token in the
        text is text: only the end is one. Raises Refused.
        """
        tokens = self.chat.reply(text)
        return [*tokens, *self.eos_token_ids[:1]] if ended else tokens

    def text_of(self, prompt: Sequence[int], response: Sequence[int]) -> str:
        """What a response says; a token that ends it is no part of that.

        A thought that the prompt opens is told by its end. Where that is missing, or hard to find,
        the text opens the thought itself, so that nobody takes it for the reply.
        """
        ended = response[-1] in self.eos_token_ids
        said = response[:-1] if ended else response
        text: str = self.tokenizer.decode(said, skip_special_tokens=True).strip()
        if not parts_of(text).head and self.chat.opens_thought(prompt):
            return f"{OPEN}\n{text}"
        return text

    @contextmanager
    def adapter(self, name: str, *, trains: bool = False) -> Iterator[None]:
        """Compute with this adapter; its weights take gradients only if it `trains`.

        One that trains holds no version any more.
        """
        if trains:
            self.versions.pop(name, None)
        self.model.set_adapter(name)
        for parameter in self.parameters(name):
            parameter.requires_grad_(trains)
        yield

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Compute as the base policy, with every adapter off."""
        with self.model.disable_adapter():
            yield

    def logps(self, batch: Batch) -> Tensor:
        """Summed log-probability of each response under what is switched on now, (R,), nats.

        In plain padded rows, for any architecture; `trainer.policy.logps.pair_logps` is faster.
        """
        return (self.token_logps(batch) * batch.response_mask).sum(dim=1)

    def token_logps(self, batch: Batch) -> Tensor:
        """Log-probability of each response token, (R, T), nats; of padding, anything."""
        return token_logps(self.logits(batch) / self.temperature, batch.response_ids)

    def logits(self, batch: Batch) -> Tensor:
        """What predicts the tokens of each response, (R, T, V), under what is switched on."""
        tokens = batch.response_ids.shape[1]
        output = self.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            logits_to_keep=tokens + 1,
            use_cache=False,
        )
        logits: Tensor = output.logits[:, :-1]
        return logits

    def parameters(self, adapter: str) -> list[nn.Parameter]:
        """The weights of one adapter."""
        return [p for name, p in self.model.named_parameters() if f".{adapter}." in name]

    def adapter_state(self, name: str) -> dict[str, Tensor]:
        """A copy of the weights of one adapter, by the names that peft saves them under."""
        state = get_peft_model_state_dict(
            self.model, adapter_name=name, save_embedding_layers=False
        )
        return {
            key: value.detach().to("cpu", copy=True).contiguous() for key, value in state.items()
        }

    def adapter_with(self, version: int) -> str | None:
        """The adapter that holds this version, if one does."""
        held = (name for name, number in self.versions.items() if number == version)
        return next(held, None)

    def set_adapter_state(
        self, name: str, state: dict[str, Tensor], *, version: int | None = None
    ) -> None:
        """Overwrite the weights of one adapter in place, with those of a version if they are one's.

        Raises BadInput if they do not fit.
        """
        if name not in self.model.peft_config:
            self.model.add_adapter(name, self.adapter_config())
            self.model.requires_grad_(False)
        ours = {key: weight.shape for key, weight in self.adapter_state(name).items()}
        theirs = {key: weight.shape for key, weight in state.items()}
        odd = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
        if odd:
            raise BadInput(
                f"The adapter does not fit the policy '{self.name}': its {odd[0]} should be "
                f"{_shape(ours.get(odd[0]))}, and is {_shape(theirs.get(odd[0]))}."
            )
        set_peft_model_state_dict(self.model, state, adapter_name=name)
        self.versions.pop(name, None)
        if version is not None:
            self.versions[name] = version

    def copy_adapter(self, source: str, target: str) -> None:
        """Make one adapter equal to the other, whichever version that is."""
        self.versions.pop(target, None)
        if source in self.versions:
            self.versions[target] = self.versions[source]
        with torch.no_grad():
            pairs = zip(self.parameters(source), self.parameters(target), strict=True)
            for from_, to in pairs:
                to.copy_(from_)

    def take_back(self, name: str, to: str) -> None:
        """Move one adapter half the way to another, so that it is no version's any more."""
        self.versions.pop(name, None)
        with torch.no_grad():
            for weight, other in zip(self.parameters(name), self.parameters(to), strict=True):
                weight.lerp_(other, 0.5)

    def fits(self, adapter_folder: Path) -> bool:
        """Whether the adapters here have the layers, the rank and the scaling of the saved one."""
        saved, ours = LoraConfig.from_pretrained(str(adapter_folder)), self.adapter_config()
        return _shape_of(saved) == _shape_of(ours)

    def adapter_config(self) -> LoraConfig:
        """The configuration that is saved beside the adapter's weights."""
        return self.model.peft_config[LIVE]


@contextmanager
def peft_quirk() -> Iterator[None]:
    """Keep a warning from users: peft 0.21 asks transformers 5 by an old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def _shape_of(lora: LoraConfig) -> tuple[Any, ...]:
    """What adapters must have in common to stand in one model."""
    layers, stacks = set(lora.target_modules), set(lora.target_parameters or ())
    return layers, stacks, lora.r, lora.lora_alpha


def _shape(shape: torch.Size | None) -> str:
    return "absent" if shape is None else " x ".join(map(str, shape))


def _fingerprint(base: nn.Module) -> str:
    """A hash that tells policies apart: names, shapes, and some values of every weight."""
    digest = hashlib.sha256()
    for name, weight in base.named_parameters():
        flat = weight.detach().flatten()
        # Rounded as the coarsest dtype would have it: a policy is the same in float32 and bfloat16.
        some = torch.cat([flat[:64], flat[-64:]]).bfloat16().float().cpu()
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(some.numpy().tobytes())
    return digest.hexdigest()
