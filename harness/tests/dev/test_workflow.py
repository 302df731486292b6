"""The workflow of GitHub's: on every machine that the README names, with both compilers, what a
newcomer types. It is read as text, a row of its matrix a line.
"""

import re

import pytest

from harness.paths import ROOT

CI = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")

MACHINES = {  # as the workflow names them: as the README does
    "ubuntu-24.04": "Ubuntu 24.04",
    "debian-12": "Debian 12",
    "debian-13": "Debian 13",
    "debian-sid": "Debian unstable",
}
COMPILERS = {"", "clang"}
MAY_FAIL = {"debian-sid"}


def rows() -> list[dict[str, str]]:
    """Each `- { key: value, … }` below `include:`."""
    lines = re.findall(r"^ +- \{ (.*) \}$", CI, re.M)
    return [dict(re.findall(r'([\w-]+): "?([^",]*)"?', line)) for line in lines]


def test_each_machine_is_tried_with_each_compiler() -> None:
    tried = [(row["on"], row["cc"]) for row in rows()]
    assert sorted(tried) == sorted((on, cc) for on in MACHINES for cc in COMPILERS)


def test_a_container_is_the_machine_that_its_row_names() -> None:
    for row in rows():
        expected = "" if row["on"].startswith("ubuntu") else row["on"].replace("-", ":")
        assert row["container"] == expected
    assert re.search(r"^ +runs-on: ubuntu-24\.04$", CI, re.M), "where there is no container"


def test_what_may_fail_says_so_and_nothing_else_may() -> None:
    assert {row["on"] for row in rows() if row.get("may-fail") == "true"} == MAY_FAIL
    assert all("may-fail" in row for row in rows() if row["on"] in MAY_FAIL)
    assert "continue-on-error: ${{ matrix.may-fail || false }}" in CI
    assert "${{ matrix.may-fail && ' (may fail)' || '' }}" in CI
    assert "fail-fast: false" in CI


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_it_types_what_the_readme_says(command: str) -> None:
    assert re.search(rf"^    {command} +#", README, re.M)
    assert re.search(rf"^ +- run: {command} \$CHOSEN$", CI, re.M)
    assert "CHOSEN: ${{ matrix.cc && format('CC={0}', matrix.cc) || '' }}" in CI


@pytest.mark.parametrize("name", MACHINES.values())
def test_the_readme_names_each(name: str) -> None:
    assert name in README
