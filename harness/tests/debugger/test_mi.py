"""The MI parser against what GDB 13 really printed, against itself, and against noise."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.debugger import mi

STOPPED = (
    '*stopped,reason="breakpoint-hit",disp="keep",bkptno="1",frame={addr="0x0000000040200040",'
    'func="step",args=[],arch="aarch64"},thread-id="1",stopped-threads="all"'
)
FRAMES = '6^done,stack=[frame={level="0",addr="0x40",func="step"},frame={level="1",addr="0x2c"}]'
SEVERAL = '4^done,bkpt={number="1",addr="<MULTIPLE>"},{number="1.1"},{number="1.2"}'


def test_result_with_a_list_of_results() -> None:
    record = mi.parse(FRAMES)
    frames: list[mi.Value] = [
        {"level": "0", "addr": "0x40", "func": "step"},
        {"level": "1", "addr": "0x2c"},
    ]
    assert record == mi.Result(6, "done", {"stack": frames})


def test_async() -> None:
    record = mi.parse(STOPPED)
    assert isinstance(record, mi.Async)
    assert (record.sign, record.kind, record.results["bkptno"]) == ("*", "stopped", "1")
    frame = record.results["frame"]
    assert isinstance(frame, dict)
    assert (frame["func"], frame["args"]) == ("step", [])


def test_a_breakpoint_with_several_locations() -> None:
    record = mi.parse(SEVERAL)
    assert isinstance(record, mi.Result)
    assert record.results["bkpt"] == {"number": "1", "addr": "<MULTIPLE>"}


@pytest.mark.parametrize("line", ["(gdb) ", "(gdb)", "(gdb) \r"])
def test_prompt(line: str) -> None:
    assert mi.parse(line) is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (r'~"20\t\tadr\tx0\n"', "20\t\tadr\tx0\n"),
        (r'&"\"quoted\" \\ back"', '"quoted" \\ back'),
        (r'~"\342\200\234name\342\200\235"', "“name”"),
        ('~"“name”"', "“name”"),
        (r'~"\033[1m"', "\x1b[1m"),
    ],
)
def test_text(line: str, text: str) -> None:
    assert mi.parse(line) == mi.Text(line[0], text)


@pytest.mark.parametrize(
    "line",
    ["", "hello", "^", '1^done,a="b', '~"x"y', "1^done,a={b}", '1^done,a=["b" "c"]', "1^done,"],
)
def test_malformed(line: str) -> None:
    with pytest.raises(mi.MiError):
        mi.parse(line)


# Steady on a busy machine: no time limits, the same examples every time, nothing written.
steady = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    database=None,
)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
STRINGS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
VALUES = st.recursive(
    STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
RESULTS = st.dictionaries(NAMES, VALUES, max_size=5)


def written(value: mi.Value) -> str:
    """As GDB writes it."""
    if isinstance(value, str):
        return f'"{"".join(map(_escaped, value))}"'
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return f"{{{listed(value)}}}"


def listed(results: dict[str, mi.Value]) -> str:
    return ",".join(f"{name}={written(value)}" for name, value in results.items())


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and character.isascii():
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode())


def record(head: str, results: dict[str, mi.Value]) -> str:
    return f"{head},{listed(results)}" if results else head


@steady
@given(st.integers(0, 10**9), RESULTS)
def test_what_is_written_is_read(token: int, results: dict[str, mi.Value]) -> None:
    assert mi.parse(record(f"{token}^done", results)) == mi.Result(token, "done", results)
    assert mi.parse(record("=changed", results)) == mi.Async(None, "=", "changed", results)


@steady
@given(STRINGS)
def test_a_quoted_word_is_one_word(word: str) -> None:
    assert "\n" not in mi.quote(word)
    assert mi.parse("~" + mi.quote(word)) == mi.Text("~", word)


@steady
@given(st.text())
def test_noise_is_refused_not_fallen_over(noise: str) -> None:
    for line in (noise, "~" + noise, "1^done," + noise, "*stopped,a={" + noise):
        try:
            mi.parse(line)
        except mi.MiError as refused:
            assert str(refused)


def test_depth_has_an_end() -> None:
    deepest = 50
    parsed = mi.parse("1^done,a=" + "[" * deepest + "]" * deepest)
    assert isinstance(parsed, mi.Result)
    with pytest.raises(mi.MiError, match=f"nested deeper than {deepest}"):
        mi.parse("1^done,a=" + "[" * (deepest + 1) + "]" * (deepest + 1))
    with pytest.raises(mi.MiError, match="nested deeper"):
        mi.parse("1^done,a=" + "[" * 100_000)
