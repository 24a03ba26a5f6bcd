"""What is said of an alarm: what is wrong, and what to do about it."""

from labeler.domain.sentences.figures import clause, counted, percent, span


def of_process(name: str, alarm: str) -> str:
    """
    >>> of_process("worker", "The policy cannot be loaded")
    'worker: The policy cannot be loaded.'
    """
    text = f"{alarm[:1].upper()}{alarm[1:]}"
    return f"{name}: {text}{'' if text[-1:] in '.!?' else '.'}"


def silent(name: str, seconds: float) -> str:
    """A process that is not heard."""
    return (
        f"The {name} has given no sign of life for {span(seconds)}. Look at logs/{name}.log in the "
        f"data dir, then start it again with `livedpo {name}`, or everything with `livedpo serve`."
    )


def stalled(seconds: float) -> str:
    """An update that stands still although its worker is there."""
    return (
        f"The open update has not moved for {span(seconds)}. Look at logs/worker.log in the data "
        "dir. A worker that is started again takes it up."
    )


def none_accepted(updates: int) -> str:
    """A row of updates that did not go live."""
    return (
        f"None of the last {updates} updates went live. Read why in the update history, then lower "
        "--update-kl, or --learning-rate if it is set, or widen the --gate limit named there."
    )


def prompts_refused(prompts: int, reason: str) -> str:
    """Prompts that are set aside. `reason` is what the template said of the last one."""
    return (
        f"The chat template refuses {counted(prompts, 'prompt')} ({clause(reason)}). "
        "`livedpo prompts list` names them."
    )


def dry() -> str:
    """Nothing to rate, and nothing that would explain it."""
    return (
        "No pair is ready although the worker is alive. Check that there are usable prompts "
        "(`livedpo prompts list`), and raise --queue-pairs if people rate faster than it samples."
    )


def full_disk(free_bytes: int, share: float) -> str:
    """A disk on which votes will soon find no room."""
    return (
        f"The disk of the data dir has {free_bytes / 1e9:.1f} GB free ({percent(share)}). Make "
        "room, or keep fewer versions with --keep-versions: votes cannot be saved on a full disk."
    )
