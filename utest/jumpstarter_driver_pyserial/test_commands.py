"""The commands as processes of their own, as `j` runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pexpect
import pytest
from jumpstarter_driver_pyserial.commands import _receive

RUN = """
import sys
from jumpstarter.common.utils import serve
from jumpstarter_driver_pyserial.driver import PySerial
with serve(PySerial(url=sys.argv[1])) as client:
    client.cli()(sys.argv[2:])
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command on a port; what still runs at the end is killed."""
    with ExitStack() as stack:

        def run(url: str, *arguments: str, stdin: int | None = subprocess.PIPE) -> subprocess.Popen[bytes]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RUN, url, *arguments],
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            )
            stack.callback(process.kill)
            return process

        yield run


def read(source: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(source.fileno(), size - len(data))
        assert part, f"ended after {data!r}"
        data += part
    return data


def line(source: Any) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        data += read(source, 1)
    return data


def test_pipe_sends_stdin_and_prints_until_the_stream_ends(start: Start) -> None:
    process = start("loop://", "pipe", "-i")
    out, err = process.communicate(b"hello\n", timeout=60)
    assert out == b"hello\n"
    assert "stdin → serial, serial → stdout (Ctrl+C to exit)" in err.decode()
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_pipe_goes_on_after_stdin_until_a_signal(start: Start, board: Any, number: int) -> None:
    process = start(board.path, "pipe")
    assert process.stdin is not None
    process.stdin.write(b"reboot\n")
    process.stdin.close()
    process.stdin = None
    assert board.hear(7) == b"reboot\n"
    board.say(b"rebooting\n")
    assert read(process.stdout, 10) == b"rebooting\n"
    process.send_signal(number)
    assert process.wait(60) == 0


def test_pipe_without_input_reads_no_stdin(start: Start, board: Any) -> None:
    process = start(board.path, "pipe", "--no-input")
    assert line(process.stderr).decode() == "serial → stdout (Ctrl+C to exit)\n"
    board_said = False
    assert process.stdin is not None
    process.stdin.write(b"secret")
    process.stdin.flush()
    while not board_said:
        # The port's old output is dropped when it is opened, so talk until something is printed.
        board.say(b"x")
        import select

        board_said = bool(select.select([process.stdout], [], [], 0.05)[0])
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    with pytest.raises(AssertionError, match="only b''"):
        board.hear(1, timeout=0)


def test_pipe_only_sends_everything_before_it_ends(start: Start, board: Any) -> None:
    commands = b"".join(b"command %d\n" % number for number in range(500))
    process = start(board.path, "pipe", "--no-output")
    assert process.stdin is not None
    process.stdin.write(commands)
    process.stdin.close()
    process.stdin = None
    assert board.hear(len(commands)) == commands
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == (b"", 0)


@pytest.mark.parametrize(("options", "expected"), [([], b"new\n"), (["-a"], b"old\nnew\n")])
def test_pipe_writes_or_appends_to_a_file(
    start: Start, tmp_path: Path, options: list[str], expected: bytes
) -> None:
    file = tmp_path / "serial.log"
    file.write_bytes(b"old\n")
    process = start("loop://", "pipe", "-i", "-o", str(file), *options)
    out, _ = process.communicate(b"new\n", timeout=60)
    assert (out, process.returncode) == (b"", 0)
    assert file.read_bytes() == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-i", "--no-input"], b"exclude each other"),
        (["--no-output", "--no-input"], b"leave nothing to do"),
        (["--no-output", "-o", "x"], b"exclude each other"),
        (["-a"], b"--append needs --output FILE"),
    ],
)
def test_pipe_options_that_contradict(start: Start, options: list[str], told: bytes) -> None:
    process = start("loop://", "pipe", *options)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told in err


def test_pipe_ends_when_nobody_reads_its_output(start: Start, board: Any) -> None:
    import select

    process = start(board.path, "pipe", "--no-input")
    assert process.stdout is not None
    while not select.select([process.stdout], [], [], 0.05)[0]:
        board.say(b"x")
    process.stdout.close()
    process.stdout = None
    while process.poll() is None:
        # When the command has ended nobody takes what the board says: writing would never return.
        if select.select([], [board.far], [], 0.05)[1]:
            board.say(b"x")
    assert process.returncode == 0


def test_nothing_is_flushed_to_a_reader_that_is_gone() -> None:
    class Chatter:
        def receive(self) -> bytes:
            return b"x"

    reading, writing = os.pipe()
    os.close(reading)
    # Closing flushes what is left, as the interpreter's end does.
    with os.fdopen(writing, "wb") as target:
        _receive(cast("Any", Chatter()), target)


def test_console_needs_a_terminal(start: Start) -> None:
    process = start("loop://", "start-console")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"needs a terminal" in err


def spawn_console(url: str) -> pexpect.spawn[bytes]:
    terminal = pexpect.spawn(sys.executable, ["-c", RUN, url, "start-console"], timeout=60)
    terminal.expect_exact("leave with Ctrl+B three times")
    return terminal


def test_console_talks_and_leaves_with_three_escapes(board: Any) -> None:
    terminal = spawn_console(board.path)
    while terminal.expect_exact([b"login: ", pexpect.TIMEOUT], timeout=0.1):
        board.say(b"login: ")
    terminal.send(b"root\r\x03")
    # Raw: Enter and Ctrl+C go to the board as they are.
    assert board.hear(6) == b"root\r\x03"
    terminal.send(b"\x02\x02\x02")
    terminal.expect_exact("Left the console")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_console_ends_with_the_port(board: Any) -> None:
    terminal = spawn_console(board.path)
    while terminal.expect_exact([b"up", pexpect.TIMEOUT], timeout=0.1):
        board.say(b"up")
    board.hang_up()
    terminal.expect_exact("The connection broke")
    terminal.expect(pexpect.EOF)
    terminal.close()
