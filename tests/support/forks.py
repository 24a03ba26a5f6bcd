"""Processes of tests, which are forks of one that has loaded PyTorch, Transformers and the store.

There is one such server a process of tests, and it loads what it was told when it started: so all
tests tell it the same.
"""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.dying_role", "trainer.worker.main"])
