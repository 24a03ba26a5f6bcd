"""The worker's jobs: each `step` does one piece of work, or says that there is none."""
