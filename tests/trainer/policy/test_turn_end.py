"""What ends a reply, with chat templates as the families of models have them."""

import logging
from pathlib import Path

import pytest
from tokenizers import AddedToken
from transformers import GenerationConfig

from labeler.store import Store
from tests.support.store import alarm_of
from tests.support.tiny import TEMPLATE, save_tiny_policy, tiny_tokenizer, worker_settings
from tests.support.worker import HandTurned
from tests.trainer.conftest import SAMPLING, load
from trainer.policy.policy import LIVE
from trainer.policy.turn_end import ends_of_turn, written_end
from trainer.sampling.local import LocalSampler

TURNS = "{% for m in messages %}"
PROMPT = "{% endfor %}{% if add_generation_prompt %}"
# As short as they can be: what each writes around a turn, and in what place.
CHATML = (
    TURNS + "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "" + PROMPT + "<|im_start|>assistant\n{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}" + TURNS + "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>" + PROMPT + "<|start_header_id|>assistant<|end_header_id|>"
    "\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}" + TURNS + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}"
    "\n{{ m.content | trim }}<end_of_turn>\n" + PROMPT + "<start_of_turn>model\n{% endif %}"
)
PHI_3 = (
    TURNS + "<|{{ m.role }}|>\n{{ m.content }}<|end|>\n" + PROMPT + "<|assistant|>\n"
    "{% else %}{{ eos_token }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}" + TURNS + "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
QWEN_3 = (
    TURNS + "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n"
    "</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n" + PROMPT + "<|im_start|>assistant\n"
    "{% endif %}"
)
GLM_4 = TURNS + "<|{{ m.role }}|>\n{{ m.content }}" + PROMPT + "<|assistant|>{% endif %}"
BETWEEN = (
    "{{ bos_token }}" + TURNS + "{{ m.role }}: {{ m.content }}"
    "{% if not loop.last %}<|im_end|>\n" + "{% endif %}" + PROMPT + "assistant:{% endif %}"
)
NAMES = ["chatml", "llama-3", "gemma", "phi-3", "mistral", "qwen-3", "glm-4", "between", "plain"]
NAMES += ["refuses"]
PLAIN = TURNS + "### {{ m.role }}\n{{ m.content }}\n" + PROMPT + "### assistant\n{% endif %}"
SPECIAL = [
    *("<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<start_of_turn>", "[INST]", "[/INST]"),
]


def tokenizer(template: str, *, eos: str | None = "<|endoftext|>", special: bool = True) -> object:
    made = tiny_tokenizer()
    tokens = [AddedToken(text, special=special) for text in SPECIAL]
    made.add_tokens([*tokens, AddedToken("\n\n", special=False)], special_tokens=False)
    made.bos_token, made.eos_token = "<s>", eos
    made.chat_template = template
    return made


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("template", "end"),
    [
        (CHATML, "<|im_end|>"),
        (LLAMA_3, "<|eot_id|>"),
        (GEMMA, "<end_of_turn>"),
        (PHI_3, "<|end|>"),
        (MISTRAL, "<|endoftext|>"),
        (QWEN_3, "<|im_end|>"),
        (GLM_4, "<|user|>"),
        (BETWEEN, "<|im_end|>"),
        (PLAIN, None),
        ("{{ raise_exception('no') }}", None),
    ],
    ids=NAMES,
)
def test_the_first_control_token_that_a_template_writes_after_a_reply_is_its_end(
    template: str, end: str | None, special: bool
) -> None:
    made = tokenizer(template, special=special)
    token = written_end(made)
    assert (None if token is None else made.convert_ids_to_tokens(token)) == end


@pytest.mark.parametrize(
    ("eos", "named", "ends", "says"),
    [
        ("<|im_end|>", ["<|im_end|>", "<|endoftext|>"], ["<|im_end|>", "<|endoftext|>"], None),
        ("<|im_end|>", None, ["<|im_end|>"], None),
        (
            "<|im_end|>",
            ["<|endoftext|>"],
            ["<|im_end|>", "<|endoftext|>"],
            "The sources disagree on what ends a reply, so each does: <|im_end|> (the chat "
            "template); <|endoftext|> (generation_config.json); <|im_end|> (the tokenizer).",
        ),
        (
            "<|endoftext|>",
            None,
            ["<|im_end|>", "<|endoftext|>"],
            "The sources disagree on what ends a reply, so each does: <|im_end|> (the chat "
            "template); <|endoftext|> (the tokenizer).",
        ),
    ],
)
def test_every_source_is_taken_the_template_first_and_one_line_says_if_they_disagree(
    eos: str,
    named: list[str] | None,
    ends: list[str],
    says: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = tokenizer(CHATML, eos=eos)
    shipped = GenerationConfig(eos_token_id=named and made.convert_tokens_to_ids(named))
    with caplog.at_level(logging.INFO):
        found = ends_of_turn(made, shipped)
    assert made.convert_ids_to_tokens(found) == ends
    assert [record.message for record in caplog.records] == ([says] if says else [])


@pytest.mark.parametrize("special", [True, False])
def test_a_reply_stops_at_the_end_of_the_template_and_its_text_has_none(
    special: bool, tmp_path: Path
) -> None:
    """`generation_config.json` and tokenizer name another end, which the base model had."""
    policy = chatml_policy(tmp_path, special=special)
    im_end, end_of_text = policy.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert policy.eos_token_ids == [im_end, end_of_text]
    prompt = policy.prompt_tokens([{"role": "user", "content": "hello"}])
    answers = LocalSampler(policy).draw(LIVE, [prompt] * 200, SAMPLING, seed=1)
    responses = [response for answer in answers for response in answer]
    stopped = [response for response in responses if im_end in response.tokens]
    assert len(stopped) > 10
    for response in stopped:
        assert response.tokens.index(im_end) == len(response.tokens) - 1
        assert response.finish == "stop"
        assert "<|im_end|>" not in response.text
    assert policy.response_tokens("Hello!")[-1] == im_end


def chatml_policy(folder: Path, *, special: bool):  # type: ignore[no-untyped-def]
    save_tiny_policy(folder)
    made = tokenizer(CHATML, special=special)
    made.save_pretrained(folder)
    GenerationConfig(
        eos_token_id=made.convert_tokens_to_ids("<|endoftext|>"), pad_token_id=1
    ).save_pretrained(folder)
    return load(folder)


def test_a_policy_that_nothing_ends_is_an_alarm_until_it_is_mended(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_tiny_policy(tmp_path)
    made = tokenizer(PLAIN, eos=None)
    made.save_pretrained(tmp_path)
    GenerationConfig(pad_token_id=1).save_pretrained(tmp_path)
    settings = worker_settings(tmp_path, tmp_path)
    policy = load(tmp_path)
    assert policy.eos_token_ids == []
    assert "Nothing ends a reply of this policy" in caplog.text
    HandTurned(store, policy, settings)
    assert "Nothing ends a reply" in str(alarm_of(store, "worker: end of turn"))
    assert policy.response_tokens("Hello!") == policy.response_tokens("Hello!", ended=False)
    made.chat_template = TEMPLATE
    made.save_pretrained(tmp_path)
    HandTurned(store, load(tmp_path), settings)
    assert alarm_of(store, "worker: end of turn") is None
