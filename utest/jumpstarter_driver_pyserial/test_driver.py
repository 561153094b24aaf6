from __future__ import annotations

import fcntl
import os
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import pytest
from jumpstarter.client.core import DriverMethodNotImplemented
from jumpstarter.common.exceptions import ConfigurationError, JumpstarterException
from jumpstarter.common.utils import serve
from jumpstarter_driver_pyserial import driver as driver_module
from jumpstarter_driver_pyserial.driver import AsyncSerial, PySerial, ThrottledStream


def receive_exactly(stream: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += stream.receive()
    return data


@contextmanager
def opened(driver: PySerial) -> Iterator[Any]:
    with serve(driver) as client, client.stream() as stream:
        yield stream


def opening_error(client: Any) -> str:
    with pytest.raises(JumpstarterException) as caught, client.stream():
        raise AssertionError("the stream opened")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_terminal_carries_bytes_both_ways(board: Any) -> None:
    with opened(PySerial(url=board.path)) as stream:
        board.say(b"U-Boot 2023.01\r\n")
        assert receive_exactly(stream, 16) == b"U-Boot 2023.01\r\n"
        stream.send(b"version\r")
        assert board.hear(8) == b"version\r"


def test_all_byte_values_pass_unchanged(board: Any) -> None:
    every = bytes(range(256))
    with opened(PySerial(url=board.path)) as stream:
        board.say(every)
        assert receive_exactly(stream, 256) == every
        stream.send(every)
        assert board.hear(256) == every


def test_large_output_arrives_whole(board: Any) -> None:
    data = os.urandom(1 << 20)
    with opened(PySerial(url=board.path)) as stream:
        thread = threading.Thread(target=board.say, args=(data,))
        thread.start()
        assert receive_exactly(stream, len(data)) == data
        thread.join()


def test_end_of_sending_leaves_the_line_open(board: Any) -> None:
    with opened(PySerial(url=board.path)) as stream:
        stream.send(b"x")
        stream.send_eof()
        assert board.hear(1) == b"x"
        board.say(b"still here")
        assert receive_exactly(stream, 10) == b"still here"


def test_last_words_before_a_hang_up_arrive_then_the_stream_breaks(board: Any) -> None:
    with opened(PySerial(url=board.path)) as stream:
        board.say(b"power off")
        assert receive_exactly(stream, 9) == b"power off"
        board.hang_up()
        with pytest.raises(anyio.BrokenResourceError, match="is gone"):
            stream.receive()


def test_missing_device_is_told_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="serial port /dev/ttyNONE does not exist") as caught:
        PySerial(url="/dev/ttyNONE")
    assert "check_existing: false" in str(caught.value)


@pytest.mark.parametrize("name", ["check_existing", "check_present"])
def test_missing_device_may_appear_later(name: str, board: Any, tmp_path: Path) -> None:
    link = tmp_path / "ttyLATE"
    with serve(PySerial(url=str(link), **{name: False})) as client:
        assert f"cannot open serial port {link}: it does not exist" in opening_error(client)
        link.symlink_to(board.path)
        with client.stream() as stream:
            board.say(b"x")
            assert stream.receive() == b"x"


