"""A chat template in Ollama's language, pieced together from what the policy's template writes."""

from copy import deepcopy

import pytest

from labeler.domain.drawing import Drawing
from tests.support.chats import tokenizer_of
from trainer.programs.outgoing.ollama import Turns, modelfile, turns_of
from trainer.programs.outgoing.saying import CONVERSATIONS

CHATML = Turns(
    head="",
    system=("<|im_start|>system\n", "<|im_end|>\n"),
    user=("<|im_start|>user\n", "<|im_end|>\n"),
    assistant=("<|im_start|>assistant\n", "<|im_end|>\n"),
    reply="<|im_start|>assistant\n",
)


def test_what_stands_around_each_message_is_found() -> None:
    assert turns_of(tokenizer_of("chatml"), CONVERSATIONS, adds_bos=False) == CHATML


def test_a_bos_that_the_server_adds_is_left_out() -> None:
    tokenizer = tokenizer_of("llama-3")
    told, left = (turns_of(tokenizer, CONVERSATIONS, adds_bos=adds) for adds in (False, True))
    assert told is not None
    assert left is not None
    assert (told.head, left.head) == ("<|begin_of_text|>", "")
    assert told.system[0] == f"<|begin_of_text|>{left.system[0]}"


@pytest.mark.parametrize("name", ["llama-2", "gemma", "phi-3"])
def test_a_template_that_writes_some_messages_otherwise_is_left_to_ollama(name: str) -> None:
    assert turns_of(tokenizer_of(name), CONVERSATIONS[:1], adds_bos=False) is None


def test_a_template_that_writes_the_date_is_left_to_ollama() -> None:
    """As those of Llama 3.1 and SmolLM3 do; pieced together it would be the day of the export."""
    tokenizer = deepcopy(tokenizer_of("chatml"))
    told = "<|im_start|>system\n{{ strftime_now('%d %b %Y') }}<|im_end|>\n"
    tokenizer.chat_template = told + tokenizer.chat_template
    assert turns_of(tokenizer, CONVERSATIONS, adds_bos=False) is None


def test_a_modelfile_says_how_the_service_draws_and_what_ends_a_reply() -> None:
    drawing = Drawing(0.7, "as set", 0.95, "as set", 256)
    text = modelfile("m.gguf", CHATML, stops=["<|im_end|>"], context=2048, drawing=drawing)
    assert text.startswith('FROM ./m.gguf\nTEMPLATE """{{ range $i, $_ := .Messages }}')
    assert text.endswith(
        'PARAMETER stop "<|im_end|>"\nPARAMETER num_ctx 2048\nPARAMETER temperature 0.7\n'
        "PARAMETER top_p 0.95\nPARAMETER top_k 0\nPARAMETER min_p 0\nPARAMETER repeat_penalty 1\n"
    )
    assert "TEMPLATE" not in modelfile("m.gguf", None, stops=[], context=2048, drawing=drawing)
