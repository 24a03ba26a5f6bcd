"""The store's prompts in turn, as this policy reads them; those that it cannot take are set aside.

Leaves out how many are wanted, and what is drawn of them.
"""

import logging
from collections.abc import Sequence

from labeler.config.settings import Settings
from labeler.domain.errors import first_line
from labeler.domain.messages import Messages
from labeler.domain.report_keys import REFUSED_PROMPTS
from labeler.domain.sentences.alarm import prompts_refused
from labeler.domain.sentences.figures import clause
from labeler.store import Store, tables
from trainer.policy.chat import Refused
from trainer.policy.policy import Policy
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Prompt, batch_seed

log = logging.getLogger(__name__)


class TooLong(Refused):
    """There is no room in the policy's context for this prompt and a reply."""


class Prompts:
    """Hands out prompts with their tokens."""

    def __init__(self, store: Store, policy: Policy, settings: Settings) -> None:
        self._store = store
        self._policy = policy
        self._settings = settings
        self._refused: list[str] = []

    def next(self, count: int, version: Version) -> tuple[list[Prompt], int]:
        """The next prompts, up to so many, and the seed of their batch."""
        taken = self._take(count)
        first = [n for row, prompt in taken[:1] for n in (prompt.id, row.pairs_sampled)]
        seed = batch_seed(self._settings.seed, version.number, *first)
        return [prompt for _, prompt in taken], seed

    def usable(self, rows: Sequence[tables.Prompt]) -> list[Prompt]:
        """Those of these prompts that the policy can take."""
        return [prompt for _, prompt in self._read(rows)]

    def tokens(self, messages: Messages) -> list[int]:
        """A prompt's token ids. Raises Refused if this policy cannot take it."""
        room = self._policy.context_tokens - self._settings.max_new_tokens
        tokens = self._policy.prompt_tokens(messages)
        if len(tokens) > room:
            raise TooLong(f"{len(tokens)} tokens, but there is room for {room}")
        return tokens

    def _take(self, count: int) -> list[tuple[tables.Prompt, Prompt]]:
        """The next prompts, with others in place of those that had to be set aside."""
        usable: list[tuple[tables.Prompt, Prompt]] = []
        while len(usable) < count:
            taken = self._store.prompts.take(count - len(usable))
            good = self._read(taken)
            usable += good
            if len(good) == len(taken):
                break
        return usable

    def _read(self, rows: Sequence[tables.Prompt]) -> list[tuple[tables.Prompt, Prompt]]:
        """Prompts with their tokens; those that this policy cannot take are set aside."""
        usable, refused = [], []
        for row in rows:
            assert row.id is not None  # it came from the database
            try:
                usable.append((row, Prompt(row.id, row.messages, self.tokens(row.messages))))
            except Refused as error:
                reason = first_line(error)
                self._store.prompts.set_aside(row.id, reason)
                if reason not in self._refused:  # a file may hold hundreds of a kind
                    log.warning("Prompt %s is set aside: %s.", row.id, clause(reason))
                if not isinstance(error, TooLong):
                    refused.append(reason)
        if refused:
            self._refused += refused
            said = prompts_refused(len(self._refused), refused[-1])
            self._store.processes.alarm(REFUSED_PROMPTS, said)
        return usable
