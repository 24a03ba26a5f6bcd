"""What is run: each training run as one record, in the order in which they are worth having.

    start and search  ->  every arm at every seed  ->  the ablations

A run says all that makes it differ from another, so that its line in `runs.jsonl` can be found
again. Leaves out how a run is done: `learning` and `peer`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from labeler.config.settings import Settings
from labeler.config.starter import STARTER_POLICY

ArmName = Literal[
    "start",
    "online",
    "online_fill",
    "reinforce",
    "best_of",
    "iterative",
    "offline",
    "static",
    "simpo",
    "rloo",
]
Choice = Literal["random", "widest", "unsure"]
TRAINED: tuple[ArmName, ...] = tuple(arm for arm in get_args(ArmName) if arm != "start")
# Searched, and run up to all labels. The others are for few labels: an update costs them more.
COMPARED: tuple[ArmName, ...] = ("online", "iterative", "offline", "static", "simpo", "rloo")
MAX_FEW = 256  # labels
FILLED: tuple[ArmName, ...] = ("online_fill", "reinforce")  # by a reward model of the votes
TITLES: dict[str, str] = {
    "start": "Start",
    "online": "Online DPO",
    "online_fill": "Online DPO, filled up by a reward model",
    "reinforce": "REINFORCE on the same pairs",
    "best_of": "Best of 4 by a reward model, no training",
    "iterative": "Iterative DPO",
    "offline": "Offline DPO, own first pairs",
    "static": "Offline DPO, another model's pairs",
    "simpo": "Online SimPO",
    "rloo": "RLOO (TRL), fitted reward model",
}
SEARCH_SEED = 1000  # and up; no other run has such
USUAL_RATE = 1e-5  # of DPO on a large model, where the policy's own settings name none
STARTER_RATE = 1e-3  # as it is after some 128 labels: its own falls, those of the arms stay
# The grid of the search: learning rates as multiples of the policy's own, and betas.
# SimPO has nothing to hold it: at DPO's rates it was 74 nats and more away after 1,024 labels.
RATE_FACTORS: dict[ArmName, tuple[float, ...]] = {"simpo": (0.25, 0.5), "rloo": (2.0, 4.0)}
DPO_RATE_FACTORS = (0.5, 1.0)
BETAS: dict[ArmName, tuple[float, ...]] = {"simpo": (1.0, 2.5), "rloo": (0.1, 0.3)}
DPO_BETAS = (0.1, 0.3)
NOISES = (0.0, 0.2, 0.4)
STALENESS = (1, 2, 4, 8)
UPDATE_SIZES = (8, 16, 32, 64, 128)
PASSES = (1, 2, 4, 8)
FILL_UPDATE, FILL, FILL_BATCH = 16, 8, 8  # labels an update, pairs for each, pairs a step
# Steps that did not fall took one seed from 3.4 at 128 labels back to 2.5 at 256.
FILL_DECAY = 128
BEST_OF = 4  # responses, of which the reward model picks one
FILLS = (1, 4)  # besides


@dataclass(frozen=True)
class Tuned:
    """Learning rate and beta of an arm."""

    learning_rate: float
    beta: float


STARTER_TUNED: dict[ArmName, Tuned] = {
    "online": Tuned(1e-3, 0.1),
    "online_fill": Tuned(1e-3, 0.1),
    "reinforce": Tuned(1e-3, 0.1),
    "best_of": Tuned(0.0, 0.1),
    "iterative": Tuned(1e-3, 0.1),
    "offline": Tuned(1e-3, 0.3),
    "static": Tuned(1e-3, 0.3),
    "simpo": Tuned(5e-4, 1.0),
    "rloo": Tuned(4e-3, 0.1),
}


@dataclass(frozen=True)
class Run:
    """One training run. It is looked at when it has had each number of `labels`.

    `update_labels` labels make an update (0: all since the last look), of pairs that the version
    `staleness` updates ago has said. `noise` is the share of votes that are flipped; None: the
    usual human-like rater. `choice` is which pairs are taken of four times as many. The last five
    are the service's settings of these names.
    """

    stage: str
    arm: ArmName
    seed: int
    labels: tuple[int, ...]
    learning_rate: float = 0.0
    beta: float = 0.0
    loss: str = "sigmoid"
    label_smoothing: float = 0.0
    passes: int = 4
    batch_pairs: int = 32
    update_labels: int = 64
    staleness: int = 0
    reference: Literal["base", "previous"] = "base"
    ties: Literal["drop", "coin_flip", "learn"] = "drop"
    noise: float | None = None
    choice: Choice = "random"
    decay_labels: int = 0
    replay_share: float = 0.0
    replay_max_age: int = 8
    fill: int = 0
    fill_candidates: int = 4

    @property
    def key(self) -> str:
        """Tells it from every other run."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Scale:
    """How much is run. No search seeds: nothing is searched; no ablation seeds: none are run.

    The search begins on one seed, and ends on `search_seeds`.
    """

    seeds: int
    labels: tuple[int, ...]
    search_seeds: int
    ablation_seeds: int
    ablation_labels: int
    held_out_prompts: int

    @property
    def rungs(self) -> list[tuple[int, int]]:
        """Labels and seeds; after each the search goes on with the better half of its points.

        That is successive halving (Jamieson and Talwalkar 2016): the fewer are left, the more is
        spent on each. On a quarter of the labels, settings won that broke down at the end; and two
        betas that differed by a third of a point changed places from one seed to the next.
        """
        if not self.search_seeds:
            return []
        *_, fewer, most = (0, *self.labels)
        return [(fewer, 1), (most, self.search_seeds)] if fewer else [(most, self.search_seeds)]


