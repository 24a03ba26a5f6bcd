"""Responses from vLLM servers: `--sampler vllm:URL[,URL...]`.

    sample  =  look at each server, load the version where it is missing, check it;
               prompts over the servers, each pair as it comes; unload what nobody wants

A server that is away, that lacks the version and cannot load it, or whose log-probabilities are not
the policy's is left out, and an alarm says why. Its prompts go to the others. If there is no other,
that is a SamplerError: nothing of the batch is kept that was not handed over, and the worker tries
again in a few seconds. What is known of a server that was left out is looked at anew each time.

A request carries one prompt: vLLM draws with the same random numbers for every prompt of a request
that has a seed, so all first replies of a batch would begin alike. Servers put the requests that
they have together by themselves.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import httpx
import torch

from labeler.config.parts.sampling import Sampling
from labeler.domain.adapter_folder import DamagedCheckpointError
from labeler.domain.errors import BadInput, SamplerError
from trainer.policy.logps import row_logps
from trainer.policy.policy import Policy
from trainer.sampling.origin import adapter_of
from trainer.sampling.precision import TRIAL_TEXT
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Progress, Response, batch_seed
from trainer.sampling.vllm import check, protocol
from trainer.sampling.vllm.adapters import Staging, Weights, weights_of
from trainer.sampling.vllm.protocol import Drawn
from trainer.sampling.vllm.replica import Replica
from trainer.sampling.vllm.wire import Trouble, Wire, api_key

MAX_AT_ONCE = 64  # prompts at one server
Tell = Callable[[str | None], None]


class VllmSampler:
    """Draws responses of one policy from servers that have its base.

    `tell` hears why servers are left out, and None once all are at work. At most `versions` stay
    loaded that nothing is in flight of. `folder` is where adapters are laid out for the servers.
    """

    def __init__(
        self,
        policy: Policy,
        urls: Sequence[str],
        *,
        folder: Path,
        versions: int,
        timeout_seconds: float,
        tell: Tell,
    ) -> None:
        """Sends nothing yet. Raises BadInput for a key that cannot be one."""
        api_key()
        self._policy = policy
        self._staging = Staging(folder)
        self._replicas = [Replica(url, policy, self._staging) for url in urls]
        self._versions = versions
        self._timeout_seconds = timeout_seconds
        self._tell = tell
        self._told: str | None = ""  # nothing yet, not even that all is well
        self._in_flight: OrderedDict[Weights, int] = OrderedDict()  # the last used at the end
        self._known: dict[Version, Weights] = {}

    def start(self) -> None:
        """Find the servers, with the policy's base. Raises BadInput if none can be used."""
        text = self._policy.tokenizer(TRIAL_TEXT).input_ids
        prompts = [text[: len(text) // part] for part in range(1, check.PROBES + 1)]
        with self._wire(lambda: None) as wire:
            try:
                self._ready(wire, None, Version(0, None), prompts, 0)
            except SamplerError as error:
                raise BadInput(str(error)) from error
        self._staging.remove_strays()
        self._told = ""  # the worker forgets what its start reported

    def close(self) -> None:
        """Leave what was laid out to the next start."""
        self._staging.close()

    def sample(
        self,
        version: Version,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        *,
        seed: int,
        copies: int = 2,
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        """As in `Sampler`; servers may round otherwise with other requests beside these.

        Raises SamplerError if no server draws rightly from the version.
        """
        context = self._policy.context_tokens
        for prompt in prompts:
            if not 0 < len(prompt) < context:
                raise BadInput(
                    f"A prompt of {len(prompt)} tokens cannot be answered: the context of the "
                    f"policy is {context} tokens."
                )
        return self._stream(version, prompts, settings, seed, copies, progress)

    def _stream(
        self,
        version: Version,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        seed: int,
        copies: int,
        progress: Progress | None,
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        """The batch, from the first look at the servers to the end of what nobody wants."""
        if not prompts:
            return
        drawn = dict.fromkeys(range(len(prompts)), 0)
        weights = self._weights(version)

        def pulse() -> None:
            if progress is not None:
                progress(drawn)

        self._begin(weights)
        try:
            with self._wire(pulse) as wire:
                batch = _Batch(self._policy, version, weights, prompts, settings, seed, copies)
                ready = self._ready(wire, weights, version, prompts[: check.PROBES], batch.tokens)
                for place, responses in batch.draw(wire, ready):
                    drawn[place] = sum(len(response.tokens) for response in responses)
                    yield place, responses
                self._say(ready)
                self._end(weights)
                weights = None
                self._let_go(wire)
        finally:
            self._end(weights)

    def _wire(self, pulse: Callable[[], None]) -> Wire:
        urls = [replica.url for replica in self._replicas]
        return Wire(urls, timeout_seconds=self._timeout_seconds, pulse=pulse)

    def _ready(
        self,
        wire: Wire,
        weights: Weights | None,
        version: Version,
        prompts: Sequence[Sequence[int]],
        tokens: int,
    ) -> list[Replica]:
        """The servers that draw rightly from a version, which they load if they lack it.

        Each has room for prompt and reply of so many `tokens`. Raises SamplerError if there is
        none. What is wrong with the others is told.
        """
        ready = []
        for replica in self._replicas:
            try:
                replica.look(wire, prompts)
                replica.refuse_short(tokens)
                if weights is not None and weights not in replica.names:
                    replica.load(wire, version, weights, prompts)
            except Trouble as trouble:
                replica.forget(str(trouble))
            else:
                replica.trouble = None
                ready.append(replica)
        self._say(ready)
        return ready

    def _say(self, ready: Sequence[Replica]) -> None:
        """Tell what is wrong, if that is news. Raises SamplerError if no server is ready."""
        told = " ".join(replica.trouble for replica in self._replicas if replica.trouble) or None
        if told != self._told:
            self._tell(told)
            self._told = told
        if not ready:
            assert told is not None
            raise SamplerError(told)

    def _weights(self, version: Version) -> Weights | None:
        """Which weights a version has; the last known ones of a folder that is gone meanwhile."""
        try:
            weights = weights_of(version)
        except DamagedCheckpointError:
            if version not in self._known:
                raise
            return self._known[version]
        if weights is not None:
            self._known[version] = weights
        return weights

    def _begin(self, weights: Weights | None) -> None:
        if weights is not None:
            self._in_flight[weights] = self._in_flight.get(weights, 0) + 1
            self._in_flight.move_to_end(weights)

    def _end(self, weights: Weights | None) -> None:
        if weights is not None:
            self._in_flight[weights] -= 1

    def _let_go(self, wire: Wire) -> None:
        """Unload the versions used longest ago that nothing is in flight of."""
        idle = [weights for weights, count in self._in_flight.items() if count == 0]
        for weights in idle[: max(0, len(self._in_flight) - self._versions)]:
            for replica in self._replicas:
                replica.unload(wire, weights)
            del self._in_flight[weights]


class _Batch:
    """The prompts of one batch on their way."""

    def __init__(
        self,
        policy: Policy,
        version: Version,
        weights: Weights | None,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        seed: int,
        copies: int,
    ) -> None:
        self._policy = policy
        self._version = version
        self._weights = weights
        self._prompts = prompts
        self._settings = settings
        self._seed = seed
        self._copies = copies
        room = policy.context_tokens
        self._limits = [min(settings.max_new_tokens, room - len(prompt)) for prompt in prompts]
        # Of the longest: prompt and reply.
        self.tokens = max(map(sum, zip(map(len, prompts), self._limits, strict=True)))

    def draw(self, wire: Wire, ready: list[Replica]) -> Iterator[tuple[int, tuple[Response, ...]]]:
        """Each prompt as its replies come. A server that fails leaves `ready`, and the others
        get its prompts; the last of each server's replies to be believed is its first one's.
        """
        waiting = deque(range(len(self._prompts)))
        under_way: dict[Future[httpx.Response], tuple[Replica, int]] = {}
        believed: set[str] = set()
        while ready and (waiting or under_way):
            self._send(wire, ready, waiting, under_way)
            for future in wire.done(under_way.keys()):
                if future not in under_way:  # its server has left
                    continue
                replica, place = under_way.pop(future)
                try:
                    body = wire.answer(future, replica.url)
                    replies = replica.replies(body, self._copies)
                    if replica.url not in believed:
                        replica.refuse_other(self._version, self._prompts[place], replies[0])
                        believed.add(replica.url)
                    responses = self._responses(replica, place, replies)
                except Trouble as trouble:
                    replica.forget(str(trouble))
                    ready.remove(replica)
                    waiting.append(place)
                    self._take_back(wire, replica, waiting, under_way)
                    continue
                yield place, responses

    def _send(
        self,
        wire: Wire,
        ready: Sequence[Replica],
        waiting: deque[int],
        under_way: dict[Future[httpx.Response], tuple[Replica, int]],
    ) -> None:
        """Give each server as many prompts as it may have, in turn."""
        load = {replica.url: 0 for replica in ready}
        for replica, _ in under_way.values():
            load[replica.url] += 1
        while waiting:
            replica = min(ready, key=lambda replica: load[replica.url])
            if load[replica.url] >= MAX_AT_ONCE:
                return
            place = waiting.popleft()
            load[replica.url] += 1
            body = protocol.draw_request(
                replica.model(self._weights),
                self._prompts[place],
                self._settings,
                limit=self._limits[place],
                copies=self._copies,
                ends=self._policy.eos_token_ids,
                seed=batch_seed(self._seed, place),
            )
            future = wire.send("POST", replica.url + protocol.COMPLETIONS, body)
            under_way[future] = replica, place

    def _take_back(
        self,
        wire: Wire,
        replica: Replica,
        waiting: deque[int],
        under_way: dict[Future[httpx.Response], tuple[Replica, int]],
    ) -> None:
        """Let the prompts of a server that has left wait for another one."""
        for future in [future for future, (at, _) in under_way.items() if at is replica]:
            _, place = under_way.pop(future)
            wire.cancel(future)
            waiting.append(place)

    def _responses(
        self, replica: Replica, place: int, replies: Sequence[Drawn]
    ) -> tuple[Response, ...]:
        """The replies to one prompt. Raises Trouble, and FloatingPointError for no probabilities.

        A server says log-probabilities at temperature 1. At another one the policy works them out.
        """
        assert replica.apart is not None
        for reply in replies:
            self._refuse_odd(replica, reply, self._limits[place])
        logps = [sum(reply.logps) for reply in replies]
        if not all(map(math.isfinite, logps)):
            raise FloatingPointError("The server's log-probabilities are not finite.")
        if self._settings.temperature != 1.0:
            logps = self._at_temperature(place, replies)
        dtype = replica.apart.dtype
        said_dtype = None if dtype == self._policy.model.dtype else dtype
        texts = (self._policy.text_of(self._prompts[place], reply.tokens) for reply in replies)
        return tuple(
            Response(text, reply.tokens, self._finish(reply), logp, said_dtype)
            for text, reply, logp in zip(texts, replies, logps, strict=True)
        )

    def _at_temperature(self, place: int, replies: Sequence[Drawn]) -> list[float]:
        adapter = adapter_of(self._policy, self._version)
        switched = self._policy.reference() if adapter is None else self._policy.adapter(adapter)
        rows = [(self._prompts[place], reply.tokens) for reply in replies]
        temperature = self._settings.temperature
        with check.at_temperature(self._policy, temperature), switched, torch.inference_mode():
            logps: list[float] = row_logps(self._policy, rows).tolist()
        return logps

    def _finish(self, reply: Drawn) -> str:
        return "stop" if reply.tokens[-1] in self._policy.eos_token_ids else "length"

    def _refuse_odd(self, replica: Replica, reply: Drawn, limit: int) -> None:
        """Raise Trouble for a reply that ends where the policy's do not."""
        ends = self._finish(reply) == "stop"
        inside = any(token in self._policy.eos_token_ids for token in reply.tokens[:-1])
        full = len(reply.tokens) == limit
        if inside or len(reply.tokens) > limit or not (ends or full):
            raise Trouble(
                f"The server {replica.url} ends a reply after {len(reply.tokens)} tokens, where "
                "neither its last one nor --max-new-tokens does; start it with --generation-config "
                "vllm."
            )
