"""A driver whose methods take their time, for clients that are interrupted."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field

from jumpstarter.driver import Driver, export


@dataclass(kw_only=True)
class Slow(Driver):
    """`wait` takes until it is cancelled, or a minute."""

    over: threading.Event = field(default_factory=threading.Event, init=False)

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def wait(self) -> None:
        self.over.wait(60)

    @export
    def echo(self, text: str) -> str:
        return text

    @export
    def count(self) -> Generator[int]:
        yield from range(1000)

    def close(self) -> None:
        self.over.set()
