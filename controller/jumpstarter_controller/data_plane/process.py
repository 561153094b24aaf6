"""The program that serves the data plane: ``python -m jumpstarter_controller.data_plane.process``.

A controller starts it, with its settings on standard input, and reads one line of its standard output. It does not end with that
controller: streams go on, and the next controller takes it over by its socket in the data directory. It ends when it is told to,
with the last stream when it is to drain, and when no controller came for `ORPHANED` seconds and nothing is open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from jumpstarter.common.addresses import split_address
from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.memory import keep_giving_back

from .gate import RemoteGate
from .ports import Ports
from .settings import PROTOCOL, PlaneSettings
from .table import Entry, LeaseTable
from .wire import FOLDER, LIMIT, Hello, Line, short_path

logger = logging.getLogger("jumpstarter.router")

#: Seconds without a controller and without a stream after which nobody needs the process any more.
ORPHANED: Final = 60.0
#: Seconds between two looks at what tells nobody when it changes.
LOOK: Final = 1.0
#: Lines of the log that are kept for the next controller.
KEPT_LINES: Final = 1000


class PlaneProcess:
    """Serves the ports of *settings*, as a controller says; a *service* is looked after by somebody else.

    *since* as `Ports` has it.
    """

    def __init__(self, settings: PlaneSettings, since: float, *, service: bool = False) -> None:
        self._settings = settings
        self._service = service
        # Of the key that is in use: the file may be another one later.
        self._fingerprint = settings.fingerprint()
        self._gate = RemoteGate()
        self.ports = Ports(settings, self._gate, since)
        self._table = LeaseTable()
        self._line: Line | None = None
        self._alone: asyncio.Task[None] | None = None
        self._draining = False
        self._stopped = asyncio.Event()
        self._log = _Log(self)
        self._path = settings.data.path / FOLDER / f"{os.getpid()}.sock"

    async def start(self) -> None:
        """Listen, for everybody and for controllers. Raises ConfigurationError, FileAccessError, OSError."""
        await self.ports.start()
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        with short_path(self._path.parent, self._path.name) as short, suppress(FileNotFoundError):
            Path(short).unlink()
        with short_path(self._path.parent, self._path.name) as short:
            self._server = await asyncio.start_unix_server(self._serve, short, limit=LIMIT)
        if not self._service:
            logging.getLogger().addHandler(self._log)

    async def run(self) -> None:
        """Until it is stopped, or nobody needs it any more."""
        tasks = [asyncio.create_task(work) for work in (self._until_not_needed(), keep_giving_back())]
        await self._stopped.wait()
        for task in tasks:
            task.cancel()
        self._path.unlink(missing_ok=True)
        await self.ports.stop()
        if self._line is not None:
            await self._line.close()
        self._server.close()

    def stop(self) -> None:
        """End now."""
        self._stopped.set()

    async def _until_not_needed(self) -> None:
        idle = 0.0
        while True:
            await asyncio.sleep(LOOK)
            used = bool(self.ports.leases)
            idle = 0.0 if used or self._line is not None or self._service else idle + LOOK
            gone = self._line is None and not self._path.exists()
            if (self._draining and not used) or idle >= ORPHANED or gone:
                self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        before, self._line = self._line, line
        if before is not None:
            await before.close()
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
        line.tell(hello=asdict(self._hello()))
        self._log.replay()
        self._gate.use(line)
        async for message in line.messages():
            await self._hear(message, line)
        if self._line is line:
            self._line = None
            self._gate.use(None)
            self._alone = asyncio.create_task(self._table.ends(self._cut))
        await line.close()

    def _hello(self) -> Hello:
        ports = self.ports
        host = split_address(self._settings.listen)[0]
        return Hello(self._fingerprint, PROTOCOL, host, ports.router_port, ports.joint_port, self._service)

    async def _hear(self, message: dict[str, Any], line: Line) -> None:
        match message:
            case {"answer": _}:
                self._gate.answered(message)
                # Who was let in is known to `cut` before the next message is heard.
                await asyncio.sleep(0)
            case {"lease": [name, client, end]}:
                self._table.put(name, client, end)
            case {"cut": name, "stamp": stamp}:
                self._cut(name, stamp)
            case {"leases": leases}:
                entries = {name: Entry(*entry) for name, entry in leases.items()}
                for name in self._table.replace(entries, self.ports.leases):
                    self.ports.cut(name)
            case {"drain": _}:
                self._draining = True
                await self.ports.drain()
                line.tell(drained=True)
            case {"stop": _}:
                self.stop()

    def _cut(self, name: str, stamp: float | None = None) -> None:
        self._table.forget(name)
        self.ports.cut(name, stamp)

    def tell(self, message: dict[str, Any]) -> bool:
        """Tell the controller; False when there is none."""
        if self._line is None:
            return False
        self._line.tell(**message)
        return True


class _Log(logging.Handler):
    """Lines for the controller's log; those of a time without one are kept for the next."""

    def __init__(self, plane: PlaneProcess) -> None:
        super().__init__(logging.INFO)
        self._plane = plane
        self._loop = asyncio.get_running_loop()
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        # On any thread: gRPC's ask for certificates.
        message = {"log": [record.levelno, record.name, record.getMessage()]}
        with suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._pass_on, message)

    def _pass_on(self, message: dict[str, Any]) -> None:
        if not self._plane.tell(message):
            self._kept.append(message)

    def replay(self) -> None:
        """Send what was kept."""
        while self._kept:
            self._plane.tell(self._kept.popleft())


async def run_plane(plane: PlaneProcess) -> int:
    """Run *plane*, which has started, to its end; gives the number of the signal that ended it, else 0."""
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        plane.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    await plane.run()
    return received[0] if received else 0


async def _main(settings: PlaneSettings, parent: int, since: float) -> None:
    logging.getLogger().setLevel(logging.INFO)
    try:
        plane = PlaneProcess(settings, since)
        if os.getppid() != parent:
            return  # whoever wanted it is gone, and another one may be starting its own
        await plane.start()
        _say({"listening": plane.ports.router_port})
    except (JumpstarterException, OSError) as error:
        _say({"error": str(error)})
        return
    # A controller that is killed while it waits for that line leaves nothing behind.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    await run_plane(plane)


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def main() -> int:
    """Entry point."""
    parent, text, since = json.loads(sys.stdin.readline())
    try:
        asyncio.run(_main(PlaneSettings.from_json(text), parent, since))
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
