"""A boot in one small file, to have it again: here, or wherever the same image is.

walk.py boots what a capsule says and leaves it in the case's folder; `make debug SCENARIO=` opens
the same; `make replay CAPSULE=` reads the file back: the same boot by construction. The image
itself is not inside: its build-id is, and another image is refused.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from harness.errors import HarnessError, KernelNotBuilt
from harness.qemu.machine import MachineSpec
from harness.scenario import Case
from harness.serial.symbols import build_id

FILE = "capsule.json"
SNAPSHOT = "snapshot.qcow2"  # beside it, where a warm boot failed: the moment it began (warm.py)


def image_of(kernel: Path) -> str:
    """The image's build-id; "" when it has none, and then nothing can bring its capsule back."""
    try:
        return build_id(kernel)
    except KernelNotBuilt:
        return ""


class WrongImage(HarnessError):
    """The kernel at hand is not the one that the capsule was made with."""


@dataclass(frozen=True)
class Capsule:
    """go: what is typed when the lab holds; pokes: what GDB writes at the lab's entry."""

    title: str
    build_id: str
    append: str
    cpu: str
    memory_mib: int
    cpus: int
    icount: str | None
    entry: str
    go: str = ""
    pokes: tuple[tuple[str, int], ...] = ()
    mte: bool = False

    @classmethod
    def of_case(cls, case: Case, append: str, image: str) -> Self:
        scenario = case.scenario
        return cls(
            title=case.full_id,
            build_id=image,
            append=append,
            cpu=scenario.cpu,
            memory_mib=scenario.memory_mib,
            cpus=scenario.cpus,
            icount=scenario.icount,
            entry=case.entry,
            go=case.go if case.trigger == "serial" else "",
            pokes=tuple(case.pokes()) if case.trigger == "gdb" else (),
            mte=scenario.mte,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The capsule in a folder; HarnessError when there is none, or it is not whole."""
        file = folder / FILE
        try:
            fields = json.loads(file.read_text("utf-8"))
            pokes = tuple((str(name), int(value)) for name, value in fields.pop("pokes"))
            return cls(**fields, pokes=pokes)
        except FileNotFoundError:
            hint = "name a folder that a failed scenario printed: build/artifacts/FAMILY.CASE"
            raise HarnessError(f"there is no capsule in {folder}", hint=hint) from None
        except (ValueError, KeyError, TypeError) as error:
            raise HarnessError(f"{file} is no capsule: {error}") from None

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")

    def check(self, kernel: Path) -> None:
        """WrongImage unless `kernel` is the image of the capsule."""
        if (ours := build_id(kernel)) != self.build_id:
            raise WrongImage(
                f"{kernel} is another image: its build-id is {ours}, the capsule's {self.build_id}",
                hint="bring back the sources of that run (git checkout), then: make build",
            )

    def spec(self, kernel: Path, *, gdb: bool) -> MachineSpec:
        """The machine; for GDB, stopped at its first instruction."""
        return MachineSpec(
            kernel,
            self.append,
            cpu=self.cpu,
            memory_mib=self.memory_mib,
            cpus=self.cpus,
            icount=self.icount,
            mte=self.mte,
            gdb=gdb,
            stopped=gdb,
        )
