"""harness.dev.tidyflags: what clang-tidy is told of GCC's command lines."""

import json
import os
from pathlib import Path

import pytest

from harness.dev.tidyflags import main, translate_entry

ENTRY = {"directory": "/x", "file": "kernel/base/a.c"}
HEADERS = "/clang/include"
CLANG = ["clang", "--target=aarch64-none-elf", "-isystem", HEADERS]
EXPECTED = [*CLANG, "-Ikernel", "-O2", "-c", "a.c"]


def test_gccs_own_options_are_gone_with_their_values() -> None:
    command = (
        "aarch64-linux-gnu-gcc -Ikernel -Wall -fcallgraph-info=su,da -MMD -MF a.d -O2"
        " --param stack-clash-protection-guard-size=12 --param=x=1 -c a.c"
    )
    assert translate_entry({**ENTRY, "command": command}, HEADERS) == {
        **ENTRY,
        "arguments": EXPECTED,
    }


def test_a_list_of_arguments_is_taken_as_it_is() -> None:
    arguments = ["gcc", "-Ikernel", "-O2", "-Werror", "-c", "a.c"]
    assert translate_entry({**ENTRY, "arguments": arguments}, HEADERS)["arguments"] == EXPECTED


def test_an_unchanged_file_keeps_its_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "from.json", tmp_path / "to.json"
    source.write_text(json.dumps([{**ENTRY, "command": "gcc -c a.c"}]), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["tidyflags", str(source), str(target), HEADERS])
    assert main() == 0
    os.utime(target, (1, 1))
    assert main() == 0
    assert target.stat().st_mtime == 1
