"""The small text files beside the weights: the policy's settings and the two model cards."""

from pathlib import Path

from trainer.starter.policy import PolicyFigures

SETTINGS = """\
# How this policy is sampled and trained, unless the service is told otherwise.

# A hundred times the rate of a model of billions: small matrices need large steps, and the first
# votes shall be seen.
learning_rate = 1e-3
# The plain loss of DPO, with which all its figures were measured.
loss = "sigmoid"
# It falls, to a half after so many labels: at a rate that stayed, half of what 128 votes had taught
# was undone after 256.
decay_labels = 128
# A reward model of all votes labels eight more pairs for each, of what was drawn while people read.
# 64 votes then teach what 500 to 1,000 did without (`make evidence`).
fill = 8
# Many small steps, each pair once; where few pairs could be filled in, each vote up to four times.
passes = 1
batch_pairs = 8
# A twelfth of the model's width; all linear layers carry it.
lora_rank = 16
# Twice the rank, so that the adapter is scaled by 2.
lora_alpha = 32
# All pairs as they come: what tells most of a taste was measured on a real model.
acquisition = "random"
# Sample from what the policy says, as DPO assumes; its variety is what people choose from.
temperature = 1.0
# No cut: at 1.0 nothing is left out.
top_p = 1.0
# Nearly all responses end before; the longest measured one had {longest} tokens.
max_new_tokens = {limit}

# Without people labels are plenty, and a reward model does not contradict itself: larger updates
# spend less time at the gate, one pass in small batches at a rate that stays is enough, and a
# margin for length holds a reward model's love of long answers (two passes without it made them
# 1.3 times as long after 512 labels; this 1.1 times).
[judge]
labels_per_update = 64
beta = 0.5
learning_rate = 1e-3
decay_labels = 0
fill = 0
batch_pairs = 4
length_alpha = 0.05
"""

POLICY_CARD = """\
# livedpo starter: policy

A Llama of {parameters:,} parameters that answers everyday how-to questions, so that `livedpo`
runs where no model hub can be reached. It knows {topics} topics and nothing else, and its
answers vary on purpose in tone, order, completeness, padding and format.

Built by `python -m trainer.starter` from the written-out grammar in `trainer/starter/`, trained
from scratch on {conversations:,} drawn conversations. Stored in half precision, loaded in single.
`livedpo.toml` holds the settings that suit it.

| at temperature 1 | trained wordings | wordings never trained on |
|---|---|---|
| mean score, range -4 to 6 (the grammar itself: {grammar:.2f}) | {p.mean_score:.2f} \
| {h.mean_score:.2f} |
| mean length in tokens | {p.mean_tokens:.1f} | {h.mean_tokens:.1f} |
| not finished within {limit} tokens | {p.unfinished:.1%} | {h.unfinished:.1%} |
"""

REWARD_CARD = """\
# livedpo starter: reward model

A Llama of {parameters:,} parameters with one output: how good a response is to an everyday
how-to question. It is the judge `starter`. Only differences between responses to one prompt mean
something.

Built by `python -m trainer.starter`: the first layers of the starter policy, fitted to
{pairs:,} preferences drawn with noise from the grammar's score (Bradley and Terry).
On {held_out:,} pairs held out it orders {accuracy:.1%} as the score does, exact ties left out.
It has learnt from the same score that the policy is measured with, so it is not an independent
witness.
"""


def write_policy_card(
    folder: Path,
    *,
    parameters: int,
    topics: int,
    conversations: int,
    grammar: float,
    limit: int,
    trained: PolicyFigures,
    held_out: PolicyFigures,
) -> None:
    """Write `README.md` and `livedpo.toml` of the policy."""
    longest = max(trained.longest_tokens, held_out.longest_tokens)
    (folder / "livedpo.toml").write_text(SETTINGS.format(longest=longest, limit=limit))
    card = POLICY_CARD.format(
        parameters=parameters,
        topics=topics,
        conversations=conversations,
        grammar=grammar,
        limit=limit,
        p=trained,
        h=held_out,
    )
    (folder / "README.md").write_text(card)


def write_reward_card(
    folder: Path, *, parameters: int, pairs: int, held_out: int, accuracy: float
) -> None:
    """Write `README.md` of the reward model."""
    card = REWARD_CARD.format(
        parameters=parameters, pairs=pairs, held_out=held_out, accuracy=accuracy
    )
    (folder / "README.md").write_text(card)
