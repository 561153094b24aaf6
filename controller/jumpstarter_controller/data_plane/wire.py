"""What controller and data plane say to each other: objects of JSON, a line each, on a unix socket in the data directory.

From the data plane:

=====================================  =====================================================================================
``{"hello": {...}}``                   first; see `Hello`
``{"ask": ID, "ticket": TEXT}``        who comes with this ticket?
``{"call": ID, "token": TEXT}``        have the exporter of the one who was asked about come, with this token
``{"log": [LEVEL, LOGGER, TEXT]}``     a line for the log
``{"drained": true}``                  it listens no more
=====================================  =====================================================================================

From the controller:

=====================================  =====================================================================================
``{"leases": {NAME: [CLIENT, END]}}``  first: all leases that have an exporter; END in seconds since 1970, null without one
``{"lease": [NAME, CLIENT, END]}``     one of them is new, or has another end
``{"cut": NAME, "stamp": STAMP}``      end all that is open for this lease, and refuse tokens of before
``{"answer": ID, "lease": NAME}``      to ``ask``
``{"answer": ID}``                     to ``call``: the exporter was told
``{"answer": ID, "status": NUMBER, "reason": TEXT}``  to both: no, for this reason
``{"drain": true}``, ``{"stop": true}``  listen no more and end with the last stream; end now
=====================================  =====================================================================================
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Bytes of a line at the most: 100 000 leases fit.
LIMIT: Final = 64 << 20
#: Where the sockets of data planes are, in the data directory.
FOLDER: Final = "routers"


@dataclass(frozen=True)
class Hello:
    """What a data plane is.

    Attributes:
        fingerprint: of its settings.
        host, router_port, joint_port: where it listens; 0 without a joint.
        service: somebody else looks after it than a controller.
    """

    fingerprint: str
    protocol: int
    host: str
    router_port: int
    joint_port: int
    service: bool


class Line:
    """One end of the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._told: list[str] = []

    def tell(self, **message: Any) -> None:
        """Send *message*; nothing happens when the other end is gone."""
        if not self._told:
            # What is told at one time wakes the other end once.
            asyncio.get_running_loop().call_soon(self._send)
        self._told.append(json.dumps(message))

    def _send(self) -> None:
        if self._told and not self._writer.is_closing():
            self._writer.write("\n".join([*self._told, ""]).encode())
        self._told.clear()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the other end says, until it is gone."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            while line := await self._reader.readline():
                yield json.loads(line)

    async def next(self, timeout: float) -> dict[str, Any]:
        """The next message. Raises OSError when there is none within *timeout* seconds."""
        async with asyncio.timeout(timeout):
            line = await self._reader.readline()
        if not line:
            raise ConnectionResetError("the other end is gone")
        found: dict[str, Any] = json.loads(line)
        return found

    async def close(self) -> None:
        """Send what was told, and close."""
        self._send()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """A path to *name* in *folder* that is short enough for a unix socket, as long as the context lasts."""
    plain = str(folder / name)
    if len(os.fsencode(plain)) < 100:
        yield plain
        return
    with tempfile.TemporaryDirectory(prefix="jmp-", dir="/tmp") as short:
        link = Path(short) / "f"
        link.symlink_to(folder, target_is_directory=True)
        yield str(link / name)


async def connect(path: Path) -> Line:
    """The connection to the data plane whose socket is *path*. Raises OSError."""
    with short_path(path.parent, path.name) as short:
        return Line(*await asyncio.open_unix_connection(short, limit=LIMIT))
