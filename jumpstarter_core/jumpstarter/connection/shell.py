"""Run the user's shell, or a command, connected to an exporter, and return its exit code."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from jumpstarter.common.end_reason import END_REASON_FILE
from jumpstarter.common.interrupts import handling
from jumpstarter.common.shell_waits import SHELL_WAITS
from jumpstarter.common.terminals import terminal_kept
from jumpstarter.common.wakeups import wakeups

from .ending import GRACE, IDLE, Ending
from .environment import SHELL_LEASE, session_environment
from .shell_start import shell_command, with_completion

COMMAND_NOT_FOUND = 127
COMMAND_NOT_EXECUTABLE = 126
FALLBACK_SHELL = "/bin/sh"


@dataclass(frozen=True)
class Surroundings:
    """What a shell and everything started in it gets to know about the exporter, through its environment.

    `host` is the path of a unix socket or ``host:port``; the prompt shows `prompt`, or else `name`. `waits` are the seconds for
    which calls wait for an exporter that went away. The variables are
    those of the Jumpstarter documentation, so any Jumpstarter client started in the shell finds the exporter.
    """

    host: str
    name: str
    lease: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    insecure: bool = False
    passphrase: str | None = None
    allow: str = "UNSAFE"
    prompt: str = ""
    waits: float = 0.0

    def environment(self) -> dict[str, str]:
        """The variables to set."""
        variables = {
            "JUMPSTARTER_HOST": self.host,
            "JMP_DRIVERS_ALLOW": self.allow,
            "_JMP_SUPPRESS_DRIVER_WARNINGS": "1",
        }
        if self.name:
            variables["JMP_EXPORTER"] = self.name
        if self.lease is not None:
            variables |= {"JMP_LEASE": self.lease, SHELL_LEASE: self.lease}
        if self.labels:
            variables["JMP_EXPORTER_LABELS"] = ",".join(f"{k}={v}" for k, v in sorted(self.labels.items()))
        if self.waits:
            variables[SHELL_WAITS] = str(ceil(self.waits))
        if self.insecure:
            variables["JMP_GRPC_INSECURE"] = "1"
        if self.passphrase is not None:
            variables["JMP_GRPC_PASSPHRASE"] = self.passphrase
        return variables


def user_shell(environ: Mapping[str, str]) -> str:
    """Path of the user's shell: ``$SHELL``, else (in services and containers that set none) the account's, else sh."""
    if shell := environ.get("SHELL"):
        return shell
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:  # a container's user without an account
        return FALLBACK_SHELL
    # An account that must not log in (nologin, false) has no shell to offer.
    return shell if shell and Path(shell).name not in {"nologin", "false"} else FALLBACK_SHELL


def launch(
    surroundings: Surroundings,
    command: Sequence[str] = (),
    *,
    profiles: bool = False,
    variables: Mapping[str, str] | None = None,
    end_when: Callable[[Callable[[str], object]], object] | None = None,
    grace: float = GRACE,
    completion: Callable[[str], str] | None = None,
) -> int:
    """Run *command*, or the user's shell, and wait for its end.

    *variables* are set for it, too. *end_when* is given a function that ends it, to be called with the reason, on any thread,
    when the exporter is lost. What is ended gets SIGTERM, has *grace* seconds to end by itself, and is forced to then; the
    file that `jumpstarter.common.end_reason` reads says why. Only then does this function return.

    *completion* gives the script of bash, zsh or fish that teaches the user's shell on a terminal to complete; with *profiles*
    that is left to the user's start-up files.

    SIGTERM and SIGHUP of this process end it in that way. SIGINT and SIGQUIT are passed on unless the terminal sends them to
    the command itself. On another thread than the main one signals are left to whoever handles them.

    Returns:
        The child's exit code, 128 + n if signal n ended it, 127 if there is no such command, 126 if it cannot
        be run.
    """
    environment = session_environment(os.environ, surroundings.environment()) | dict(variables or {})
    interactive = not command
    sys.stdout.flush()
    with TemporaryDirectory(prefix="jumpstarter-shell-", ignore_cleanup_errors=True) as folder:
        environment[END_REASON_FILE] = reason_file = str(Path(folder) / "end-reason")
        arguments = list(command)
        if interactive:
            prompt = surroundings.prompt or surroundings.name
            arguments, extra = shell_command(user_shell(os.environ), prompt, profiles=profiles)
            environment |= extra
            if completion is not None and not profiles and os.isatty(0):
                arguments, extra = with_completion(arguments, Path(folder), completion, environment)
                environment |= extra
        ending = Ending(reason_file, grace, interactive=interactive)
        with _signals(ending), terminal_kept():
            try:
                child = _start(arguments, environment, interactive)
            except (FileNotFoundError, NotADirectoryError):
                print(f"Error: {arguments[0]}: command not found", file=sys.stderr)
                return COMMAND_NOT_FOUND
            except OSError as error:
                print(f"Error: {arguments[0]}: {error.strerror}", file=sys.stderr)
                return COMMAND_NOT_EXECUTABLE
            ending.attach(child, grouped=not _has_terminal())
            if end_when is not None:
                end_when(ending.end)
            code = _wait(child, ending)
    return 128 - code if code < 0 else code


def _start(
    arguments: Sequence[str], environment: Mapping[str, str], interactive: bool
) -> subprocess.Popen[bytes]:
    """Start the child: in a group of its own, unless there is a terminal, whose signals its group has to get.

    A command does not get the SIGHUP of a terminal that is closed: it is ended in order, by us.
    """
    group = None if _has_terminal() else 0
    if interactive or group == 0 or not _handles_signals():
        return subprocess.Popen(arguments, env=environment, process_group=group)
    with handling(signal.SIG_IGN, signal.SIGHUP):
        return subprocess.Popen(arguments, env=environment)


def _wait(child: subprocess.Popen[bytes], ending: Ending) -> int:
    if not _handles_signals():
        return _wait_for_exit(child, ending)
    with handling(lambda signum, frame: None, signal.SIGCHLD), wakeups() as wait:
        while (code := child.poll()) is None or ending.goes_on:
            wait(ending.act())
    return code


def _wait_for_exit(child: subprocess.Popen[bytes], ending: Ending) -> int:
    while child.poll() is None or ending.goes_on:
        with suppress(subprocess.TimeoutExpired):
            child.wait(ending.act() or IDLE)
    assert child.returncode is not None
    return child.returncode


def _handles_signals() -> bool:
    """Whether this is the thread that has handlers of signals."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _signals(ending: Ending) -> Iterator[None]:
    def handle(signum: int, frame: FrameType | None) -> None:
        if signum in (signal.SIGTERM, signal.SIGHUP):
            ending.end(f"jmp shell got {signal.Signals(signum).name}")
        elif not _terminal_signals_us():  # else the child has got it: it is in the same foreground group
            ending.pass_on(signum)

    signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP) if _handles_signals() else ()
    with ExitStack() as stack:
        for signum in signals:
            if (
                signal.getsignal(signum) is not signal.SIG_IGN
            ):  # as under nohup: it stays so, for the child too
                stack.enter_context(handling(handle, signum))
        yield


def _has_terminal() -> bool:
    """Whether this process has a terminal, from which what it starts may want to read."""
    try:
        with open("/dev/tty", "rb", buffering=0):
            return True
    except OSError:
        return False


def _terminal_signals_us() -> bool:
    """Whether our process group is the foreground one of a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
