"""One archive of what a service needs to go on elsewhere: made while it runs, and read back.

    database as it is at one moment, adapters that versions still need, settings of the last start
        ->  ZIP with a manifest: the sha256 of each file  ->  read back  ->  its name

A manifest that names other files than the archive holds, a name that leads elsewhere, or a file
that is not what was written: such an archive is refused before anything of it is written. Nobody is
logged in in the copy, and no invite is open. Leaves out the policy, the guidelines and other files
that settings name, and the logs.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from labeler.config.settings import Settings
from labeler.domain.adapter_folder import DamagedCheckpointError
from labeler.domain.database_url import without_password
from labeler.domain.errors import BadInput, LivedpoError
from labeler.files.kept_settings import SETTINGS
from labeler.files.shelf import shelf_of
from labeler.store import Store, objection_to, open_store

FORMAT = "livedpo backup 1"
DATABASE = "livedpo.sqlite"
MANIFEST = "manifest.json"
ADAPTERS = "adapters"
CHUNK_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 10_000_000
FAST = 1  # of zlib
_NAME = re.compile(rf"{re.escape(DATABASE)}|{re.escape(SETTINGS)}|{ADAPTERS}(/\w[\w.-]*){{2}}")


@dataclass(frozen=True)
class Backup:
    """What an archive holds, as its manifest says; `files` by name, each with its sha256.

    `lost` are folders of versions that were gone or damaged when it was made, `pruned` numbers of
    versions whose folders were left out; neither stands in the manifest.
    """

    made_at: float
    base: str | None
    live: int | None
    votes: int
    files: dict[str, str]
    lost: tuple[str, ...] = ()
    pruned: tuple[int, ...] = ()


def write_backup(
    settings: Settings, store: Store, out: Path, *, now: float, every_version: bool, quiet: bool
) -> Backup:
    """Write the archive, read it back, and only then give it its name. Raises LivedpoError."""
    try:
        if out.exists():
            raise BadInput(f"There is something at {out} already; choose another name.")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".backup-") as folder:
            database, archive = Path(folder) / DATABASE, Path(folder) / "archive"
            store.copy_to(database)
            made, folders = _prepared(settings, database, now=now, every_version=every_version)
            files = dict(_files(settings, database, folders))
            written = replace(made, files=_packed(archive, files, made, quiet=quiet))
            read_backup(archive, quiet=quiet)
            archive.chmod(0o600)  # it has the hashes of passwords
            archive.rename(out)
    except OSError as error:
        raise LivedpoError(f"The backup {out} cannot be written: {error.strerror}.") from error
    return written


def read_backup(file: Path, *, quiet: bool = True) -> Backup:
    """Read all of an archive. Raises BadInput if it is not whole, or not of livedpo."""
    with _opened(file) as archive:
        backup = _manifest(archive, file)
        with _bar(archive.infolist(), "checking", quiet=quiet) as bar:
            for name, digest in backup.files.items():
                with archive.open(name) as packed:
                    if _copied(packed, None, bar) != digest:
                        raise BadInput(f"The backup {file} is damaged: {name} was changed.")
    return backup


def restore_backup(file: Path, folder: Path, *, quiet: bool) -> Backup:
    """Unpack an archive into a folder that is new or empty; nothing stays if it fails.

    Raises LivedpoError.
    """
    _refuse_what_is_used(folder)
    _refuse_without_room(file, folder)
    backup = read_backup(file, quiet=quiet)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".restoring-") as temporary:
            unpacked = Path(temporary)
            _unpack(file, unpacked, quiet=quiet)
            if (objection := objection_to(_url(unpacked))) is not None:
                raise BadInput(f"The backup {file} is refused for its database: {objection}.")
            # The database comes last: without it the folder is no data dir.
            for path in sorted(unpacked.iterdir(), key=lambda path: path.name == DATABASE):
                path.rename(folder / path.name)
    except OSError as error:
        raise LivedpoError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return backup


def _prepared(
    settings: Settings, database: Path, *, now: float, every_version: bool
) -> tuple[Backup, list[Path]]:
    """Make the copy true to what the archive will hold; what it is, and the folders that it needs.

    Raises LivedpoError if the database is damaged.
    """
    if (objection := objection_to(_url(database.parent))) is not None:
        shown = without_password(settings.database_url)
        raise LivedpoError(f"The database {shown} cannot be kept: {objection}.")
    with closing(open_store(_url(database.parent), create=False)) as copy:
        copy.logins.end_all()
        if not every_version:
            copy.versions.prune(keep=0, now=now)
        contents, lost, folders = copy.reports.contents(), [], []
        for version in copy.versions.all():
            if version.folder is None or version.pruned_at is not None:
                continue
            try:
                folders.append(shelf_of(settings).fetch(version.folder, version.sha256))
            except DamagedCheckpointError as error:
                lost.append(f"Version {version.id} is not in the backup. {error}")
        pruned = tuple(one.id for one in copy.versions.all() if one.pruned_at == now)
    made = Backup(now, contents.base, contents.live, contents.votes, {}, tuple(lost), pruned)
    return made, folders


def _files(settings: Settings, database: Path, folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """What goes into the archive, by its name there."""
    yield DATABASE, database
    if (kept := settings.data_dir / SETTINGS).is_file():
        yield SETTINGS, kept
    for folder in folders:
        for path in sorted(folder.iterdir()):
            name = f"{ADAPTERS}/{folder.name}/{path.name}"
            if path.is_file() and _NAME.fullmatch(name):
                yield name, path


def _packed(archive: Path, files: dict[str, Path], made: Backup, *, quiet: bool) -> dict[str, str]:
    """Write the archive; the sha256 of each file. The manifest comes last."""
    digests = {}
    sizes = sum(path.stat().st_size for path in files.values())
    with (
        zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED, compresslevel=FAST) as packed,
        tqdm(total=sizes, desc="packing", unit="B", unit_scale=True, disable=quiet) as bar,
    ):
        for name, path in files.items():
            with path.open("rb") as source, packed.open(name, "w", force_zip64=True) as target:
                digests[name] = _copied(source, target, bar)
        facts = asdict(replace(made, files=digests))
        del facts["lost"], facts["pruned"]
        packed.writestr(MANIFEST, json.dumps({"format": FORMAT, **facts}, indent=1))
    with archive.open("rb") as written:
        os.fsync(written.fileno())
    return digests


def _unpack(file: Path, folder: Path, *, quiet: bool) -> None:
    """Write the files of an archive that was read before into this folder."""
    with _opened(file) as archive, _bar(archive.infolist(), "unpacking", quiet=quiet) as bar:
        for name in _manifest(archive, file).files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as packed, target.open("xb") as written:
                _copied(packed, written, bar)
                written.flush()
                os.fsync(written.fileno())


def _manifest(archive: zipfile.ZipFile, file: Path) -> Backup:
    """What the manifest says, if the archive holds that and nothing else. Raises BadInput."""
    names = archive.namelist()
    if MANIFEST not in names or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise BadInput(f"{file} is no backup of livedpo: it has no {MANIFEST}.")
    try:
        found: dict[str, Any] = json.loads(archive.read(MANIFEST))
        if found.pop("format") != FORMAT:
            raise BadInput(f"{file} is no backup of this version of livedpo.")
        backup = Backup(**found)
        files = {str(name): str(digest) for name, digest in backup.files.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"{file} is no backup of livedpo: its {MANIFEST} is not one.") from error
    for name in files:
        if not _NAME.fullmatch(name):
            raise BadInput(f"{file} is refused: it holds '{name}', which no backup of livedpo has.")
    if sorted(names) != sorted([*files, MANIFEST]) or DATABASE not in files:
        raise BadInput(f"The backup {file} is damaged: it does not hold what its manifest names.")
    return replace(backup, files=files)


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open; what is wrong with it is told in a sentence."""
    try:
        content = file.open("rb")
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {file}.") from error
    except IsADirectoryError as error:
        raise BadInput(f"{file} is a folder, and no backup.") from error
    except OSError as error:
        raise BadInput(f"The backup {file} cannot be read: {error.strerror}.") from error
    try:
        with content, zipfile.ZipFile(content) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(f"{file} is no backup of livedpo, or it is damaged: {error}.") from error


def _url(folder: Path) -> str:
    """The database in this folder."""
    return Settings(data_dir=folder).database_url


def _refuse_what_is_used(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; name a new folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"The folder {folder} is not empty; name a new one.")


def _refuse_without_room(file: Path, folder: Path) -> None:
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with _opened(file) as archive:
        needed = sum(entry.file_size for entry in archive.infolist())
    if needed > (free := shutil.disk_usage(place).free):
        raise LivedpoError(
            f"The backup {file} needs {needed / 1e9:.1f} GB, and the disk of {folder} has "
            f"{free / 1e9:.1f} GB free."
        )


def _copied(source: IO[bytes], target: IO[bytes] | None, bar: "tqdm[Any]") -> str:
    """Read all of it, write it on if there is a target, and return its sha256."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        bar.update(len(chunk))
    return digest.hexdigest()


def _bar(entries: list[zipfile.ZipInfo], what: str, *, quiet: bool) -> "tqdm[Any]":
    total = sum(entry.file_size for entry in entries)
    return tqdm(total=total, desc=what, unit="B", unit_scale=True, disable=quiet)
