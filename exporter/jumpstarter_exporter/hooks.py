"""Hooks: scripts of the exporter's owner that run before a lease's user gets the device, and after.

What holds for every hook:

* It runs on a pseudo terminal in a session of its own, so that tools buffer by line. It reads nothing: its input is at the
  end at once.
* Each line it prints becomes one log record, at the time it is printed.
* It has ended when `run_hook` returns. After its time-out it and all that it started get SIGTERM, and SIGKILL 5 s later.
* It does not outlive its exporter, however that ends: a program beside it (`guard`) sees to that.
* Processes that it leaves behind in the background when it ends live on until the lease is over (`LeftBehind`); nobody waits
  for them or reads their output.

The interpreter: ``exec`` if given; else a script that is one line naming an existing file runs with Python
(``.py``) or ``/bin/sh``; any other text is ``/bin/sh -c`` text, as in Jumpstarter 0.9.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final

from jumpstarter.common.inheritance import inheritable
from jumpstarter.connection.environment import session_environment

from . import guard
from .guard import GRACE

logger = logging.getLogger(__name__)

#: Seconds for a guard to end its hook: longer than it takes in any case.
GUARD_TIMEOUT: Final = GRACE + 10.0


class OnFailure(Enum):
    """What a failing hook means for the lease and the exporter (``onFailure`` in the exporter config)."""

    WARN = "warn"
    END_LEASE = "endLease"
    EXIT = "exit"


@dataclass(frozen=True)
class Hook:
    """A hook as configured. `timeout` is in seconds; `name` is ``beforeLease`` or ``afterLease``."""

    name: str
    script: str
    interpreter: str | None = None
    timeout: float = 120
    on_failure: OnFailure = OnFailure.WARN

    def command(self) -> list[str]:
        """The command line that runs the hook."""
        import shlex

        script = self.script.strip()
        is_file = "\n" not in script and Path(script).is_file()
        if self.interpreter:
            return [*shlex.split(self.interpreter), *([script] if is_file else ["-c", self.script])]
        if is_file:
            return [sys.executable if script.endswith(".py") else "/bin/sh", script]
        return ["/bin/sh", "-c", self.script]


@dataclass(frozen=True)
class HookResult:
    """How a hook ended. `problem` is None if it succeeded, else one line that names the hook."""

    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the hook did what it should."""
        return self.problem is None


def hook_environment(
    outer: Mapping[str, str], *, host: str, lease_name: str = "", client_name: str = ""
) -> dict[str, str]:
    """The environment of a hook.

    Args:
        outer: the exporter's own environment, whose secrets are left out.
        host: path of the unix socket on which the hook's ``j`` reaches the exporter.
        lease_name: name of the lease, ``standalone`` in direct mode.
        client_name: name of the lease's client, empty in direct mode.
    """
    session = {
        "JUMPSTARTER_HOST": host,
        "JMP_DRIVERS_ALLOW": "UNSAFE",
        "LEASE_NAME": lease_name,
        "CLIENT_NAME": client_name,
        "TERM": "dumb",
        "DEBIAN_FRONTEND": "noninteractive",
        "GIT_TERMINAL_PROMPT": "0",
    }
    environment = session_environment(inheritable(outer), session)
    environment.pop("PS1", None)
    return environment


class Interrupt:
    """Ends a hook before its time: called, from any thread, while or before it runs."""

    def __init__(self) -> None:
        self.requested = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        with self._lock:
            self.requested = True
            process = self._process
        if process is not None:
            # The caller does not wait for a hook that takes its time to end.
            threading.Thread(target=_end, args=(process,), name="hook interrupt", daemon=True).start()

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        """The hook runs as *process*."""
        with self._lock:
            self._process = process
            requested = self.requested
        if requested:
            self()


class LeftBehind:
    """Processes that hooks left in the background. They end when it is closed, and with this process, in whatever way."""

    def __init__(self) -> None:
        self._guards: list[tuple[subprocess.Popen[bytes], socket.socket]] = []

    def take(self, guard: subprocess.Popen[bytes], holder: socket.socket) -> None:
        """Have *guard* end what its hook left, which it does at the latest when *holder* is closed."""
        self._guards.append((guard, holder))

    def close(self) -> None:
        """SIGTERM for what is left, and SIGKILL `GRACE` seconds later. Closing twice is fine."""
        guards, self._guards = self._guards, []
        if busy := [guard for guard, _ in guards if guard.poll() is None]:
            logger.info("what hooks left in the background ends with the lease")
        for each in busy:
            each.terminate()
        for each, holder in guards:
            _wait_for(each)
            holder.close()


