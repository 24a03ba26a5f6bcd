"""What is said of a policy: how its replies are drawn, and why it cannot be tuned."""

from labeler.domain.drawing import Drawing


def drawn_at(drawing: Drawing) -> str:
    """
    >>> drawn_at(Drawing(0.6, "as set", 1.0, "the default", 256))
    'temperature 0.6 (as set) and top-p 1 (the default)'
    """
    return (
        f"temperature {drawing.temperature:g} ({drawing.temperature_from}) and "
        f"top-p {drawing.top_p:g} ({drawing.top_p_from})"
    )


def unloadable(policy: str, why: str) -> str:
    """It is missing, damaged, or of a kind that cannot be tuned."""
    return f"The policy '{policy}' cannot be loaded: {why.rstrip('.')}."


def encoder_decoder(kind: object) -> str:
    """Why a model that reads and writes apart cannot be loaded."""
    return f"it is an encoder-decoder ({kind}), no causal language model"


def untemplated(policy: str) -> str:
    """It does not know what a conversation looks like."""
    return (
        f"The policy '{policy}' has no chat template; use an instruction-tuned model, or add a "
        "chat_template.jinja to its folder."
    )


def brings_code(policy: str) -> str:
    """It needs code that comes with it."""
    return (
        f"The policy '{policy}' brings code of its own; run it with --trust-remote-code if you "
        "trust where it comes from."
    )


NO_SAFETENSORS = (
    "the hub has no safetensors of it; weights in other formats can run code and are not read"
)
UNSAFE_WEIGHTS = (
    "its weights are in a format that can run code ({}); only safetensors are read, and its makers "
    "or save_pretrained of transformers can write them"
)


def missing(policy: str) -> str:
    """It is a path, and nothing is there."""
    return f"There is no policy folder '{policy}'; give a model folder or a hub id."


def unreachable(policy: str) -> str:
    """It is on the hub, and there is no network."""
    return f"The policy '{policy}' is no folder here, and the Hugging Face hub cannot be reached."
