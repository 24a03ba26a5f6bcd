"""The process of a trainer. `livedpo trainer` runs it; see `trainer.worker.main`."""

import os

from labeler.roles.process import run_role
from trainer.worker.main import NICE, run_trainer

if __name__ == "__main__":
    os.nice(NICE)
    run_role("trainer", run_trainer)
