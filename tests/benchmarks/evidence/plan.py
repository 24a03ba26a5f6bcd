"""What is run: each training run as one record, in the order in which they are worth having.

    start and search  ->  every arm at every seed  ->  the ablations

A run says all that makes it differ from another, so that its line in `runs.jsonl` can be found
again. Leaves out how a run is done: `learning` and `peer`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from labeler.settings import Settings

ArmName = Literal["start", "online", "iterative", "offline", "static", "simpo", "rloo"]
Choice = Literal["random", "widest", "unsure"]
TRAINED: tuple[ArmName, ...] = ("online", "iterative", "offline", "static", "simpo", "rloo")
TITLES: dict[str, str] = {
    "start": "Start",
    "online": "Online DPO",
    "iterative": "Iterative DPO",
    "offline": "Offline DPO, own first pairs",
    "static": "Offline DPO, another model's pairs",
    "simpo": "Online SimPO",
    "rloo": "RLOO (TRL), fitted reward model",
}
SEARCH_SEED = 1000  # and up; no other run has such
# The grid of the search: learning rates as multiples of the policy's own, and betas.
RATE_FACTORS: dict[ArmName, tuple[float, ...]] = {"rloo": (2.0, 4.0)}
DPO_RATE_FACTORS = (0.5, 1.0)
BETAS: dict[ArmName, tuple[float, ...]] = {"simpo": (1.0, 2.5), "rloo": (0.1, 0.3)}
DPO_BETAS = (0.1, 0.3)
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4)
STALENESS = (1, 2, 4, 8)
UPDATE_SIZES = (8, 16, 32, 128)
PASSES = (1, 4, 8)


@dataclass(frozen=True)
class Tuned:
    """Learning rate and beta of an arm."""

    learning_rate: float
    beta: float


STARTER_TUNED: dict[ArmName, Tuned] = {
    "online": Tuned(1e-3, 0.1),
    "iterative": Tuned(1e-3, 0.1),
    "offline": Tuned(1e-3, 0.1),
    "static": Tuned(1e-3, 0.1),
    "simpo": Tuned(5e-4, 2.5),
    "rloo": Tuned(4e-3, 0.1),
}


@dataclass(frozen=True)
class Run:
    """One training run. It is looked at when it has had each number of `labels`.

    `update_labels` labels make an update (0: all since the last look), of pairs that the version
    `staleness` updates ago has said. `noise` is the share of votes that are flipped; None: the
    usual human-like rater. `choice` is which pairs are taken of four times as many.
    """

    stage: str
    arm: ArmName
    seed: int
    labels: tuple[int, ...]
    learning_rate: float = 0.0
    beta: float = 0.0
    loss: str = "sigmoid"
    label_smoothing: float = 0.0
    passes: int = 2
    batch_pairs: int = 8
    update_labels: int = 64
    staleness: int = 0
    reference: Literal["base", "previous"] = "base"
    ties: Literal["drop", "coin_flip", "learn"] = "drop"
    noise: float | None = None
    choice: Choice = "random"

    @property
    def key(self) -> str:
        """Tells it from every other run."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Scale:
    """How much is run. No search seeds: nothing is searched; no ablation seeds: none are run."""

    seeds: int
    labels: tuple[int, ...]
    search_seeds: int
    ablation_seeds: int
    ablation_labels: int
    held_out_prompts: int


FULL = Scale(5, (64, 128, 256, 512, 1024), 2, 3, 256, 92)
QUICK = Scale(2, (32, 64, 128), 0, 0, 0, 46)


def arms(wanted: Sequence[ArmName], has_static: bool) -> list[ArmName]:
    """The arms to run; the static one only where there is a file of another model's pairs."""
    return [arm for arm in wanted if has_static or arm != "static"]


def plain(arm: ArmName, tuned: Tuned, labels: tuple[int, ...], seed: int, stage: str) -> Run:
    """An arm as it is compared."""
    run = Run(stage, arm, seed, labels, tuned.learning_rate, tuned.beta)
    if arm == "simpo":
        return replace(run, loss="simpo")
    if arm == "rloo":  # which has steps of its own
        return replace(run, passes=0, batch_pairs=0, update_labels=0)
    return replace(run, update_labels=0) if arm == "iterative" else run


def grid(arm: ArmName, learning_rate: float) -> list[Tuned]:
    """What the search tries: two learning rates about the policy's own, with two betas."""
    factors, betas = RATE_FACTORS.get(arm, DPO_RATE_FACTORS), BETAS.get(arm, DPO_BETAS)
    return [Tuned(factor * learning_rate, beta) for factor in factors for beta in betas]


def search(wanted: Sequence[ArmName], scale: Scale, learning_rate: float) -> Iterator[Run]:
    """Every arm at each point of its grid, as it is compared later, on seeds of its own."""
    for seed in range(SEARCH_SEED, SEARCH_SEED + scale.search_seeds):
        for arm in wanted:
            for tuned in grid(arm, learning_rate):
                yield plain(arm, tuned, scale.labels, seed, "search")


def curves(wanted: Sequence[ArmName], scale: Scale, tuned: Mapping[str, Tuned]) -> Iterator[Run]:
    """Every arm, and the policy as it starts, seed by seed."""
    for seed in range(scale.seeds):
        yield start(seed)
        for arm in wanted:
            yield plain(arm, tuned[arm], scale.labels, seed, "curves")


def start(seed: int) -> Run:
    """The policy before it has learned anything."""
    return Run("curves", "start", seed, (0,))


def ablations(scale: Scale, tuned: Tuned) -> Iterator[Run]:
    """Every variant, seed by seed, each once."""
    for seed in range(scale.ablation_seeds):
        runs = (replace(one.run, seed=seed) for one in variants(scale, tuned))
        yield from dict.fromkeys(runs)


@dataclass(frozen=True)
class Variant:
    """A run of Online DPO at seed 0 with one thing changed, and the one it is compared with."""

    group: str
    name: str
    run: Run
    usual: Run


def variants(scale: Scale, tuned: Tuned) -> Iterator[Variant]:
    """What the defaults rest on, one thing at a time."""
    usual = plain("online", tuned, (scale.ablation_labels,), 0, "ablation")
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("pairs of the version", "live", {}),
        *(("pairs of the version", f"{n} before", {"staleness": n}) for n in STALENESS),
        ("labels an update", str(usual.update_labels), {}),
        *(("labels an update", str(n), {"update_labels": n}) for n in UPDATE_SIZES),
        ("passes over a label", str(usual.passes), {}),
        *(("passes over a label", str(n), {"passes": n}) for n in PASSES),
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


def untuned(arm: ArmName, settings: Settings, is_starter: bool) -> Tuned:
    """Without a search: what the full one found on the starter, or the settings' own elsewhere."""
    if is_starter:
        return STARTER_TUNED[arm]
    if arm in BETAS:
        return Tuned(RATE_FACTORS.get(arm, (1.0,))[-1] * settings.learning_rate, BETAS[arm][0])
    return Tuned(settings.learning_rate, settings.beta)
