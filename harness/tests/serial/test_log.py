"""The grammar's reader: every record comes back, and nothing that is not one gets through."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LogError, WrongBuild
from harness.paths import ROOT
from harness.serial.log import (
    Record,
    check_unfinished,
    parse,
    parse_line,
    parse_lines,
    seen_verdict,
)
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


def test_a_banner_is_one_by_its_first_word() -> None:
    serial = SERIAL.replace(b"[boot] highwater ", b"[boot] highwater again ", 1)
    assert serial != SERIAL
    assert parse(serial, build_id=BUILD_ID, nonce=NONCE).verdict == "caught by=guard-page"
    with pytest.raises(WrongBuild, match="from another build"):
        parse(serial, build_id="0" * 40, nonce=NONCE)


def test_a_line_is_as_long_as_the_kernels_buffer_and_no_longer() -> None:
    header = (ROOT / "kernel/base/cpu.h").read_text("utf-8")
    (limit,) = re.findall(r"^#define LINE_MAX_BYTES (\d+)", header, re.MULTILINE)
    longest = "[a] : ".ljust(int(limit) - len("\n"), "x")
    assert [str(record) for record in parse_lines(f"{longest}\n".encode())] == [longest]
    with pytest.raises(LogError, match=f"has {int(limit) + 1} bytes; the grammar allows {limit}"):
        list(parse_lines(f"{longest}x\n".encode()))


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
        ("[a] tab\t", "a TAB in column 8, which is not printable"),
        ("[a] crlf\r", "ends in CR LF, and CR is not printable"),
        ("[a] c\rr", "a CR in column 6"),
        ("[a] nul\0", "a NUL in column 8"),
        ("[a] bell\a", "the control character 0x07 in column 9"),
        ("[a] ü", "'ü' in UTF-8 in column 5"),
        ("[a] " + "x" * 252, "257 bytes"),
    ],
)
def test_a_line_that_is_no_record_is_refused(line: str, problem: str) -> None:
    with pytest.raises(LogError, match="serial line 2: .*" + problem):
        list(parse_lines(f"[ok] line\n{line}\n".encode()))


def test_a_line_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(LogError, match=r"serial line 1: .* the byte 0xff in column 5"):
        list(parse_lines(b"[a] \xff\n"))


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
        (b"[lab] late\n", r"serial line 16: a record after \[end\]"),
    ],
)
def test_nothing_comes_after_end(more: bytes, problem: str) -> None:
    with pytest.raises(LogError, match=problem):
        parse(SERIAL + more)


@pytest.mark.parametrize("end", [b"[end]\n", b"[end] passed\n", b"[end] no-end\n", b"[end] by=x\n"])
def test_verdicts_are_a_closed_list(end: bytes) -> None:
    with pytest.raises(LogError, match="unknown verdict; expected one of bad-args, caught"):
        parse(_without(b"[end]") + end)


BOOTS = SERIAL.splitlines(True)
BANNER, ARGS, _, ENTER, *LATER = BOOTS


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([*BOOTS[:-1], *BOOTS], r"line 15: \[boot\] highwater after \[lab\] enter"),
        ([*BOOTS[:-1], BANNER.replace(b"9f3c", b"0000"), *BOOTS[1:]], "a second boot"),
        ([BANNER, BANNER, *BOOTS[1:]], r"line 2: \[boot\] highwater after \[boot\] highwater"),
        ([BANNER, ARGS, ARGS, ENTER, *LATER], r"\[boot\] args after \[boot\] args"),
        ([BANNER, ENTER, ENTER, *LATER], r"\[lab\] enter after \[lab\] enter"),
        ([ENTER, *LATER[:3], BANNER, *LATER], r"\[boot\] highwater after \[lab\] enter"),
        ([ENTER, ARGS, *LATER], r"\[boot\] args after \[lab\] enter"),
        ([LATER[0], *BOOTS], "line 1: a record before the banner"),
    ],
)
def test_two_boots_are_no_log_of_one(lines: list[bytes], problem: str) -> None:
    with pytest.raises(LogError, match=problem):
        parse(b"".join(lines))
    with pytest.raises(LogError, match=problem):
        check_unfinished(b"".join(lines), build_id=BUILD_ID, nonce=NONCE)


@pytest.mark.parametrize(
    ("end", "problem"),
    [
        ("ok and more words", "'and more words' after the verdict"),
        ("ok ok", "'ok' after the verdict"),
        ("ok by=luck", "ok has no fields, but here it has by"),
        ("survived why=x", "survived has no fields"),
        ("caught", "caught has the field by= and no other, but here none"),
        ("caught why=x", "but here why"),
        ("caught by=guard-page at=x", "but here by, at"),
        ("caught lost=x by=leak-check", "but here lost, by"),
        ("contained by=guard-pa~", "'guard-pa~' is no name of a detector"),
        ("hang by=7", "'7' is no name of a detector"),
        ("double-fault", "double-fault has the field by="),
        ("bad-args", "bad-args begins with why=, but here with no field"),
        ("bad-args key=x why=y", "bad-args begins with why=, but here with key"),
        ("panic by=x", "panic begins with why="),
        ("panic why=x by=y", "panic was found by nobody, but here by y"),
        ("ok~", "unknown verdict"),
        ("OK", "unknown verdict"),
    ],
)
def test_an_end_is_a_verdict_and_its_fields(end: str, problem: str) -> None:
    log = _without(b"[end]") + f"[end] {end}\n".encode()
    with pytest.raises(LogError, match=f"serial line 15: .*{re.escape(problem)}"):
        parse(log)
    assert seen_verdict(log) == "harness-error"


@pytest.mark.parametrize("verdict", ["survived", "contained by=sentinel"])
def test_nothing_survives_before_a_lab_is_entered(verdict: str) -> None:
    end = f"[end] {verdict}\n".encode()
    with pytest.raises(LogError, match=r"serial line 3: .* before \[lab\] enter"):
        parse(BANNER + ARGS + end)
    assert parse(BANNER + ARGS + ENTER + end).verdict == verdict
    assert parse(BANNER + ARGS + b"[list] lab a.b\n[end] ok\n").verdict == "ok"


def test_an_end_of_another_area_is_no_end() -> None:
    with pytest.raises(LogError, match="unknown verdict"):
        parse(_without(b"[end]") + b"[end][x] ok\n")


@pytest.mark.parametrize(
    "end",
    [
        "ok : with prose",
        "bad-args why=x key=y : prose",
        "caught by=w^x",
        "panic why=x at=y",
        "caught by=a lost=b",
    ],
)
def test_prose_and_reasons_may_follow(end: str) -> None:
    assert parse(_without(b"[end]") + f"[end] {end}\n".encode()).verdict.split()[0] in end


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
        (b"[end]\n", "harness-error"),
        (b"[end] ok and more\n", "harness-error"),
        (b"[boot] highwater x=1\n[boot] highwater x=1\n[end] ok\n", "harness-error"),
    ],
)
def test_any_log_has_a_verdict_to_show(serial: bytes, verdict: str) -> None:
    assert seen_verdict(serial) == verdict


def test_a_line_that_was_cut_is_kept_as_such() -> None:
    assert str(parse_line("[sta~")) == "[cut] : [sta~"
    assert parse_line("[lab] enter na~").words == ("enter", "na~")
    with pytest.raises(LogError):
        parse_line("[sta")
