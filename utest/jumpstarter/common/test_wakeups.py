"""Waiting for signals: whatever a handler that raises interrupts, nothing stays that a later signal could harm."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from jumpstarter.common.wakeups import wakeups

from utest.signals import NUMBER, Interrupted, raising


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    with raising():
        yield
    signal.set_wakeup_fd(-1)


def test_a_handler_that_raises_ends_the_wait() -> None:
    with pytest.raises(Interrupted), wakeups() as wait:
        os.kill(os.getpid(), NUMBER)
        wait()


def test_a_signal_that_came_before_does_not_wake() -> None:
    with pytest.raises(Interrupted), wakeups():
        os.kill(os.getpid(), NUMBER)
    with wakeups() as wait:
        wait(0.01)


def test_the_file_of_before_is_put_back() -> None:
    with wakeups():
        pass
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_while_it_begins_leaves_no_closed_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = signal.set_wakeup_fd

    def interrupted_after(number: int, **options: bool) -> int:
        before = real(number, **options)
        if number != -1:
            raise Interrupted  # as if the signal had come right after the call
        return before

    monkeypatch.setattr(signal, "set_wakeup_fd", interrupted_after)
    with pytest.raises(Interrupted), wakeups():
        pass
    monkeypatch.undo()
    untouched(tmp_path)


def test_a_signal_while_it_ends_leaves_no_closed_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = signal.set_wakeup_fd

    def interrupted_before(number: int, **options: bool) -> int:
        if number == -1:
            raise Interrupted
        return real(number, **options)

    with pytest.raises(Interrupted), wakeups():
        monkeypatch.setattr(signal, "set_wakeup_fd", interrupted_before)
    monkeypatch.undo()
    untouched(tmp_path)


def untouched(folder: Path) -> None:
    """No signal writes into a file that is opened from now on, and none meets a closed one."""
    files = [(folder / str(number)).open("wb+", buffering=0) for number in range(8)]
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), NUMBER)
    left = signal.set_wakeup_fd(-1)
    if left != -1:
        os.fstat(left)
    for file in files:
        file.close()
        assert Path(file.name).read_bytes() == b""
