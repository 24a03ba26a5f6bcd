"""The command line. Every command is a few lines: settings in, one verb, a sentence out.

The roles are started as `python -m …` with their settings in the environment, so that this
package never imports the trainer.
"""

from __future__ import annotations

from labeler.cli.hiding import hide_passwords
from labeler.roles.interrupt import (
    INTERRUPTED,
    hold_back,
    leave_at_once,
    let_through,
)

if __name__ == "__main__":
    leave_at_once()
    hide_passwords()

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeler.cli.backup import backup, restore
from labeler.cli.export import export
from labeler.cli.gold import gold
from labeler.cli.imported import imported, keep_for_judge
from labeler.cli.migrate import migrate
from labeler.cli.options import (
    ALL,
    STORE,
    SectionedCommand,
    existing_store,
    settings_options,
)
from labeler.cli.prompts import add_prompts, prompts
from labeler.cli.pull import pull
from labeler.cli.raters import raters
from labeler.cli.reading import file_options, would_take
from labeler.config.load import as_environment
from labeler.config.parts.part import Mark
from labeler.config.settings import Settings, marked
from labeler.domain.drawing import Drawing
from labeler.domain.errors import LivedpoError
from labeler.domain.health import SILENT_SECONDS
from labeler.domain.sentences import update
from labeler.domain.sentences.figures import span
from labeler.domain.sentences.fill import in_all
from labeler.domain.sentences.judge import in_a_terminal
from labeler.domain.sentences.policy import drawn_at
from labeler.domain.targets import TARGETS
from labeler.roles import MODULES
from labeler.roles.disk import disk_of
from labeler.roles.terminal import say, show_bugs, tell, tell_lines

if TYPE_CHECKING:
    from labeler.store.views.reports import VersionRow


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="livedpo")
def cli() -> None:
    """Rate pairs of responses from your own model, and the model follows.

    Start with `livedpo serve`, and open the address that it prints.
    """


@cli.command(cls=SectionedCommand)
@settings_options(*ALL)
def serve(settings: Settings) -> None:
    """Run everything on this machine: web page, scheduler and model worker."""
    from labeler.roles.process import stop_on_signals
    from labeler.roles.serve import serve as run

    sys.exit(run(settings, stop_on_signals(), say))


@cli.command(cls=SectionedCommand)
@settings_options(*(name for name in ALL if name not in marked(Mark.SERVE_ONLY)), unattended=True)
def judge(settings: Settings) -> None:
    """Run the loop unattended: no web page; the judge labels, until a budget is spent.

    It goes on where it was stopped, ends if the policy or the judge goes wrong, and writes
    a summary with plots into the data dir.
    """
    from labeler.roles.process import stop_on_signals
    from labeler.roles.unattended.run import judge as run

    sys.exit(run(settings, stop_on_signals(), say))


def _become(module: str, settings: Settings, *arguments: str) -> None:
    """Go on as the given module, in this very process."""
    environment = os.environ | as_environment(settings)
    hold_back()
    try:
        os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)
    finally:
        let_through()


@cli.command(cls=SectionedCommand)
@settings_options(*ALL)
def web(settings: Settings) -> None:
    """Run only the web page (serve runs all three roles)."""
    _become(MODULES["web"], settings)


@cli.command(cls=SectionedCommand)
@settings_options(*ALL)
def worker(settings: Settings) -> None:
    """Run only the model worker (serve runs all three roles)."""
    _become(MODULES["worker"], settings)


@cli.command(cls=SectionedCommand)
@settings_options(*ALL)
def sampler(settings: Settings) -> None:
    """Run a part of the worker: draw and judge pairs. There may be any number of samplers.

    Together with a trainer it does what the worker does, on several machines.
    """
    _become(MODULES["sampler"], settings)


@cli.command(cls=SectionedCommand)
@settings_options(*ALL)
def trainer(settings: Settings) -> None:
    """Run the other part of the worker: learn from votes, and make versions live.

    One trainer works at a time. Another one stands by, and takes over when the first one ends.
    """
    _become(MODULES["trainer"], settings)


