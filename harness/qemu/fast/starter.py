"""A program that is started once, up to its main(), and then cloned for every start of it.

To load QEMU and its fifty libraries takes a third of what a boot takes, and is the same each time.
harness/host/starter.c stops it where main() would begin and clones it from there on order. The
clone runs all of main() with its own arguments, environment, directory and descriptors; it is our
child, like one that subprocess started, and dies with us.

    starter = starter_of("/usr/bin/qemu-system-aarch64")
    pid = starter.start(argv, fds={0: stdin, 1: stdout, 2: stderr}, …)  # os.waitpid(pid) is yours

Whatever is in the way (no build/starter.so, a program that is a script or has no dynamic libraries,
a kernel without clone3) is a StarterError, once and for all for this program; then child.py starts
it the usual way, which takes longer and is otherwise the same. Not so when no answer comes: a clone
may still come, and two machines must not print into one log. That is a HarnessError.
"""

import atexit
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.paths import ROOT

MOST_FDS = 16  # starter.c's
SECONDS = 20.0  # to be answered in; it takes 15 ms the first time, then less than one

_ORDER = struct.Struct(f"=ii{MOST_FDS}iiiq")  # struct order of starter.c
_SOCKET, _PROGRAM = "HIGHWATER_STARTER", "HIGHWATER_STARTER_PROG"
_ROOM = "-" * 4096  # for the arguments that ps is to show
_ELF = b"\x7fELF"


class StarterError(Exception):
    """It cannot be started so."""


class Starter:
    """One waiting program. `start` may be called from any thread.

    The kernel kills a child when the *thread* that is its parent ends, so the waiting program, and
    with it every clone, belongs to a thread that does nothing else and never ends by itself.
    """

    def __init__(self, program: str) -> None:
        self._program = os.path.realpath(program)
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._failed = ""
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process: subprocess.Popen[bytes] | None = None
        begun = threading.Event()
        # A daemon: it must not keep a dying interpreter alive, and dies with the process.
        threading.Thread(
            target=self._keep, args=(theirs, begun), name=f"starter-{program}", daemon=True
        ).start()
        begun.wait()

    def start(
        self,
        argv: Sequence[str],
        *,
        fds: Mapping[int, int],
        environment: Mapping[str, str],
        file_limit: int,
    ) -> int:
        """The pid of a new child that runs argv; `fds`: its descriptors, by number, out of ours.

        It has a session of its own, and writes no file beyond `file_limit` bytes.
        """
        if self._failed or len(fds) > MOST_FDS:
            raise StarterError(self._failed or f"{len(fds)} descriptors")
        try:
            order = self._order(argv, list(fds), environment, file_limit)
        except FileNotFoundError:
            raise StarterError("the directory that we are in is gone") from None
        try:
            return self._ask(order, list(fds.values()))
        except TimeoutError:
            self._failed = f"it did not answer within {SECONDS:g} s"
            raise HarnessError(
                f"{self._program} was not started: who clones it does not answer",
                evidence=[("expected", f"an answer within {SECONDS:g} s")],
                hint="look for a stopped `highwater: QEMU, to be started` (ps), and run it again",
            ) from None
        except (OSError, StarterError) as error:
            self._failed = f"{self._program} does not wait at its main(): {error}"
            raise StarterError(self._failed) from None

    def close(self) -> None:
        """The waiting program ends, whatever it is at; what it has started goes on."""
        self._ours.close()
        if self._process and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()

    def _order(
        self,
        argv: Sequence[str],
        numbers: list[int],
        environment: Mapping[str, str],
        file_limit: int,
    ) -> bytes:
        variables = [f"{name}={value}" for name, value in environment.items()]
        head = _ORDER.pack(
            self._owner,
            len(numbers),
            *(numbers + [0] * (MOST_FDS - len(numbers))),
            len(argv),
            len(variables),
            file_limit,
        )
        return head + b"".join(os.fsencode(w) + b"\0" for w in (str(Path.cwd()), *argv, *variables))

    def _ask(self, order: bytes, fds: list[int]) -> int:
        with self._lock:
            self._ours.settimeout(SECONDS)
            socket.send_fds(self._ours, [order], fds)
            answer = self._ours.recv(4)
        if not answer:
            raise StarterError("it has ended")
        pid = int.from_bytes(answer, "little", signed=True)
        if pid < 0:
            raise StarterError(f"clone3: {os.strerror(-pid)}")
        return pid

    def _keep(self, theirs: socket.socket, begun: threading.Event) -> None:
        preload = " ".join(filter(None, [str(library()), os.environ.get("LD_PRELOAD")]))
        told = {"LD_PRELOAD": preload, _SOCKET: str(theirs.fileno()), _PROGRAM: self._program}
        quiet = subprocess.DEVNULL
        try:
            # --version: what a program does that takes no notice of us.
            self._process = subprocess.Popen(
                [self._program, "--version", _ROOM],
                stdin=quiet,
                stdout=quiet,
                stderr=quiet,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=os.environ | told,
            )
        except OSError as error:
            self._failed = str(error)
        finally:
            theirs.close()
            begun.set()
        threading.Event().wait()


def library() -> Path:
    return built("starter.so")


def built(name: str) -> Path:
    """What `make build` makes of harness/host to be loaded into QEMU; it need not be there."""
    return ROOT / (os.environ.get("BUILD") or "build") / name


_asked: set[tuple[object, ...]] = set()
_starters: dict[tuple[object, ...], Starter | None] = {}
_lock = threading.Lock()


def starter_of(program: str) -> Starter | None:
    """This process's starter of a program, or None: it has none.

    It is made when it is asked for a second time: who boots once would pay twice for the loading. A
    program or a library that was changed is another one.
    """
    try:
        stamps = [path.stat() for path in (Path(program), library())]
    except OSError:
        return None
    key = (program, *((s.st_ino, s.st_mtime_ns, s.st_size) for s in stamps))
    with _lock:
        if key not in _asked:
            _asked.add(key)
            return None
        if key not in _starters:
            _starters[key] = Starter(program) if _is_elf(program) else None
        return _starters[key]


def _is_elf(program: str) -> bool:
    with Path(program).open("rb") as file:
        return file.read(4) == _ELF


@atexit.register
def close_all() -> None:
    """Of a process that ends, or was forked off and has none of its own."""
    for starter in _starters.values():
        if starter:
            starter.close()
    _starters.clear()
    _asked.clear()


os.register_at_fork(after_in_child=close_all)
