"""The commands of a serial port: a console for people and a pipe for programs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import click
from jumpstarter.common.end_reason import end_reason

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream

    from .client import PySerialClient


def start_console_command(client: PySerialClient) -> click.Command:
    """The command ``start-console`` for *client*."""

    @click.command("start-console")
    def start_console() -> None:
        """Talk to the serial port from this terminal. Ctrl+B three times leaves."""
        from .console import run_console

        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError("start-console needs a terminal; use 'pipe' in scripts")
        try:
            click.echo("Connected to the serial port; leave with Ctrl+B three times", err=True)
            with client.stream() as stream:
                how = run_console(stream, sys.stdin.fileno(), sys.stdout.fileno())
        except (SystemExit, KeyboardInterrupt):  # signals
            _tell(end_reason() or "The console was ended by a signal")
            raise
        _tell(how)

    return start_console


def _tell(how: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        click.echo(f"\r\n{how}", err=True)


def pipe_command(client: PySerialClient) -> click.Command:
    """The command ``pipe`` for *client*."""

    @click.command("pipe")
    @click.option(
        "-o", "--output", type=click.Path(dir_okay=False), help="Write the port's output to this file."
    )
    @click.option(
        "-i", "--input", "force_input", is_flag=True, help="Send stdin, even when it is a terminal."
    )
    @click.option("--no-input", is_flag=True, help="Do not send stdin, even when it is a pipe or a file.")
    @click.option("-a", "--append", is_flag=True, help="Append to the file of -o in place of overwriting it.")
    @click.option("--no-output", is_flag=True, help="Send stdin, print nothing, and exit at its end.")
    def pipe(output: str | None, force_input: bool, no_input: bool, append: bool, no_output: bool) -> None:
        """Write the serial port's output to stdout or a file; send it stdin when that is a pipe or a file.

        After the end of stdin the output goes on until Ctrl+C.

        \b
        Examples:
          j serial pipe                       print the output
          j serial pipe -o serial.log         write it to a file
          echo "ls" | j serial pipe           send a command, go on printing
          cat commands | j serial pipe --no-output
        """
        _check_pipe_options(output, force_input, no_input, append, no_output)
        sends = no_output or force_input or (not no_input and not sys.stdin.isatty())
        click.echo(_banner(sends, output, no_output), err=True)
        if no_output:
            _send_only(client)
        elif output is None:
            _run_pipe(client, sends, sys.stdout.buffer)
        else:
            with click.open_file(output, "ab" if append else "wb") as target:
                _run_pipe(client, sends, target)

    return pipe


def _check_pipe_options(
    output: str | None, force_input: bool, no_input: bool, append: bool, no_output: bool
) -> None:
    if force_input and no_input:
        raise click.UsageError("--input and --no-input exclude each other")
    if no_output and no_input:
        raise click.UsageError("--no-output and --no-input leave nothing to do")
    if no_output and output is not None:
        raise click.UsageError("--no-output and --output exclude each other")
    if append and output is None:
        raise click.UsageError("--append needs --output FILE")


def _banner(sends: bool, output: str | None, no_output: bool) -> str:
    if no_output:
        return "stdin → serial, until the end of stdin"
    received = f"serial → {output or 'stdout'} (Ctrl+C to exit)"
    return f"stdin → serial, {received}" if sends else received


def _send_only(client: PySerialClient) -> None:
    with client.stream() as stream:
        for chunk in _chunks(sys.stdin.buffer):
            stream.send(chunk)
        stream.send_eof()


def _run_pipe(client: PySerialClient, sends: bool, target: IO[bytes]) -> None:
    """Carry both ways until the stream ends, the reader of *target* is gone, or a signal."""
    from jumpstarter_driver_network.client import until_interrupted

    failures: list[BaseException] = []
    with until_interrupted() as stop, client.stream() as stream:

        def in_background(work: Callable[[], None]) -> threading.Thread:
            def run() -> None:
                try:
                    work()
                except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                    failures.append(error)
                    stop.set()

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            return thread

        def receive() -> None:
            _receive(stream, target)
            stop.set()

        receiver = in_background(receive)
        if sends:
            in_background(lambda: _send(stream))
        stop.wait()
        stream.close()
        receiver.join()
    if failures:
        raise failures[0]


def _receive(stream: BlockingStream, target: IO[bytes]) -> None:
    from anyio import ClosedResourceError, EndOfStream

    try:
        while True:
            target.write(stream.receive())
            target.flush()
    except EndOfStream:
        click.echo("The serial port's stream ended", err=True)
    except ClosedResourceError:
        # Interrupted: a normal end.
        return
    except BrokenPipeError:
        # Nobody reads stdout any more (`| head`): a normal end, too, unless the interpreter flushes what is left into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), target.fileno())


def _send(stream: BlockingStream) -> None:
    from anyio import BrokenResourceError, ClosedResourceError

    try:
        for chunk in _chunks(sys.stdin.buffer):
            stream.send(chunk)
        stream.send_eof()
    except (BrokenResourceError, ClosedResourceError):
        # The receiver tells why.
        return


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    """What *source* has, as it comes."""
    import io

    try:
        # By descriptor: a thread that is blocked in a buffered read would stop the interpreter from ending.
        descriptor = source.fileno()
    except io.UnsupportedOperation:
        yield from iter(lambda: source.read(65536), b"")
        return
    yield from iter(lambda: os.read(descriptor, 65536), b"")
