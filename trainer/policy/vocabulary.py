"""Whether a tokenizer belongs to a model: what it writes must have a row in the embedding."""

from typing import Any

from labeler.domain.errors import BadInput


def refuse_strange_tokens(name: str, tokenizer: Any, *, rows: int) -> None:
    """Raise BadInput if text or the chat template can give an id beyond the embedding's `rows`.

    Control tokens beyond it that the template does not write, the padding among them, never reach
    the model.
    """
    beyond = {id for id in tokenizer.get_vocab().values() if id >= rows}
    if not beyond:
        return
    written = tokenizer.apply_chat_template(
        [{"role": "user", "content": "?"}],  # what every template takes
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
    )["input_ids"]
    if beyond - set(tokenizer.all_special_ids) or beyond & set(written):
        raise BadInput(
            f"The tokenizer of the policy '{name}' has {max(beyond) + 1} tokens, and its embedding "
            f"has {rows} rows; they do not belong together."
        )
