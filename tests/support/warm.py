"""Roles that need not load their libraries: forks of the tests' own process, which has loaded them.

    python -m tests.support.warm serve     `livedpo serve`, whose roles come from here

A process of tests forks a nursery as soon as it has collected them: it has imported what they need,
and has opened nothing yet. A supervisor asks it for each of its roles, and a test by `role`. From
there on a role lives as ever: module, settings, standard input and output, session, signals and
exit code are those that a cold start has, and so is each line that it runs. It cannot show what a
role imports, or how long it takes to start: tests of that start it cold, and so do some of each
kind of test.
"""

import contextlib
import gc
import json
import logging
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from labeler.roles import MODULES, START

SOCKET = "WARM_ROLES"  # names the nursery, in the environment of those who ask it
LONGEST = 1 << 20
PEER = struct.Struct("3i")  # SO_PEERCRED: process, user, group
# What Python does not show unless it is asked to.
NOT_SHOWN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
ROLES = {module: role for role, module in MODULES.items()}


@dataclass(frozen=True)
class Grown:
    """A role that was forked: who asked for it, and where it waits for the exit code."""

    role: str
    asked_by: int
    asker: socket.socket


def open_nursery() -> None:
    """Fork it from this process, which has imported everything and has opened nothing."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.environ[SOCKET] = str(Path(tempfile.mkdtemp(prefix="livedpo-warm-")) / "socket")
    listener.bind(os.environ[SOCKET])
    listener.listen(64)
    reading, writing = os.pipe()  # ends when this process does, however it ends
    with warnings.catch_warnings(action="ignore"):  # of threads, none of which the fork needs
        child = os.fork()
    if child:
        os.close(reading)
        listener.close()
        return
    os.close(writing)
    try:
        gc.disable()
        os.setsid()
        _Nursery(listener, reading).live()
    finally:
        shutil.rmtree(Path(os.environ[SOCKET]).parent, ignore_errors=True)
        os._exit(0)


def roles_of(supervisor: int) -> dict[str, int]:
    """The processes of the warm roles that this supervisor has asked for and that live."""
    with _asking({"asked": "roles", "of": supervisor}) as asker:
        found: dict[str, int] = json.loads(asker.recv(LONGEST))
    return found


def _asking(question: dict[str, Any], files: tuple[int, ...] = ()) -> socket.socket:
    asker = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asker.connect(os.environ[SOCKET])
    socket.send_fds(asker, [json.dumps(question).encode()], files)
    return asker


def role(
    module: str, *words: str, environment: dict[str, str], stderr: IO[bytes] | None = None
) -> "WarmRole":
    """What `python -m MODULE WORDS` is, in this environment."""
    command = [sys.executable, "-m", START, module, *words]
    return WarmRole(command, env=environment, stderr=stderr)


class WarmRole(subprocess.Popen[bytes]):
    """A role in the place of the process that a supervisor would start with these words."""

    def __init__(
        self,
        command: list[str],
        *,
        env: dict[str, str],
        stderr: IO[bytes] | None = None,
        **_: object,
    ) -> None:
        assert command[:3] == [sys.executable, "-m", START]
        self.args, self.returncode, self._child_created = command, None, False
        reading, writing = os.pipe()
        words = {"asked": "role", "words": command[3:], "environment": dict(env)}
        self._asker = _asking(words, (reading, 1, stderr.fileno() if stderr else 2))
        os.close(reading)
        self.stdin: IO[bytes] = os.fdopen(writing, "wb")
        self.stdout = self.stderr = None
        self.pid = int(self._asker.recv(64))

    def poll(self) -> int | None:
        return self._heard(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._heard(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def _heard(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._asker], [], [], seconds)[0]:
            self.returncode = int(self._asker.recv(64) or -signal.SIGKILL)
            self._asker.close()
            self.stdin.close()
        return self.returncode


class _Nursery:
    """Forks roles, and tells of their ends, until the tests' process is gone."""

    def __init__(self, listener: socket.socket, parent: int) -> None:
        self._listener = listener
        self._parent = parent
        self._grown: dict[int, Grown] = {}

    def live(self) -> None:
        woken, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes)
        asked = self._listener.fileno()
        while self._parent not in (ready := select.select([asked, self._parent, woken], [], [])[0]):
            if woken in ready:
                os.read(woken, 4096)
                self._bury()
            if asked in ready:
                self._answer()

    def _answer(self) -> None:
        asker, _ = self._listener.accept()
        said, files, _, _ = socket.recv_fds(asker, LONGEST, 3)
        question = json.loads(said)
        if question["asked"] == "roles":
            mine = [(n, one) for n, one in self._grown.items() if one.asked_by == question["of"]]
            asker.send(json.dumps({one.role: pid for pid, one in mine}).encode())
            asker.close()
            return
        peer = PEER.unpack(asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        if not (pid := os.fork()):
            signal.set_wakeup_fd(-1)
            for opened in (self._listener, asker, *(one.asker for one in self._grown.values())):
                opened.close()
            os.close(self._parent)
            _become(question["words"], question["environment"], files)
        role = ROLES.get(question["words"][0], question["words"][0])
        self._grown[pid] = Grown(role, peer[0], asker)
        asker.send(str(pid).encode())
        for file in files:
            os.close(file)

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                gone = self._grown.pop(found[0])
                with contextlib.suppress(OSError):  # who asked for it may have gone before
                    gone.asker.send(str(os.waitstatus_to_exitcode(found[1])).encode())
                gone.asker.close()


def _become(words: list[str], environment: dict[str, str], files: list[int]) -> None:
    """Go on as `python -m labeler.roles.start` with these words; never returns."""
    code = 1
    try:
        _forget_tests(environment, files)
        sys.argv = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python does
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)


def _forget_tests(environment: dict[str, str], files: list[int]) -> None:
    os.setsid()
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(place, mode, buffering=1, closefd=False) for place, mode in enumerate("rww")
    )
    os.environ.clear()
    os.environ.update(environment)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)
    warnings.resetwarnings()
    for kind in NOT_SHOWN:
        warnings.simplefilter("ignore", kind)
    warnings.filterwarnings("ignore", module="runpy")  # of modules that are imported already
    from tests.support.quick_databases import as_ever

    as_ever()


def main() -> None:
    """The command line, with warm roles."""
    from labeler.cli.main import main as command_line

    subprocess.Popen = WarmRole  # type: ignore[assignment, misc]
    command_line()


if __name__ == "__main__":
    main()