def test_both_names_of_the_check() -> None:
    assert PySerial(url="loop://").check_existing is True
    assert PySerial(url="loop://", check_existing=False).check_present is False
    assert PySerial(url="loop://", check_existing=True, check_present=True).check_existing is True
    with pytest.raises(ConfigurationError, match="mean the same"):
        PySerial(url="loop://", check_existing=True, check_present=False)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"baudrate": 0}, "baudrate must be a positive whole number, found 0"),
        ({"baudrate": "fast"}, "found 'fast'"),
        ({"cps": 0}, "cps must be more than 0"),
        ({"cps": -1.5}, "cps must be more than 0"),
        ({"url": "socket://nowhere"}, "expected socket://host:port"),
        ({"url": "socket://h:99999"}, "expected socket://host:port"),
    ],
)
def test_bad_values_are_configuration_errors(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        PySerial(**{"url": "loop://", **config})


def test_second_reader_is_refused_and_the_first_goes_on(board: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "RELEASE_TIMEOUT", 0.1)
    with serve(PySerial(url=board.path)) as client, client.stream() as stream:
        assert f"serial port {board.path} is busy" in opening_error(client)
        board.say(b"x")
        assert stream.receive() == b"x"


def test_port_is_free_at_once_after_a_stream(board: Any) -> None:
    with serve(PySerial(url=board.path)) as client:
        for number in range(10):
            with client.stream() as stream:
                board.say(b"%d" % number)
                assert stream.receive() == b"%d" % number


def test_port_locked_by_another_program_is_told(board: Any) -> None:
    descriptor = os.open(board.path, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with serve(PySerial(url=board.path)) as client:
            assert "another program has locked it" in opening_error(client)
    finally:
        os.close(descriptor)


def test_file_that_is_no_port_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with serve(PySerial(url=str(file))) as client:
        assert "cannot open serial port" in opening_error(client)


def test_close_on_the_exporter_ends_the_stream(board: Any) -> None:
    with serve(PySerial(url=board.path)) as client:
        with client.stream() as stream:
            board.say(b"x")
            assert stream.receive() == b"x"
            client.call("close")
            with pytest.raises(anyio.EndOfStream):
                stream.receive()
        with client.stream() as again:
            board.say(b"y")
            assert again.receive() == b"y"


def test_throttle_holds_the_rate(board: Any) -> None:
    with opened(PySerial(url=board.path, cps=100)) as stream:
        started = monotonic()
        stream.send(b"x" * 30)
        assert board.hear(30) == b"x" * 30
        assert monotonic() - started >= 0.28  # 29 gaps of 10 ms


async def throttled_over(make: Any, count: int, cps: float) -> float:
    sender, receiver = anyio.create_memory_object_stream[bytes](1000)

    class Ends:
        send, receive = sender.send, receiver.receive

    async with sender, receiver:
        stream = make(Ends(), cps)
        started = anyio.current_time()
        await stream.send(b"x" * count)
        return anyio.current_time() - started


@pytest.mark.parametrize("make", [lambda ends, cps: AsyncSerial(ends, ends, cps), ThrottledStream])
def test_both_streams_throttle(make: Any) -> None:
    assert anyio.run(throttled_over, make, 20, 200.0) >= 0.095


def test_loop_returns_everything_and_ends() -> None:
    data = os.urandom(1 << 20)
    with opened(PySerial(url="loop://")) as stream:
        for start in range(0, len(data), 65536):
            stream.send(data[start : start + 65536])
        stream.send_eof()
        assert receive_exactly(stream, len(data)) == data
        with pytest.raises(anyio.EndOfStream):
            stream.receive()


def test_socket_port_keeps_the_greeting(greeting_server: tuple[str, int]) -> None:
    host, port = greeting_server
    with opened(PySerial(url=f"socket://{host}:{port}")) as stream:
        assert receive_exactly(stream, 8) == b"welcome\n"
        stream.send(b"abc")
        assert receive_exactly(stream, 3) == b"abc"


def test_socket_port_refused_is_told() -> None:
    with serve(PySerial(url="socket://127.0.0.1:1")) as client:
        assert "cannot connect to socket://127.0.0.1:1: connection refused" in opening_error(client)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:serial.rfc2217")
def test_rfc2217_port_carries_bytes_and_lines(rfc2217_server: tuple[str, int, Any]) -> None:
    host, port, far = rfc2217_server
    with (
        serve(PySerial(url=f"rfc2217://{host}:{port}?timeout=60", baudrate=57600)) as client,
        client.stream() as stream,
    ):
        stream.send(b"login: \xff\x00")
        assert receive_exactly(stream, 9) == b"login: \xff\x00"
        assert far.baudrate == 57600
        for state in (False, True):
            # In the loop, DTR of the far port comes back as its DSR.
            client.set_dtr(state)
            assert far.dsr is state


def test_rfc2217_port_refused_is_told() -> None:
    with serve(PySerial(url="rfc2217://127.0.0.1:1")) as client:
        assert "cannot open serial port rfc2217://127.0.0.1:1" in opening_error(client)


def test_unknown_url_is_told() -> None:
    with serve(PySerial(url="nothing://x")) as client:
        assert "cannot open serial port nothing://x" in opening_error(client)


@pytest.mark.parametrize("line", ["set_dtr", "set_rts"])
def test_lines_of_a_port_without_them(line: str, board: Any) -> None:
    with serve(PySerial(url=board.path)) as client:
        with pytest.raises(DriverMethodNotImplemented, match=f"has no {line[-3:].upper()} line"):
            client.call(line, True)
        with client.stream() as stream:
            board.say(b"x")
            assert stream.receive() == b"x"


def test_lines_of_the_loop_are_accepted() -> None:
    with serve(PySerial(url="loop://")) as client:
        client.set_dtr(False)
        client.set_rts(True)


@pytest.mark.parametrize("disable", [True, False])
def test_hupcl_is_cleared_on_request(board: Any, disable: bool) -> None:
    before = termios.tcgetattr(board.far)
    before[2] |= termios.HUPCL
    termios.tcsetattr(board.far, termios.TCSANOW, before)
    with opened(PySerial(url=board.path, disable_hupcl=disable)) as stream:
        board.say(b"x")
        assert stream.receive() == b"x"
        assert bool(termios.tcgetattr(board.far)[2] & termios.HUPCL) is not disable


def test_baudrate_is_set(board: Any) -> None:
    with opened(PySerial(url=board.path, baudrate=57600)) as stream:
        board.say(b"x")
        assert stream.receive() == b"x"
        assert termios.tcgetattr(board.far)[4] == termios.B57600
