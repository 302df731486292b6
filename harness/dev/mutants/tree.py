"""A copy of the tree, with what was built in it, in which mutants are built and tried.

    with Tree(root, build / "mutants/tree-0") as tree:
        tree.put(mutant)      writes one file
        tree.build()          recompiles what depends on it, and links; BuildFailed
        tree.image()          tells two kernels apart by what would be loaded
        tree.take_back()

The checkout is only read. Files are copied where their content differs, so the second use of a tree
costs nothing, and one that was left in the middle of a mutant mends itself. Dates are the copy's
own: what is written is newer than all that was built before.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Self

from harness.dev.mutants.mutant import Mutant
from harness.errors import HarnessError, tail
from harness.serial.symbols import BUILD_ID, programs
from harness.tools import cross_prefix

BUILT = ("kernel", "user")  # folders of build/ that a copy begins with
# From the tree itself, whatever stands above it.
PYTEST = (
    ".venv/bin/python", "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider",
    "--rootdir=.", "-c", "pytest.ini",
)  # fmt: skip
MAKEFILE = "harness/dev/mutants/kernel.mk"
BUILD_SECONDS = 600


class BuildFailed(Exception):
    """The mutant does not compile, or a gate of the build refused it: the last lines."""


class Tree:
    def __init__(self, root: Path, folder: Path) -> None:
        self._checkout, self.folder = root, folder
        self._changed: str | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._copy_sources()
        self._be_a_clone()
        self._lead_to_python()
        self._copy_built()
        self.build()
        return self

    def __exit__(self, *_: object) -> None:
        self.take_back()

    @property
    def kernel(self) -> Path:
        return self.folder / "build/kernel.elf"

    def put(self, mutant: Mutant) -> None:
        source = (self._checkout / mutant.path).read_bytes()
        self._changed = mutant.path
        self._write(mutant.path, mutant.applied(source))

    def take_back(self) -> None:
        if self._changed:
            self._write(self._changed, (self._checkout / self._changed).read_bytes())
            self._changed = None

    def build(self) -> None:
        command = ["make", "-s", "-f", MAKEFILE, "kernel"]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                check=False,
                timeout=BUILD_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise BuildFailed(f"it did not end within {BUILD_SECONDS} s") from None
        if done.returncode:
            raise BuildFailed(tail(done.stderr, 6))

    def image(self) -> str:
        """A hash of what is loaded, without the build-id: equal ones are one program."""
        hashed = hashlib.sha256()
        for path in (self.kernel, *programs(self.kernel)):
            for part in _loaded(path):
                hashed.update(BUILD_ID.sub(b"", part))
        return hashed.hexdigest()[:16]

    @cached_property
    def environment(self) -> dict[str, str]:
        """This process' own, without the make that may have started it, and with caches apart."""
        told = {k: v for k, v in os.environ.items() if k not in _NOT_TOLD}
        return told | {
            "BUILD": "build",
            "CROSS_COMPILE": cross_prefix(),
            "PYTHONPYCACHEPREFIX": str(self.folder / "build/pycache"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / "build/hypothesis"),
        }

    def _copy_sources(self) -> None:
        wanted = set(sources(self._checkout))
        for name in wanted:
            content = (self._checkout / name).read_bytes()
            if _read(self.folder / name) != content:
                self._write(name, content)
        for path in _files(self.folder):
            if path.relative_to(self.folder).as_posix() not in wanted:
                path.unlink()

    def _be_a_clone(self) -> None:
        """For tests that ask git what belongs to the tree; build/, where this lies, is ignored."""
        if not (self.folder / ".git").exists():
            subprocess.run(["git", "init", "-q", self.folder], check=True)

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod((self._checkout / name).stat().st_mode)
        # Python takes a source of the same second and size for the one that it has compiled.
        for compiled in (self.folder / "build/pycache").rglob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def _lead_to_python(self) -> None:
        """The checkout's packages, under a stamp that says they are this tree's."""
        ours, theirs = self.folder / ".venv", self._checkout / ".venv"
        ours.mkdir(exist_ok=True)
        for entry in theirs.iterdir():
            link = ours / entry.name
            if entry.name != _STAMP and not link.is_symlink():
                link.symlink_to(entry.resolve())
        stamp = (theirs / _STAMP).read_text("utf-8").splitlines()[:2]
        text = "\n".join([*stamp, str(self.folder.resolve() / "build/pycache")]) + "\n"
        (ours / _STAMP).write_text(text, "utf-8")

    def _copy_built(self) -> None:
        """What the checkout has built, once: with its dates, and our path in kernel.flags."""
        made, build = self._checkout / os.environ.get("BUILD", "build"), self.folder / "build"
        build.mkdir(exist_ok=True)
        for library in made.glob("*.so"):
            shutil.copy2(library, build / library.name)
        if self.kernel.exists() or not (made / "kernel.elf").exists():
            return
        shutil.copytree(made, build, dirs_exist_ok=True, ignore=_only_kernel(made))
        flags = build / "kernel.flags"
        dates = flags.stat()
        here, there = str(self._checkout.resolve()), str(self.folder.resolve())
        flags.write_text(flags.read_text("utf-8").replace(here, there), "utf-8")
        os.utime(flags, ns=(dates.st_atime_ns, dates.st_mtime_ns))
        for name in sources(self._checkout):  # older than what was made of them
            if name.startswith(("kernel/", "harness/")):
                shutil.copystat(self._checkout / name, self.folder / name)


_STAMP = ".highwater-stamp"
_NOT_TOLD = frozenset("MAKEFLAGS MAKELEVEL MFLAGS BUILD ONLY LAB SCENARIO FILES COUNT SEED".split())


def sources(root: Path) -> list[str]:
    """What belongs to the tree: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if done.returncode:
        said = tail(done.stderr)
        raise HarnessError(
            "mutants are made of what git knows, and it knows no tree here",
            evidence=[("git said", said)],
            hint="run it in a clone",
        )
    names = sorted(set(done.stdout.decode().split("\0")) - {""})
    return [name for name in names if (root / name).is_file()]


def digest(root: Path) -> str:
    """Of all that decides what becomes of a mutant."""
    hashed = hashlib.sha256()
    for name in sources(root):
        if not name.startswith("docs/") and name != "kernel/mutants-accepted.toml":
            hashed.update(name.encode() + b"\0" + (root / name).read_bytes())
    return hashed.hexdigest()[:16]


def _loaded(path: Path) -> Iterator[bytes]:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        elf = ELFFile(file)
        for part in elf.iter_segments("PT_LOAD"):
            yield b"%x+%x" % (part["p_vaddr"], part["p_memsz"])
            yield part.data()


def _files(folder: Path) -> Iterator[Path]:
    """All but what is made there."""
    for entry in folder.iterdir():
        if entry.name in ("build", ".venv", ".git"):
            continue
        yield from (p for p in entry.rglob("*") if p.is_file()) if entry.is_dir() else (entry,)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _only_kernel(made: Path) -> Callable[[str, list[str]], list[str]]:
    def ignored(folder: str, names: list[str]) -> list[str]:
        if Path(folder) != made:
            return []
        return [n for n in names if n not in BUILT and not n.startswith("kernel.")]

    return ignored
