"""Waiting for signals; how, and why so, says `jumpstarter.common.wakeups`."""

from __future__ import annotations

from typing import NoReturn

from jumpstarter.common.wakeups import wakeups


def wait_for_the_end() -> NoReturn:
    """Block until a signal handler raises, as those of SIGINT and SIGTERM do."""
    with wakeups() as wait:
        while True:
            wait()
