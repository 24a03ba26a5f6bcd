"""What every way to draw responses offers: prompts in, responses of one version out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labeler.config.parts.sampling import Sampling
from trainer.sampling.samples import Progress, Response


@dataclass(frozen=True)
class Version:
    """A version of the policy: its number, and the folder of its adapter (None: the base).

    What is in a folder never changes.
    """

    number: int
    folder: Path | None


class Sampler(Protocol):
    """Draws responses. An implementation finds the version's weights by itself."""

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
        """`copies` responses of the version to each prompt (token ids), with the prompt's place.

        A prompt is yielded as soon as its responses are complete, or later. Between any two the
        caller may compute with the policy, but not sample. The same prompts, settings, seed and
        version give the same responses. Raises BadInput if a prompt leaves no room for a response,
        FloatingPointError if logits are not finite.
        """