@cli.command(cls=SectionedCommand)
@settings_options(*ALL)
def scheduler(settings: Settings) -> None:
    """Run only the scheduler (serve runs all three roles)."""
    _become(MODULES["scheduler"], settings)


@cli.command(cls=SectionedCommand)
@click.argument("file", type=Path)
@click.option(
    "--use",
    type=click.Choice(["policy", "judge", "prompts"]),
    default="policy",
    show_default=True,
    help="policy: train a candidate. judge: keep the pairs for the judge `learned` and for --fill. "
    "prompts: add their prompts.",
)
@file_options
@settings_options(*ALL)
def train(
    settings: Settings,
    file: Path,
    use: str,
    names: dict[str, str],
    split: str | None,
    dry_run: bool,
) -> None:
    """Train a candidate version from the labelled pairs in FILE (offline DPO).

    FILE is an export of this program, or what other tools know of two replies; labeler/README.md
    lists what is read. The live version is where training starts, and stays live. Nothing of the
    file becomes a label of this service.
    """
    if use == "policy" and not dry_run:
        words = json.dumps({"split": split, "names": names})
        _become("trainer.programs.offline", settings, str(file), words)
    from labeler.files.reading.reader import Asked

    asked = Asked(split, names)
    if use == "judge":
        keep_for_judge(settings, file, asked, dry_run=dry_run)
        return
    if use == "prompts":
        add_prompts(settings, file, asked, dry_run=dry_run)
        return
    from labeler.files.pairs import read_pairs

    found = read_pairs(file, settings.vote_rules, asked)
    would_take(found.reading.understood(), f"{len(found.pairs)} pairs", found.left_out())


@cli.command(cls=SectionedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@settings_options(*STORE, "max_staleness", "loss", "label_smoothing", "ties", "fill")
def status(settings: Settings, as_json: bool) -> None:
    """Show counts and the state of the loop. Changes nothing."""
    reports = existing_store(settings).reports
    counts = reports.status(max_staleness=settings.max_staleness, votes=settings.vote_rules)
    counts["alarms"] = reports.alarms(now=time.time(), disk=disk_of(settings.data_dir))
    if as_json:
        tell(json.dumps(counts))
        return
    del counts["judge"]
    drawing, fill_report = counts.pop("drawing"), counts.pop("fill")
    written = counts.pop("written")
    for name, value in counts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in value.items())
        elif isinstance(value, list):
            value = "; ".join(value) or "none"
        tell(f"{name:10}{value}")
    if written is not None:
        tell(f"{'written':10}{_written(written, now=time.time())}")
    if drawing:
        tell(f"{'replies':10}drawn at {drawn_at(Drawing.from_json(drawing))}")
    if fill_report:
        tell(f"{'filled in':10}{in_all(**fill_report)}")
    for number, line in enumerate(in_a_terminal(reports.judge())):
        tell(f"{'' if number else 'judge':10}{line}")


