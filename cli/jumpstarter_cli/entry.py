"""How a command line tool ends: with the exit code of its command, and at most one line about an error.

==================================  ==========
end                                 exit code
==================================  ==========
the command ran                     0, or what it returned
an error at run time                1, or the code of `jumpstarter.common.errors`
wrong usage                         2
Ctrl-C                              130
SIGTERM, SIGHUP                     143, 129
==================================  ==========
"""

from __future__ import annotations

import atexit
import gc
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from .ending import end_soon, handle_signals

INTERRUPTED = 128 + signal.SIGINT

#: Objects between two collections. Most of what a command makes are modules, which stay: looking through them again and again
#: while they load, and once more at the end, would take a fifth of its time.
GC_THRESHOLD = 50_000


def run(make: Callable[[], click.Command], prog_name: str) -> int:
    """Run the command that *make* builds on ``sys.argv`` and return the process's exit code."""
    _open_closed_streams()
    gc.set_threshold(GC_THRESHOLD)
    atexit.register(gc.freeze)
    try:
        handle_signals()
        code = _code_of(make, prog_name)
    finally:
        unseen = end_soon()
    return code if unseen is None else unseen


def _code_of(make: Callable[[], click.Command], prog_name: str) -> int:
    try:
        try:
            result = _without_groups(_told_of_pipes(_named_in_errors(make())), prog_name)
            sys.stdout.flush()
        except (BrokenPipeError, _PipeBroken) as error:
            # It may be that of another pipe, or of a socket.
            if gone := _streams_without_reader():
                return _leave_quietly(gone)
            raise error.__cause__ or error from None
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last place that can turn an error into a line and a code
        return report(error)
    return result if type(result) is int else 0


def _without_groups(command: click.Command, prog_name: str) -> Any:
    """Run *command*. Of the errors in a group, as task groups raise it, the one that says why is raised in its place."""
    try:
        return command.main(prog_name=prog_name, standalone_mode=False)
    except BaseExceptionGroup as group:
        leaves = _leaves(group)
        ends = (KeyboardInterrupt, SystemExit, BrokenPipeError, _PipeBroken)
        raise next((leaf for leaf in leaves if isinstance(leaf, ends)), leaves[0]) from None


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


def _open_closed_streams() -> None:
    """Give a process that was started without one of its streams (``>&-``) one that leads nowhere.

    Without it the next file or socket that is opened would take its number, and with it what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115


class _PipeBroken(Exception):
    """Has a BrokenPipeError as its cause."""


def _told_of_pipes(command: click.Command) -> click.Command:
    """*command*, which raises _PipeBroken. click takes every BrokenPipeError for that of the output, and ends without a word."""

    def told(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            try:
                return method(*args, **options)
            except BrokenPipeError as error:
                raise _PipeBroken from error

        return call

    command.make_context = told(command.make_context)  # type: ignore[method-assign]
    command.invoke = told(command.invoke)  # type: ignore[method-assign]
    return command


def _named_in_errors(command: click.Command) -> click.Command:
    """*command*, whose usage errors, and those of its commands, all know whose they are: click forgets it for some."""
    parse = command.parse_args

    def parse_args(ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return parse(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    command.parse_args = parse_args  # type: ignore[method-assign]
    if isinstance(command, click.Group):
        _named_below(command)
    return command


def _named_below(group: click.Group) -> None:
    resolve = group.resolve_command

    def resolve_command(
        ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = resolve(ctx, args)
        return name, command and _named_in_errors(command), rest

    group.resolve_command = resolve_command  # type: ignore[method-assign]


def report(error: BaseException) -> int:
    """Print *error* in one line (with a traceback at log level DEBUG) and return its exit code."""
    from jumpstarter.common.errors import exit_code, one_line
    from jumpstarter.common.exceptions import ConfigurationError

    from . import logs

    logs.log_traceback(error)
    code = exit_code(error)
    # A config file is reported with all its problems, one a line; anything else is one line whatever it says.
    lines = one_line(error).splitlines()
    for line in lines if isinstance(error, ConfigurationError) else ["; ".join(lines)]:
        _fail(line, code)
    return code


def _usage(error: click.UsageError) -> int:
    # click 8.2 and later: a group that was given no command. Its "message" is its help, in many lines.
    if error.ctx is not None and isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        click.echo(error.ctx.get_help())
        return 0
    message = " ".join(error.format_message().split())
    if error.ctx is not None:
        if not message.endswith((".", "?", "!", "?)")):
            message += "."
        message += f" Try '{error.ctx.command_path} --help'."
    return _fail(message, error.exit_code)


def _fail(message: str, code: int) -> int:
    show_error(message)
    return code


def show_error(message: object) -> None:
    """Print *message* to standard error as an error; in colour on a terminal, unless NO_COLOR is set (no-color.org)."""
    label = "Error:" if os.environ.get("NO_COLOR") else click.style("Error:", fg="red")
    from jumpstarter.common.printable import printable

    click.echo(f"{label} {printable(str(message))}", err=True)


def _streams_without_reader() -> list[int]:
    """Which of our output streams nobody reads any more, as in ``j --help | head -1``."""
    outputs = select.poll()
    for stream in (sys.stdout, sys.stderr):
        outputs.register(stream.fileno(), 0)
    return [number for number, events in outputs.poll(0) if events & (select.POLLERR | select.POLLHUP)]


def _leave_quietly(streams: list[int]) -> int:
    # The interpreter must not flush into them again.
    for number in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return 128 + signal.SIGPIPE
