"""The process of a sampler. `livedpo sampler` runs it; see `trainer.worker.main`."""

import os

from labeler.roles.process import run_role
from trainer.worker.main import NICE, run_sampler

if __name__ == "__main__":
    os.nice(NICE)
    run_role("sampler", run_sampler)
