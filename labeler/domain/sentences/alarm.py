"""What is said of an alarm: what is wrong. What to do is in the table of `domain.alarms`."""

from labeler.domain.sentences.figures import clause, counted, percent, span


def of_process(name: str, alarm: str) -> str:
    """
    >>> of_process("worker", "The policy cannot be loaded")
    'worker: The policy cannot be loaded.'
    """
    text = f"{alarm[:1].upper()}{alarm[1:]}"
    return f"{name}: {text}{'' if text[-1:] in '.!?' else '.'}"


def silent(name: str, seconds: float, says: str, *, replaced: bool = False) -> str:
    """A process that is not heard; `says` is its last word. `replaced`: others do its work.

    >>> silent("worker", 45, "Judging pairs: 3 of 64.")
    'The worker has given no sign of life for 45 seconds; it last said: Judging pairs: 3 of 64.'
    """
    last = f"; it last said: {says}" if says else "."
    others = " Another one does its work." if replaced else ""
    return f"The {name} has given no sign of life for {span(seconds)}{last}{others}"


def stalled(seconds: float) -> str:
    """An update that stands still although its worker is there."""
    return f"The open update has not moved for {span(seconds)}."


def none_accepted(updates: int) -> str:
    """A row of updates that did not go live."""
    return f"None of the last {updates} updates went live."


def prompts_refused(prompts: int, reason: str) -> str:
    """Prompts that are set aside. `reason` is what the template said of the last one."""
    return (
        f"The chat template refuses {counted(prompts, 'prompt')} ({clause(reason)}). "
        "`livedpo prompts list` names them."
    )


def dry() -> str:
    """Nothing to rate, and nothing that would explain it."""
    return "No pair is ready although the worker is alive."


def undecided(version: int, share: float, before: float) -> str:
    """
    >>> undecided(7, 0.5, 0.08)
    'Of the votes on version 7 50 % are skips or “both bad”; before it were 8 %.'
    """
    return (
        f"Of the votes on version {version} {percent(share)} are skips or “both bad”; "
        f"before it were {percent(before)}."
    )


def full_disk(free_bytes: int, share: float) -> str:
    """A disk on which votes will soon find no room."""
    return f"The disk of the data dir has {free_bytes / 1e9:.1f} GB free ({percent(share)})."


def lost_folder(folder: str) -> str:
    """The live version's folder, which only the worker's memory has still."""
    return f"The folder {folder} of the live version is gone; the worker has it in memory only."
