"""A command in a process group of its own, with its output as it comes.

What holds: the group is gone when `ShellProcess.run` is left early, by cancellation, timeout or error,
whatever the command started. A command that ends by itself may leave programs behind, so that a method can
start a service. Output waiting for the reader is bounded: the pipes are not read while `_HIGH_WATER` bytes
wait, so the command blocks.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress

from anyio import CancelScope

__all__ = ["ShellProcess"]

_STDOUT, _STDERR = 1, 2
_HIGH_WATER = 256 * 1024
_TERM_GRACE = 2.0  # seconds between SIGTERM and SIGKILL
_DRAIN_LIMIT = 0.5  # seconds to wait for pipes that a program left behind keeps open


class ShellProcess(asyncio.SubprocessProtocol):
    """One run of a command. Belongs to the event loop that is running when it is made."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._open_pipes = {_STDOUT, _STDERR}
        self._changed = asyncio.Event()
        self._exited = asyncio.Event()
        self._transport: asyncio.SubprocessTransport | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._chunks.append((fd, data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _HIGH_WATER:
            self._set_paused(True)
        self._changed.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_pipes.discard(fd)
        self._changed.set()

    def process_exited(self) -> None:
        self._exited.set()
        self._changed.set()

    # Called by the driver.

    async def run(
        self, command: Sequence[str], *, cwd: str | None, env: Mapping[str, str], timeout: float
    ) -> AsyncGenerator[tuple[str, str, int | None], None]:
        """Yield ``(stdout, stderr, None)`` for each piece of output, then ``("", "", return code)``.

        The return code is negative, as `subprocess` gives it, when a signal ended the command.
        Raises `TimeoutError` after *timeout* seconds, `OSError` when the command cannot start.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        decoders = {fd: codecs.getincrementaldecoder("utf-8")("replace") for fd in (_STDOUT, _STDERR)}
        transport, _ = await loop.subprocess_exec(
            lambda: self, *command, stdin=asyncio.subprocess.DEVNULL, cwd=cwd, env=env, start_new_session=True
        )
        finished = False
        try:
            while await self._more_output(deadline):
                fd, data = self._take()
                text = decoders[fd].decode(data)
                yield (text, "", None) if fd == _STDOUT else ("", text, None)
            finished = True
            stdout, stderr = (decoders[fd].decode(b"", final=True) for fd in (_STDOUT, _STDERR))
            yield stdout, stderr, transport.get_returncode()
        finally:
            if not finished:
                with CancelScope(shield=True):
                    await self._end_group(transport)
            transport.close()

    async def _more_output(self, deadline: float) -> bool:
        """Wait for output; False when the command has ended and all of its output was taken."""
        loop = asyncio.get_running_loop()
        while True:
            exited = self._exited.is_set()
            if loop.time() >= deadline and self._open_pipes:
                raise TimeoutError
            if self._chunks:
                return True
            if exited and not self._open_pipes:
                return False
            self._changed.clear()
            try:
                async with asyncio.timeout_at(loop.time() + _DRAIN_LIMIT if exited else deadline):
                    await self._changed.wait()
            except TimeoutError:
                if exited:
                    return False
                raise

    def _take(self) -> tuple[int, bytes]:
        fd, data = self._chunks.popleft()
        self._waiting_bytes -= len(data)
        if self._paused and self._waiting_bytes < _HIGH_WATER:
            self._set_paused(False)
        return fd, data

    def _set_paused(self, paused: bool) -> None:
        self._paused = paused
        for fd in self._open_pipes:
            pipe = self._transport.get_pipe_transport(fd) if self._transport else None
            if isinstance(pipe, asyncio.ReadTransport):
                if paused:
                    pipe.pause_reading()
                else:
                    pipe.resume_reading()

    async def _end_group(self, transport: asyncio.SubprocessTransport) -> None:
        """Ask every process of the group to end, then make those end that did not."""
        group = transport.get_pid()
        _signal_group(group, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TERM_GRACE):
                await self._exited.wait()
        # The leader may be gone and its children not: the group lives on as long as one of them does.
        _signal_group(group, signal.SIGKILL)
        await self._exited.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
