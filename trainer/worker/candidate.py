"""A trained candidate on its way: written, then sampled from, and shown to the examiner.

Both ways to train, the loop's updates and `livedpo train`, end here. The folder comes first, so
that any process can sample from it.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from labeler.domain.errors import LivedpoError
from labeler.domain.finding import Finding
from labeler.store.records import Answered
from trainer.gate.examine import Answers, Candidate, Examiner
from trainer.gate.margins import Pause
from trainer.policy.adapters import write_adapter
from trainer.policy.policy import CANDIDATE, Policy
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Prompt, Response, Sample
from trainer.worker.supply import Supply


def write_candidate(policy: Policy, number: int, folder: Path) -> tuple[Version, str]:
    """Write what stands in the candidate adapter, and the sha256 of its weights. Raises OSError."""
    state = policy.adapter_state(CANDIDATE)
    sha256 = write_adapter(folder, state, policy.adapter_config(), base=policy.base_name)
    policy.versions[CANDIDATE] = number
    return Version(number, folder), sha256


def examine_candidate(
    candidate: Candidate,
    version: Version,
    *,
    live: Version,
    said: Sequence[Answered],
    examiner: Examiner,
    supply: Supply,
    pause: Pause | None = None,
) -> tuple[Finding, list[Sample]]:
    """What the gate finds, and what the candidate answered: its first pairs.

    `version` is the candidate's, `said` is what the `live` one said of late. A broken candidate is
    not even sampled from. There is a `pause` wherever the policy may be used for something else.
    Raises LivedpoError if there is no prompt to sample from.
    """
    found = examiner.refuse_unseen(candidate)
    if found is not None:
        return found, []
    known = [_sample(answered) for answered in said]
    again = examiner.again(known)
    prompts = [sample.prompt for sample in again]
    try:
        drawn = supply.sample(examiner.prompts, version, again=prompts)
    except FloatingPointError:
        return examiner.refuse_speechless(candidate), []
    if not drawn:
        raise LivedpoError("There are no prompts to examine the candidate on.")
    new = len(drawn) - len(again)
    samples = supply.measured(drawn[:new], pause)
    if again:
        both = Answers(drawn[new:], again)
    else:
        asked = [sample.prompt for sample in samples]
        both = Answers(samples, supply.answer(asked, live, samples[0].seed))
    return examiner.examine(candidate, samples, both, known, pause), samples


def _sample(answered: Answered) -> Sample:
    """What a version said, as it came from the database."""
    prompt = Prompt(answered.prompt_id, answered.messages, answered.prompt_tokens)
    first, second = (
        Response(text, list(said.tokens), said.finish, math.nan if said.logp is None else said.logp)
        for text, said in zip(answered.texts, answered.said, strict=True)
    )
    return Sample(prompt, (first, second), seed=0)
