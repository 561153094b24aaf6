"""Waiting for the end of processes that are not ours to reap."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from jumpstarter_exporter.guard import wait_for_end

#: Lives until its input ends.
PROGRAM = "import sys; sys.stdin.read()"


@pytest.fixture
def two() -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-S", "-c", PROGRAM]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_the_end_of_one_of_several_processes_is_noticed(two: list[subprocess.Popen[bytes]]) -> None:
    over = threading.Event()

    def wait() -> None:
        wait_for_end([process.pid for process in two], 250)
        over.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not over.is_set()
    two[1].kill()
    assert over.wait(60)
    thread.join()


def test_processes_that_live_on_are_waited_for_no_longer(two: list[subprocess.Popen[bytes]]) -> None:
    started = time.monotonic()
    wait_for_end([process.pid for process in two], 0.2)
    assert time.monotonic() - started >= 0.2
    assert [process.poll() for process in two] == [None, None]


def test_a_process_that_is_not_there_is_looked_for_again_soon(two: list[subprocess.Popen[bytes]]) -> None:
    two[0].kill()
    two[0].wait()
    started = time.monotonic()
    wait_for_end([two[0].pid], 250)
    assert time.monotonic() - started < 60
