"""Taking text of a console whose characters come in pieces."""

from __future__ import annotations

import threading

import pytest
from jumpstarter.streams.unread import Unread

TEXT = "für 5 € 😀: "
ENCODINGS = ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "shift_jis"]


def opened(data: bytes = b"") -> Unread:
    unread = Unread()
    unread.open()
    unread.append(data)
    return unread


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_characters_that_come_byte_by_byte_are_taken_whole(encoding: str) -> None:
    text = "電源 on" if encoding == "shift_jis" else TEXT
    unread, taken = opened(), []
    for byte in text.encode(encoding):
        unread.append(bytes([byte]))
        taken.append(unread.take(encoding).decode(encoding, "replace"))
        taken.append(unread.take_something(0, encoding).decode(encoding, "replace"))
    assert "".join(taken) == text


def test_a_wait_for_something_is_one_for_a_whole_character() -> None:
    unread = opened(b"\xe2\x82")
    threading.Timer(0.1, unread.append, [b"\xac"]).start()
    assert unread.take_something(60, "utf-8") == "€".encode()


def test_bytes_are_taken_as_they_come() -> None:
    assert opened(b"x\xe2\x82").take() == b"x\xe2\x82"


def test_a_beginning_without_an_end_is_taken_when_nothing_more_comes() -> None:
    ended = opened(b"caf\xe9")
    assert ended.take("utf-8") == b"caf"
    ended.end("gone")
    assert ended.take("utf-8") == b"\xe9"
    assert opened(b"caf\xe9").take_quiet(0.05, 60, "utf-8") == (b"caf\xe9", True)
    assert opened(b"\xe9").take_something(0.05, "utf-8") == b"\xe9"


def test_what_is_no_text_is_taken_at_once() -> None:
    assert opened(b"\xff\xfe\x80").take("utf-8") == b"\xff\xfe\x80"


def test_an_unknown_encoding_takes_nothing() -> None:
    unread = opened(b"text")
    with pytest.raises(LookupError):
        unread.take("no-such")
    assert unread.take() == b"text"
