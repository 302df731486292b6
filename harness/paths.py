"""Where things lie: each path stands here and nowhere else.

Those that a command's output shows are relative to the root, where make, pytest and every command
run; ROOT and what begins with it holds in any folder.
"""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = Path(os.environ.get("BUILD") or "build")
KERNEL = BUILD / "kernel.elf"
ARTIFACTS = BUILD / "artifacts"
GOLDEN = Path("golden")
SCENARIOS = Path("scenarios")
DOCS = Path("docs")
NOTES = Path("kernel/stack-notes.toml")
HW = ROOT / "harness/hw/hw.py"  # sourced in GDB: the `hw` commands
