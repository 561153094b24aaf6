from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_driver_qemu.process import QemuFailed, QemuProcess
from jumpstarter_driver_qemu.qmp import QmpClosed, QmpError

from .conftest import STEP, UBOOT, Line

pytestmark = [pytest.mark.board, pytest.mark.usefixtures("qemu")]

COMMAND = [
    *("qemu-system-aarch64", "-nodefaults", "-display", "none", "-machine", "virt", "-accel", "tcg"),
    *("-cpu", "cortex-a57", "-bios", str(UBOOT)),
]
logger = logging.getLogger("test")


class Running:
    """A started QEMU with its serial line."""

    def __init__(self, *options: str, timeout: float = STEP) -> None:
        self.code: list[int] = []
        self.ended = threading.Event()
        ours, theirs = socket.socketpair()
        self.line = Line(ours)
        self.process = QemuProcess.start(
            [*COMMAND, *options], theirs, logger=logger, on_end=self._on_end, timeout=timeout
        )

    def _on_end(self, code: int) -> None:
        self.code.append(code)
        self.ended.set()


def test_guest_runs_and_its_serial_line_is_complete() -> None:
    qemu = Running()
    assert b"U-Boot 20" in qemu.line.until(b"Hit any key to stop autoboot")
    assert qemu.process.running
    qemu.process.stop()
    assert qemu.ended.wait(STEP)
    assert qemu.code == [0]
    assert not qemu.process.running
    qemu.process.stop()


def test_guest_that_powers_off_ends_qemu() -> None:
    qemu = Running()
    qemu.line.until(b"autoboot")
    qemu.line.send(b"\r")
    qemu.line.until(b"=> ")
    qemu.line.send(b"poweroff\r")
    assert qemu.ended.wait(STEP)
    assert qemu.code == [0]
    with pytest.raises(QmpClosed):
        qemu.process.qmp.execute("query-status")
    qemu.process.stop()


def test_command_that_qemu_refuses_raises_its_words() -> None:
    qemu = Running()
    with pytest.raises(QmpError, match=r"`eject`.*bogus"):
        qemu.process.qmp.execute("eject", device="bogus")
    qemu.process.stop()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-cpu", "nonsense"], "ended with exit code 1: unable to find CPU model 'nonsense'"),
        (["-m", "900T"], "cannot set up guest memory"),
        (["-nonsense"], "-nonsense: invalid option"),
        (["-bios", "/no/such/firmware"], "could not find ROM image '/no/such/firmware'|Could not find"),
    ],
)
def test_failing_start_tells_the_words_of_qemu_at_once(options: list[str], words: str) -> None:
    started = time.monotonic()
    with pytest.raises(QemuFailed, match=words):
        Running(*options)
    assert time.monotonic() - started < 30


def test_qemu_that_refuses_to_run_its_guest_is_ended_and_reported() -> None:
    started = time.monotonic()
    with pytest.raises(
        QemuFailed, match=r"aarch64 did not start its guest: `cont`: .* is permitted only after"
    ):
        Running("-preconfig")
    assert time.monotonic() - started < 30


def test_program_that_does_not_answer_is_ended_and_reported() -> None:
    ours, theirs = socket.socketpair()
    with ours, pytest.raises(QemuFailed, match=r"^sh did not answer within 0.2 s"):
        QemuProcess.start(["sh", "-c", "exec sleep 600"], theirs, logger=logger, on_end=print, timeout=0.2)


def test_program_that_is_not_installed_is_named_with_its_package() -> None:
    _, theirs = pair = socket.socketpair()
    with (
        pair[0],
        pytest.raises(ConfigurationError, match=r"qemu-system-none is not installed.*apt-get install"),
    ):
        QemuProcess.start(["qemu-system-none"], theirs, logger=logger, on_end=print)


def test_stop_kills_a_qemu_that_does_not_answer() -> None:
    qemu = Running()
    os.kill(qemu.process.pid, signal.SIGSTOP)
    qemu.process.stop(timeout=0.2)
    assert qemu.ended.wait(STEP)
    assert qemu.code == [-signal.SIGKILL]


EXPORTER = f"""
import logging, socket, sys, threading
from jumpstarter_driver_qemu.process import QemuProcess
ours, theirs = socket.socketpair()
start = lambda: processes.append(
    QemuProcess.start({COMMAND!r}, theirs, logger=logging.getLogger(), on_end=print))
processes = []
# The thread that asks for the start ends at once, as the worker of an RPC may.
thread = threading.Thread(target=start)
thread.start()
thread.join()
print(processes[0].pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's service that this relies on is Linux's")
def test_qemu_ends_with_its_exporter_and_not_before() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", EXPORTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as exporter:
        assert exporter.stdout is not None
        pid = int(exporter.stdout.readline())
        watch = os.pidfd_open(pid)
        try:
            assert not select.select([watch], [], [], 0.5)[0], "QEMU outlives the thread that started it"
            exporter.kill()
            assert select.select([watch], [], [], STEP)[0], "QEMU was left behind"
        finally:
            os.close(watch)
