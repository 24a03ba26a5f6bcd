"""Which replies are drawn under a hint that their prompt does not hold: replies of several kinds.

Two replies to one prompt differ by chance, mostly in what nobody has a taste for, and a kind that
the policy hardly ever writes is hardly ever chosen from. Under hints it writes many kinds, so a
vote tells more; and what is trained is the policy without the hint, which takes up the kind that
people prefer (contrast distillation: Yang et al. 2023, arXiv 2307.12950; there the prompts that
make two replies differ say which is better, here people do).

    a prompt  ->  half of its replies, each under another hint  ->  stored under the prompt alone

At first all hints come equally often. Once a reward model has heard some votes, those come more
often whose replies it likes better than others. What tells how a version answers is drawn without:
at the gate, for questions of people's own, and where replies are counted.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from labeler.domain.messages import Messages, with_hint
from trainer.policy.chat import Refused
from trainer.policy.policy import Policy
from trainer.sampling.samples import Hinted, Prompt, Response, Sample

Plan = list[Hinted | None]  # for each reply to a prompt; None: after the prompt as it is


class Hints:
    """Deals hints out to replies."""

    def __init__(self, policy: Policy, hints: Sequence[str]) -> None:
        self._policy = policy
        self._weights: dict[str | None, float] = dict.fromkeys(hints, 1.0)  # None: no hint

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._weights)

    def prefer(self, wins: Mapping[str, float]) -> None:
        """Let hints come by P(a reply under it beats one without), where that is known.

        In proportion to the square of the odds: one that is even as often as no hint at all, one
        that wins two of three four times as often. Others come as often as no hint.
        """
        odds = {hint: won / (1 - won) for hint, won in wins.items()}
        hints = [hint for hint in self._weights if hint is not None]
        self._weights = {hint: odds.get(hint, 1.0) ** 2 for hint in hints} | {None: 1.0}

    def plans(
        self, prompts: Sequence[Prompt], *, copies: int, seed: int, share: float
    ) -> list[Plan] | None:
        """For each of the `copies` replies to each prompt, half of those to a `share` of them under
        hints; None if none gets one.
        """
        rng = random.Random(seed)
        plans: list[Plan] = [
            self._plan(prompt, copies, rng) if rng.random() < share else [None] * copies
            for prompt in prompts
        ]
        return plans if any(any(plan) for plan in plans) else None

    def _plan(self, prompt: Prompt, copies: int, rng: random.Random) -> Plan:
        under = [self._hinted(prompt.messages, hint) for hint in self._deal(copies // 2, rng)]
        plan: Plan = [*under, *[None] * (copies - len(under))]
        rng.shuffle(plan)
        return plan

    def _deal(self, count: int, rng: random.Random) -> list[str]:
        """Up to so many different hints by their weights; no hint may be dealt more than once."""
        left, dealt = dict(self._weights), []
        while left and count:
            [hint] = rng.choices(list(left), list(left.values()))
            if hint is not None:
                del left[hint]
                dealt.append(hint)
            count -= 1
        return dealt

    def _hinted(self, messages: Messages, hint: str) -> Hinted | None:
        """The prompt with the hint in it; None where there is no place for one."""
        asked = with_hint(messages, hint)
        if asked is None:
            return None
        try:
            tokens = self._policy.prompt_tokens(asked)
        except Refused:
            return None
        return Hinted(hint, tokens) if len(tokens) < self._policy.context_tokens else None


def draw_kinds(
    prompts: Sequence[Prompt],
    plans: Sequence[Plan],
    draw: Callable[[Sequence[Prompt]], Iterator[tuple[int, Sample]]],
) -> Iterator[tuple[int, Sample]]:
    """The responses to each prompt by its plan, as soon as they are complete, with its place.

    `draw` gives one response to each of so many prompts, in any order, with the place.
    """
    rows = [
        (place, Prompt(prompt.id, prompt.messages, after.tokens) if after else prompt, after)
        for place, (prompt, plan) in enumerate(zip(prompts, plans, strict=True))
        for after in plan
    ]
    found: defaultdict[int, dict[int, Response]] = defaultdict(dict)
    for row, sample in draw([prompt for _, prompt, _ in rows]):
        place, _, after = rows[row]
        found[place][row] = replace(sample.responses[0], after=after)
        if len(found[place]) == len(plans[place]):
            responses = tuple(said for _, said in sorted(found.pop(place).items()))
            yield place, Sample(prompts[place], responses, sample.seed)
