"""Shows raters what their votes changed: one prompt that they voted on, answered by a new version.

    FollowUpJob.step  =  for a few raters whose votes made the live version: find the vote with
                         which it moved furthest, answer that prompt anew, and keep both

How far it moved with a vote is how much the margin of the chosen reply over the other has grown:

    gain = log pi_new(chosen) / pi_new(other)  -  log pi_old(chosen) / pi_old(other)

a token of the two replies: a long one moves by much for little reason. Leaves out votes that it did
not move with: there is nothing to show of them.
"""

import logging
import math
from collections.abc import Callable, Sequence

from labeler.domain.thought import without_thought
from labeler.store.learning.follow_ups import LearnedVote, Moved, Waiting
from trainer.fast.memory import is_out_of_memory
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE
from trainer.sampling.samples import Prompt, Response, batch_seed
from trainer.worker.workplace import Workplace

log = logging.getLogger(__name__)

MAX_RATERS = 4  # a turn, so that nobody waits long for a pair meanwhile
MIN_GAIN = math.log(1.1)  # nats; less would be said to be no change
AGAIN = -1  # a part of the seed that no other batch has
SAYS = "Answering prompts again, to show what votes changed."
NO_MEMORY = "There is no memory to answer a prompt of a vote anew; it is left out."


class FollowUpJob:
    """Answers with the version in the policy's live adapter, once a rater and version.

    `is_short` says whether people need pairs first.
    """

    def __init__(self, place: Workplace, is_short: Callable[[], bool]) -> None:
        self._place = place
        self._is_short = is_short
        self._done: int | None = None

    def step(self, now: float) -> bool:
        """Do so for a few raters; false if all have been shown, or if people need pairs first."""
        version, store = self._place.live.version, self._place.store
        if version.number == self._done or self._place.live.lags or self._is_short():
            return False
        waiting = store.follow_ups.waiting(version.number, MAX_RATERS)
        if not waiting:
            self._done = version.number
            return False
        self._place.say(SAYS)
        self._place.between.begin()
        for rater_id, moved in self._moved(waiting).items():
            store.follow_ups.add(rater_id, version.number, moved, now=now)
        return True

    def _moved(self, waiting: Sequence[Waiting]) -> dict[int, Moved | None]:
        """What to show each rater; None for those with nothing to be shown."""
        found: dict[int, Moved | None] = {rater.rater_id: None for rater in waiting}
        try:
            furthest = {rater.rater_id: self._furthest(rater.votes) for rater in waiting}
            best = {rater_id: best for rater_id, best in furthest.items() if best is not None}
            replies = self._answer([vote for vote, _ in best.values()])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning(NO_MEMORY)
            return found
        votes = {rater.rater_id: len(rater.votes) for rater in waiting}
        for (rater_id, (vote, gain)), reply in zip(best.items(), replies, strict=True):
            found[rater_id] = Moved(vote.vote_id, votes[rater_id], gain, reply)
        return found

    def _furthest(self, votes: Sequence[LearnedVote]) -> tuple[LearnedVote, float] | None:
        """The vote with which the live version moved furthest, and its gain, if it is worth it."""
        policy = self._place.policy
        votes = [vote for vote in votes if vote.temperature == policy.temperature]
        pairs = [(vote.prompt_tokens, vote.chosen_tokens, vote.other_tokens) for vote in votes]
        logps = logps_under(policy, LIVE, pairs, self._place.between.pause).tolist()
        gains = [
            chosen - other - vote.margin for vote, (chosen, other) in zip(votes, logps, strict=True)
        ]
        enough = [place for place, gain in enumerate(gains) if MIN_GAIN <= gain < math.inf]
        if not enough:
            return None
        tokens = [len(vote.chosen_tokens) + len(vote.other_tokens) for vote in votes]
        best = max(enough, key=lambda place: gains[place] / tokens[place])
        return votes[best], gains[best]

    def _answer(self, votes: Sequence[LearnedVote]) -> list[str]:
        """The live version's reply to the prompt of each vote, without its thought."""
        if not votes:
            return []
        version = self._place.live.version
        prompts = [Prompt(vote.prompt_id, vote.messages, vote.prompt_tokens) for vote in votes]
        ids = [vote.prompt_id for vote in votes]
        seed = batch_seed(self._place.settings.seed, version.number, AGAIN, *ids)
        samples = self._place.supply.answer(prompts, version, seed)
        return [without_thought(_first(sample.responses).text) for sample in samples]


def _first(responses: Sequence[Response]) -> Response:
    """The first one that is finished, or else the first."""
    finished = (response for response in responses if response.finish == "stop")
    return next(finished, responses[0])
