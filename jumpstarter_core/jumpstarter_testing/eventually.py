"""Waiting in a test for something that will become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    check: Callable[[], T],
    *,
    timeout: float = 10.0,
    interval: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call *check* until it holds, and return what it returned.

    It holds when it returns anything but False and raises no `AssertionError`::

        def has_booted():
            assert "login:" in log.read_text()

        eventually(has_booted, timeout=30)
        eventually(lambda: next(client.power.read()).current > 0.3)

    It is for things that tell nobody when they change; where there is an event to wait for, wait for that.

    Args:
        check: called without arguments, at least once. Errors other than AssertionError pass through.
        timeout: how long to try, in seconds.
        interval: seconds between two calls.
        clock: gives the time in seconds, monotonic.
        sleep: waits so many seconds.

    Raises:
        AssertionError: *check* did not hold in time; its last own AssertionError is the cause.
    """
    deadline = clock() + timeout
    while True:
        failure: AssertionError | None = None
        try:
            result = check()
            if result is not False:
                return result
        except AssertionError as error:
            failure = error
        if clock() >= deadline:
            name = getattr(check, "__name__", repr(check))
            said = f": {failure}" if failure is not None and str(failure) else ""
            raise AssertionError(f"{name} did not hold within {timeout:g} s{said}") from failure
        sleep(max(0.0, min(interval, deadline - clock())))
