"""The policy that is tuned, and where it computes."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from labeler.config.parts.part import Mark, Part
from labeler.config.starter import STARTER_POLICY


def _json_object(value: Any) -> Any:
    """A JSON object as flags and the environment have it, or a table of TOML."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PydanticCustomError(
            "json_object", 'it is no JSON object, such as {"enable_thinking": false}'
        )
    return found


class Model(Part):
    """What to tune"""

    policy: str = Field(
        str(STARTER_POLICY),
        min_length=1,
        description="Model to tune: a local folder, a hub id, a GGUF file, or smollm2 "
        "(SmolLM2-135M-Instruct). Default: the starter.",
    )
    prompts: Path | None = Field(
        None,
        description="File or folder with prompts to sample from. Default: those that come with "
        "smollm2 for it, else the starter's.",
    )
    template_kwargs: Annotated[
        dict[str, Any], BeforeValidator(_json_object), Mark.POLICY_MAY_SET
    ] = Field(
        {},
        description="Variables of the policy's chat template, as a JSON object: "
        '{"enable_thinking": false}, say. Default: none.',
    )
    lora_rank: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        16, ge=1, description="Rank of the LoRA adapter."
    )
    lora_alpha: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        32.0, gt=0, description="LoRA alpha: the adapter is scaled by alpha/rank."
    )
    lora_targets: Annotated[str, Mark.POLICY_MAY_SET] = Field(
        "all-linear",
        min_length=1,
        description="What carries LoRA: all-linear, experts, or names such as q_proj,v_proj.",
    )
    trust_remote_code: bool = Field(
        False, description="Run the code that the policy brings; it can do all that you can."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of sampling and training.")
    device: str = Field("auto", description="Torch device: auto, cpu, cuda, cuda:1, mps.")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "nf4", "int8"] = Field(
        "auto",
        description="Weights of the frozen base. auto: float32 on a CPU, where updates multiply in "
        "bfloat16 if that is faster; else bfloat16. nf4 and int8 keep them packed, on a GPU, with "
        "the package bitsandbytes.",
    )
    sampling_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="What the sampling copy multiplies in. auto: bfloat16 where it is faster and "
        "changes little, else as dtype.",
    )
    sampler: str = Field(
        "local",
        pattern=r"^(local|vllm:https?://[^\s,@?#]+(,https?://[^\s,@?#]+)*)$",
        description="What draws responses: local (the worker), or vllm:URL[,URL...] (vLLM servers "
        "that have this policy as --model and see the data dir; their key from VLLM_API_KEY).",
    )
    sampler_timeout: float = Field(
        300.0, gt=0, description="Seconds to wait for one answer of a server of --sampler."
    )
    threads: int = Field(
        0,
        ge=0,
        description="Torch threads of the worker; 0: one a core, but for a small policy one less.",
    )
    nproc: int = Field(
        0,
        ge=0,
        le=1024,
        description="Processes that share the pairs of an update (torchrun starts them), with the "
        "worker's threads or one GPU each; 0: the worker learns by itself.",
    )
    shard: bool = Field(
        False,
        description="Split the layers of the base over these processes, where it does not fit one "
        "device. They take the GPUs, if there is one for each, and the worker stays on --device.",
    )
    launcher: str | None = Field(
        None,
        min_length=1,
        description="What starts them in place of torchrun on this machine: a command that is "
        "given --nproc-per-node, as in: srun torchrun --nnodes 2 --rdzv-endpoint node1:29500.",
    )

    @property
    def sampler_urls(self) -> list[str]:
        """The servers of --sampler, each without the `/v1` that clients are often given."""
        urls = self.sampler.partition(":")[2].split(",") if self.sampler != "local" else []
        return [url.rstrip("/").removesuffix("/v1") for url in urls]

    @model_validator(mode="after")
    def _a_launcher_is_told_how_many(self) -> Self:
        """Refuse a launcher that would start nothing."""
        if self.launcher is not None and not self.nproc:
            raise ValueError("--launcher needs --nproc, the number of processes on each node.")
        return self

    @model_validator(mode="after")
    def _a_split_takes_two(self) -> Self:
        """Refuse to split a base among processes that there are not."""
        if self.shard and not self.nproc:
            raise ValueError("--shard needs --nproc, the number of processes that share the base.")
        return self
