"""A driver whose native code keeps the interpreter for itself, or the exporter's loop busy, for the tests of the watchdog."""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import dataclass

from jumpstarter.driver import Driver, export


@dataclass(kw_only=True)
class Stuck(Driver):
    """Driven by `call` alone."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_power.client.PowerClient"

    @export
    def on(self) -> None:
        """Sleep for ten minutes without letting anybody else use the interpreter."""
        ctypes.PyDLL(None).sleep(600)

    @export
    def off(self) -> None:
        """Keep the interpreter as busy as Python code can, for fifteen seconds."""
        threads = [threading.Thread(target=_busy, args=(time.monotonic() + 15,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _busy(until: float) -> None:
    while time.monotonic() < until:
        sum(range(10_000))
