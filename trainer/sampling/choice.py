"""Which sampler the settings ask for."""

import contextlib
from collections.abc import Callable, Iterator

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Sampler

LOCAL = "local"
STAGING = "vllm"  # in the data dir


@contextlib.contextmanager
def sampler_for(
    settings: Settings, policy: Policy, tell: Callable[[str | None], None]
) -> Iterator[Sampler]:
    """The sampler of `--sampler`, for as long as it is needed.

    `tell` hears what is wrong with servers, and None once nothing is. Raises BadInput if there is
    no way to sample from the policy, or no server that does it.
    """
    if settings.sampler == LOCAL:
        yield LocalSampler(policy, dtype=settings.sampling_dtype)
        return
    from trainer.sampling.vllm.sampler import VllmSampler  # httpx stays out where it is local

    folder = settings.data_dir / STAGING
    try:
        sampler = VllmSampler(
            policy,
            settings.sampler_urls,
            folder=folder,
            versions=settings.max_staleness + 2,
            timeout_seconds=settings.sampler_timeout,
            tell=tell,
        )
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be used: {error.strerror}.") from error
    with contextlib.closing(sampler):
        sampler.start()
        yield sampler
