"""Where version folders are for all processes of a service: `--versions-url`.

    publish  =  files to the URL, the manifest with their checksums last
    fetch    =  the manifest, then the files, into a folder of another name; checked, then renamed

The local folder of adapters is what each process works with. Without a URL it is all there is, and
nothing here does anything. With one, the trainer publishes a version before it can become live, and
others fetch what they lack. A store may lag, or show half a folder: that is "not there yet", never
a version. A folder never changes, and its name is never used again.

The place is marked with the service's identity, so that no two services share one.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

from labeler.config.settings import Settings
from labeler.domain.adapter_folder import MANIFEST, DamagedCheckpointError, verify
from labeler.domain.errors import BadInput, LivedpoError, first_line

MARK = "livedpo-service.json"
FETCHING = ".fetching-"


class Shelf:
    """The versions of a service: in `folder`, and at `url` for other machines if there is one.

    Raises BadInput for a URL that this installation cannot use.
    """

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url
        self._files: Any = None
        self._root = ""
        if url is not None:
            self._files, self._root = _opened(url)

    def claim(self, identity: str, *, writes: bool) -> None:
        """Check that this place is this service's; mark it, if this process `writes` there.

        Raises BadInput if it is another service's, or cannot be reached or written.
        """
        if self._files is None:
            return
        try:
            found = self._mark()
            if found is None and writes:
                self._files.makedirs(self._root, exist_ok=True)
                self._files.pipe_file(self._at(MARK), json.dumps({"service": identity}).encode())
                found = self._mark()
        except (OSError, ValueError) as error:
            doing = "written" if writes else "read"
            raise BadInput(
                f"--versions-url {self.url} cannot be {doing}: {first_line(error)}."
            ) from error
        if found not in (None, identity):
            raise BadInput(
                f"--versions-url {self.url} belongs to another service; give each its own."
            )

    def has(self, name: str) -> bool:
        """Whether the folder of this name is here."""
        return (self.folder / name / MANIFEST).is_file()

    def fetch(self, name: str, sha256: str | None) -> Path:
        """The folder of this name, fetched if it is not here, and checked.

        Raises DamagedCheckpointError while it is not all there.
        """
        folder = self.folder / name
        if self._files is not None and not self.has(name):
            try:
                self._fetch(name, sha256)
            except DamagedCheckpointError:
                raise
            except (OSError, ValueError) as error:
                raise DamagedCheckpointError(
                    f"Version folder {name} is not at {self.url} yet ({first_line(error)}); it is "
                    "waited for."
                ) from error
        verify(folder, sha256)
        return folder

    def publish(self, name: str) -> None:
        """Let other machines have a complete folder. Raises LivedpoError."""
        if self._files is None:
            return
        paths = sorted((self.folder / name).iterdir(), key=lambda path: path.name == MANIFEST)
        try:
            self._files.makedirs(self._at(name), exist_ok=True)
            for path in paths:
                self._files.pipe_file(self._at(name, path.name), path.read_bytes())
        except OSError as error:
            raise LivedpoError(
                f"Version folder {name} cannot be written to {self.url}: {first_line(error)}."
            ) from error

    def published(self) -> set[str]:
        """The names of the folders at the URL. Raises LivedpoError."""
        if self._files is None:
            return set()
        try:
            found = self._files.ls(self._root, detail=False, refresh=True)
        except (OSError, TypeError) as error:
            raise LivedpoError(f"{self.url} cannot be listed: {first_line(error)}.") from error
        return {str(path).rstrip("/").rpartition("/")[2] for path in found}

    def remove(self, names: Iterable[str]) -> None:
        """Take folders away from the URL, the manifest first; gone ones are fine.

        Raises LivedpoError.
        """
        if self._files is None:
            return
        for name in names:
            try:
                if self._files.exists(self._at(name, MANIFEST)):
                    self._files.rm_file(self._at(name, MANIFEST))
                if self._files.exists(self._at(name)):
                    self._files.rm(self._at(name), recursive=True)
            except OSError as error:
                raise LivedpoError(
                    f"Version folder {name} cannot be removed from {self.url}: {first_line(error)}."
                ) from error

    def _fetch(self, name: str, sha256: str | None) -> None:
        """Several processes may use one local folder: one of them fetches at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".fetching.lock"):
            if self.has(name):
                return
            temporary = self.folder / (FETCHING + name)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            try:
                manifest = self._read(name, MANIFEST)
                for file in _named(manifest):
                    (temporary / file).write_bytes(self._read(name, file))
                (temporary / MANIFEST).write_bytes(manifest)
                verify(temporary, sha256)
                temporary.rename(self.folder / name)
            except DamagedCheckpointError as error:
                raise ValueError("its checksums are not right") from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _read(self, *names: str) -> bytes:
        assert self._files is not None
        self._files.invalidate_cache()
        content: bytes = self._files.cat_file(self._at(*names))
        return content

    def _mark(self) -> str | None:
        try:
            return str(json.loads(self._read(MARK))["service"])
        except FileNotFoundError:
            return None
        except (KeyError, TypeError) as error:
            raise ValueError(f"its {MARK} is not one of livedpo") from error

    def _at(self, *names: str) -> str:
        return "/".join((self._root.rstrip("/"), *names))


def shelf_of(settings: Settings) -> Shelf:
    """The shelf of these settings. Raises BadInput."""
    return Shelf(settings.adapters_dir, settings.versions_url)


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises BadInput."""
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        extra = " `pip install 'livedpo[s3]'`" if url.startswith("s3:") else f" {first_line(error)}"
        raise BadInput(f"--versions-url {url} needs a package that is missing:{extra}.") from error
    except ValueError as error:
        raise BadInput(f"--versions-url {url} cannot be used: {first_line(error)}.") from error
    return files, root


def _named(manifest: bytes) -> list[str]:
    """The plain file names in a manifest. Raises ValueError."""
    found = json.loads(manifest)
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, dict) or any(Path(name).name != name for name in files):
        raise ValueError(f"its {MANIFEST} lists no files")
    return list(files)
