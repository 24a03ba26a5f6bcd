"""A trained candidate on its way: written, then sampled from, and shown to the examiner.

Both ways to train, the loop's updates and `livedpo train`, end here. The folder comes first, so
that any process can sample from it. One of the loop that went too far is taken half way back and
shown once more, a line search as in TRPO (Schulman et al. 2015, arXiv 1502.05477, appendix C):
people's votes wait for no other update. Of `livedpo train` people see what it did.
"""

import logging
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labeler.domain.errors import LivedpoError
from labeler.domain.finding import Finding
from labeler.store.records import Answered
from trainer.gate.examine import Answers, Candidate, Examiner
from trainer.gate.margins import Pause
from trainer.policy.adapters import remove_folders, write_adapter
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Prompt, Response, Sample
from trainer.worker.supply import Supply

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """A candidate in its folder, what the gate found, and what it answered."""

    version: Version
    folder: Path
    sha256: str
    finding: Finding
    samples: list[Sample]


def try_candidate(
    candidate: Candidate,
    folder: Path,
    *,
    policy: Policy,
    live: Version,
    said: Sequence[Answered],
    examiner: Examiner,
    supply: Supply,
    pause: Pause,
) -> Tried:
    """Write and examine what stands in the candidate adapter, half way back if it went too far.

    That gets a folder of another name, for what is in a folder never changes. Raises as
    `write_candidate` and `examine_candidate` do.
    """

    def tried(folder: Path) -> Tried:
        version, sha256 = write_candidate(policy, candidate.number, folder)
        finding, samples = examine_candidate(
            candidate,
            version,
            live=live,
            said=said,
            examiner=examiner,
            supply=supply,
            pause=pause,
        )
        return Tried(version, folder, sha256, finding, samples)

    whole = tried(folder)
    if not whole.finding.too_far:
        return whole
    why = whole.finding.objection
    log.info("Version %s is taken half way back: %s.", candidate.number, why)
    policy.take_back(CANDIDATE, LIVE)
    half = tried(folder.with_name(f"v{candidate.number:04d}-{secrets.token_hex(4)}"))
    remove_folders(folder.parent, [folder.name])
    return replace(half, finding=replace(half.finding, half_for=why))


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