def run_hook(
    hook: Hook,
    environment: Mapping[str, str],
    log: Callable[[str], None],
    interrupt: Interrupt | None = None,
    left: LeftBehind | None = None,
) -> HookResult:
    """Run *hook* to its end; *log* gets each line of its output. Raises for nothing the hook does.

    *left* gets what it leaves in the background; without it that lives on.
    """
    interrupt, taken = interrupt or Interrupt(), False
    with contextlib.ExitStack() as stack:
        terminal, ours = stack.enter_context(_pty())
        holder, other_end = (stack.enter_context(end) for end in socket.socketpair())
        try:
            process = _start(hook, environment, terminal, other_end, stay=left is not None)
        except (OSError, ValueError) as error:
            return HookResult(f"{hook.name} hook cannot be started: {error}")
        try:
            terminal.close()
            other_end.close()
            with _lines_logged(ours, log):
                interrupt.attach(process)
                result = _wait(hook, process, holder)
            if interrupt.requested:
                return HookResult(f"{hook.name} hook was ended early")
            if left is not None and process.returncode is None:
                left.take(process, holder.dup())
                taken = True
            return result
        finally:
            # Whatever goes wrong above, nothing of the hook stays.
            if process.returncode is None and not taken:
                _end(process)


def _start(
    hook: Hook, environment: Mapping[str, str], terminal: BinaryIO, other_end: socket.socket, *, stay: bool
) -> subprocess.Popen[bytes]:
    """Start *hook* below a guard, which has *other_end*. Raises OSError, ValueError."""
    descriptor = other_end.fileno()
    mode = "stay" if stay else "go"
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(guard.__file__), str(descriptor), mode, *hook.command()],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        pass_fds=(descriptor,),
        start_new_session=True,
    )


def _wait(hook: Hook, process: subprocess.Popen[bytes], holder: socket.socket) -> HookResult:
    """How *hook* ended. Its guard has ended, too, or looks after what it left behind."""
    holder.settimeout(hook.timeout)
    try:
        told = holder.recv(4096).decode(errors="replace")
    except TimeoutError:
        _end(process)
        return HookResult(f"{hook.name} hook timed out after {hook.timeout:g} s")
    except ConnectionResetError:
        told = ""
    if not told.endswith("+"):
        process.wait()
    return _result(hook, told.removesuffix("+"))


def _result(hook: Hook, told: str) -> HookResult:
    """What the guard *told* of the end of *hook*."""
    if told.startswith("!"):
        return HookResult(f"{hook.name} hook cannot be started: {told[1:]}")
    if not told:
        return HookResult(f"{hook.name} hook was ended from outside")
    if (code := int(told)) < 0:
        return HookResult(f"{hook.name} hook was ended by {_name(-code)}")
    return HookResult(f"{hook.name} hook failed with exit code {code}") if code else HookResult()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have the guard *process* end its hook, and wait for both."""
    process.terminate()
    _wait_for(process)


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait for the guard *process*, which was told to end."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GUARD_TIMEOUT)
        return
    process.kill()
    process.wait()


@contextlib.contextmanager
def _pty() -> Iterator[tuple[BinaryIO, int]]:
    """A pseudo terminal: (its far end for the hook, our end). The caller may close the far end earlier."""
    ours, terminal = os.openpty()
    try:
        with open(terminal, "wb", buffering=0) as far_end:
            yield far_end, ours
    finally:
        os.close(ours)


@contextlib.contextmanager
def _lines_logged(terminal: int, log: Callable[[str], None]) -> Iterator[None]:
    """Log what comes from *terminal* during the context, and at its end the rest that is there already."""
    ended, end = os.pipe()
    reader = threading.Thread(target=_log_lines, args=(terminal, ended, log), name="hook output", daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.close(end)
        reader.join()
        os.close(ended)


def _log_lines(terminal: int, ended: int, log: Callable[[str], None]) -> None:
    rest = b""
    for chunk in _chunks(terminal, ended):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            log(line.decode(errors="replace").rstrip("\r"))
    if rest:
        log(rest.decode(errors="replace").rstrip("\r"))


#: Linux hands what is written to a pseudo terminal to its reader a moment later. poll(2) waits for that, epoll(7) does not: it
#: would say that nothing is left to read.
_Selector: Final = selectors.PollSelector if sys.platform == "linux" else selectors.DefaultSelector

#: More bytes than a pseudo terminal holds: what comes after so many was written after the hook's end.
_HELD: Final = 256 * 1024


def _chunks(terminal: int, ended: int) -> Iterator[bytes]:
    """Reads until nobody can write any more, or until *ended* is at its end and what was written before that is read."""
    with _Selector() as selector:
        selector.register(terminal, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while ended not in (ready := _ready(selector)):
            if terminal in ready:
                if not (chunk := _read(terminal)):
                    return
                yield chunk
        # The terminal may have been looked at before the hook's last line, and *ended* after it: only a look that begins now
        # tells whether something is left. A process that writes on does not make this last for ever.
        selector.unregister(ended)
        left = _HELD
        while left > 0 and _ready(selector, 0) and (chunk := _read(terminal)):
            left -= len(chunk)
            yield chunk


def _ready(selector: selectors.BaseSelector, timeout: float | None = None) -> set[int]:
    return {key.fd for key, _ in selector.select(timeout)}


def _read(terminal: int) -> bytes:
    """What is there to be read; nothing when the far end is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno != errno.EIO:  # Linux's way to say that the far end is closed
            raise
        return b""
