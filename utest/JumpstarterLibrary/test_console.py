"""Consoles over real socket pairs; no test waits for a time to pass but the one about the timeout."""

import socket
import threading
from contextlib import contextmanager
from time import monotonic

import pytest
from anyio import EndOfStream
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter_testing.eventually import eventually

from JumpstarterLibrary.console import Console, find_pattern, find_text, printable
from JumpstarterLibrary.errors import ConsoleClosedError, NotSeenError


class SocketStream:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise EndOfStream
        return data


@contextmanager
def stream(sock: socket.socket):
    try:
        yield SocketStream(sock)
    finally:
        sock.shutdown(socket.SHUT_RDWR)  # wakes the reader
        sock.close()


@pytest.fixture
def board():
    ours, theirs = socket.socketpair()
    with theirs:
        console = Console("serial", stream(ours))
        yield console, theirs
        console.close()


def until(console: Console, text: str, timeout: float = 60) -> bytes:
    return console.read_until(find_text(text), timeout, repr(text))


def test_a_read_takes_everything_up_to_the_match_and_the_next_goes_on_there(board):
    console, peer = board
    peer.sendall(b"U-Boot\nlogin: user\n")
    assert until(console, "login:") == b"U-Boot\nlogin:"
    assert until(console, "\n") == b" user\n"


def test_a_match_may_arrive_in_pieces(board):
    console, peer = board

    def say() -> None:
        for byte in b"boot complete":
            peer.sendall(bytes([byte]))

    speaker = threading.Thread(target=say)
    speaker.start()
    assert until(console, "boot complete") == b"boot complete"
    speaker.join()


def test_a_failed_read_says_what_was_read_and_takes_nothing(board):
    console, peer = board
    peer.sendall("Grüße\r\n\x1b[31mpanic\x1b[0m\n".encode())
    eventually(lambda: console.peek().endswith(b"\n"), timeout=60)
    with pytest.raises(NotSeenError) as failure:
        console.read_until(find_text("boot complete"), 0.2, "'boot complete'")
    message = str(failure.value)
    assert message == "serial: 'boot complete' was not seen in 200 milliseconds. Read so far:\nGrüße\npanic\n"
    assert until(console, "panic").startswith("Grüße".encode())


def test_text_that_was_there_before_counts_with_no_time_left(board):
    console, peer = board
    peer.sendall(b"one two")
    assert until(console, "one") == b"one"
    assert until(console, "two", timeout=0) == b" two"


def test_the_end_of_the_stream_ends_waiting_at_once_and_the_text_stays(board):
    console, peer = board
    peer.sendall(b"bye")
    peer.close()
    with pytest.raises(
        NotSeenError, match=r"not seen before the exporter ended the stream. Read so far:\nbye"
    ):
        until(console, "hello", timeout=60)
    assert console.read() == b"bye"
    assert console.ended


def test_writing_to_an_ended_console_is_an_error(board):
    console, peer = board
    console.close()
    with pytest.raises(ConsoleClosedError, match="serial: cannot write, the console was closed"):
        console.send(b"x")
    assert peer.recv(1) == b""


def test_writing_reaches_the_other_side(board):
    console, peer = board
    console.send(b"root\n")
    assert peer.recv(16) == b"root\n"


def test_a_pattern_matches_at_lines_and_counts_bytes_not_characters(board):
    console, peer = board
    peer.sendall("température: 20°\nversion 1.2\nrest".encode() + b"\xff")
    data = console.read_until(find_pattern(r"^version (\d+\.\d+)$"), 60, "version")
    assert data.decode() == "température: 20°\nversion 1.2"
    assert until(console, "rest") == b"\nrest"


def test_bytes_that_are_no_text_do_not_hide_a_match(board):
    console, peer = board
    peer.sendall(b"\xff\xfe\x00login:")
    assert console.read_until(find_pattern("log.n:"), 60, "login") == b"\xff\xfe\x00login:"


def test_read_waits_for_silence(board, monkeypatch):
    console, peer = board
    condition = console.text._changed
    wait, limits = condition.wait, []

    def say_what_is_waited_for(limit=None):
        limits.append(limit)
        if len(limits) == 1:
            peer.sendall(b"late")
            return wait(60)  # a busy machine may need more than the silence lasts
        return wait(limit)

    monkeypatch.setattr(condition, "wait", say_what_is_waited_for)
    assert console.read(quiet=0.05, timeout=60) == b"late"
    assert len(limits) >= 2
    assert console.read() == b""


def test_an_unread_buffer_is_bounded_and_says_what_was_dropped():
    ours, theirs = socket.socketpair()
    with theirs:
        console = Console("serial", stream(ours), limit=10)
        theirs.sendall(b"0123456789abcdefEND")
        assert until(console, "END").endswith(b"END")
        assert console.dropped >= 9
        console.close()


def test_a_reader_is_told_of_a_broken_stream():
    class Broken(SocketStream):
        def receive(self) -> bytes:
            raise ValueError("no sense")

    @contextmanager
    def broken():
        with socket.socket() as sock:
            yield Broken(sock)

    console = Console("serial", broken())
    with pytest.raises(NotSeenError, match=r"before the stream failed: no sense. Nothing was read"):
        until(console, "x")
    console.close()


def test_unread_text_can_be_carried_over():
    ours, theirs = socket.socketpair()
    with theirs:
        console = Console("serial", stream(ours), unread=b"old ")
        theirs.sendall(b"new")
        assert until(console, "new") == b"old new"
        console.close()


