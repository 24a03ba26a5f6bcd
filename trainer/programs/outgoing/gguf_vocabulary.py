"""A tokenizer as a GGUF file holds it: tokens with their kinds, merges or scores, and the template.

A file names the rule by which text is split before merging, and llama.cpp knows the rules by name.
So a tokenizer is written only if its rule is one of those listed here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gguf import GGUFWriter, TokenType

# What llama.cpp calls the ways of splitting text, by the steps of `tokenizers`. They end in bytes.
BY_STEPS = {("ByteLevel",): "gpt-2", ("Digits", "ByteLevel"): "smollm"}
BY_PATTERN = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "tekken",
}
BLANK = "▁"
IDS = ("bos", "unk", "pad")


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer with what its policy knows better.

    The embedding has `rows`; `ends` end a reply, that of the chat template first. `adds_bos` says
    whether a program that adds one before the chat template's text gives what the service gives.
    """

    tokenizer: Any
    rows: int
    ends: Sequence[int]
    adds_bos: bool


def adds_bos(tokenizer: Any, prompt: Sequence[int]) -> bool:
    """Whether the tokenizer puts a BOS before a text, and the template before this prompt."""
    bos = tokenizer.bos_token_id
    return bos is not None and prompt[0] == bos and tokenizer("a")["input_ids"][0] == bos


def objection(tokenizer: Any) -> str | None:
    """Why a tokenizer is not written here; None if it is."""
    if not tokenizer.is_fast:
        return "its tokenizer brings code of its own"
    state = _state(tokenizer)
    if state["model"]["type"] != "BPE":
        return f"its tokenizer is of a kind ({state['model']['type']}) that is not written here"
    if state["model"].get("byte_fallback"):
        return None
    if _split(state) is None:
        return "its tokenizer splits text by a rule that is not among those that are written here"
    return None


def write_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    """Write tokens, chat template and special tokens; there is no `objection` to the tokenizer."""
    tokenizer = vocabulary.tokenizer
    state = _state(tokenizer)
    pieces = bool(state["model"].get("byte_fallback"))
    spelled = {number: token for token, number in tokenizer.get_vocab().items()}
    tokens = [spelled.get(number, f"[PAD{number}]") for number in range(vocabulary.rows)]
    kinds = [_kind(tokenizer, number, spelled) for number in range(vocabulary.rows)]
    own = TokenType.USER_DEFINED
    merges = [_pair(merge) for merge in state["model"]["merges"]]
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_tokenizer_pre("default" if pieces else str(_split(state)))
    writer.add_token_list(
        [
            token.replace(BLANK, " ") if pieces and kind is own else token
            for token, kind in zip(tokens, kinds, strict=True)
        ]
    )
    writer.add_token_types(kinds)
    if pieces:
        writer.add_token_scores(_scores(tokens, merges))
        writer.add_add_space_prefix(_puts_blank_first(state))
    else:
        writer.add_token_merges([" ".join(merge) for merge in merges])
    _write_special(writer, vocabulary)


def _write_special(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    """Special tokens and the chat template. The template's end of turn is `eot`.

    Where more than these end a reply, they are listed, as Ollama reads them.
    """
    tokenizer, ends = vocabulary.tokenizer, list(vocabulary.ends)
    ids = {name: getattr(tokenizer, f"{name}_token_id") for name in IDS}
    known = {name: number for name, number in ids.items() if number in range(vocabulary.rows)}
    if "bos" in known:
        writer.add_bos_token_id(known["bos"])
    if "unk" in known:
        writer.add_unk_token_id(known["unk"])
    if "pad" in known:
        writer.add_pad_token_id(known["pad"])
    if ends:
        own = tokenizer.eos_token_id
        writer.add_eos_token_id(own if own in ends else ends[0])
        writer.add_eot_token_id(ends[0])
        writer.add_array("tokenizer.ggml.eos_token_ids", ends)
    writer.add_add_bos_token(vocabulary.adds_bos)
    writer.add_add_eos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _kind(tokenizer: Any, number: int, spelled: dict[int, str]) -> TokenType:
    """What llama.cpp takes a token for."""
    token = spelled.get(number)
    if token is None:
        return TokenType.UNUSED
    added = tokenizer.added_tokens_decoder.get(number)
    if number == tokenizer.unk_token_id:
        return TokenType.UNKNOWN
    if added is not None:
        return TokenType.CONTROL if added.special else TokenType.USER_DEFINED
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return TokenType.BYTE
    return TokenType.NORMAL


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, str]]) -> list[float]:
    """SentencePiece merges what gives the piece of the highest score, `tokenizers` by rank."""
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    return [-float(ranks.get(token, 0)) for token in tokens]


def _split(state: dict[str, Any]) -> str | None:
    """llama.cpp's name for how text is split; None if it has none that is listed here."""
    steps = _steps(state["pre_tokenizer"])
    kinds = tuple(step["type"] for step in steps)
    if not steps or steps[-1].get("add_prefix_space"):
        return None
    composed = (state["normalizer"] or {}).get("type")
    if kinds == ("Split", "ByteLevel") and composed in (None, "NFC"):
        pattern = steps[0]["pattern"].get("Regex")
        return BY_PATTERN.get(pattern) if steps[0]["behavior"] == "Isolated" else None
    if composed is not None or not steps[-1].get("use_regex", True):
        return None
    if kinds[0] == "Digits" and not steps[0]["individual_digits"]:
        return None
    return BY_STEPS.get(kinds)


def _steps(pre_tokenizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    if pre_tokenizer is None:
        return []
    if pre_tokenizer["type"] == "Sequence":
        return list(pre_tokenizer["pretokenizers"])
    return [pre_tokenizer]


def _puts_blank_first(state: dict[str, Any]) -> bool:
    """Whether a blank goes before every text between control tokens, and not the first alone.

    A chat template starts with a control token, so there the first text is not looked for.
    """
    normalizer = state["normalizer"] or {}
    parts = normalizer.get("normalizers", [normalizer])
    blanks = [step for step in _steps(state["pre_tokenizer"]) if step["type"] == "Metaspace"]
    return any(part.get("type") == "Prepend" for part in parts) or any(
        step.get("prepend_scheme") == "always" for step in blanks
    )


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _state(tokenizer: Any) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return state
