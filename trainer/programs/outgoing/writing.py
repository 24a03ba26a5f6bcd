"""What each target's folder holds besides its card, written from the policy in memory."""

import sys
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from transformers import GenerationConfig, PreTrainedModel

from labeler.config.load import POLICY_FILE
from labeler.config.policies import own_folder
from labeler.domain.adapter_folder import WEIGHTS
from labeler.domain.drawing import Drawing
from labeler.domain.errors import BadInput
from trainer.fast.rounding import rounded
from trainer.policy.adapters import write_config
from trainer.policy.folders import PROCESSOR, copy_missing
from trainer.policy.merging import head_of_its_own
from trainer.policy.policy import LIVE, Policy
from trainer.policy.positions import name_positions
from trainer.programs.outgoing import read_llama_cpp
from trainer.programs.outgoing.mlx import write_mlx_adapter
from trainer.programs.outgoing.ollama import modelfile, turns_of
from trainer.programs.outgoing.probe import Probe

PACKED = ("f16", "q8_0")


def write_beside(folder: Path, policy: Policy, drawing: Drawing) -> None:
    """Tokenizer, chat template, and how replies are drawn and ended here.

    Variables that the service hands to the template become its defaults.
    """
    policy.tokenizer.chat_template = _template(policy)
    policy.tokenizer.save_pretrained(folder)
    generation_config(policy, drawing).save_pretrained(folder)


def generation_config(policy: Policy, drawing: Drawing) -> GenerationConfig:
    """Drawn as the service draws, and ended as it ends a reply.

    Of the makers' own only two tokens are left: a top-k or a penalty would draw from another model.
    """
    shipped = policy.shipped_generation_config
    return GenerationConfig(
        bos_token_id=shipped.bos_token_id,
        eos_token_id=policy.eos_token_ids or None,
        pad_token_id=policy.pad_token_id,
        do_sample=True,
        temperature=drawing.temperature,
        top_p=drawing.top_p,
        top_k=0,
        repetition_penalty=1.0,
    )


def write_adapter_folder(folder: Path, policy: Policy) -> None:
    """The live adapter, for plain peft on the base that it names."""
    save_file(policy.adapter_state(LIVE), folder / WEIGHTS, metadata={"format": "pt"})
    write_config(folder, policy.adapter_config(), policy.base_name)


def write_for_mlx(folder: Path, policy: Policy) -> None:
    """The live adapter, for mlx-lm. Raises BadInput if it changes more than linear layers."""
    lora: LoraConfig = policy.adapter_config()
    write_mlx_adapter(
        folder,
        policy.adapter_state(LIVE),
        rank=lora.r,
        scale=lora.lora_alpha / lora.r,
        layers=policy.model.config.get_text_config().num_hidden_layers,
        base=policy.base_name,
    )


def merged(policy: Policy) -> PreTrainedModel:
    """The policy's model with the live adapter in its weights; the policy is used up.

    In float32 unless its weights are packed: in fewer bits most of the adapter could be lost.
    """
    if policy.packing is None:
        policy.model.float()
    with head_of_its_own(policy.model.get_base_model()):
        model: PreTrainedModel = policy.model.merge_and_unload(adapter_names=[LIVE])
    return model


def _rounded(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The same in another dtype, with all of what was merged into it, on average."""
    for weight in model.parameters():
        weight.data = rounded(weight.data, dtype)
    return model.to(dtype)


def write_merged(folder: Path, policy: Policy, base: Path, dtype: str, drawing: Drawing) -> str:
    """The merged model, in the dtype of the policy's files unless another one is asked for.

    Beside it stand the policy's own settings, and how the model in the folder `base` sees, if it
    does. Returns the name of that dtype.
    """
    stored = policy.stored_dtype if dtype == "auto" else None
    wanted = stored or policy.model.dtype
    model = _rounded(merged(policy), wanted)
    model.generation_config = generation_config(policy, drawing)
    model.save_pretrained(folder)
    name_positions(folder)
    copy_missing([POLICY_FILE, *PROCESSOR], own_folder(policy.name), folder)
    copy_missing(PROCESSOR, base, folder)
    return str(model.dtype).removeprefix("torch.")


def refuse_unknown(policy: Policy, version: int) -> None:
    """Raise BadInput if a GGUF file of this policy is not written here, with what writes it."""
    from trainer.programs.outgoing import gguf_file, gguf_vocabulary, read_gguf

    why = gguf_file.objection(policy.model.config) or gguf_vocabulary.objection(policy.tokenizer)
    if why is not None:
        raise BadInput(
            f"A GGUF file of '{policy.name}' is not written here: {why}; run `livedpo versions "
            f"export {version} merged-{version} --to merged`, and in llama.cpp's folder `python "
            f"convert_hf_to_gguf.py merged-{version} --outtype f16 --outfile model-f16.gguf`."
        )
    if not read_gguf.reads(policy.model.config.model_type) and not read_llama_cpp.is_here():
        raise BadInput(
            f"A GGUF file of '{policy.name}' is read by llama.cpp alone; run `{sys.executable} -m "
            "pip install xllamacpp`, so that it can be checked."
        )


def windowless(policy: Policy) -> str | None:
    """What to know of a file if llama.cpp looks further back than the model does; else None."""
    config = policy.model.config.to_dict()
    kind = config["model_type"]
    if kind != "mistral" and not config.get("use_sliding_window"):
        return None
    window = config.get("sliding_window")
    if window is None:
        return None
    return f"llama.cpp knows no sliding window of {kind}: beyond {window:,} tokens replies differ."


def write_gguf_files(folder: Path, policy: Policy, prompt: list[int], *kinds: str) -> list[Path]:
    """The merged model, a file for each of these packings. Raises BadInput."""
    from trainer.programs.outgoing import gguf_file, gguf_vocabulary

    model = merged(policy)
    vocabulary = gguf_vocabulary.Vocabulary(
        policy.tokenizer,
        rows=len(model.get_input_embeddings().weight),
        ends=policy.eos_token_ids,
        adds_bos=gguf_vocabulary.adds_bos(policy.tokenizer, prompt),
    )
    name = Path(policy.base_name).name
    files = [folder / f"model-{packing}.gguf" for packing in kinds]
    for file, packing in zip(files, kinds, strict=True):
        gguf_file.write_gguf(file, model, vocabulary, packing=packing, name=name)
    return files


def write_modelfile(
    folder: Path, file: Path, policy: Policy, probe: Probe, drawing: Drawing
) -> bool:
    """The Modelfile; says whether Ollama has to recognise the chat template by itself."""
    from trainer.programs.outgoing.gguf_vocabulary import adds_bos

    tokenizer = policy.tokenizer
    bos = adds_bos(tokenizer, probe.own.prompts[0])
    turns = turns_of(tokenizer, probe.asked.conversations, adds_bos=bos)
    text = modelfile(
        file.name,
        turns,
        stops=tokenizer.convert_ids_to_tokens(policy.eos_token_ids),
        context=policy.context_tokens,
        drawing=drawing,
    )
    (folder / "Modelfile").write_text(text, encoding="utf-8")
    return turns is None


def _template(policy: Policy) -> str:
    """The chat template, in which the service's variables are set unless somebody sets them."""
    template: str = policy.tokenizer.get_chat_template()
    for name, value in policy.chat.variables.items():
        said = _literal(value)
        template = (
            f"{{%- if {name} is not defined %}}{{%- set {name} = {said} %}}{{%- endif %}}{template}"
        )
    return template


def _literal(value: object) -> str:
    """A value of JSON in the language of templates."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{name!r}: {_literal(one)}' for name, one in value.items())}}}"
    return repr(value)
