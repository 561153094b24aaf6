"""The one logging set-up of the command line tools: standard error, one format, one level.

Results go to standard output and nothing else does, so ``x=$(j power read)`` holds readings only.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMAT = "%(levelname)s:%(name)s:%(message)s"

#: In front of it, of processes that run for long.
TIMES = "%(asctime)s "

#: The environment variable that is 1 where everything is quiet: in the shell of ``jmp -q shell``, and in ``j -q``.
QUIET = "JMP_QUIET"

_requested: str | None = None


def request(level: str) -> None:
    """Remember the level that the user asked for; it wins over every default."""
    global _requested
    _requested = level


def requested() -> str | None:
    """The level that the user asked for, or None."""
    return _requested


def log_traceback(error: BaseException) -> None:
    """Print the traceback of *error* to standard error if the level is DEBUG."""
    if debugging():
        import traceback

        from jumpstarter.common.secrets import mask

        sys.stderr.write(mask("".join(traceback.format_exception(error))))


def debugging() -> bool:
    """Whether the user asked for DEBUG, which also shows tracebacks."""
    return _requested == "DEBUG"


class _ForTerminals(logging.Formatter):
    """Neither secrets (tokens, passwords of URLs, private keys) nor control characters get into a log, whoever says them."""

    def format(self, record: logging.LogRecord) -> str:
        from jumpstarter.common.printable import printable
        from jumpstarter.common.secrets import mask

        return printable(mask(super().format(record)))


def configure(default: str = "WARNING", *, hide: str | None = None, times: bool = False) -> None:
    """Send log records of at least the level asked for, else *default*, to standard error.

    May be called again, by a command whose default differs from its group's. Records of the logger *hide* are
    left out if the user asked for no level. *times*: each line begins with its time.
    """
    root = logging.getLogger()
    level = _requested or default
    for handler in root.handlers:
        if handler.get_name() == __name__:
            handler.setLevel(level)
            break
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.set_name(__name__)
        handler.setFormatter(_ForTerminals(FORMAT))
        handler.setLevel(level)
        root.addHandler(handler)
    if times:
        handler.setFormatter(_ForTerminals(TIMES + FORMAT))
    if hide and not _requested:
        handler.addFilter(lambda record: record.name != hide)
    # The exporter's log stream has its own handler and wants INFO whatever this terminal shows.
    root.setLevel(min(logging.getLevelName(level), logging.INFO))


def _set_level(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value:
        request(value)


def _set_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if (value or os.environ.get(QUIET) == "1") and _requested is None:
        request("ERROR")


def quiet() -> bool:
    """Whether messages that are not results should be left out (``-q``, or a level above WARNING)."""
    return _requested in ("ERROR", "CRITICAL")


def note(message: str) -> None:
    """Tell the user, on standard error, something that is not a result; silent with ``-q``."""
    if not quiet():
        from jumpstarter.common.printable import printable

        click.echo(printable(message), err=True)


def level_option(**attrs: Any) -> click.Option:
    """The ``--log-level`` option of a group."""
    return click.Option(
        ["--log-level"],
        type=click.Choice(LEVELS, case_sensitive=False),
        metavar=f"[{'|'.join(LEVELS)}]",
        expose_value=False,
        is_eager=True,
        callback=_set_level,
        help="Set the log level; DEBUG also shows tracebacks.",
        **attrs,
    )


def quiet_option() -> click.Option:
    """The ``-q`` option of a group."""
    return click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        callback=_set_quiet,
        help="Show errors only.",
    )
