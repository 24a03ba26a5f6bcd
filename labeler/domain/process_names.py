"""What processes are called, and how the keys under which they report are read.

"web"                       the one of `livedpo serve`
"sampler web1:1234"         one of several: its role, its machine, its number there
"sampler web1:1234: trouble"    what it reports of itself
"""

ROLES = ("web", "scheduler", "worker", "sampler", "trainer")
# Who draws pairs, and who learns: a worker does both.
SAMPLING = ("worker", "sampler")
TRAINING = ("worker", "trainer")
# Who else does all that a role does.
IN_PLACE_OF: dict[str, tuple[set[str], ...]] = {
    "web": ({"web"},),
    "scheduler": ({"scheduler"},),
    "worker": ({"worker"}, {"sampler", "trainer"}),
    "sampler": ({"sampler"}, {"worker"}),
    "trainer": ({"trainer"}, {"worker"}),
}
LEFT = "Stopped."


def one_of_several(role: str, host: str, pid: int) -> str:
    """
    >>> one_of_several("sampler", "web1", 1234)
    'sampler web1:1234'
    """
    return f"{role} {host}:{pid}"


def process_of(key: str) -> str:
    """
    >>> process_of("sampler web1:1234: trouble")
    'sampler web1:1234'
    """
    return key.partition(": ")[0]


def role_of(key: str) -> str:
    """
    >>> role_of("sampler web1:1234: trouble"), role_of("worker: pairs"), role_of("judge")
    ('sampler', 'worker', 'judge')
    """
    return process_of(key).partition(" ")[0]
