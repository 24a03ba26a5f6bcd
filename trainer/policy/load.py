"""Loading a policy: a model or adapter folder, a GGUF file or a hub id, with adapters put on it.

    name -> a folder with a whole model -> the frozen base and its tokenizer -> adapters on it

Whatever stands in the way is said in one sentence, as BadInput.
"""

import logging
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from peft import LoraConfig, PeftConfig
from safetensors import SafetensorError, safe_open
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.pytorch_utils import Conv1D

from labeler.config.hub import Say, hub_folder, is_hub_id
from labeler.config.parts.model import Model
from labeler.domain.errors import BadInput, first_line
from labeler.domain.sentences.policy import (
    brings_code,
    encoder_decoder,
    missing,
    unloadable,
    untemplated,
)
from trainer.fast.precision import rounding_pays
from trainer.policy.context import shortened
from trainer.policy.folders import PROCESSOR, copy_missing, refuse_pickles, written_whole
from trainer.policy.gguf import unpacked
from trainer.policy.memory import what_it_takes
from trainer.policy.merging import is_adapter, place_of, with_adapter
from trainer.policy.packing import PACKINGS, keep_gradients, packing_of, refuse_packed_twice
from trainer.policy.policy import Policy
from trainer.policy.targets import lora_targets, same_targets, what_is_trained
from trainer.policy.vocabulary import refuse_strange_tokens

log = logging.getLogger(__name__)

# Floating numbers, as safetensors calls them.
STORED = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# What transformers, peft and safetensors raise for files that are damaged, missing, of a kind that
# they do not know, or that need a package which is not installed.
UNLOADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    SafetensorError,
)


def load_policy(settings: Model, adapter_folder: Path | None = None, say: Say = log.info) -> Policy:
    """Load a base with adapters on it, shaped as in `adapter_folder` or else as the settings say.

    `say` hears how far it is, where that takes long. Raises BadInput if the policy is missing, is
    no causal language model, has no chat template, or cannot carry LoRA.
    """
    name = settings.policy
    device = _device(settings.device)
    packing = packing_of(settings.dtype, device, asked_device=settings.device)
    dtype = _dtype(settings.dtype, device)
    try:
        folder, public = _model_folder(name, settings, say)
        stored_dtype = _stored_dtype(folder, settings)
        if packing is None:
            base = _whole_model(folder, settings, dtype).to(device)
        else:
            base = _packed_model(folder, settings, packing, device)
        tokenizer = _tokenizer(folder, settings)
    except UNLOADABLE as error:
        if "trust_remote_code" in str(error):
            raise BadInput(brings_code(name)) from error
        raise BadInput(unloadable(name, first_line(error))) from error
    if not tokenizer.chat_template:
        raise BadInput(untemplated(name))
    refuse_strange_tokens(name, tokenizer, rows=len(base.get_input_embeddings().weight))
    try:
        lora = _lora(base, settings)
        if adapter_folder is not None:
            lora = _saved(adapter_folder, base, settings)
        policy = Policy(
            base,
            tokenizer,
            lora,
            name=name,
            base_name=public,
            stored_dtype=stored_dtype,
            seed=settings.seed,
            template_kwargs=settings.template_kwargs,
            products=_products(base, settings.dtype),
            packing=None if packing is None else settings.dtype,
        )
    except ValueError as error:  # no such layers
        shape = f"an adapter like {adapter_folder}" if adapter_folder else "LoRA"
        raise BadInput(f"The policy '{name}' cannot carry {shape}: {first_line(error)}.") from error
    log.info("%s", what_is_trained(policy.model.get_base_model()))
    name = settings.dtype if packing else str(dtype).removeprefix("torch.")
    log.info("%s", what_it_takes(policy.model.get_base_model(), name, lora.r))
    if (limit := shortened(base.config)) is not None:
        log.info("%s", limit)
    if policy.products is not None:
        log.info("Updates multiply in bfloat16, which is faster here. --dtype float32 avoids it.")
    return policy


def _model_folder(name: str, settings: Model, say: Say) -> tuple[Path, str]:
    """The folder of the whole model, and what adapters trained on it name as their base."""
    name = unpacked(name, say)
    folder, public = Path(name).absolute(), str(Path(name).absolute())
    if not folder.is_dir():
        if not is_hub_id(name):
            raise BadInput(missing(name))
        folder, public = hub_folder(name, say), name
    if is_adapter(folder):
        folder = _merged(folder, settings, say)
        public = str(folder)
    return folder, public


def _merged(adapter: Path, settings: Model, say: Say) -> Path:
    """The adapter as a whole model. The reference is "adapter off", so it must be in the base."""
    refuse_pickles(adapter)
    parent_name = PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path
    if not parent_name:
        raise ValueError("its adapter_config.json names no base")
    parent, _ = _model_folder(parent_name, settings, say)
    kept = place_of(adapter, parent, _stored_dtype(parent, settings))
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_name(kept.name + ".lock")):
        if not kept.is_dir():
            say(f"Merging the adapter {adapter} into its base, for this and later starts.")
            _merge(adapter, parent, kept, settings)
        for source in (adapter, parent):
            copy_missing(PROCESSOR, source, kept)
    return kept


