"""What the processes do, each one thing, then it ends."""

import logging
import warnings
from pathlib import Path

from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from tests.benchmarks.evidence.learning import learn
from tests.benchmarks.evidence.measure import Look
from tests.benchmarks.evidence.plan import Run
from tests.benchmarks.evidence.rater import Rater, agreement, calibrated, tie_share
from tests.benchmarks.evidence.static import static_file
from tests.benchmarks.evidence.world import Place, World
from trainer.policy.policy import LIVE

CALIBRATION_PAIRS = 256


def do(run: Run, place: Place, slope: float, prompts: int) -> list[Look]:
    """One run."""
    _quiet()
    return list(learn(run, World(place), Rater(slope), prompts))


def calibrate(place: Place) -> dict[str, float]:
    """The rater on the policy's first pairs: slope, agreement with itself, share of ties."""
    _quiet()
    world = World(place)
    pairs = world.sample(LIVE, world.prompts(CALIBRATION_PAIRS), CALIBRATION_PAIRS, seed=1)
    margins = [pair.margin for pair in pairs]
    slope = calibrated(margins).slope
    found = {"slope": slope, "agreement": agreement(margins, slope)}
    found["ties"] = tie_share(margins, slope)
    return {name: round(value, 4) for name, value in found.items()}


def make_static(folder: Path) -> str:
    """The file of the other model's pairs."""
    warnings.simplefilter("ignore", FutureWarning)
    return str(static_file(folder))


def _quiet() -> None:
    disable_progress_bar()
    set_verbosity_error()
    warnings.simplefilter("ignore", FutureWarning)
    logging.getLogger("trainer").setLevel(logging.ERROR)
