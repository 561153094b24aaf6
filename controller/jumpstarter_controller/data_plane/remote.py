"""The data plane as a controller has it: in another process, which is taken over from the controller before, or started.

What holds:

* A process that was started with the same settings, key and version is taken over with all that is open in it.
* Any other one takes no new connections from then on; what is open in it goes on, and is cut with its lease like all else.
* A process that dies is started again, at the same ports; one that somebody else looks after is waited for. The next one refuses
  what was dialled before: it knows of no cuts of that time.
* A controller that ends as asked ends its data plane, too, unless somebody else looks after that process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_router.joint import Admission, Gate, RefusedError

from jumpstarter_controller.model import Lease, LeaseState

from .settings import PROTOCOL, PlaneSettings
from .wire import FOLDER, Hello, Line, connect

logger = logging.getLogger("jumpstarter.controller")

#: Seconds for a process to say what it is, and to give its addresses up.
HELLO_TIMEOUT: Final = 10.0
#: Seconds for one to end, when it is told to.
STOP_TIMEOUT: Final = 10.0
#: Seconds between attempts to start it again.
PAUSE: Final = 1.0
#: Attempts to start one while the one before may still have its addresses.
ATTEMPTS: Final = 20


class RemotePlane:
    """The processes that carry the lab's streams: `current`, and those before it that still have some.

    *stamp* gives what is now in the order of tokens.
    """

    def __init__(
        self,
        settings: PlaneSettings,
        gate: Gate,
        leases: Callable[[], Mapping[str, Lease]],
        stamp: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._leases = leases
        self._stamp = stamp
        self._current: _Process | None = None
        self._before: set[_Process] = set()
        self._stopping = False
        self.router_port = 0
        self.joint_port = 0

    async def start(self) -> None:
        """Have a process that serves. Raises ConfigurationError when it cannot."""
        await self._find_all()
        if self._current is None:
            await self._begin_patiently()
        assert self._current is not None
        self.router_port = self._current.hello.router_port
        self.joint_port = self._current.hello.joint_port

    async def stop(self) -> None:
        """Let go: processes that a controller started end."""
        self._stopping = True
        processes = {*self._before} | ({self._current} if self._current is not None else set())
        await asyncio.gather(*(process.end() for process in processes))

    def cut(self, lease: str, stamp: float) -> None:
        """End all that is open for *lease*, and what was dialled before *stamp*.

        It may go on all the same: with another client, or new tokens.
        """
        self._tell_all(cut=lease, stamp=stamp)
        found = self._leases().get(lease)
        if found is not None and found.state is LeaseState.READY:
            self.lease_changed(found)

    def lease_changed(self, lease: Lease) -> None:
        """*lease* has got an exporter, or other times."""
        self._tell_all(lease=[lease.name, *_entry(lease)])

    def _tell_all(self, **message: Any) -> None:
        for process in (self._current, *self._before):
            if process is not None:
                process.line.tell(**message)

    async def _find_all(self) -> None:
        for path in sorted((self._settings.data.path / FOLDER).glob("*.sock")):
            await self._find(path)

    async def _find(self, path: Path) -> None:
        """Take over, or retire, the process whose socket is *path*."""
        try:
            line = await connect(path)
            hello = Hello(**(await line.next(HELLO_TIMEOUT))["hello"])
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)  # it was killed
            return
        except (OSError, KeyError, TypeError) as error:
            logger.warning("the router process with the socket %s does not answer: %s", path, error)
            return
        if self._current is None and self._is_wanted(hello):
            logger.info("the router goes on that was there before, with all that is open")
            self._current = self._process(line, hello, None)
            return
        if hello.service:
            raise ConfigurationError(
                "the router that runs as a service has other settings or another version than this controller: "
                "restart it first"
            )
        logger.info("the router before has other settings, or another version: it ends with its last stream")
        line.tell(drain=True)
        with suppress(OSError):
            while "drained" not in await line.next(HELLO_TIMEOUT):
                pass
        self._before.add(self._process(line, hello, None))

    def _is_wanted(self, hello: Hello) -> bool:
        same = hello.fingerprint == self._settings.fingerprint() and hello.protocol == PROTOCOL
        return same and self._settings.fits(hello.host, hello.router_port, hello.joint_port)

    async def _begin_patiently(self) -> None:
        """Start a process, when the one before has given its addresses up."""
        for _ in range(ATTEMPTS if self._before else 0):
            try:
                await self._begin(self._settings)
                return
            except ConfigurationError:
                await asyncio.sleep(PAUSE / 4)
        await self._begin(self._settings)

    async def _begin(self, settings: PlaneSettings) -> None:
        popen = await asyncio.to_thread(_spawn, settings, self._stamp())
        line = await connect(settings.data.path / FOLDER / f"{popen.pid}.sock")
        hello = Hello(**(await line.next(HELLO_TIMEOUT))["hello"])
        self._current = self._process(line, hello, popen)

    def _process(self, line: Line, hello: Hello, popen: subprocess.Popen[bytes] | None) -> _Process:
        line.tell(leases=_entries(self._leases().values()))
        process = _Process(line, hello, popen, self._gate)
        process.watch(self._on_end)
        return process

    async def _on_end(self, process: _Process) -> None:
        self._before.discard(process)
        if process is not self._current or self._stopping:
            return
        self._current = None
        if process.hello.service:
            await self._wait_for_service()
        else:
            await self._begin_again()

    async def _wait_for_service(self) -> None:
        """Whoever looks after the router starts it again: at the address of before, where another one would be in its way."""
        logger.error("the router that runs as a service ended: waiting for it; what was open is cut")
        while self._current is None and not self._stopping:
            await asyncio.sleep(PAUSE)
            try:
                await self._find_all()
            except ConfigurationError as error:
                logger.error("%s", error)
        if self._current is not None:
            logger.info("the router that runs as a service is back")

    async def _begin_again(self) -> None:
        logger.error("the router's process ended: starting it again; what was open is cut")
        while not self._stopping:
            try:
                # At the same ports: clients come back to them.
                await self._begin(self._settings.at(self.router_port))
                return
            except (ConfigurationError, OSError) as error:
                logger.error("the router cannot be started: %s; trying again", error)
            await asyncio.sleep(PAUSE)


class _Process:
    """One process, and what it asks."""

    def __init__(self, line: Line, hello: Hello, popen: subprocess.Popen[bytes] | None, gate: Gate) -> None:
        self.line = line
        self.hello = hello
        self._popen = popen
        self._gate = gate
        self._admissions: dict[int, Admission] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    def watch(self, on_end: Callable[[_Process], Awaitable[None]]) -> None:
        """Hear what it says; *on_end* is called when it has ended."""

        async def hear() -> None:
            async for message in self.line.messages():
                self._hear(message)
            self._over.set()
            await self.line.close()
            if self._popen is not None:
                await asyncio.to_thread(self._popen.wait)
            await on_end(self)

        self._spawn(hear())

    async def end(self) -> None:
        """Have it end, unless it is a service, and hear of it no more."""
        if not self.hello.service:
            self.line.tell(stop=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._over.wait()
        await self.line.close()
        if self._popen is not None and not self._over.is_set():
            self._popen.kill()
        for task in list(self._tasks):
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(task, STOP_TIMEOUT)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hear(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"ask": number, "ticket": ticket}:
                self._spawn(self._answer(number, self._admit(number, ticket)))
            case {"call": number, "token": token}:
                self._spawn(self._answer(number, self._call(number, token)))
            case {"log": [level, name, text]}:
                logging.getLogger(name).log(level, "%s", text)

    async def _answer(self, number: int, work: Awaitable[dict[str, Any]]) -> None:
        try:
            self.line.tell(answer=number, **await work)
        except RefusedError as error:
            self.line.tell(answer=number, status=error.status, reason=str(error))
        except Exception as error:
            logger.exception("a client could not be let in")
            self.line.tell(answer=number, status=503, reason=f"{type(error).__name__} in the controller")

    async def _admit(self, number: int, ticket: str) -> dict[str, Any]:
        admission = self._admissions[number] = await self._gate.admit(ticket)
        return {"lease": admission.lease}

    async def _call(self, number: int, token: str) -> dict[str, Any]:
        admission = self._admissions.pop(number, None)
        if admission is None:
            raise RefusedError(503, "the controller does not know the client any more")
        await admission.call_exporter(token)
        return {}


def _spawn(settings: PlaneSettings, since: float) -> subprocess.Popen[bytes]:
    """A new process that listens. *since* as `Ports` has it. Raises ConfigurationError."""
    command = (sys.executable, "-m", "jumpstarter_controller.data_plane.process")
    errors = settings.data.path / "router.log"
    with errors.open("ab") as log:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            # Ctrl-C in a terminal is for the controller, which then ends it.
            start_new_session=True,
        )
    assert popen.stdin is not None and popen.stdout is not None
    with popen.stdin, popen.stdout, suppress(BrokenPipeError):
        popen.stdin.write(json.dumps([os.getpid(), settings.to_json(), since]).encode() + b"\n")
        popen.stdin.flush()
        text = popen.stdout.readline()
    answer = json.loads(text) if text else {"error": f"the router's process ended at once: see {errors}"}
    if "error" in answer:
        popen.wait()
        raise ConfigurationError(answer["error"])
    return popen


def _entries(leases: Iterable[Lease]) -> dict[str, list[Any]]:
    return {lease.name: _entry(lease) for lease in leases if lease.state is LeaseState.READY}


def _entry(lease: Lease) -> list[Any]:
    return [lease.client, lease.expires_at.timestamp() if lease.expires_at is not None else None]
