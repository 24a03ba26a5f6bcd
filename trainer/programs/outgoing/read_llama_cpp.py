"""llama.cpp itself, as the package xllamacpp brings it: its server, in this process.

The server renders the chat template, splits the text and decides what ends a reply. It has no way
to ask for the log-probability of a given token, so each token of a reply is forced by a bias, which
the log-probabilities that it returns are without.
"""

import json
import urllib.request
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from labeler.domain.messages import Messages
from trainer.programs.outgoing.saying import ANSWER_TOKENS, Answer, Asked, Said

ROOM = 64  # tokens of the context beyond prompt and answer
FORCING = 1e5
SECONDS = 600.0


def is_here() -> bool:
    """Whether the package is installed."""
    return find_spec("xllamacpp") is not None


def said_by_llama_cpp(file: Path, asked: Asked, ends: frozenset[int], longest: int) -> Said:
    """What llama.cpp says of a file; `longest` tokens are in the longest prompt.

    Which of the `ends` end a reply there is found out by forcing them.
    """
    server = _Server(file, longest + ANSWER_TOKENS + ROOM)
    prompts = [server.tokens(messages) for messages in asked.conversations]
    return Said(
        by=f"llama.cpp (xllamacpp {version('xllamacpp')}) from {file.name}",
        prompts=prompts,
        ends=frozenset(end for end in ends if server.stops(prompts[0], end)),
        answers=[server.answer(prompt, ends) for prompt in prompts],
        logps=[
            [server.logp([*prompts[0], *reply[:place]], token) for place, token in enumerate(reply)]
            for reply in asked.replies
        ],
    )


class _Server:
    """Its server on this machine's loopback."""

    def __init__(self, file: Path, context: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_parallel = 1
        params.n_ctx = context
        params.use_jinja = True
        params.warmup = False
        params.verbosity = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
        self._server = xllamacpp.Server(params)  # it serves as long as it is referred to

    def tokens(self, messages: Messages) -> list[int]:
        """A conversation that waits for a reply, as its chat endpoint reads it."""
        text = self._post("apply-template", {"messages": messages})["prompt"]
        asked = {"content": text, "add_special": True, "parse_special": True}
        return list(self._post("tokenize", asked)["tokens"])

    def answer(self, prompt: list[int], ends: frozenset[int]) -> Answer:
        """The likeliest token, again and again, up to an end."""
        said = self._complete(prompt, n_predict=ANSWER_TOKENS, return_tokens=True)
        tokens = [token for token in said["tokens"] if token not in ends]
        return Answer(tokens, ended=said["stop_type"] == "eos")

    def logp(self, before: list[int], token: int) -> float:
        """The log-probability of a token after these, nats."""
        said = self._complete(before, n_predict=1, logit_bias=[[token, FORCING]])
        return float(said["completion_probabilities"][0]["logprob"])

    def stops(self, before: list[int], token: int) -> bool:
        """Whether a reply ends with this token."""
        said = self._complete(before, n_predict=2, logit_bias=[[token, FORCING]])
        return bool(said["stop_type"] == "eos")

    def _complete(self, prompt: list[int], **more: Any) -> Any:
        return self._post("completion", {"prompt": prompt, "temperature": 0, "n_probs": 1, **more})

    def _post(self, path: str, asked: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self._server.listening_address}/{path}",
            data=json.dumps(asked).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answered:
            return json.load(answered)
