"""The keys under which processes report what is wrong; `labeler.domain.alarms` says what each is.

A role's own name is the supervisor's, for its deaths.
"""

TROUBLE = "{}: trouble"
LOST_FOLDER = "{}: adapter"
REFUSED_PROMPTS = "worker: prompts"
NOTHING_TO_ASK = "worker: pairs"
CUT_REPLIES = "worker: replies"
NO_END_OF_TURN = "worker: end of turn"
SAMPLER = "worker: sampler"
JUDGE = "judge"
JOB = "scheduler: {}"
