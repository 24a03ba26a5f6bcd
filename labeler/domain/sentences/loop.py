"""What is said of the loop beside the pair: what goes on now, and how far the next update is."""

from dataclasses import dataclass

from labeler.domain.sentences.figures import clause, counted
from labeler.domain.states import UpdateState

# What the worker says while it cannot load the live version.
WAITING_FOR_FOLDER = "Waiting for the folder of the live version."


@dataclass(frozen=True)
class Now:
    """The live version, if there is one yet; the update that runs, if one does; and what the
    worker last said. Of the update's `steps_total` training steps, `steps_done` are done.
    """

    live: int | None
    update: UpdateState | None = None
    steps_done: int = 0
    steps_total: int = 0
    says: str = ""


def activity(now: Now) -> str:
    """
    >>> activity(Now(3, UpdateState.TRAINING, 2, 8))
    'Training, step 2 of 8'
    """
    if now.update is None or now.says == WAITING_FOR_FOLDER:
        if now.live is None:
            return "The model is loading"
        return clause(now.says) or "Waiting for the worker"
    if now.update is UpdateState.OPEN:
        return "An update is about to start"
    if now.update is UpdateState.GATING:
        return "Checking the new version"
    if now.update is UpdateState.TRAINING and now.steps_total:
        return f"Training, step {now.steps_done} of {now.steps_total}"
    return "Preparing the update"


def preparing(pairs: int) -> str:
    """What the worker does while it works out what the base makes of pairs.

    >>> preparing(41)
    'Preparing 41 pairs to train on.'
    """
    return f"Preparing {counted(pairs, 'pair')} to train on."


def waiting(now: Now) -> tuple[str, str]:
    """Title and text where there is no pair to rate."""
    if now.live is None:
        says = clause(now.says)
        is_news = says not in ("", "Loading the model")
        return (
            "The model is loading",
            f"{says}." if is_news else "The first pair will appear here.",
        )
    if now.says == WAITING_FOR_FOLDER:
        return (
            "There are no pairs for now",
            "The folder of the live version is lost, so nothing can be sampled. Votes are safe.",
        )
    if now.update is not None:
        return "Training on new labels", f"{activity(now)}. The next pairs come soon."
    return "Sampling the next pairs", "They will appear here."


def progress(done: int, wanted: int, *, runs: bool = False) -> str:
    """`runs`: an update runs, and these labels are for the one after it.

    >>> progress(3, 16), progress(3, 16, runs=True)
    ('3 of 16 labels for the next update', '3 of 16 labels for the update after this one')
    """
    which = "the update after this one" if runs else "the next update"
    return f"{done} of {wanted} labels for {which}"
