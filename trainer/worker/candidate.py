"""A trained candidate on its way: written, then sampled from, and shown to the examiner.

Both ways to train, the loop's updates and `livedpo train`, end here. The folder comes first, so
that any process can sample from it.
"""

from collections.abc import Sequence
from pathlib import Path

from labeler.domain.errors import LivedpoError
from labeler.domain.finding import Finding
from labeler.domain.response_stats import Said
from trainer.gate.examine import Candidate, Examiner
from trainer.policy.adapters import write_adapter
from trainer.policy.policy import CANDIDATE, Policy
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Sample
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
    said: Sequence[Said],
    examiner: Examiner,
    supply: Supply,
) -> tuple[Finding, list[Sample]]:
    """What the gate finds, and what the candidate answered: its first pairs.

    `version` is the candidate's, `said` is what the `live` one said of late. A broken candidate is
    not even sampled from. Raises LivedpoError if there is no prompt to sample from.
    """
    found = examiner.refuse_unseen(candidate)
    if found is not None:
        return found, []
    try:
        samples = supply.sample(examiner.prompts, version)
    except FloatingPointError:
        return examiner.refuse_speechless(candidate), []
    if not samples:
        raise LivedpoError("There are no prompts to examine the candidate on.")
    compared = [sample.prompt for sample in examiner.to_compare(samples, said)]
    before = supply.answer(compared, live, samples[0].seed)
    samples = supply.measured(samples)
    return examiner.examine(candidate, samples, before, said), samples
