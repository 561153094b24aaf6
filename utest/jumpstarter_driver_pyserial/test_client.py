from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import anyio
import pytest
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.utils import serve
from jumpstarter_driver_pyserial import reader as reader_module
from jumpstarter_driver_pyserial.client import SerialReadError, SerialReadTimeout
from jumpstarter_driver_pyserial.driver import PySerial


@pytest.fixture
def pyserialclient(echo_board: Any) -> Iterator[Any]:
    """Client of a port whose board echoes."""
    with serve(PySerial(url=echo_board.path)) as client:
        yield client


@pytest.fixture
def client(board: Any) -> Iterator[Any]:
    """Client of a port whose board says what the test makes it say."""
    with serve(PySerial(url=board.path)) as client:
        yield client
        client.close()


@pytest.fixture
def loop() -> Iterator[Any]:
    with serve(PySerial(url="loop://")) as client:
        yield client
        client.close()


def test_documented_pexpect_context(pyserialclient: Any) -> None:
    with pyserialclient.pexpect() as session:
        session.sendline("Hello, world!")
        session.expect("Hello, world!")


def test_documented_pexpect_without_context(pyserialclient: Any) -> None:
    session = pyserialclient.open()
    session.sendline("Hello, world!")
    session.expect("Hello, world!")
    pyserialclient.close()


def test_documented_stream_context(pyserialclient: Any) -> None:
    with pyserialclient.stream() as stream:
        stream.send(b"Hello, world!")
        data = stream.receive()
    assert b"Hello, world!".startswith(data)


def test_documented_stream_without_context(pyserialclient: Any) -> None:
    stream = pyserialclient.open_stream()
    stream.send(b"Hello, world!")
    data = stream.receive()
    assert b"Hello, world!".startswith(data)
    pyserialclient.close()
    with pytest.raises((anyio.ClosedResourceError, anyio.EndOfStream, anyio.BrokenResourceError)):
        stream.send(b"more")


def test_client_opens_again_after_close(pyserialclient: Any) -> None:
    for _ in range(3):
        session = pyserialclient.open()
        session.sendline("again")
        session.expect("again")
        pyserialclient.close()


def test_opening_twice_closes_the_first(pyserialclient: Any) -> None:
    first = pyserialclient.open()
    second = pyserialclient.open()
    second.sendline("second")
    second.expect("second")
    assert first.closed
    pyserialclient.close()


def test_read_until_returns_up_to_the_match_and_loses_nothing(client: Any, board: Any) -> None:
    client.write("\r")
    assert board.hear(1) == b"\r"
    board.say(b"Starting kernel ...\r\nboot complete\r\nlogin: ")
    assert client.read_until("kernel") == "Starting kernel"
    assert client.read_until("boot complete") == " ...\r\nboot complete"
    assert client.read_until("login: ", timeout=timedelta(seconds=20)) == "\r\nlogin: "


def test_output_between_two_reads_is_kept(client: Any, board: Any) -> None:
    client.write("x")
    assert board.hear(1) == b"x"
    board.say(b"one ")
    assert client.read_until("one") == "one"
    board.say(b"two three")
    assert client.read_until("three") == " two three"


def test_match_may_arrive_in_pieces(loop: Any) -> None:
    result: list[str] = []
    waiting = threading.Thread(target=lambda: result.append(loop.read_until("boot complete", timeout=60)))
    loop.write("")
    waiting.start()
    for piece in ("bo", "ot", " ", "comp", "lete!"):
        loop.write(piece)
    waiting.join()
    assert result == ["boot complete"]
    assert loop.read(timeout=60) == "!"


def test_regular_expression(loop: Any) -> None:
    loop.write("version 6.1.0-56 ok\n")
    assert loop.read_until(r"\d+\.\d+\.\d+", regex=True, timeout=60) == "version 6.1.0"


def test_text_is_utf8_and_broken_bytes_are_replaced(loop: Any) -> None:
    loop.write("Gerät läuft\n")
    assert loop.read_until("läuft", timeout=60) == "Gerät läuft"
    loop.write(b"\xff\xfe end")
    assert loop.read_until("end", timeout=60) == "\n\ufffd\ufffd end"


