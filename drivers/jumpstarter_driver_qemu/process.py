"""A running QEMU: started, watched and ended.

QEMU gets its control connection and its serial line as sockets that are connected already, so there is no
path to wait
for: it has started when it answers, and it has ended when the control connection closes.
"""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence

from jumpstarter.common.exceptions import ConfigurationError, DriverError

from .qmp import Qmp, QmpClosed, QmpError

#: Seconds within which QEMU answers; it takes 0.1 s on an idle machine, some seconds on a busy one.
START_TIMEOUT = 60
#: Seconds for QEMU to write its caches and end, before it is killed.
STOP_TIMEOUT = 10


class QemuFailed(DriverError):
    """Raised when QEMU does not start or ends at once; carries what QEMU wrote to standard error."""


class QemuProcess:
    """One QEMU. `start` makes it; it ends by itself when the guest powers off, by `stop`, or with its
    exporter.
    """

    def __init__(self, command: Sequence[str], logger: logging.Logger, on_end: Callable[[int], None]) -> None:
        self._command = command
        self._logger = logger
        self._on_end = on_end
        self._words: deque[str] = deque(maxlen=12)
        self._process: subprocess.Popen[bytes] | None = None
        self._spawn_error: OSError | None = None
        self._spawned = threading.Event()
        self._ended = threading.Event()
        self.qmp: Qmp

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        serial: socket.socket,
        *,
        logger: logging.Logger,
        on_end: Callable[[int], None],
        timeout: float = START_TIMEOUT,
    ) -> QemuProcess:
        """Start QEMU and return when its guest runs.

        *command* is the program and its arguments; control and serial line are added to it. *serial* is the
        far end of the serial line, and is closed here. *on_end* is called with the exit code when QEMU ends,
        for whatever reason, from a thread of its own. *timeout* in seconds bounds each answer of QEMU.

        Raises `QemuFailed` with QEMU's words, ConfigurationError when the program is not installed.
        """
        if shutil.which(command[0]) is None:
            serial.close()
            raise ConfigurationError(f"{command[0]} is not installed; {install_hint(command[0])}")
        ours, theirs = socket.socketpair()
        with serial, theirs:
            line = _connections(theirs.fileno(), serial.fileno())
            process = cls([*command, *line], logger, on_end)
            process.qmp = Qmp(ours)
            process._spawn((theirs.fileno(), serial.fileno()))
        if process._spawn_error is not None:
            process.qmp.close()
            raise QemuFailed(f"cannot run {command[0]}: {process._spawn_error.strerror}")
        process._wait_until_running(timeout)
        return process

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def words(self) -> str:
        """The last lines that QEMU wrote to standard error."""
        return "; ".join(self._words)

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """End QEMU as a cut of the supply does for the guest; what the guest wrote to its disks is kept.

        QEMU has *timeout* seconds to write its caches, then it is killed. Does nothing when it has ended.
        """
        try:
            self.qmp.execute("quit", timeout=timeout)
        except (QmpClosed, QmpError, OSError) as error:
            self._logger.debug("quit: %s", error)
        if not self._ended.wait(timeout):
            self._logger.warning("QEMU did not end within %s s, killing it", timeout)
            self._kill()
        self.qmp.close()

    # --- the thread that owns the process ---

    def _spawn(self, fds: tuple[int, ...]) -> None:
        # The kernel ends a child that asked for it when the *thread* that started it ends. So one thread
        # starts QEMU and stays until QEMU is gone.
        threading.Thread(target=self._keep, args=(fds,), name="qemu-keeper", daemon=True).start()
        self._spawned.wait()

    def _keep(self, fds: tuple[int, ...]) -> None:
        try:
            self._process = subprocess.Popen(
                [*_dies_with_parent(), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=fds,
                # Ctrl-C in the exporter's terminal is for the exporter, which then ends QEMU in order.
                start_new_session=True,
            )
        except OSError as error:
            self._spawn_error = error
            return
        finally:
            self._spawned.set()
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            for line in iter(lambda: stderr.readline(4096), b""):
                text = line.decode(errors="replace").rstrip().removeprefix(f"{self._command[0]}: ")
                self._words.append(text)
                self._logger.warning("%s: %s", self._command[0], text)
        code = self._process.wait()
        self._on_end(code)
        self._ended.set()

    def _kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._ended.wait(STOP_TIMEOUT)

    def _wait_until_running(self, timeout: float) -> None:
        try:
            self.qmp.negotiate(timeout)
            self.qmp.execute("cont", timeout=timeout)
            self.qmp.execute("query-status", timeout=timeout)
        except (QmpClosed, QmpError, OSError, ValueError) as error:
            what = self._end_of_failed_start(error, timeout)
            self.qmp.close()
            raise QemuFailed(f"{self._command[0]} {what}: {self.words() or error}") from None

    def _end_of_failed_start(self, error: Exception, timeout: float) -> str:
        """Make sure that QEMU has ended, and tell what happened."""
        if isinstance(error, QmpClosed) and self._ended.wait(STOP_TIMEOUT):
            assert self._process is not None
            return _exit_text(self._process.returncode)
        self._kill()
        return (
            f"did not answer within {timeout:g} s"
            if isinstance(error, TimeoutError)
            else "did not start its guest"
        )


def _connections(qmp: int, serial: int) -> list[str]:
    # -S holds the guest until `cont`, which fails when QEMU cannot run it.
    return [
        "-S",
        *("-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"socket,id=serial,fd={serial}", "-serial", "chardev:serial"),
    ]


def _dies_with_parent() -> list[str]:
    """A prefix that lets the kernel end the command when its parent dies; util-linux has it, macOS nothing
    like it.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _exit_text(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by signal {-code}"
    return f"ended with exit code {code}"


def install_hint(program: str) -> str:
    """What to do when *program*, one of QEMU's, is absent."""
    packages = {
        "qemu-img": "qemu-utils",
        "qemu-system-aarch64": "qemu-system-arm",
        "qemu-system-arm": "qemu-system-arm",
        "qemu-system-x86_64": "qemu-system-x86",
        "qemu-system-i386": "qemu-system-x86",
    }
    package = packages.get(program, "qemu-system-misc")
    return f"on Debian and Ubuntu: apt-get install {package}"
