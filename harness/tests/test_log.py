"""The grammar's reader: every record comes back, and nothing that is not one gets through."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LogError, WrongBuild
from harness.log import Record, parse, parse_line, parse_lines, seen_verdict
from harness.tests.samples import BUILD_ID, NONCE, SERIAL

WORD = st.text(string.ascii_letters + string.digits + "#+-_.:,~%", min_size=1, max_size=8)
WORDS = st.lists(WORD.filter(lambda word: word != ":"), max_size=3)
KEY = st.from_regex(r"[a-z_][a-z0-9_-]{0,7}", fullmatch=True)
VALUE = st.text(string.ascii_letters + string.digits + "=:+-,.", min_size=1, max_size=8)
NAME = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=6)
PROSE = st.text([chr(code) for code in range(0x20, 0x7F)], max_size=40)
RECORDS = st.builds(
    Record,
    st.lists(NAME, min_size=1, max_size=2).map(tuple),
    WORDS.map(tuple),
    st.dictionaries(KEY, VALUE, max_size=3),
    PROSE,
)


@given(st.lists(RECORDS, max_size=5))
def test_what_is_rendered_is_parsed_back(records: list[Record]) -> None:
    text = "".join(f"{record}\n" for record in records)
    assert list(parse_lines(text.encode())) == records


def test_a_record_has_its_four_parts() -> None:
    record = parse_line("[mem-lab][pool] free list blocks=12 by=lr : a : b = c")
    assert record.area == ("mem-lab", "pool")
    assert record.words == ("free", "list")
    assert dict(record.fields) == {"blocks": "12", "by": "lr"}
    assert record.prose == "a : b = c"


def test_the_sample_is_whole() -> None:
    log = parse(SERIAL, build_id=BUILD_ID, nonce=NONCE)
    assert log.verdict == "caught by=guard-page"
    assert [r.words[0] for r in log.select("bt")] == ["#0", "#1", "#2", "#340", "#341", "end"]
    assert "".join(f"{record}\n" for record in log.records).encode() == SERIAL


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hello", "expected it to begin with"),
        ("", "expected it to begin with"),
        ("[]", "expected it to begin with"),
        ("[boot]args", "expected it to begin with"),
        (" [boot] x", "expected it to begin with"),
        ("[a] k=1 word", "word 'word' behind"),
        ("[a] k=1 k=2", "'k' appears twice"),
        ("[a] K=1", "malformed field"),
        ("[a] k=", "malformed field"),
        ("[a] =1", "malformed field"),
        ("[a]  two", "two blanks"),
        ("[a] end ", "two blanks"),
        ("[a] word :", "colon without prose"),
        ("[a] tab\t", "not printable"),
        ("[a] crlf\r", "not printable"),
        ("[a] " + "x" * 252, "257 bytes"),
    ],
)
def test_a_line_that_is_no_record_is_refused(line: str, problem: str) -> None:
    with pytest.raises(LogError, match="serial line 2: .*" + problem):
        list(parse_lines(f"[ok] line\n{line}\n".encode()))


def test_a_line_of_exactly_256_bytes_is_read() -> None:
    assert parse_line("[a] " + "x" * 251).words == ("x" * 251,)


def test_a_cut_off_line_is_refused_by_number() -> None:
    with pytest.raises(LogError, match="serial line 15: the last line is cut off"):
        parse(SERIAL[:-1])


def _without(line: bytes) -> bytes:
    return b"".join(kept for kept in SERIAL.splitlines(True) if not kept.startswith(line))


def test_a_log_without_end_is_refused() -> None:
    with pytest.raises(LogError, match=r"no \[end\] record"):
        parse(_without(b"[end]"))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (b"[end] ok\n", r"2 \[end\] records, on lines 15, 16"),
        (b"[lab] late\n", r"serial line 16: a record behind \[end\]"),
    ],
)
def test_nothing_comes_behind_end(more: bytes, problem: str) -> None:
    with pytest.raises(LogError, match=problem):
        parse(SERIAL + more)


@pytest.mark.parametrize("end", [b"[end]\n", b"[end] passed\n", b"[end] no-end\n", b"[end] by=x\n"])
def test_verdicts_are_a_closed_list(end: bytes) -> None:
    with pytest.raises(LogError, match="unknown verdict; expected one of bad-args, caught"):
        parse(_without(b"[end]") + end)


@pytest.mark.parametrize(
    ("what", "build_id", "nonce"), [("build", "00", NONCE), ("nonce", BUILD_ID, "x")]
)
def test_a_log_of_another_build_or_run_is_refused(what: str, build_id: str, nonce: str) -> None:
    with pytest.raises(WrongBuild, match=f"from another {what}"):
        parse(SERIAL, build_id=build_id, nonce=nonce)


def test_a_log_without_a_banner_is_refused() -> None:
    with pytest.raises(LogError, match=r"no \[boot\] highwater record"):
        parse(_without(b"[boot]"), nonce=NONCE)


def test_the_banner_need_not_be_the_first_boot_record() -> None:
    log = parse(b"[boot] early word=1\n" + SERIAL, build_id=BUILD_ID, nonce=NONCE)
    assert log.records[0].words == ("early",)


@pytest.mark.parametrize(
    ("serial", "verdict"),
    [
        (SERIAL, "caught by=guard-page"),
        (b"", "no-end"),
        (b"[boot] x\n[lab] ent", "no-end"),
        (b"noise\n[end] ok\n", "ok"),
        (b"[end] ok\n[end] ok\n", "harness-error"),
        (b"[end] k=1 ok\n", "harness-error"),
        (b"[end] by=x\n", "harness-error"),
    ],
)
def test_any_log_has_a_verdict_to_show(serial: bytes, verdict: str) -> None:
    assert seen_verdict(serial) == verdict


def test_a_line_that_was_cut_is_kept_as_such() -> None:
    assert str(parse_line("[sta~")) == "[cut] : [sta~"
    assert parse_line("[lab] enter na~").words == ("enter", "na~")
    with pytest.raises(LogError):
        parse_line("[sta")
