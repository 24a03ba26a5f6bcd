"""Writes a version for another program: `livedpo versions export V DIR --to TARGET`.

    load  ->  ask the service  ->  write  ->  ask another library that reads it again  ->  card

A folder that another library reads as another model is thrown away, with exit code 1.
`livedpo versions merge V OUT` is the short form of `--to merged`.
"""

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from labeler.config.hub import hub_folder
from labeler.config.load import handed_down_settings
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.files.shelf import shelf_of
from labeler.roles.interrupt import INTERRUPTED, LINE, let_through
from labeler.roles.logs import warn_on_terminal
from labeler.roles.terminal import tell
from labeler.store import Store, open_store
from labeler.store.tables import PolicyVersion
from trainer.policy.adapters import read_adapter
from trainer.policy.folders import written_whole
from trainer.policy.load import load_policy
from trainer.policy.packing import PACKINGS
from trainer.policy.policy import LIVE, Policy
from trainer.programs.outgoing import read_llama_cpp, writing
from trainer.programs.outgoing.card import ADAPTERS, Told, card, checked
from trainer.programs.outgoing.checking import Written, checks
from trainer.programs.outgoing.evidence import Evidence, evidence_of
from trainer.programs.outgoing.probe import probe_of
from trainer.programs.outgoing.serving import commands
from trainer.sampling.recommended import as_recommended

GGUF = {"gguf": ("f16", "q8_0"), "ollama": ("f16",)}
RECOGNISED = (
    "The chat template does not translate into Ollama's own language here, so Ollama has to "
    "recognise it in the GGUF file. If replies are odd, add a TEMPLATE to the Modelfile."
)
UNREAD = "llama.cpp itself has not read the file: the package xllamacpp is not installed."


@dataclass(frozen=True)
class Exported:
    """What there is to tell of a folder: how it was checked, what to know, how to serve it."""

    checked: list[str]
    notes: list[str]
    commands: list[str]