def _written(at: float, *, now: float) -> str:
    """When the database was last written: a copy of its file alone may lack the newest votes."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    stale = "; no service is writing to it" if now - at > SILENT_SECONDS else ""
    return f"{moment}, {span(max(0.0, now - at))} ago{stale}"


cli.add_command(backup)
cli.add_command(restore)
cli.add_command(export)
cli.add_command(raters)
cli.add_command(gold)
cli.add_command(prompts)
cli.add_command(pull)
cli.add_command(imported)
cli.add_command(migrate)


@cli.group()
def versions() -> None:
    """List the versions of the policy, and choose which one is live."""


@versions.command("list", cls=SectionedCommand)
@settings_options(*STORE)
def versions_list(settings: Settings) -> None:
    """List the policy versions, oldest first, each with what the gate found."""
    for row in existing_store(settings).reports.versions():
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.version.created_at))
        folder = "pruned" if row.version.pruned_at else "kept" if row.version.kept else ""
        tell(f"{row.version.id:4}  {row.version.state:9}  {folder:6}  {made}  {_verdict(row)}")


def _verdict(row: VersionRow) -> str:
    """Where a version came from and what was found, in one line."""
    version = row.version
    if version.folder is None:
        return "the base policy"
    return update.in_one_line(version.finding, version.parent_id, row.reason)


@versions.command("rollback", cls=SectionedCommand)
@click.argument("version", type=int, required=False)
@settings_options(*STORE, "versions_url")
def versions_rollback(settings: Settings, version: int | None) -> None:
    """Make VERSION live, or the one that the live version was trained from.

    A running service follows at once. Nothing is lost: any version can be made live again.
    """
    _make_live(settings, version)


@versions.command("promote", cls=SectionedCommand)
@click.argument("version", type=int)
@settings_options(*STORE, "versions_url")
def versions_promote(settings: Settings, version: int) -> None:
    """Make VERSION live: a candidate, or one that the gate held back, or an older one.

    A running service follows at once.
    """
    _make_live(settings, version)


@versions.command("repair", cls=SectionedCommand)
@settings_options(*STORE, "versions_url")
def versions_repair(settings: Settings) -> None:
    """Make the newest complete version live, if the folder of the live one is gone or damaged.

    It is looked for among those that the live version was trained from; the base policy is always
    complete. A running service follows at once.
    """
    from labeler.roles.promotion import repair

    tell(repair(settings, existing_store(settings), now=time.time()))


@versions.command("keep", cls=SectionedCommand)
@click.argument("version", type=int)
@click.option("--not", "let_go", is_flag=True, help="Allow pruning again.")
@settings_options(*STORE)
def versions_keep(settings: Settings, version: int, let_go: bool) -> None:
    """Keep the folder of VERSION for good, however old it becomes.

    Folders of old versions are removed otherwise; see --keep-versions of serve.
    """
    existing_store(settings).versions.keep(version, kept=not let_go)
    stays = "is pruned once it is old" if let_go else "is kept for good"
    tell(f"The folder of version {version} {stays}.")


OUTGOING = settings_options(
    "policy", "trust_remote_code", "template_kwargs", *STORE, "versions_url", "device", "dtype"
)


@versions.command("export", cls=SectionedCommand)
@click.argument("version", type=int)
@click.argument("out", metavar="DIR", type=Path)
@click.option(
    "--to",
    "target",
    type=click.Choice(list(TARGETS)),
    required=True,
    help="; ".join(f"{name}: {about}" for name, about in TARGETS.items()) + ".",
)
@OUTGOING
def versions_export(settings: Settings, version: int, out: Path, target: str) -> None:
    """Write VERSION to the new folder DIR, for the program that is to serve it.

    Another library reads the folder again, and has to answer as the service does. A README.md in it
    says how that went, what the version came of, and how to serve it.
    """
    _become("trainer.programs.export", settings, str(version), str(out), target)


@versions.command("merge", cls=SectionedCommand)
@click.argument("version", type=int)
@click.argument("out", type=Path)
@OUTGOING
def versions_merge(settings: Settings, version: int, out: Path) -> None:
    """Write VERSION to the new folder OUT, as a model that needs no adapter.

    The short form of `livedpo versions export VERSION OUT --to merged`.
    """
    _become("trainer.programs.export", settings, str(version), str(out), "merged")


def _make_live(settings: Settings, version_id: int | None) -> None:
    """Check the version's folder, move the live pointer, and say so."""
    from labeler.roles.promotion import make_live

    changed = make_live(settings, existing_store(settings), version_id, now=time.time())
    tell(changed.told)


def main() -> None:
    """Run the command line: errors are one sentence, exit codes 0, 1 (failed) and 2 (wrong use)."""
    show_bugs()
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        tell_lines(f"livedpo: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        _fail("Interrupted.", INTERRUPTED)
    except LivedpoError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename} cannot be read or written: {error.strerror}.", 1)


def _fail(sentence: str, exit_code: int) -> None:
    tell(f"livedpo: {sentence}", err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