def _merge(adapter: Path, parent: Path, kept: Path, settings: Model) -> None:
    """Write the model folder of an adapter."""
    own = (adapter / "tokenizer_config.json").is_file()
    tokenizer = _tokenizer(adapter if own else parent, settings)
    base = _whole_model(parent, settings, "auto")
    merged = with_adapter(base, adapter, tokens=len(tokenizer) if own else 0)
    with written_whole(kept) as unfinished:
        merged.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)


def _config(folder: Path, settings: Model) -> Any:
    return AutoConfig.from_pretrained(folder, trust_remote_code=settings.trust_remote_code)


def _stored_dtype(folder: Path, settings: Model) -> torch.dtype | None:
    """What the weights in a folder are stored in: as its config says, or as its files are."""
    config = _config(folder, settings)
    said: torch.dtype | None = config.dtype or config.get_text_config().dtype
    if said is not None:
        return said
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            kinds = (weights.get_slice(name).get_dtype() for name in weights.keys())  # noqa: SIM118
            found = next((STORED[kind] for kind in kinds if kind in STORED), None)
        if found is not None:
            return found
    return None


def _packed_model(
    folder: Path, settings: Model, packing: Any, device: torch.device
) -> PreTrainedModel:
    """The same with its linear layers packed as they are read, the rest in bfloat16."""
    refuse_packed_twice(_config(folder, settings), settings.dtype)
    base = _whole_model(
        folder,
        settings,
        torch.bfloat16,
        quantization_config=packing,
        device_map={"": device},
    )
    keep_gradients(base)
    return base


def _whole_model(
    folder: Path, settings: Model, dtype: torch.dtype | str, **how: Any
) -> PreTrainedModel:
    """A language model of which no weight is missing. Raises ValueError if it is none."""
    config = _config(folder, settings)
    if config.is_encoder_decoder:
        raise ValueError(encoder_decoder(config.model_type))
    refuse_pickles(folder)
    model, info = _class_of(config).from_pretrained(
        folder,
        dtype=dtype,
        trust_remote_code=settings.trust_remote_code,
        output_loading_info=True,
        use_safetensors=True,
        **how,
    )
    if info["missing_keys"]:
        raise ValueError(f"it is no causal language model; it lacks {min(info['missing_keys'])}")
    loaded: PreTrainedModel = model
    return loaded


def _class_of(config: Any) -> Any:
    """What loads a model with its language head. Raises ValueError if nothing does."""
    brought = getattr(config, "auto_map", None) or {}
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or "AutoModelForCausalLM" in brought:
        return AutoModelForCausalLM
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    raise ValueError(f"it is no causal language model, but of the kind {config.model_type}")


def _tokenizer(folder: Path, settings: Model) -> Any:
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=settings.trust_remote_code)


def _lora(base: PreTrainedModel, settings: Model) -> LoraConfig:
    """The adapters that the settings ask for."""
    kind: dict[str, Any] = {"task_type": "CAUSAL_LM"}
    if _class_of(base.config) is not AutoModelForCausalLM:  # plain peft asks the task for a class
        library, name = type(base).__module__, type(base).__name__
        kind = {"auto_mapping": {"base_model_class": name, "parent_library": library}}
    targets = lora_targets(base, settings.lora_targets)
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=targets.layers,
        target_parameters=targets.stacks or None,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
        **kind,
    )


def _saved(adapter_folder: Path, base: PreTrainedModel, settings: Model) -> LoraConfig:
    """Adapters like a saved one; said in the log if the settings ask for others."""
    lora = LoraConfig.from_pretrained(str(adapter_folder))
    lora.inference_mode = False
    lora.base_model_name_or_path = None  # it may have moved; what it holds is checked
    if (lora.r, lora.lora_alpha) != (settings.lora_rank, settings.lora_alpha):
        log.warning(
            "The adapter %s has LoRA rank %s and alpha %s; these stay.",
            adapter_folder.name,
            lora.r,
            lora.lora_alpha,
        )
    if not same_targets(base, settings.lora_targets, lora):
        log.warning(
            "The adapter %s changes other layers than --lora-targets %s; these stay.",
            adapter_folder.name,
            settings.lora_targets,
        )
    return lora


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"The device '{name}' cannot be used here: {error}") from error


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name in PACKINGS:
        return torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _products(base: PreTrainedModel, name: str) -> torch.dtype | None:
    """What the base multiplies in as adapters train; None: in its own dtype."""
    return torch.bfloat16 if name == "auto" and rounding_pays(base) else None