FULL = Scale(5, (64, 128, 256, 512, 1024), 3, 3, 256, 92)
QUICK = Scale(2, (32, 64, 128), 0, 0, 0, 46)


def arms(wanted: Sequence[ArmName], has_static: bool) -> list[ArmName]:
    """The arms to run; the static one only where there is a file of another model's pairs."""
    return [arm for arm in wanted if has_static or arm != "static"]


def plain(arm: ArmName, tuned: Tuned, labels: tuple[int, ...], seed: int, stage: str) -> Run:
    """An arm as it is compared."""
    run = Run(stage, arm, seed, labels, tuned.learning_rate, tuned.beta)
    if arm in FILLED:
        small = replace(run, update_labels=FILL_UPDATE, passes=1, batch_pairs=FILL_BATCH)
        return replace(small, fill=FILL, decay_labels=FILL_DECAY)
    if arm == "best_of":
        return replace(run, passes=0, batch_pairs=0, fill_candidates=BEST_OF)
    if arm == "simpo":
        return replace(run, loss="simpo")
    if arm == "rloo":  # which has steps of its own
        return replace(run, passes=0, batch_pairs=0, update_labels=0)
    return replace(run, update_labels=0) if arm == "iterative" else run


def grid(arm: ArmName, learning_rate: float) -> list[Tuned]:
    """What the search tries: two learning rates about the policy's own, with two betas."""
    factors, betas = RATE_FACTORS.get(arm, DPO_RATE_FACTORS), BETAS.get(arm, DPO_BETAS)
    return [Tuned(factor * learning_rate, beta) for factor in factors for beta in betas]


def search(
    points: Mapping[ArmName, Sequence[Tuned]], labels: Sequence[int], seeds: int
) -> list[Run]:
    """Every arm at each of its points up to the last of `labels`, on seeds that nothing else has.

    Iterative DPO is looked at after each of them, for there its rounds end.
    """
    return [
        plain(arm, tuned, tuple(labels if arm == "iterative" else labels[-1:]), seed, "search")
        for seed in range(SEARCH_SEED, SEARCH_SEED + seeds)
        for arm, tried in points.items()
        for tuned in tried
    ]


def curves(wanted: Sequence[ArmName], scale: Scale, tuned: Mapping[str, Tuned]) -> Iterator[Run]:
    """Every arm, and the policy as it starts, seed by seed."""
    for seed in range(scale.seeds):
        yield start(seed)
        for arm in wanted:
            yield plain(arm, tuned[arm], labels_of(arm, scale), seed, "curves")


def labels_of(arm: ArmName, scale: Scale) -> tuple[int, ...]:
    """The numbers of labels at which an arm is looked at: the first ones, or all."""
    if arm in COMPARED:
        return scale.labels
    return tuple(labels for labels in scale.labels if labels <= MAX_FEW) or scale.labels[:1]


def start(seed: int) -> Run:
    """The policy before it has learned anything."""
    return Run("curves", "start", seed, (0,))


def ablations(scale: Scale, tuned: Tuned, settings: Settings) -> Iterator[Run]:
    """Every variant, seed by seed, each once."""
    for seed in range(scale.ablation_seeds):
        runs = (replace(one.run, seed=seed) for one in variants(scale, tuned, settings))
        yield from dict.fromkeys(runs)


@dataclass(frozen=True)
class Variant:
    """A run of Online DPO at seed 0 with one thing changed, and the one it is compared with."""

    group: str
    name: str
    run: Run
    usual: Run


