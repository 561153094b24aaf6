"""Finding text in what comes piece by piece: what is found, where it ends, and what that costs."""

from __future__ import annotations

import re
import threading
from itertools import combinations
from time import monotonic
from typing import Any

import pytest
from jumpstarter.streams.matching import OVERLAP, Matcher
from jumpstarter.streams.search import Searcher, SearchTimeout


def end_of(matcher: Matcher, data: bytes) -> int | None:
    found = matcher.feed(data, seconds=60)
    return matcher.finish(60) if found is None else found


def end_byte_by_byte(matcher: Matcher, data: bytes) -> int | None:
    for byte in data:
        if (found := matcher.feed(bytes([byte]), seconds=60)) is not None:
            return found
    return matcher.finish(60)


CASES = [
    ("[ OK ] Started", False, b"x [ \x1b[0;32mOK\x1b[0m ] Started Getty", b"x [ \x1b[0;32mOK\x1b[0m ] Started"),
    ("DONE\n", False, b"DONE\r\nnext", b"DONE\r\n"),
    ("DONE\r\n", False, b"DONE\r\nnext", b"DONE\r\n"),
    ("one\ntwo", False, b"one\rtwo\r", b"one\rtwo"),
    ("€", False, "xx€yy".encode(), "xx€".encode()),
    ("^BOOT DONE$", True, b"x\r\nBOOT DONE\r\nnext", b"x\r\nBOOT DONE"),
    ("^BOOT DONE$", True, b"x\nBOOT DONE\nnext", b"x\nBOOT DONE"),
    ("^BOOT DONE$", True, b"x\rBOOT DONE\rnext", b"x\rBOOT DONE"),
    ("^BOOT DONE$", True, b"\x1b[1mBOOT \x1b[0mDONE\x1b[K\r\nnext", b"\x1b[1mBOOT \x1b[0mDONE"),
    (r"DONE\r\n", True, b"BOOT DONE\r\nnext", b"BOOT DONE\r\n"),
    (r"DONE\r?$", True, b"BOOT DONE\r\nnext", b"BOOT DONE\r"),
    (r"DONE\s+next", True, b"BOOT DONE\r\nnext", b"BOOT DONE\r\nnext"),
    (r"[#$] $", True, b"root# ", b"root# "),
    (r"\x1b\[0m", True, b"a\x1b[0mb", b"a\x1b[0m"),
    ("\x1b[0m", False, b"a\x1b[0mb", b"a\x1b[0m"),
    (r"C:\\autoexec", True, b"\x1b[1mC:\x1b[0m\\autoexec", b"\x1b[1mC:\x1b[0m\\autoexec"),
    (r"v(\d+)\.(\d+)", True, b"v1.2\n", b"v1.2"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "regex", "data", "taken"), CASES)
def test_a_match_ends_where_it_should(wanted: str, regex: bool, data: bytes, taken: bytes) -> None:
    found = end_of(Matcher(wanted, regex=regex), data)
    assert found is not None
    assert data[:found] == taken


@pytest.mark.parametrize(("wanted", "regex", "data", "taken"), [c for c in CASES if not c[0].endswith("$")])
def test_a_match_does_not_depend_on_pieces(wanted: str, regex: bool, data: bytes, taken: bytes) -> None:
    if regex and wanted.startswith("v("):
        data = data.replace(b"1.2", b"1.2 ")
    found = end_byte_by_byte(Matcher(wanted, regex=regex), data)
    assert found is not None
    assert data[:found] == taken


@pytest.mark.parametrize("line", [b"passwordd\x08\r\n", b"one\r\r\n", b" 10%\r 20%\r\n", b"x\x1b[2Ky\r\n"])
def test_a_text_is_found_however_much_has_come_with_it_in_one_piece(line: bytes) -> None:
    data = b"login: \r\n" + 100 * line
    assert end_of(Matcher("login:"), data) == len(b"login:")
    assert end_of(Matcher("gin: \n"), data) == len(b"login: \r\n")


@pytest.mark.parametrize("regex", [False, True])
@pytest.mark.parametrize("wanted", ["any key", "Hit any key to stop", "=>"])
def test_a_match_is_found_wherever_what_came_was_cut_and_however_much_came_behind_it(
    wanted: str, regex: bool
) -> None:
    data = b"\r\nNet: eth0\r\nHit any key to stop:  3 \b\b\b 2 \r\n\r\n=> \r\nstarting\r\nlogin: "
    taken = data[: data.index(wanted.encode()) + len(wanted)]
    for first, second in combinations(range(1, len(data)), 2):
        matcher = Matcher(wanted, regex=regex)
        pieces = (data[:first], data[first:second], data[second:])
        ends = (matcher.feed(piece, seconds=60) for piece in pieces)
        assert next((end for end in ends if end is not None), None) == len(taken), pieces


def test_the_first_of_several_texts_counts() -> None:
    data = b"no panic, login:"
    assert end_of(Matcher(["login:", "panic"]), data) == len(b"no panic")
    assert end_of(Matcher(["log.n:", "pan.c"], regex=True), data) == len(b"no panic")


def test_nothing_wanted_and_a_pattern_that_is_none_are_refused() -> None:
    for nothing in ("", [], ["a", ""]):
        with pytest.raises(ValueError, match="expected is empty"):
            Matcher(nothing)
    with pytest.raises(re.error):
        Matcher("(", regex=True)


@pytest.mark.parametrize("wanted", [None, [None], ["a", ["b"]], {"a": 1}, re.compile("a"), iter("a")])
def test_what_is_no_text_is_not_waited_for(wanted: Any) -> None:
    with pytest.raises(ValueError, match=r"expected is .*; give "):
        Matcher(wanted)


