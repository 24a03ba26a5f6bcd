"""What an update changed, for people: a prompt or two, answered before and after.

Pure. The examples shown are those that changed the most among what the gate sampled, finished ones
first; they say what the change is like, not how large it is.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher

from labeler.domain.finding import Example
from labeler.domain.thought import without_thought
from trainer.sampling.samples import Response, Sample

EXAMPLES = 2
MAX_PROMPT_CHARS = 4_000
MAX_TEXT_CHARS = 4_000
MAX_WORDS = 400


def examples_of(new: Sequence[Sample], live: Sequence[Sample]) -> tuple[Example, ...]:
    """Up to two prompts with what the live version said (`before`) and the candidate (`after`).

    Both have answered the same prompts. Prompts too long to be read at a glance are left out; of
    the two responses to a prompt, the ones that differ more are taken.
    """
    found = []
    for candidate, old in zip(new, live, strict=True):
        if not _is_short(candidate):
            continue
        both = list(zip(old.pair, candidate.pair, strict=True))
        before, after = max(both, key=lambda pair: _worth_showing(*pair))
        example = Example(candidate.prompt.messages, _shown(before), _shown(after))
        found.append((_worth_showing(before, after), example))
    found.sort(key=lambda entry: entry[0], reverse=True)
    return tuple(example for _, example in found[:EXAMPLES])


def shortest_prompts(samples: Sequence[Sample]) -> list[Sample]:
    """The few whose prompts the candidate answers once more, where the live version is not asked.

    Short ones, and among them those whose responses are finished, come first.
    """

    def cut(sample: Sample) -> int:
        return sum(response.finish != "stop" for response in sample.pair)

    return sorted(filter(_is_short, samples), key=cut)[:EXAMPLES]


def _worth_showing(before: Response, after: Response) -> tuple[bool, float]:
    """Finished ones first, then the larger difference: the share of words that are not common."""
    finished = before.finish == after.finish == "stop"
    old, new = (without_thought(response.text).split()[:MAX_WORDS] for response in (before, after))
    return finished, 1 - SequenceMatcher(None, old, new, autojunk=False).ratio()


def _is_short(sample: Sample) -> bool:
    return sum(len(message["content"]) for message in sample.prompt.messages) <= MAX_PROMPT_CHARS


def _shown(response: Response) -> str:
    text = without_thought(response.text)
    return text if len(text) <= MAX_TEXT_CHARS else text[:MAX_TEXT_CHARS] + " …"
