"""What a clock that was set back does to times that are stored."""

import math

# By which clocks of machines differ, and a clock that is put right now and then.
SKEW_SECONDS = 60.0


def age(at: float, now: float) -> float:
    """Seconds since `at`. What is yet to come was written by a clock that was set back since: it is
    as long ago as can be, so that nobody waits for that time to come again.
    """
    passed = now - at
    return passed if passed >= -SKEW_SECONDS else math.inf
