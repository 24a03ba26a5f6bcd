"""`python -m labeler.roles.start MODULE WORDS`: go on as the role of this module.

Garbage is not collected until the role is imported: none of that is garbage, and to search it again
and again takes a fifth of the time that the worker needs until it can load its model.
"""

import gc
import runpy
import sys


def start() -> None:
    """Run the module as `python -m` would. `run_role` lets garbage be collected again."""
    gc.disable()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    start()