def test_a_long_failure_message_keeps_the_end():
    error = NotSeenError("serial", "'x'", 1, b"a" * 3_000 + b"END")
    assert str(error).endswith("END")
    assert "[1003 characters before this]" in str(error)


def test_printable_text_has_no_control_sequences():
    assert printable("\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07ok\x00") == "red\nok"


def test_text_is_found_when_the_buffer_is_full_of_unread_text():
    ours, theirs = socket.socketpair()
    with theirs:
        console = Console("serial", stream(ours), unread=b"y" * 1000, limit=1000)
        theirs.sendall(b"z" * 60)
        eventually(lambda: console.dropped >= 60, timeout=60)
        threading.Timer(0.1, theirs.sendall, [b"MARK"]).start()
        assert until(console, "MARK").endswith(b"MARK")
        console.close()


def test_a_flood_into_a_full_buffer_is_not_silence():
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            theirs.sendall(b"x" * 100)

    with theirs:
        console = Console("serial", stream(ours), unread=b"y" * 1000, limit=1000)
        flooding = threading.Thread(target=flood)
        flooding.start()
        data, was_quiet = console.read_quiet(0.3, 1.0)
        stop.set()
        flooding.join()
        console.close()
    assert len(data) == 1000
    assert not was_quiet


def test_a_failure_tells_what_the_limit_threw_away():
    ours, theirs = socket.socketpair()
    with theirs:
        console = Console("serial", stream(ours), limit=10)
        theirs.sendall(b"0123456789abcdef")
        eventually(lambda: console.dropped == 6, timeout=60)
        with pytest.raises(NotSeenError, match=r"\[6 bytes before this were thrown away: nobody read them\]"):
            until(console, "never", timeout=0)
        console.close()


def test_a_console_whose_stream_has_ended_is_opened_again_and_unread_text_comes_first():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        console = Console("serial", opener=lambda: stream(socket.create_connection(address)))
        console.want(60)
        first, _ = server.accept()
        first.sendall(b"Rebooting\r\n")
        first.close()
        with pytest.raises(NotSeenError, match="before the exporter ended the stream"):
            until(console, "login:")
        console.want(60)
        second, _ = server.accept()
        second.sendall(b"login:")
        assert until(console, "login:") == b"Rebooting\r\nlogin:"
        second.close()
        console.close()


def test_a_console_that_is_not_there_yet_is_waited_for():
    attempts = []
    ours, theirs = socket.socketpair()

    def opener():
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("it does not exist")
        return stream(ours)

    with theirs:
        theirs.sendall(b"hello")
        console = Console("serial", opener=opener)
        assert until(console, "hello") == b"hello"
        console.close()
    assert len(attempts) == 3


def test_a_console_that_never_comes_is_told_with_the_reason():
    def opener():
        raise ValueError("it does not exist")

    console = Console("serial", opener=opener)
    with pytest.raises(NotSeenError) as failure:
        until(console, "x", timeout=0.3)
    assert str(failure.value) == (
        "serial: 'x' was not seen in 300 milliseconds, as the console cannot be opened: it does not exist. "
        "Nothing was read."
    )
    with pytest.raises(ValueError, match="it does not exist"):
        console.read(timeout=0.1)
    console.close()


def test_an_exporter_that_has_gone_ends_waiting_at_once():
    def opener():
        raise ConnectionError("the exporter cannot be reached")

    console = Console("serial", opener=opener)
    with pytest.raises(NotSeenError, match="the exporter cannot be reached"):
        until(console, "x", timeout=600)
    console.close()


def test_two_that_wait_on_one_console_both_find_their_text(board):
    console, peer = board
    found = {}
    waiting = [
        threading.Thread(target=lambda text=text: found.update({text: until(console, text)}))
        for text in ("alpha", "beta", "alpha beta gamma")
    ]
    for thread in waiting:
        thread.start()
    eventually(lambda: len(console.text._readers) == 3, timeout=60)
    peer.sendall(b"alpha beta gamma delta")
    for thread in waiting:
        thread.join()
    assert found == {
        "alpha": b"alpha",
        "beta": b"alpha beta",
        "alpha beta gamma": b"alpha beta gamma",
    }
    assert until(console, "delta") == b" delta"


def test_a_failure_shows_what_stood_between_where_control_sequences_were_asked_for(board):
    console, peer = board
    peer.sendall(b"[ \x1b[0;32mOK\x1b[0m ] Started")
    with pytest.raises(NotSeenError) as failure:
        console.read_until(find_text("[ OK ] Started", controls=True), 0.2)
    assert r"It is there with control sequences in between ('\x1b[0;32m', '\x1b[0m')" in str(failure.value)
    assert until(console, "[ OK ] Started").startswith(b"[ \x1b")


def test_a_pattern_that_never_ends_does_not_overrun_its_time(board):
    console, peer = board
    peer.sendall(b"a" * 60 + b"!")
    eventually(lambda: len(console.peek()) == 61, timeout=60)
    started = monotonic()
    with pytest.raises(
        NotSeenError, match=r"was not through with the text in time; give a pattern that repeats less"
    ):
        console.read_until(find_pattern("(a+)+$"), 0.5)
    assert monotonic() - started < 20
    assert until(console, "!").endswith(b"!")
