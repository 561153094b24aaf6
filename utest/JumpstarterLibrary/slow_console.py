"""A console that is opening for as long as its gate says nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from jumpstarter.driver import exportstream
from jumpstarter_driver_pyserial.driver import PySerial


@dataclass(kw_only=True)
class SlowConsole(PySerial):
    """A port whose stream is open when the server at TCP port *gate* has said something."""

    gate: int

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[anyio.abc.SocketStream]:
        async with await anyio.connect_tcp("127.0.0.1", self.gate) as gate:
            await gate.receive()
            yield gate