def test_timeout_tells_what_was_read_and_keeps_it(client: Any, board: Any) -> None:
    client.write("x")
    assert board.hear(1) == b"x"
    board.say(b"Kernel panic\n")
    assert client.read_until("Kernel") == "Kernel"
    with pytest.raises(
        SerialReadTimeout, match=r"'boot complete' did not arrive within 0.2 s; read so far"
    ) as caught:
        client.read_until("boot complete", timeout=0.2)
    assert isinstance(caught.value, TimeoutError)
    assert client.read_until("\n") == " panic\n"


def test_timeout_without_output_says_so(client: Any) -> None:
    with pytest.raises(SerialReadTimeout, match=r"did not arrive within 0\.1 s; nothing was read"):
        client.read_until("x", timeout=0.1)


def test_lost_port_is_told_with_what_was_read(client: Any, board: Any) -> None:
    client.write("x")
    assert board.hear(1) == b"x"
    board.say(b"half a li")
    assert client.read_until("half") == "half"
    board.hang_up()
    with pytest.raises(
        SerialReadError, match=r"the serial stream ended before 'line' arrived .*read so far: ' a li'"
    ):
        client.read_until("line", timeout=60)


def test_read_returns_what_is_there_or_nothing(loop: Any) -> None:
    assert loop.read(timeout=0.05) == ""
    loop.write_line("ls", newline="\r\n")
    text = ""
    while not text.endswith("\r\n"):
        text += loop.read(timeout=60)
    assert text == "ls\r\n"


def test_other_ways_in_take_the_port_from_read_until(client: Any, board: Any) -> None:
    client.write("x")
    assert board.hear(1) == b"x"
    board.say(b"first second")
    assert client.read_until("first") == "first"
    with client.pexpect() as session:
        board.say(b"U-Boot")
        session.expect_exact("U-Boot", timeout=60)
    client.write("y")
    assert board.hear(1) == b"y"
    board.say(b" third")
    assert client.read_until("third", timeout=60) == " second third"


def test_unread_output_is_bounded(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MOST_KEPT", 1000)
    loop.write(b"a" * 5000 + b"END")
    loop.write(b"b" * 500 + b"STOP")
    text = loop.read_until("STOP", timeout=60)
    assert len(text) <= 1000
    assert text.endswith("STOP")


def test_large_output_is_searched_quickly(loop: Any) -> None:
    """4 MB in small lines; looking at everything again for each piece would take minutes."""
    block = b"some log line that is not it\n" * 2000
    writer = threading.Thread(
        target=lambda: ([loop.write(block) for _ in range(70)], loop.write("boot complete"))
    )
    loop.write("")
    writer.start()
    assert loop.read_until("boot complete", timeout=60).endswith("boot complete")
    writer.join()


def test_a_character_that_comes_in_two_pieces_is_read_whole(client: Any, board: Any) -> None:
    text = client.read()
    board.say(b"gr\xc3")
    text += client.read(timeout=60)
    board.say(b"\xbc\xc3\x9fe")
    while len(text) < len("grüße"):
        text += client.read(timeout=60)
    assert text == "grüße"


@pytest.mark.parametrize("timeout", [None, "1", float("nan")])
def test_a_time_out_that_never_comes_is_refused(loop: Any, timeout: Any) -> None:
    for wait in (lambda: loop.read_until("x", timeout=timeout), lambda: loop.read(timeout)):
        with pytest.raises(ValueError, match=r"timeout is .*, expected seconds, or a timedelta"):
            wait()


def test_what_is_there_is_read_however_long_the_time_out(loop: Any) -> None:
    loop.write("ready")
    assert loop.read_until("ready", timeout=float("inf")) == "ready"


@pytest.mark.parametrize("data", [5, None, True])
def test_what_is_neither_text_nor_bytes_is_not_written(loop: Any, data: Any) -> None:
    with pytest.raises(TypeError, match=f"data is {data!r}, expected text or bytes"):
        loop.write(data)
    loop.write("!")
    assert loop.read_until("!", 10) == "!"


def test_a_client_whose_connection_was_closed_says_so() -> None:
    with serve(PySerial(url="loop://")) as client:
        pass
    for use in (
        lambda: client.call("settings"),
        lambda: next(client.streamingcall("settings")),
        lambda: client.read_until("x", 1),
        lambda: client.open_stream(),
    ):
        with pytest.raises(ConnectionError, match="this connection has been closed: connect again"):
            use()
