"""Consoles whose bytes are cut into any pieces: what a person sees at the end is found, and every byte is read once."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from jumpstarter.streams.matching import Matcher
from jumpstarter.streams.screen import as_lines
from jumpstarter.streams.unread import NotFound, Unread

from .test_screen import PIECES, text_of

#: Text in colours, in any lines, and characters of several bytes; nothing moves the cursor.
UNEDITED = st.sampled_from(
    [
        b"login: ", b"root", b"a", b" ", b"\r\n", b"\n", b"\r\r\n", b"\x1b[0;32m", b"\x1b[0m", b"\x1b[K", b"\x1b[?2004h",
        b"\x1b]0;title\x07", b"\x1b(B", b"\x00", "ü€😀".encode(), b"\xff", b"=> ", b"# ",
    ]
)  # fmt: skip


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """*data* cut at *places*, each taken modulo its length."""
    ends = sorted({place % len(data) for place in places} | {0, len(data)}) if data else [0]
    return [data[start:end] for start, end in pairwise(ends)]


def found_in(matcher: Matcher, pieces: list[bytes]) -> int | None:
    for piece in pieces:
        if (end := matcher.feed(piece, seconds=60)) is not None:
            return end
    return matcher.finish(60)


@st.composite
def part_of(draw: st.DrawFn, pieces: st.SearchStrategy[bytes]) -> tuple[bytes, str, int, int]:
    """Bytes, what a person sees of them, and a part of that: from where to where."""
    data = b"".join(draw(st.lists(pieces, min_size=1, max_size=20)))
    text = text_of([data])
    if not text:
        return b"x", "x", 0, 1
    start = draw(st.integers(0, len(text) - 1))
    return data, text, start, draw(st.integers(start + 1, min(len(text), start + 8)))


PLACES = st.lists(st.integers(0, 10_000), max_size=12)


@given(part_of(PIECES), PLACES)
def test_text_that_a_person_sees_at_the_end_is_found(
    part: tuple[bytes, str, int, int], places: list[int]
) -> None:
    data, text, start, end = part
    for pieces in ([data], cut(data, places), [bytes([byte]) for byte in data]):
        found = found_in(Matcher(text[start:end]), pieces)
        assert found is not None
        assert 0 < found <= len(data)


@given(part_of(PIECES), PLACES)
def test_a_pattern_that_matches_what_a_person_sees_is_found(
    part: tuple[bytes, str, int, int], places: list[int]
) -> None:
    data, text, start, end = part
    before, after = text[:start], text[end:]
    pattern = re.escape(text[start:end])
    patterns = [pattern, f"(?:{pattern})", f"{pattern}(?!never)"]
    if not before or before.endswith("\n"):
        patterns.append(f"^{pattern}")
    if before:
        patterns.append(f"(?<={re.escape(before[-1])}){pattern}")
    if not after or after.startswith("\n"):
        patterns.append(f"{pattern}$")
    for each in patterns:
        for pieces in ([data], cut(data, places), [bytes([byte]) for byte in data]):
            # Escaped characters that stand for control characters would have the pattern take them all for text.
            found = found_in(Matcher(each, regex=True, controls=False), pieces)
            assert found is not None, each


@given(part_of(UNEDITED), PLACES)
def test_a_text_ends_at_the_same_byte_however_it_comes(
    part: tuple[bytes, str, int, int], places: list[int]
) -> None:
    data, text, start, end = part
    wanted = text[start:end]
    whole = found_in(Matcher(wanted), [data])
    assert whole is not None
    assert found_in(Matcher(wanted), cut(data, places)) == whole
    assert found_in(Matcher(wanted), [bytes([byte]) for byte in data]) == whole
    if "\udcff" not in wanted:
        assert as_lines(data[:whole]).endswith(wanted.rstrip("\n")) or wanted.endswith("\n")


@given(
    part_of(PIECES), PLACES, st.lists(st.sampled_from(["text", "a", "b", "login", "\n", "never"]), max_size=8)
)
def test_every_byte_is_read_once_whatever_is_looked_for(
    part: tuple[bytes, str, int, int], places: list[int], wanted: list[str]
) -> None:
    data, *_ = part
    unread, taken = Unread(), []
    for piece in cut(data, places):
        unread.append(piece)
        for text in wanted:
            try:
                taken.append(unread.take_until(Matcher(text), 0))
            except NotFound as failure:
                assert b"".join([*taken, failure.data]) == data[: unread.received]
    assert b"".join([*taken, unread.take()]) == data
