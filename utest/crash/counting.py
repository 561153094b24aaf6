"""A driver that tells whether it is still the same one."""

from __future__ import annotations

import os
from uuid import uuid4

from jumpstarter.driver import Driver, export


class Counting(Driver):
    """Counts its calls."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._instance = f"{os.getpid()}-{uuid4()}"
        self._calls = 0

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def count(self) -> list[str | int]:
        """Which instance this is, and how often it was called."""
        self._calls += 1
        return [self._instance, self._calls]
