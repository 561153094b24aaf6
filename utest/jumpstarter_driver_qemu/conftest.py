from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
# For one step of a guest: it takes a second on an idle machine, and a minute on a saturated one.
STEP = 120


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: that of a unix socket has 107 bytes at the most."""
    with tempfile.TemporaryDirectory(prefix="jmp-") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def _close_lines() -> Iterator[None]:
    yield
    while Line.opened:
        Line.opened.pop().close()


class Line:
    """One end of a serial line, for tests: what is read is kept until it is asked for."""

    opened: ClassVar[list[Line]] = []

    def __init__(self, connection: socket.socket) -> None:
        self.opened.append(self)
        self.connection = connection
        self.connection.settimeout(STEP)
        self.read = bytearray()

    @classmethod
    def open(cls, path: Path) -> Line:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        return cls(connection)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def until(self, words: bytes) -> bytes:
        """What comes up to and with *words*; fails when they do not come."""
        while words not in self.read:
            data = self.connection.recv(65536)
            assert data, f"the line ended before {words!r}: {bytes(self.read)[-2000:]!r}"
            self.read += data
        found, _, rest = bytes(self.read).partition(words)
        self.read = bytearray(rest)
        return found + words

    def end(self) -> bytes:
        """What comes until the line ends."""
        while data := self.connection.recv(65536):
            self.read += data
        return bytes(self.read)

    def close(self) -> None:
        self.connection.close()
