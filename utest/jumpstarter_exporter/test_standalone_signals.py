"""A signal handler that raises while a hook runs, at any moment, ends the hook and leaves nothing behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from jumpstarter.session import Session
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_exporter.hooks import Hook
from jumpstarter_exporter.standalone import Hooks, standalone_lease
from jumpstarter_testing.eventually import eventually

from utest.signals import Interrupted, raising

#: Each at another moment of the hook's start, as the machine pleases.
ROUNDS = 40


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    with raising():
        yield


def test_hook_that_is_interrupted_as_it_begins(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    hook = Hook("beforeLease", f"kill -USR1 {os.getpid()}; exec sleep 600")
    for _ in range(ROUNDS):
        with (
            Session(root_device=MockPower()) as session,
            pytest.raises(Interrupted),
            standalone_lease(session, Hooks(before=hook), str(tmp_path)),
        ):
            pass
    eventually(lambda: set(threading.enumerate()) <= before, timeout=60)


def test_what_a_hook_needs_is_opened_and_closed_where_no_handler_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starters, start = [], threading.Thread.start

    def noting(thread: threading.Thread) -> None:
        if thread.name == "hook output":
            starters.append(threading.current_thread())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noting)
    hooks = Hooks(before=Hook("beforeLease", "true"), after=Hook("afterLease", "true"))
    with Session(root_device=MockPower()) as session, standalone_lease(session, hooks, str(tmp_path)):
        pass
    assert len(starters) == 2
    assert threading.main_thread() not in starters
