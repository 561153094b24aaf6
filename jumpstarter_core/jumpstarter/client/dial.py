"""A unix socket that leads to a leased exporter: every connection to it is dialled through a router."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.streams.relay import relay

logger = logging.getLogger("jumpstarter.lease")

#: Seconds between attempts to dial: the first wait, and the longest.
BACKOFF: Final = (0.3, 2.0)

#: Gives a channel to a router by its endpoint.
ChannelFactory = Callable[[str], Awaitable[grpc.aio.Channel]]


class Dialer:
    """Dials the exporter of *lease* at the controller of *stub*, and joins what comes with it."""

    def __init__(
        self,
        stub: Any,
        metadata: tuple[tuple[str, str], ...],
        lease: str,
        router: ChannelFactory,
        timeout: float,
    ) -> None:
        self._stub = stub
        self._metadata = metadata
        self._lease = lease
        self._router = router
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()
        #: Why the last attempt failed, for whoever asks why there is no answer; None after a success.
        self.problem: str | None = None

    @asynccontextmanager
    async def listening(self, path: str) -> AsyncIterator[None]:
        """Listen on the unix socket *path* while the context lasts."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.setblocking(False)
            listener.bind(path)
            listener.listen()
            loop = asyncio.get_running_loop()
            loop.add_reader(listener, self._accept, listener)
            try:
                yield
            finally:
                loop.remove_reader(listener)
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        task = asyncio.create_task(self._join(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before it has begun closes nothing itself.
        task.add_done_callback(lambda _: sock.close())

    async def _join(self, sock: socket.socket) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._dial()
            self.problem = None
            await relay(await self._router(answer.router_endpoint), answer.router_token, sock)
        except TimeoutError:
            self.problem = f"the exporter did not become ready within {self._timeout:g} s"
        except grpc.aio.AioRpcError as error:
            self.problem = error.details() or error.code().name
            logger.debug("the connection to the exporter ended: %s", self.problem)
        finally:
            sock.close()

    async def _dial(self) -> Any:
        """The controller's answer; an exporter that is not there yet is asked for again."""
        wait = BACKOFF[0]
        request = jumpstarter_pb2.DialRequest(lease_name=self._lease)
        while True:
            try:
                return await self._stub.Dial(request, metadata=self._metadata)
            except grpc.aio.AioRpcError as error:
                if not _comes_later(error):
                    raise
                self.problem = error.details()
            await asyncio.sleep(wait)
            wait = min(wait * 2, BACKOFF[1])


def _comes_later(error: grpc.aio.AioRpcError) -> bool:
    """Whether dialling again may help; the texts are those of stock controllers, too."""
    if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
        return "not ready" in (error.details() or "")
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
