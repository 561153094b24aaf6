"""Run the user's shell, or a command, connected to an exporter, and return its exit code."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from jumpstarter.common.wakeups import wakeups

from .environment import SHELL_LEASE, session_environment

COMMAND_NOT_FOUND = 127
COMMAND_NOT_EXECUTABLE = 126
FALLBACK_SHELL = "/bin/sh"
#: Seconds after which a shell that was told to hang up is told again: bash forgets a SIGHUP that comes while it turns to
#: reading the terminal, until the next key.
HANG_UP_AGAIN = 2.0


@dataclass(frozen=True)
class Surroundings:
    """What a shell and everything started in it gets to know about the exporter, through its environment.

    `host` is the path of a unix socket or ``host:port``; the prompt shows `prompt`, or else `name`. The variables are
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

    def environment(self) -> dict[str, str]:
        """The variables to set."""
        variables = {
            "JUMPSTARTER_HOST": self.host,
            "JMP_EXPORTER": self.name,
            "JMP_DRIVERS_ALLOW": self.allow,
            "_JMP_SUPPRESS_DRIVER_WARNINGS": "1",
        }
        if self.lease is not None:
            variables |= {"JMP_LEASE": self.lease, SHELL_LEASE: self.lease}
        if self.labels:
            variables["JMP_EXPORTER_LABELS"] = ",".join(f"{k}={v}" for k, v in sorted(self.labels.items()))
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


def shell_command(shell: str, name: str, *, profiles: bool = False) -> tuple[list[str], dict[str, str]]:
    """The command line and the extra variables that start *shell* with a prompt naming the exporter *name*.

    Args:
        shell: path of the shell, as in ``$SHELL``.
        profiles: let the shell read the user's start-up files (which may replace the prompt).
    """
    kind = Path(shell).name
    # The prompt is code to a shell; a name holds nothing that a shell could take for more than text.
    name = re.sub(r"[^\w.:/-]", "?", name)
    if kind == "bash":
        plain = [] if profiles else ["--norc", "--noprofile"]
        prompt = rf"\[\e[93m\]\W \[\e[31m\]⚡\[\e[36m\]{name} \[\e[33m\]➤\[\e[0m\] "
        return [shell, *plain], {"PS1": prompt}
    if kind == "zsh":
        plain = [] if profiles else ["--no-rcs"]
        return [shell, *plain], {"PS1": f"%F{{yellow}}%1~ %F{{red}}⚡%F{{cyan}}{name} %F{{yellow}}➤%f "}
    if kind == "fish":
        plain = [] if profiles else ["--no-config"]
        prompt = (
            "function fish_prompt; set_color yellow; echo -n (basename $PWD)' '; set_color red; echo -n ⚡; "
            f"set_color cyan; echo -n '{name} '; set_color yellow; echo -n '➤ '; set_color normal; end"
        )
        return [shell, *plain, "--init-command", prompt], {}
    return [shell], {"PS1": f"⚡{name} ➤ "}


def launch(
    surroundings: Surroundings,
    command: Sequence[str] = (),
    *,
    profiles: bool = False,
    variables: Mapping[str, str] | None = None,
    hang_up_when: Callable[[Callable[[], object]], object] | None = None,
) -> int:
    """Run *command*, or the user's shell, and wait for its end.

    *variables* are set for it, too. *hang_up_when* is given a function that sends SIGHUP to the child, to be called, on any
    thread, when the exporter is lost.

    SIGTERM and SIGHUP are passed to the child (an interactive shell, which ignores SIGTERM, gets SIGHUP);
    SIGINT and SIGQUIT too unless the terminal sends them to the child itself. On another thread than the main one signals
    are left to whoever handles them.

    Returns:
        The child's exit code, 128 + n if signal n ended it, 127 if there is no such command, 126 if it cannot
        be run.
    """
    environment = session_environment(os.environ, surroundings.environment()) | dict(variables or {})
    interactive = not command
    if interactive:
        prompt = surroundings.prompt or surroundings.name
        arguments, extra = shell_command(user_shell(os.environ), prompt, profiles=profiles)
        environment |= extra
    else:
        arguments = list(command)
    sys.stdout.flush()
    with _relay() as relay:
        try:
            child = subprocess.Popen(arguments, env=environment)
        except (FileNotFoundError, NotADirectoryError):
            print(f"Error: {arguments[0]}: command not found", file=sys.stderr)
            return COMMAND_NOT_FOUND
        except OSError as error:
            print(f"Error: {arguments[0]}: {error.strerror}", file=sys.stderr)
            return COMMAND_NOT_EXECUTABLE
        relay.attach(child, interactive)
        if hang_up_when is not None:
            hang_up_when(lambda: relay.send(signal.SIGHUP))
        code = _wait(child, relay)
    return 128 - code if code < 0 else code


def _wait(child: subprocess.Popen[bytes], relay: _Relay) -> int:
    if not _handles_signals():
        return _wait_for_exit(child, relay)
    with _handling(signal.SIGCHLD, lambda signum, frame: None), wakeups() as wait:
        while (code := child.poll()) is None:
            wait(HANG_UP_AGAIN if relay.interactive else None)
            relay.hang_up_again()
    return code


def _wait_for_exit(child: subprocess.Popen[bytes], relay: _Relay) -> int:
    while True:
        try:
            return child.wait(HANG_UP_AGAIN if relay.interactive else None)
        except subprocess.TimeoutExpired:
            relay.hang_up_again()


def _handles_signals() -> bool:
    """Whether this is the thread that has handlers of signals."""
    return threading.current_thread() is threading.main_thread()


class _Relay:
    """Passes signals to the child; those that come before there is a child are kept for it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self.interactive = False
        #: When an interactive shell was told last to hang up, in seconds of the monotonic clock; None: it was not.
        self.hung_up: float | None = None

    def attach(self, child: subprocess.Popen[bytes], interactive: bool) -> None:
        """Send to *child* from now on, and what came before."""
        self._child, self.interactive = child, interactive
        for signum in self._early:
            self.send(signum)

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if signum in (signal.SIGINT, signal.SIGQUIT) and _terminal_signals_us():
            return  # the child is in the same foreground group, or has the terminal to itself
        self.send(signum)

    def send(self, signum: int) -> None:
        """Pass *signum* on. On any thread."""
        if self._child is None:
            self._early.append(signum)
            return
        if self.interactive and signum in (signal.SIGTERM, signal.SIGHUP):
            signum = signal.SIGHUP
            self.hung_up = time.monotonic()
        self._child.send_signal(signum)

    def hang_up_again(self) -> None:
        """Tell a shell again that has not listened."""
        if self.hung_up is not None and time.monotonic() - self.hung_up >= HANG_UP_AGAIN:
            self.send(signal.SIGHUP)


@contextmanager
def _relay() -> Iterator[_Relay]:
    relay = _Relay()
    signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP) if _handles_signals() else ()
    with ExitStack() as stack:
        for signum in signals:
            if (
                signal.getsignal(signum) is not signal.SIG_IGN
            ):  # as under nohup: it stays so, for the child too
                stack.enter_context(_handling(signum, relay))
        yield relay


@contextmanager
def _handling(signum: int, handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = signal.signal(signum, handler)
    try:
        yield
    finally:
        signal.signal(signum, before)


def _terminal_signals_us() -> bool:
    """Whether our process group is the foreground one of a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
