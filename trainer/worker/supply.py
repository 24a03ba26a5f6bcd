"""Pairs for raters: two responses to each prompt, with what training will need.

Leaves out which version is live and when the queue is full: the worker knows.
"""

import contextlib
import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from labeler.config.parts.sampling import Sampling
from labeler.config.settings import Settings
from labeler.domain.judging import Judge
from labeler.domain.labels import HINTS, LOGPS_AT
from labeler.domain.report_keys import CUT_REPLIES, NOTHING_TO_ASK
from labeler.store import Store, tables
from labeler.store.records import NewPair
from trainer.judge.choosing import choose
from trainer.policy.logps import logps_under
from trainer.policy.policy import Policy
from trainer.sampling.origin import refuse_others
from trainer.sampling.sampler import Sampler, Version
from trainer.sampling.samples import (
    Progress,
    Prompt,
    Response,
    Sample,
    worth_asking,
)
from trainer.worker.cut import CutReplies
from trainer.worker.hints import Hints, draw_kinds
from trainer.worker.prompts import Prompts
from trainer.worker.questions import Questions

log = logging.getLogger(__name__)

USELESS_PAIRS_BEFORE_ALARM = 32
DRAWN_BY = set(Sampling.model_fields)


class _WantedElsewhere(Exception):
    """There is something more urgent to do."""


