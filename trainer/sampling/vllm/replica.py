"""One vLLM server: which base it has, and which versions it has loaded and was checked for."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from labeler.config.parts.sampling import Sampling
from labeler.domain.errors import LivedpoError
from trainer.policy.policy import Policy
from trainer.sampling.origin import adapter_of, agrees
from trainer.sampling.sampler import Version
from trainer.sampling.vllm import check, protocol
from trainer.sampling.vllm.adapters import Staging, Weights
from trainer.sampling.vllm.check import Apart, Logps, Row
from trainer.sampling.vllm.protocol import Drawn, Served, Unreadable
from trainer.sampling.vllm.wire import Trouble, Wire

log = logging.getLogger(__name__)

NO_SUCH_ROUTE = "Not Found."  # what FastAPI says of a path that it does not have
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # those that --max-lora-rank may have


@dataclass
class Replica:
    """A server by its base URL. `names` are those of the versions that it draws rightly.

    What is known of a server that was away is forgotten: it may come back as another one.
    """

    url: str
    policy: Policy
    staging: Staging
    served: Served | None = None
    apart: Apart | None = None
    names: dict[Weights, str] = field(default_factory=dict)
    trouble: str | None = None

    def forget(self, trouble: str) -> None:
        """Leave it out, and look at all of it anew the next time."""
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble
        self.served = self.apart = None
        for name in self.names.values():
            self.staging.remove(name)
        self.names.clear()

    def look(self, wire: Wire, prompts: Sequence[Sequence[int]]) -> None:
        """Make sure that it is there, with the base of the policy. Raises Trouble."""
        found = self._served(wire)
        lost = [name for name in self.names.values() if name not in found.adapters]
        known = self.served
        if lost or known is None or (known.base, known.root) != (found.base, found.root):
            self.names.clear()
            self._check_base(wire, found, prompts)
        self.served = found
        used = self.names.values()
        for name, root in found.adapters.items():
            if name not in used and self.staging.is_ours(name, root):
                self._unload(wire, name)
                self.staging.remove(name)

    def load(
        self, wire: Wire, version: Version, weights: Weights, prompts: Sequence[Sequence[int]]
    ) -> None:
        """Load a version and check it. Raises Trouble, and LivedpoError as `Staging.stage`."""
        assert self.served is not None
        name = self.staging.stage(version, weights, self.served.root)
        try:
            self._load(wire, name, version)
        except Trouble:
            self.staging.remove(name)
            raise
        try:
            self._check_version(wire, name, version, prompts)
        except (Trouble, FloatingPointError, LivedpoError):
            self._unload(wire, name)
            self.staging.remove(name)
            raise
        self.names[weights] = name

    def unload(self, wire: Wire, weights: Weights) -> None:
        """Let a version go that nothing is in flight of."""
        name = self.names.pop(weights, None)
        if name is not None:
            self._unload(wire, name)
            self.staging.remove(name)

    def model(self, weights: Weights | None) -> str:
        """The name that draws a version; of the base, the one that it is served by."""
        assert self.served is not None
        return self.served.base if weights is None else self.names[weights]

    def refuse_short(self, tokens: int) -> None:
        """Raise Trouble if prompt and reply of so many tokens together have no room."""
        assert self.served is not None
        room = self.served.max_tokens
        if room is not None and room < tokens:
            raise Trouble(
                f"The server {self.url} takes {room} tokens of prompt and reply, and {tokens} are "
                f"needed; start it with --max-model-len {tokens}, or lower --max-new-tokens."
            )

    def refuse_other(self, version: Version, prompt: Sequence[int], reply: Drawn) -> None:
        """Raise Trouble if a reply was not drawn from the version, as far as rounding tells."""
        assert self.apart is not None
        adapter = adapter_of(self.policy, version)
        [here] = check.logps_of(self.policy, adapter, [(prompt, reply.tokens)])
        said, own, dtype = sum(reply.logps), sum(here), self.apart.dtype
        if not agrees(said, own, tokens=len(here), dtype=dtype):
            raise Trouble(
                f"The server {self.url} does not draw from version {version.number} any more: it "
                f"gives a reply a log-probability of {said:.2f}, and the version one of {own:.2f}."
            )

    def replies(self, body: bytes, copies: int) -> list[Drawn]:
        """What it drew for one prompt. Raises Trouble."""
        try:
            return protocol.drawn(body, copies)
        except Unreadable as error:
            raise self._odd(error) from error

    def _served(self, wire: Wire) -> Served:
        body = wire.ask("GET", self.url + protocol.MODELS)
        try:
            return protocol.served(body)
        except Unreadable as error:
            raise self._odd(error) from error

    def _check_base(self, wire: Wire, found: Served, prompts: Sequence[Sequence[int]]) -> None:
        """Compare the base's log-probabilities with the policy's. Raises Trouble."""
        rows, there = self._draw(wire, found.base, prompts)
        here = check.logps_of(self.policy, None, rows)
        self.apart = check.base_apart(there, here, self.policy)
        if self.apart is None:
            off = check.difference(there, here)
            raise Trouble(
                f"The server {self.url} has another base: it serves {found.root}, and the policy "
                f"is {self.policy.base_name}; their log-probabilities are {off:.2g} nats a token "
                "apart. Start it with this policy as --model, and without --logprobs-mode."
            )
        log.info(
            "The server %s serves %s; its log-probabilities are %.1e nats a token from those here.",
            *(self.url, found.root, self.apart.nats),
        )

    def _check_version(
        self, wire: Wire, name: str, version: Version, prompts: Sequence[Sequence[int]]
    ) -> None:
        """Compare a version's log-probabilities likewise. Raises Trouble.

        Raises FloatingPointError if the policy's own are not finite.
        """
        assert self.served is not None
        assert self.apart is not None
        rows, drawn = self._draw(wire, name, prompts)
        adapter = adapter_of(self.policy, version)
        here = check.logps_of(self.policy, adapter, rows)
        if not all(math.isfinite(logp) for reply in here for logp in reply):
            raise FloatingPointError("The policy gives no probabilities: they are not finite.")
        base_here = check.logps_of(self.policy, None, rows)
        scored, base = (self._score(wire, model, rows) for model in (name, self.served.base))
        objection = check.version_objection(drawn, scored, base, here, base_here, self.apart.nats)
        if objection is not None:
            raise Trouble(
                f"The server {self.url} does not draw from version {version.number}, because "
                f"{objection}. Nothing is drawn from it there."
            )
        log.info("The server %s draws from version %s as %s.", self.url, version.number, name)

    def _draw(
        self, wire: Wire, model: str, prompts: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Row], Logps]:
        """A short reply to each prompt, and the log-probabilities that came with it."""
        settings = Sampling(
            temperature=check.PROBE_TEMPERATURE, max_new_tokens=check.PROBE_TOKENS, top_p=1.0
        )
        room = self.policy.context_tokens - check.PROBE_TOKENS
        begun = [prompt[:room] for prompt in prompts]
        bodies = [
            protocol.draw_request(
                model,
                prompt,
                settings,
                limit=check.PROBE_TOKENS,
                copies=1,
                ends=self.policy.eos_token_ids,
                seed=seed,
            )
            for seed, prompt in enumerate(begun)
        ]
        answers = wire.ask_all(self.url + protocol.COMPLETIONS, bodies)
        replies = [reply for answer in answers for reply in self.replies(answer, copies=1)]
        rows = [(prompt, reply.tokens) for prompt, reply in zip(begun, replies, strict=True)]
        return rows, [reply.logps for reply in replies]

    def _score(self, wire: Wire, model: str, rows: Sequence[Row]) -> Logps:
        """What it says of some tokens of given replies. Raises Trouble."""
        asked = [
            [([*prompt, *reply[:place]], reply[place]) for place in check.scored_places(reply)]
            for prompt, reply in rows
        ]
        bodies = [protocol.score_request(model, *one) for reply in asked for one in reply]
        answers = iter(wire.ask_all(self.url + protocol.COMPLETIONS, bodies))
        try:
            return [[protocol.scored(next(answers), token) for _, token in row] for row in asked]
        except Unreadable as error:
            raise self._odd(error) from error

    def _load(self, wire: Wire, name: str, version: Version) -> None:
        """Have an adapter loaded from its folder. Raises Trouble, with what mends it."""
        folder = self.staging.path(name)
        body = {"lora_name": name, "lora_path": str(folder)}
        try:
            wire.ask("POST", self.url + protocol.LOAD, body)
        except Trouble as trouble:
            if trouble.status == 404 and trouble.said != NO_SUCH_ROUTE:
                self._resolve(wire, name)
            elif trouble.status:
                raise self._not_loaded(version, trouble) from trouble
            else:
                raise

    def _resolve(self, wire: Wire, name: str) -> None:
        """Ask for an adapter by its name, which loads it if the server looks for it by itself."""
        body = protocol.score_request(name, [0], 0)
        try:
            wire.ask("POST", self.url + protocol.COMPLETIONS, body)
        except Trouble as trouble:
            raise Trouble(
                f"The server {self.url} does not see the folder {self.staging.folder}; mount the "
                "data dir there at the same path."
            ) from trouble

    def _not_loaded(self, version: Version, trouble: Trouble) -> Trouble:
        """Why it does not load a version, by what it answered."""
        if trouble.status in (404, 405):
            return Trouble(
                f"The server {self.url} loads no adapters while it runs; start it with "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora."
            )
        if "max_lora_rank" in trouble.said:
            rank = self.policy.adapter_config().r
            least = next((size for size in RANKS if size >= rank), rank)
            return Trouble(
                f"The server {self.url} takes no adapter of rank {rank}, that of version "
                f"{version.number}; start it with --max-lora-rank {least}, or lower --lora-rank."
            )
        return Trouble(
            f"The server {self.url} does not load version {version.number} and answers with "
            f"{trouble.status}: {trouble.said}"
        )

    def _unload(self, wire: Wire, name: str) -> None:
        """Let go of an adapter; what a server refuses here does no harm."""
        try:
            wire.ask("POST", self.url + protocol.UNLOAD, {"lora_name": name})
        except Trouble as trouble:
            log.info("The adapter %s is not unloaded: %s", name, trouble)

    def _odd(self, error: Unreadable) -> Trouble:
        return Trouble(f"The server {self.url} {error}.")
