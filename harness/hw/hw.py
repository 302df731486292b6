"""Loads Highwater's GDB commands: `source harness/hw/hw.py`, then `help hw`.

Every other file of this directory is loaded as a module of the package `hw`; a command is a class
there with @command (kernel.py), and needs to be named nowhere else. Sourcing this file again loads
all of them anew, so that one can be edited and tried in a running session.

They only read: nothing here calls into the guest. Only blame.py moves it, back in a record
(rewind.py); `hw paint NAME again` (paint.py) writes what its name says, and inject.py changes what
one call returns.
"""

import importlib
import sys
import types
from pathlib import Path

import gdb


class Hw(gdb.Command):
    """Highwater's kernel: its stacks, threads, pools, tables, faults and names.

    Each command wants the machine attached, stopped, and with the MMU on; it says what to type
    when that is not so. To attach by hand: see docs/debugging.md.
    """

    def __init__(self):
        super().__init__("hw", gdb.COMMAND_USER, prefix=True)


def load():
    # Not __file__: GDB leaves that of the outermost script in place.
    here = Path(load.__code__.co_filename).resolve().parent
    sys.pycache_prefix = sys.pycache_prefix or str(here.parents[1] / "build" / "pycache")
    for name in [name for name in sys.modules if name == "hw" or name.startswith("hw.")]:
        del sys.modules[name]
    package = types.ModuleType("hw", __doc__)
    package.__path__ = [str(here)]
    sys.modules["hw"] = package
    for file in sorted(here.glob("*.py")):
        if file.stem != "hw":
            importlib.import_module(f"hw.{file.stem}")


Hw()
load()