def export(store: Store, settings: Settings, version_id: int, out: Path, target: str) -> Exported:
    """Write version `version_id` to the new folder `out`.

    Raises LivedpoError; then there is no folder.
    """
    version = store.versions.get(version_id)
    _refuse(settings, version, out, target)
    try:
        with written_whole(out) as folder:
            written, told, evidence = _written(store, settings, version, out, folder, target)
            compared = list(checks(written, folder, target, settings))
            text = card(told, evidence, written.probe, compared)
            (folder / "README.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise LivedpoError(f"{out} cannot be written: {error.strerror or error}.") from error
    return Exported([checked(one) for one in compared], [*told.notes], [*told.commands])


def _refuse(settings: Settings, version: PolicyVersion, out: Path, target: str) -> None:
    """Raise BadInput for what can be said before a model is loaded."""
    if out.exists():
        raise BadInput(f"{out} exists already; name a new folder.")
    if target in ADAPTERS and version.folder is None:
        raise BadInput(
            f"Version {version.id} is the base policy and has no adapter; use --to merged, gguf or "
            "ollama."
        )
    if settings.dtype in PACKINGS and target != "adapter":
        raise BadInput(
            f"A version on a base in {settings.dtype} cannot be merged without rounding it again; "
            "use --to adapter, which plain peft loads on such a base."
        )
    pip = f"{sys.executable} -m pip install"
    if target in GGUF and find_spec("gguf") is None:
        raise BadInput(f"--to {target} takes the package gguf; run `{pip} gguf`.")
    if target == "mlx" and find_spec("mlx_lm") is None:
        raise BadInput(
            f"--to mlx is checked with mlx-lm, which is not installed; run `{pip} 'mlx[cpu]' "
            "mlx-lm`."
        )


def _written(
    store: Store,
    settings: Settings,
    version: PolicyVersion,
    out: Path,
    folder: Path,
    target: str,
) -> tuple[Written, Told, Evidence]:
    """Write the folder but for its card. The policy is gone once this has returned."""
    policy = _policy(store, settings, version)
    if target in GGUF:
        writing.refuse_unknown(policy, version.id)
    window = writing.windowless(policy)
    base = Path(policy.base_name)
    if not base.is_dir():
        base = hub_folder(policy.base_name, _say)
    evidence = evidence_of(
        store,
        settings,
        version.id,
        base=base,
        name=policy.base_name,
        fingerprint=policy.fingerprint,
    )
    # None is recorded before a worker has run; then it would draw so.
    drawing = evidence.drawing or as_recommended(settings, policy.shipped_generation_config)[1]
    _say("Asking the service.")
    probe = probe_of(policy)
    computed = str(policy.model.dtype).removeprefix("torch.")
    rank, config = policy.adapter_config().r, policy.model.get_base_model().config
    sees = policy.adapter_config().task_type is None
    spelled = _spelled(policy)
    _say("Writing the folder.")
    writing.write_beside(folder, policy, drawing)
    stored, files, notes = "float32", list[Path](), list[str]()
    match target:
        case "merged":
            stored = writing.write_merged(folder, policy, base, settings.dtype, drawing)
        case "mlx":
            writing.write_for_mlx(folder, policy)
        case "gguf" | "ollama":
            prompt = probe.own.prompts[0]
            files = writing.write_gguf_files(folder, policy, prompt, *GGUF[target])
            if not read_llama_cpp.is_here():
                notes.append(UNREAD)
            if window is not None:
                notes.append(window)
        case _:
            writing.write_adapter_folder(folder, policy)
    if target == "ollama" and writing.write_modelfile(folder, files[0], policy, probe, drawing):
        notes.append(RECOGNISED)
    told = Told(
        version=version.id,
        target=target,
        policy=policy.name,
        base=policy.base_name,
        commands=commands(
            target,
            out,
            base=policy.base_name,
            rank=rank,
            variables=policy.chat.variables,
            drawing=drawing,
        ),
        notes=notes,
        ends=[spelled[end] for end in policy.eos_token_ids],
    )
    written = Written(probe, config, base, spelled, policy.device, stored, computed, sees, files)
    return written, told, evidence


def _policy(store: Store, settings: Settings, version: PolicyVersion) -> Policy:
    """The policy with this version in its live adapter."""
    shelf = shelf_of(settings)
    adapter = shelf.fetch(version.folder, version.sha256) if version.folder else None
    _say("Loading the policy.")
    policy = load_policy(settings, adapter, _say)
    store.versions.check_base(base=policy.name, fingerprint=policy.fingerprint)
    if adapter is not None and version.sha256 is not None:
        policy.set_adapter_state(LIVE, read_adapter(adapter, version.sha256))
    return policy


def _spelled(policy: Policy) -> list[str]:
    """Each token of the vocabulary, by its id."""
    by_id = {number: token for token, number in policy.tokenizer.get_vocab().items()}
    rows = len(policy.model.get_input_embeddings().weight)
    return [by_id.get(number, f"[{number}]") for number in range(max(rows, *by_id) + 1)]


def _say(sentence: str) -> None:
    tell(sentence, err=True)


def main() -> None:
    """Export as the arguments say; settings come from the environment."""
    version, out, target = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    warn_on_terminal("export")
    try:
        let_through()
        settings = handed_down_settings(os.environ)
        if not sys.stderr.isatty():
            disable_progress_bar()
        store = open_store(settings.database_url, create=False)
        exported = export(store, settings, version, out, target)
    except KeyboardInterrupt:
        tell(LINE, err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.filename is None:
            raise
        tell(f"livedpo: {error.filename} cannot be read or written: {error.strerror}.", err=True)
        sys.exit(1)
    except LivedpoError as error:
        tell(f"livedpo: {error}", err=True)
        sys.exit(error.exit_code)
    tell(f"Version {version} is in {out}.")
    for sentence in exported.checked:
        tell(f"Checked by {sentence}.")
    for sentence in exported.notes:
        tell(sentence)
    tell("To serve it:")
    for command in exported.commands:
        tell(f"  {command}")


if __name__ == "__main__":
    main()
