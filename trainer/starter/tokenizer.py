"""The starter's vocabulary and chat template, as a plain fast tokenizer of `transformers`.

A turn is written `<|user|>text<|end|>`, without blanks or newlines around the tags. There is no
BOS, so none can be doubled. `<|end|>` is the EOS. In a message, `<|` is written `< |` by the
template: text from outside cannot become a tag.
"""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from labeler.domain.messages import Messages

END, PAD = "<|end|>", "<|pad|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")

# `generation` marks what the assistant says, its <|end|> included, for the loss.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] not in ['system', 'user', 'assistant'] -%}
{{- raise_exception('Unknown role: ' + message['role']) -}}
{%- endif -%}
{{- '<|' + message['role'] + '|>' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}
{{- message['content'] | replace('<|', '< |') + '<|end|>' -}}
{%- endgeneration -%}
{%- else -%}
{{- message['content'] | replace('<|', '< |') + '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}
"""


def train_tokenizer(
    conversations: Iterable[Messages], vocabulary: int, context_tokens: int
) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE vocabulary; every text can be written in it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (message["content"] for messages in conversations for message in messages)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=context_tokens,
        padding_side="left",
    )


def encode(tokenizer: PreTrainedTokenizerFast, messages: Messages) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and for each token 1 where the assistant says it."""
    encoded = tokenizer.apply_chat_template(
        messages, return_dict=True, return_assistant_tokens_mask=True
    )
    return encoded["input_ids"], encoded["assistant_masks"]


def pad(rows: Sequence[Sequence[int]], value: int) -> list[list[int]]:
    """Fill rows on the right up to the longest."""
    longest = max(len(row) for row in rows)
    return [[*row, *[value] * (longest - len(row))] for row in rows]
