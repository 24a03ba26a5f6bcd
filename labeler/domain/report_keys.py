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
# What whoever draws pairs reports of them, a worker or a sampler. The next one knows nothing of it.
OF_DRAWING = (REFUSED_PROMPTS, NOTHING_TO_ASK, CUT_REPLIES, NO_END_OF_TURN, SAMPLER)
JUDGE = "judge"
JOB = "scheduler: {}"
