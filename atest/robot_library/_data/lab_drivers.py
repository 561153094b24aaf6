"""Drivers for the acceptance suites, with their clients in the same module."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from enum import Enum

from anyio import sleep_forever
from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export


class Color(Enum):
    """What a lamp can show."""

    RED = "red"
    GREEN = "green"


@dataclass(kw_only=True)
class Probe(Driver):
    """Holds on, counts for ever, and refuses passwords."""

    _released: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _counted: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    @classmethod
    def client(cls) -> str:
        return "lab_drivers.ProbeClient"

    @export
    def hold(self, timeout: float) -> str:
        released = self._released.wait(timeout)
        return "released" if released else "held"

    @export
    async def count(self) -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
            await sleep_forever()
        finally:
            self._counted.set()

    @export
    def counting_ended(self, timeout: float) -> bool:
        return self._counted.wait(timeout)

    @export
    def login(self, password: str) -> None:
        raise ValueError(f"password {password} is wrong")

    @export
    def paint(self, color: str, labels: dict[str, str]) -> str:
        return f"{color} {labels}"

    @export
    def secret_service(self) -> str:
        return "reached without keyword"

    def close(self) -> None:
        self._released.set()
        super().close()


@dataclass(kw_only=True)
class ProbeClient(DriverClient):
    """The client of `Probe`."""

    def hold(self, timeout: float = 60) -> str:
        """Hold on for some time.

        Args:
            timeout: How long, in seconds.
        """
        return str(self.call("hold", timeout))

    def count(self) -> Generator[int, None, None]:
        """Count to two, and then say nothing."""
        yield from self.streamingcall("count")

    def counting_ended(self, timeout: float) -> bool:
        """Whether the exporter has ended its counting."""
        return bool(self.call("counting_ended", timeout))

    def login(self, password: str) -> None:
        """Fail to log in."""
        self.call("login", password)

    def paint(self, color: Color, labels: dict[str, str] | None = None) -> str:
        """Paint it."""
        return str(self.call("paint", color.value, labels or {}))


@dataclass(kw_only=True)
class Journal(Driver):
    """Has a method whose keyword would be BuiltIn's."""

    @classmethod
    def client(cls) -> str:
        return "lab_drivers.JournalClient"

    @export
    def many(self) -> str:
        return "from the journal"


@dataclass(kw_only=True)
class JournalClient(DriverClient):
    """The client of `Journal`."""

    def many(self) -> str:
        """Return something."""
        return str(self.call("many"))


@dataclass(kw_only=True)
class Process(Driver):
    """Has methods whose keywords would be those of standard libraries."""

    @classmethod
    def client(cls) -> str:
        return "lab_drivers.ProcessClient"

    @export
    def process(self, command: str) -> str:
        return f"the exporter has got {command}"


@dataclass(kw_only=True)
class ProcessClient(DriverClient):
    """The client of `Process`."""

    def process(self, command: str) -> str:
        """Take a command."""
        return str(self.call("process", command))