def variants(scale: Scale, tuned: Tuned, settings: Settings) -> Iterator[Variant]:
    """What the defaults rest on: one thing at a time, and the policy's own settings as a whole."""
    online = plain("online", tuned, scale.labels, 0, "curves")
    group = f"settings, {max(scale.labels)} labels"
    yield Variant(group, "as compared", online, online)
    yield Variant(group, "the policy's own", served(online, settings), online)
    small_steps = replace(online, update_labels=16, batch_pairs=4, beta=0.5)
    yield Variant(group, "16 labels an update, batches of 4, beta 0.5", small_steps, online)
    for beta in DPO_BETAS:
        if beta != tuned.beta:
            yield Variant(group, f"beta {beta}", replace(online, beta=beta), online)
    usual = served(replace(online, labels=(scale.ablation_labels,), stage="ablation"), settings)
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("pairs of the version", "live", {}),
        *(("pairs of the version", f"{n} before", {"staleness": n}) for n in STALENESS),
        ("labels an update", str(usual.update_labels), {}),
        *(
            ("labels an update", str(n), {"update_labels": n})
            for n in UPDATE_SIZES
            if n != usual.update_labels
        ),
        ("passes over a label", str(usual.passes), {}),
        *(("passes over a label", str(n), {"passes": n}) for n in PASSES if n != usual.passes),
        ("reference", "base", {}),
        ("reference", "previous version", {"reference": "previous"}),
        ("ties", "dropped", {}),
        ("ties", "coin flips", {"ties": "coin_flip"}),
        ("ties", "DPO-D", {"ties": "learn", "loss": "dpo_d"}),
        ("pairs asked about", "at random", {}),
        ("pairs asked about", "widest gap", {"choice": "widest"}),
        ("pairs asked about", "most unsure", {"choice": "unsure"}),
    ]
    for group, name, changed in changes:
        yield Variant(group, name, replace(usual, **changed), usual)
    for noise in NOISES:
        plain_loss = replace(usual, noise=noise)
        group = f"{noise:.0%} of votes flipped"
        yield Variant(group, "sigmoid", plain_loss, plain_loss)
        if noise:
            smoothed = replace(plain_loss, label_smoothing=noise)
            yield Variant(group, "cDPO", smoothed, plain_loss)
            yield Variant(group, "robust", replace(smoothed, loss="robust"), plain_loss)
    is_starter = settings.policy == str(STARTER_POLICY)
    yield from filled_variants(scale, untuned("online_fill", settings, is_starter))


def filled_variants(scale: Scale, tuned: Tuned) -> Iterator[Variant]:
    """As many pairs as it is compared with, fewer, and the same from more candidates."""
    usual = plain("online_fill", tuned, labels_of("online_fill", scale), 0, "curves")
    group = "pairs filled in for a label"
    yield Variant(group, f"{FILL}, of {usual.fill_candidates} candidates", usual, usual)
    for count in FILLS:
        yield Variant(group, str(count), replace(usual, fill=count), usual)
    more = replace(usual, fill_candidates=2 * usual.fill_candidates)
    yield Variant(group, f"{FILL}, of {more.fill_candidates} candidates", more, usual)


def served(online: Run, settings: Settings) -> Run:
    """Online DPO with the settings that the service has for this policy.

    Of the starter those that it had before it filled up, so that these runs are known again.
    """
    if settings.policy == str(STARTER_POLICY):
        return replace(
            online,
            learning_rate=3e-3,
            decay_labels=64,
            beta=0.3,
            passes=4,
            batch_pairs=32,
            update_labels=16,
            replay_share=0.5,
            replay_max_age=32,
        )
    return replace(
        online,
        learning_rate=settings.learning_rate or USUAL_RATE,
        decay_labels=settings.decay_labels,
        beta=settings.beta,
        passes=settings.passes,
        batch_pairs=settings.batch_pairs,
        update_labels=settings.labels_per_update,
        replay_share=settings.replay_share,
        replay_max_age=settings.replay_max_age,
    )


def own_rate(settings: Settings, is_starter: bool) -> float:
    """The learning rate that the grid is about."""
    return STARTER_RATE if is_starter else settings.learning_rate or USUAL_RATE


def untuned(arm: ArmName, settings: Settings, is_starter: bool) -> Tuned:
    """Without a search: what the full one found on the starter, or the settings' own elsewhere."""
    if is_starter:
        return STARTER_TUNED[arm]
    rate = own_rate(settings, is_starter)
    if arm in BETAS:
        return Tuned(RATE_FACTORS.get(arm, (1.0,))[-1] * rate, BETAS[arm][0])
    return Tuned(rate, settings.beta)