class Supply:
    """Draws pairs for the store's prompts. `policy` is who reads them and knows the reference.

    With more than two candidates a prompt, the judge chooses which two make the pair. Under `hints`
    is drawn what people choose from and what a reward model labels, not what tells how a version
    answers. `go_on` is called after each token and between forward passes, and may raise to end it
    all.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        sampler: Sampler,
        settings: Settings,
        judge: Judge | None = None,
        go_on: Callable[[], None] | None = None,
        hints: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._policy = policy
        self._sampler = sampler
        self.questions = Questions(store, settings)
        self._settings = settings
        self._judge = judge
        self._go_on = go_on
        self.hints = Hints(policy, hints)
        self.prompts = Prompts(store, policy, settings)
        self._useless_pairs = 0
        # Prompts and replies share the context: half of it is the most that replies should have.
        self._cut = CutReplies(settings.max_new_tokens, most=policy.context_tokens // 2)
        self._said_of_cuts: str | None = ""  # nothing yet, not even that all is well

    def sample(self, count: int, version: Version, *, again: Sequence[Prompt] = ()) -> list[Sample]:
        """Responses of a version to each of up to `count` prompts, and then of those asked `again`.

        None at all if there is no new prompt.
        """
        prompts, seed = self.prompts.next(count, version)
        if not prompts:
            return []
        return self.answer([*prompts, *again], version, seed, copies=self._settings.candidates)

    def flow(
        self, count: int, version: Version, *, is_due: Callable[[], bool]
    ) -> Iterator[list[Sample]]:
        """The same in parts: what is complete whenever a part `is_due`, and at the end the rest.

        Each part is checked as in `answer`. The rest may be empty.
        """
        prompts, seed = self.prompts.next(count, version)
        part: list[Sample] = []
        copies, hinted = self._settings.candidates, self._settings.hint_share
        for _, sample in self._draw(prompts, version, seed, copies, None, hinted):
            part.append(sample)
            if is_due():
                self._check(part, version, seed)
                yield part
                part = []
        self._check(part, version, seed)
        yield part

    def answer(
        self,
        prompts: Sequence[Prompt],
        version: Version,
        seed: int,
        *,
        copies: int = 2,
        progress: Progress | None = None,
    ) -> list[Sample]:
        """A version's responses to each prompt.

        Raises what the sampler does, and WrongVersionError if it drew from other weights.
        """
        drawn = dict(self._draw(prompts, version, seed, copies, progress))
        samples = [drawn[place] for place in range(len(prompts))]
        self._check(samples, version, seed)
        return samples

    def candidates(
        self,
        prompts: Sequence[tables.Prompt],
        version: Version,
        seed: int,
        *,
        copies: int,
        is_wanted: Callable[[], bool],
    ) -> list[Sample]:
        """A version's responses to prompts that it can take, as many as are complete, half of them
        under hints where there are any.

        It ends early where the worker `is_wanted` elsewhere, which it asks after each token.
        """

        def hear(_: Mapping[int, int]) -> None:
            if is_wanted():
                raise _WantedElsewhere

        asked = self.prompts.usable(prompts)
        drawn: list[Sample] = []
        with contextlib.suppress(_WantedElsewhere):
            for _, sample in self._draw(asked, version, seed, copies, hear, hinted=1.0):
                drawn.append(sample)
        self._check(drawn, version, seed)
        return drawn

    def pairs(
        self, samples: Sequence[Sample], version: Version, *, picked: bool = False
    ) -> list[NewPair]:
        """Those pairs that are worth asking about, with their log-probs under the reference.

        The queue is told which of them people should get first. `picked`: they were chosen from
        many for what they tell, so nothing else can be learned from which they are.
        """
        kept = [sample for sample in self._chosen(samples) if worth_asking(sample.pair)]
        if not picked:
            self._notice_useless(samples, kept)
            self._notice_cut_replies(samples, version)
        if not kept:
            return []
        rng = random.Random(kept[0].seed)
        pairs = [
            self._for_the_queue(self.pair(sample, version), rng)
            for sample in self.measured(kept)
            if sample.reference and all(map(math.isfinite, sample.reference))
        ]
        return self.questions.sort(pairs, rng, picked=picked)

    def pair(self, sample: Sample, version: Version) -> NewPair:
        """A sample of a version, whose log-probs under the reference are known, as a pair."""
        a, b = sample.pair
        assert sample.reference is not None
        reference_a, reference_b = sample.reference
        return NewPair(
            prompt_id=sample.prompt.id,
            version_id=version.number,
            response_a=a.text,
            response_b=b.text,
            prompt_tokens=sample.prompt.tokens,
            tokens_a=a.tokens,
            tokens_b=b.tokens,
            finish_a=a.finish,
            finish_b=b.finish,
            reference_logp_a=reference_a,
            reference_logp_b=reference_b,
            logp_a=None if a.after else a.logp,
            logp_b=None if b.after else b.logp,
            sampling=self._settings.model_dump(include=DRAWN_BY)
            | {
                "seed": sample.seed,
                LOGPS_AT: self._policy.temperature,
                "sampling_dtype": str(a.dtype or self._policy.model.dtype).removeprefix("torch."),
            }
            | _hints(sample.pair),
        )

    def measured(
        self, samples: Sequence[Sample], pause: Callable[[], None] | None = None
    ) -> list[Sample]:
        """The samples with their log-probs under the reference; those that are known stay.

        Between its parts there is a `pause`, or else a sign of life.
        """
        if all(sample.reference is not None for sample in samples):
            return list(samples)
        pairs = [sample.tokens for sample in samples]
        logps = logps_under(self._policy, None, pairs, pause or self._pause).tolist()
        return [
            replace(sample, reference=(a, b)) for sample, (a, b) in zip(samples, logps, strict=True)
        ]

    def _draw(
        self,
        prompts: Sequence[Prompt],
        version: Version,
        seed: int,
        copies: int,
        progress: Progress | None,
        hinted: float = 0.0,
    ) -> Iterator[tuple[int, Sample]]:
        """A version's responses to each prompt as they come, with the place of the prompt.

        Half of those to a share of the prompts, `hinted`, are drawn under hints.
        """

        def hear(drawn: Mapping[int, int]) -> None:
            self._pause()
            if progress is not None:
                progress(drawn)

        def draw(asked: Sequence[Prompt], copies: int) -> Iterator[tuple[int, Sample]]:
            tokens = [prompt.tokens for prompt in asked]
            answers = self._sampler.sample(
                version, tokens, self._settings, seed=seed, copies=copies, progress=hear
            )
            for place, responses in answers:
                yield place, Sample(asked[place], responses, seed)

        plans = self.hints.plans(prompts, copies=copies, seed=seed, share=hinted)
        if plans is None:
            return draw(prompts, copies)
        return draw_kinds(prompts, plans, lambda asked: draw(asked, 1))

    def _pause(self) -> None:
        """Let others hear that it goes on, or end it."""
        if self._go_on is not None:
            self._go_on()

    def _check(self, samples: Sequence[Sample], version: Version, seed: int) -> None:
        """Raise WrongVersionError if the sampler drew them from other weights."""
        drawn = [(sample.prompt, said) for sample in samples for said in sample.responses]
        tokens = [said.after.tokens if said.after else prompt.tokens for prompt, said in drawn]
        answers = [[said] for _, said in drawn]
        refuse_others(self._policy, version, tokens, answers, seed=seed)

    def _chosen(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """The samples with the two responses that become pairs."""
        if not samples or self._settings.candidates == 2 or self._judge is None:
            return samples
        places = choose(
            self._judge,
            [sample.prompt.messages for sample in samples],
            [[response.text for response in sample.responses] for sample in samples],
            self._settings.candidate_pair,
            random.Random(samples[0].seed),
            self._pause,
        )
        return [
            replace(sample, responses=tuple(sample.responses[n] for n in both), reference=None)
            for sample, both in zip(samples, places, strict=True)
        ]

    def _for_the_queue(self, pair: NewPair, rng: random.Random) -> NewPair:
        """The pair with how it was chosen, and drawn by lot whether it checks the judge."""
        check = self._settings.judge is not None
        return replace(
            pair,
            double=check and rng.random() < self._settings.judge_check_share,
            sampling=pair.sampling | self._candidates(),
        )

    def _candidates(self) -> dict[str, Any]:
        """How the pair was chosen, where there was a choice."""
        if self._settings.candidates == 2:
            return {}
        return {
            "candidates": self._settings.candidates,
            "candidate_pair": self._settings.candidate_pair,
        }

    def _notice_useless(self, samples: Sequence[Sample], kept: Sequence[Sample]) -> None:
        self._useless_pairs = 0 if kept else self._useless_pairs + len(samples)
        if not self._store.prompts.any_usable():
            alarm = (
                "There is no prompt that this policy can take; `livedpo prompts list` says why, "
                "`livedpo prompts add FILE` adds more."
            )
        elif self._useless_pairs >= USELESS_PAIRS_BEFORE_ALARM:
            alarm = "The policy gives only identical or empty responses; raise --temperature."
        else:
            alarm = None
        self._store.processes.alarm(NOTHING_TO_ASK, alarm)

    def _notice_cut_replies(self, samples: Sequence[Sample], version: Version) -> None:
        """Say when too many replies end at the limit: once in the log, and as an alarm.

        Where nobody is there an alarm would count against the run; it is in the log alone.
        """
        replies = [said for sample in samples for said in sample.responses if said.after is None]
        self._cut.saw(replies, version.number)
        warning = self._cut.warning()
        if warning and not self._said_of_cuts:
            log.warning("%s", warning)
        if warning != self._said_of_cuts and not self._settings.unattended:
            self._store.processes.alarm(CUT_REPLIES, warning)
        self._said_of_cuts = warning


def _hints(pair: tuple[Response, Response]) -> dict[str, Any]:
    """Which hint each response was drawn under, where one was."""
    hints = [said.after.hint if said.after else None for said in pair]
    return {HINTS: hints} if any(hints) else {}
