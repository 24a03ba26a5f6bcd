"""Chat templates as twelve families of models have them, each on a tiny tokenizer of its kind.

The templates are ours, written after what each family renders: the same turns and control tokens,
without tools and dates. `plain` are added tokens that their makers did not mark as special.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

CORPUS = [
    "hello world, how do you make good tea? the user asks and the assistant says: sure, I can.",
    "system user assistant model think end start turn <b>bold</b> a < b | c > d\n\n  return x\n",
]


@dataclass(frozen=True)
class Family:
    """A template, the control tokens of its tokenizer, and what kind of tokenizer it is.

    `model_type` is that of the models; `kind` "bytes" is byte-level BPE, "pieces" is BPE in the
    manner of SentencePiece with a blank before the text, "legacy" has it as a normalizer.
    """

    template: str
    special: tuple[str, ...]
    plain: tuple[str, ...] = ()
    kind: str = "bytes"
    model_type: str = "llama"
    system: bool = True

    @property
    def control(self) -> tuple[str, ...]:
        """Every token that only the template may write."""
        return self.special + self.plain


FAMILIES = {
    "chatml": Family(
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>'"
        " + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        model_type="qwen2",
    ),
    "llama-2": Family(
        "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{% set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
        "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
        "{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
        "{% set content = system + m['content'] if loop.index0 == 0 else m['content'] %}"
        "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        ("<unk>", "<s>", "</s>"),
        kind="pieces",
    ),
    "llama-3": Family(
        "{% for m in messages %}{% set content = '<|start_header_id|>' + m['role'] + "
        "'<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' %}"
        "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
        "{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
        (
            *("<|end_of_text|>", "<|begin_of_text|>", "<|eot_id|>"),
            *("<|start_header_id|>", "<|end_header_id|>"),
        ),
    ),
    "mistral": Family(
        "{{ bos_token }}{% for m in messages %}"
        "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
        "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + '[/INST]' }}"
        "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
        ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
        kind="legacy",
        model_type="mistral",
        system=False,
    ),
    "gemma": Family(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}"
        "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        ("<unk>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        kind="pieces",
        model_type="gemma2",
        system=False,
    ),
    "phi-3": Family(
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
        "{% else %}{{ eos_token }}{% endif %}",
        ("<unk>", "<|endoftext|>", "<|assistant|>", "<|end|>"),
        ("<|system|>", "<|user|>"),
        kind="legacy",
        model_type="phi3",
    ),
    "zephyr": Family(
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        ("<unk>", "<s>", "</s>"),
        kind="legacy",
        model_type="stablelm",
    ),
    "vicuna": Family(
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ m['content'] + ' ' }}{% elif m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}"
        "{% else %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
        ("<unk>", "<s>", "</s>"),
        kind="pieces",
    ),
    "command-r": Family(
        "{{ bos_token }}{% for m in messages %}{{ '<|START_OF_TURN_TOKEN|>' }}"
        "{% if m['role'] == 'system' %}{{ '<|SYSTEM_TOKEN|>' }}{% elif m['role'] == 'user' %}"
        "{{ '<|USER_TOKEN|>' }}{% else %}{{ '<|CHATBOT_TOKEN|>' }}{% endif %}"
        "{{ m['content'].strip() + '<|END_OF_TURN_TOKEN|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}",
        ("<EOS_TOKEN>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"),
        ("<|START_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"),
        model_type="cohere",
    ),
    "qwen3": Family(
        "{% for m in messages %}{% set content = m['content'] %}"
        "{% if m['role'] == 'assistant' and '</think>' in content %}"
        "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
        "{{ '<|im_start|>' + ('user' if m['role'] == 'tool' else m['role']) + '\n' }}"
        "{% if m['role'] == 'tool' %}"
        "{{ '<tool_response>\n' + content + '\n</tool_response>' }}"
        "{% elif m['role'] == 'assistant' and loop.last %}"
        "{{ '<think>\n\n</think>\n\n' + content }}{% else %}{{ content }}{% endif %}"
        "{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is defined and enable_thinking is false %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        ("<think>", "</think>", "<tool_response>", "</tool_response>"),
        model_type="qwen3",
    ),
    "deepseek": Family(
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
        "{% elif m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}{% else %}"
        "{{ '<｜Assistant｜>' + m['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}"
        "{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}",
        ("<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>"),
        ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
        model_type="deepseek_v3",
    ),
    "granite": Family(
        "{% for m in messages %}{{ '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + "
        "m['content'] + '<|end_of_text|>\n' }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}",
        ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"),
        model_type="granite",
    ),
}


@cache
def tokenizer_of(name: str) -> Any:
    """The tokenizer of a family, with its template; not to be changed."""
    family = FAMILIES[name]
    backend = _bytes() if family.kind == "bytes" else _pieces(legacy=family.kind == "legacy")
    backend.add_special_tokens([AddedToken(token, special=True) for token in family.special])
    backend.add_tokens([AddedToken(token, normalized=False) for token in family.plain])
    eos = next(token for token in family.special if token in _ENDS)
    bos = next((token for token in family.special if token in _STARTS), None)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=eos)
    tokenizer.chat_template = family.template
    return tokenizer


_STARTS = ("<s>", "<bos>", "<|begin_of_text|>", "<BOS_TOKEN>", "<｜begin▁of▁sentence｜>")
_ENDS = (
    *("</s>", "<eos>", "<|end_of_text|>", "<EOS_TOKEN>", "<|endoftext|>"),
    "<｜end▁of▁sentence｜>",
)


def _bytes() -> Tokenizer:
    """Byte-level BPE, as of GPT-2, Llama 3 and Qwen."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=360, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def _pieces(*, legacy: bool) -> Tokenizer:
    """BPE over characters with "▁" for blanks and bytes for what is unknown, as of Llama 2."""
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    learned.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=160, show_progress=False))
    model = json.loads(learned.to_str())["model"]
    pieces: Sequence[str] = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *sorted(model["vocab"], key=model["vocab"].__getitem__),
    ]
    backend = Tokenizer(
        models.BPE(
            vocab={piece: place for place, piece in enumerate(pieces)},
            merges=[tuple(merge) for merge in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if legacy:
        backend.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return backend