def test_numbers_and_bytes_are_looked_for_as_the_text_that_they_are() -> None:
    assert end_of(Matcher([7, 42]), b"41 42 43") == len(b"41 42")  # type: ignore[list-item]
    found = Matcher("für".encode("latin-1"), encoding="latin-1")  # type: ignore[arg-type]
    assert end_of(found, "für".encode("latin-1")) == 3
    assert end_of(Matcher(("b", "c")), b"abc") == 2


@pytest.mark.parametrize("encoding", ["no-such", "", "hex", "rot13", "base64", "idna", "a\0b"])
def test_what_is_no_encoding_of_text_is_refused_before_anything_is_read(encoding: str) -> None:
    with pytest.raises(LookupError, match="is no encoding of text, expected one such as 'utf-8'"):
        Matcher("x", encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_text_is_found_in_other_encodings(encoding: str) -> None:
    data = "für login: ".encode(encoding)
    assert end_of(Matcher("login:", encoding=encoding), data) == len("für login:".encode(encoding))


def test_a_match_that_bytes_already_there_would_change_is_not_taken() -> None:
    matcher = Matcher(r"^done$", regex=True)
    assert matcher.feed(b"x\ndone", more=True) is None
    assert matcher.feed(b" not\nmore\nlines\n", more=True) is None
    assert matcher.feed(b"done\nlast\nline\n", more=False) == len(b"x\ndone not\nmore\nlines\ndone")


class Clock:
    """Seconds that a test lets pass."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_match_over_many_lines_is_found_when_all_is_looked_at() -> None:
    matcher = Matcher(r"(?s)START.*END", regex=True, clock=Clock())
    assert matcher.feed(b"START\n" + b"some line\n" * 10_000, seconds=60) is None
    assert matcher.feed(b"END\n", seconds=60) is None
    assert matcher.pause is not None
    assert matcher.look_at_all(60) == len(b"START\n" + b"some line\n" * 10_000 + b"END")
    assert Matcher("text").pause is None


def test_a_match_over_many_lines_is_found_while_the_console_goes_on_talking() -> None:
    clock = Clock()
    matcher = Matcher(r"(?s)START.*END", regex=True, clock=clock)
    assert matcher.feed(b"START\n" + b"some line\n" * 10_000, seconds=60) is None
    for _ in range(10):
        clock.now += 0.02
        if (found := matcher.feed(b"END\nmore\n", seconds=60)) is not None:
            break
    assert found is not None


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(?<!not )ready", "not ready"),
        (r"(?<!un)known\b", "unknown"),
        (r"(?<![0-9]{4}-)12", "2026-12"),
        (r"^ready", "not ready"),
        (r"\bready", "unready"),
    ],
)
def test_what_stands_before_text_counts_however_much_comes_after_it(pattern: str, said: str) -> None:
    matcher = Matcher(pattern, regex=True, clock=Clock())
    assert matcher.feed(said.encode() + b"\nx y" * (OVERLAP // 4 - 10), seconds=60) is None
    for byte in b"\nx y" * 20:
        assert matcher.feed(bytes([byte]), seconds=60) is None


def test_the_cost_of_a_text_is_what_came_however_it_comes() -> None:
    matcher = Matcher("never said")
    for _ in range(5000):
        assert matcher.feed(b"[    1.234567] usb 1-1: new high-speed device\r\n") is None
    assert matcher.looked_at < 1.5 * matcher.fed


def test_the_cost_of_a_text_on_one_long_line_is_what_came() -> None:
    matcher = Matcher("never said")
    for number in range(10_000):
        assert matcher.feed(b"." if number % 10 else b"\x08#") is None
    assert matcher.looked_at < 12 * matcher.fed  # the text's length, and what is new


def test_the_cost_of_a_pattern_is_linear_in_what_came() -> None:
    costs = []
    for lines in (2_000, 8_000):
        matcher = Matcher("never.said", regex=True, clock=Clock())
        for _ in range(lines // 100):
            assert matcher.feed(b"[    1.234567] usb 1-1: new high-speed device\r\n" * 100) is None
        costs.append(matcher.looked_at / matcher.fed)
    assert costs[1] < 1.5 * costs[0]
    assert costs[1] < 20


def test_the_cost_of_one_more_line_does_not_grow_with_what_is_unread() -> None:
    matcher = Matcher("never.said", regex=True, clock=Clock())
    matcher.feed(b"[    1.234567] usb 1-1: new high-speed device\r\n" * 10_000)
    before = matcher.looked_at
    for _ in range(50):
        matcher.feed(b"one more line\r\n")
    assert matcher.looked_at - before < 50 * 2 * OVERLAP


@pytest.mark.parametrize("pattern", ["(a+)+$", ".*.*.*=.*Q", "(a|aa)+$"])
def test_a_pattern_that_takes_for_ever_is_given_up_and_holds_up_nobody(pattern: str) -> None:
    counted, stop = [0], threading.Event()

    def count() -> None:
        while not stop.wait(0.005):
            counted[0] += 1

    counting = threading.Thread(target=count)
    counting.start()
    started = monotonic()
    with pytest.raises(SearchTimeout):
        Matcher(pattern, regex=True).feed(b"a" * 20_000 + b"!", seconds=1)
    taken = monotonic() - started
    stop.set()
    counting.join()
    assert taken < 30
    assert counted[0] > 10


def test_searching_goes_on_after_a_search_that_was_given_up() -> None:
    searcher = Searcher()
    with pytest.raises(SearchTimeout):
        searcher.search("(a+)+$", "a" * 60 + "!", 0, 0.2)
    assert searcher.search("b+", "aabb", 1, 60) == (2, 4)
    assert searcher.search("c+", "aabb", 0, 60) is None
    searcher.close()
    assert searcher.search("^b+$", "aa\nbb\n", 0, 60) == (3, 5)
    searcher.close()
