"""What a person sees of the bytes of a console, however they are cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter.streams.screen import LONGEST_PART, Screen, as_lines, as_shown, control_sequences

PIECES = st.sampled_from(
    [
        b"text", b"a b", b" ", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\x08", b"\t", b"\x00", b"\x07", b"\x0e", b"\x7f",
        b"\x1b[0;32m", b"\x1b[K", b"\x1b[2K", b"\x1b[2J", b"\x1b[H", b"\x1b[3D", b"\x1b[2C", b"\x1b[5;10H", b"\x1b[1G",
        b"\x1b7", b"\x1b8", b"\x1b(0", b"\x1b(B", b"\x1b]0;title\x07", b"\x1b]8;;http://x\x1b\\", b"\x1bPq#0\x1b\\",
        b"\x1b[?2004h", b"\x1b[6n", b"\x1b[P", b"\x1b[2@", b"\x1b", b"\x1b[", b"\x1b]", b"\x9b1m", b"\xff", b"\xc3",
        "ü€😀".encode(), "\u009b1m".encode(), b"\x1b]P0000000", b"\x0c", b"\x0b",
    ]
)  # fmt: skip


def text_of(pieces: list[bytes], **options: bool) -> str:
    screen = Screen(**options)  # type: ignore[arg-type]
    for piece in pieces:
        screen.feed(piece)
    screen.finish()
    return screen.window(0)


@given(st.lists(PIECES, max_size=30), st.booleans(), st.booleans())
def test_text_does_not_depend_on_how_the_bytes_were_cut(
    parts: list[bytes], controls: bool, as_sent: bool
) -> None:
    data = b"".join(parts)
    whole = text_of([data], controls=controls, as_sent=as_sent)
    assert text_of([bytes([byte]) for byte in data], controls=controls, as_sent=as_sent) == whole
    assert text_of(parts, controls=controls, as_sent=as_sent) == whole


@given(st.lists(PIECES, max_size=30), st.integers(1, 7))
def test_every_place_in_the_text_has_its_place_in_the_bytes(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    screen = Screen()
    for at in range(0, len(data), size):
        screen.feed(data[at : at + size])
    screen.finish()
    text = screen.window(0)
    ends = [screen.raw_end(place) for place in range(len(text) + 1)]
    assert ends[0] == 0
    assert ends == sorted(ends) or b"\x08" in data or b"\x1b[" in data
    assert all(0 <= end <= len(data) for end in ends)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"[ \x1b[0;32mOK\x1b[0m ] Started", "[ OK ] Started"),
        (b"one\r\ntwo\nthree\rfour", "one\ntwo\nthree\nfour"),
        (b"one\r\r\ntwo", "one\ntwo"),
        (b" 10%\r 20%\r100%\r\n", " 10%\n 20%\n100%\n"),
        (b"wait\r\x1b[K[  OK  ] done\r\n", "wait\n[  OK  ] done\n"),
        (b"lof\x08gin:", "login:"),
        (b"passwordd\x08 \x08\r\n", "password\n"),
        (b"abc\x08\x08X\r\n", "aXc\n"),
        (b"abcdef\x1b[3D\x1b[K\r\n", "abc\n"),
        (b"abcdef\x1b[3D\x1b[1P\r\n", "abcef\n"),
        (b"ac\x1b[D\x1b[@b\r\n", "abc\n"),
        (b"a\x1b[3Cb", "a   b"),
        (b"left\x1b[5;40Hright", "left\nright"),
        (b"\x1b[2J\x1b[1;1HBoot menu", "Boot menu"),
        (b"# \x1b7\x1b[r\x1b[999;999H\x1b[6n\x1b8ls\r\n", "# ls\n"),
        (b"\x1b]0;root@host\x07# \x1b]8;;file:///x\x1b\\x\x1b]8;;\x1b\\", "# x"),
        (b"\x1b(0lqk\x1b(B\x0e\x0f\x1b%G|", "lqk|"),
        (b"\x1bPq#0;2;0\x1b\\\x1b_apc\x1b\\after", "after"),
        (b"\x1b]P1ff0000red", "red"),
        (b"\x1b]not ended\nnext", "not ended\nnext"),
        (b"a\x00b\x07c\x7fd", "abcd"),
        (b"tab\there", "tab\there"),
        ("Gr\u00fc\u00dfe \U0001f600".encode(), "Gr\u00fc\u00dfe \U0001f600"),
        (b"bad \xff\xfe", "bad \ufffd\ufffd"),
        (b"page\x0cnext", "page\nnext"),
    ],
)
def test_lines_are_what_a_person_sees(data: bytes, lines: str) -> None:
    assert as_lines(data) == lines
    assert text_of([bytes([byte]) for byte in data]).replace("\udcff\udcfe", "\ufffd\ufffd") == lines


def test_text_that_is_returned_keeps_its_line_ends() -> None:
    assert as_shown(b"\x1b[1mone\x1b[0m\r\ntwo\rthree\n") == "one\r\ntwo\rthree\n"


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-8-sig"]
)
def test_encodings_are_read_byte_by_byte_with_and_without_mark(encoding: str) -> None:
    data = "für login".encode(encoding)
    screen = Screen(encoding)
    for byte in data:
        screen.feed(bytes([byte]))
    assert screen.window(0) == "für login"
    assert screen.raw_end(9) == len(data)


def test_a_line_without_end_is_kept_in_parts_and_counts_bytes() -> None:
    screen = Screen()
    for _ in range(100):
        screen.feed(b"x" * 1000)
    assert screen.window(0) == "x" * 100_000
    assert screen.raw_end(77_777) == 77_777
    assert len(screen._line.cells) <= LONGEST_PART + 1000


def test_a_part_of_the_text_is_the_end_of_all_of_it() -> None:
    screen = Screen()
    screen.feed(b"one\r\ntwo\r\r\nthree \x1b[1mfour\x08r")
    text = screen.window(0)
    assert text == "one\ntwo\nthree four"
    assert [screen.window(start) for start in range(len(text) + 2)] == [
        text[start:] for start in range(len(text) + 2)
    ]


def test_sequences_are_listed_for_a_message() -> None:
    assert control_sequences(b"a\x1b[1mb\x1b[0mc\x1b[1m\x08") == ["\x1b[1m", "\x1b[0m", "\x08"]
