"""Exporters that lend nothing: they report what exporters report, and come back after every outage."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import grpc
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.config.grpc import identity
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

#: Seconds between attempts to reach the controller.
PAUSE = 0.2


async def board(channel: grpc.aio.Channel, name: str, token: str, kind: str) -> None:
    """One board with the label ``kind=KIND``, until it is cancelled."""
    metadata = identity("Exporter", "default", name, token)
    stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(channel)  # type: ignore[no-untyped-call]
    while True:
        with suppress(grpc.aio.AioRpcError):
            await stub.Register(jumpstarter_pb2.RegisterRequest(labels={"kind": kind}), metadata=metadata)
            async for status in stub.Status(jumpstarter_pb2.StatusRequest(), metadata=metadata):
                told = ExporterStatus.LEASE_READY if status.leased else ExporterStatus.AVAILABLE
                request = jumpstarter_pb2.ReportStatusRequest(status=told.to_proto(), message="")  # type: ignore[arg-type]
                await stub.ReportStatus(request, metadata=metadata)
        await asyncio.sleep(PAUSE)


@contextmanager
def running_boards(endpoint: str, authority: bytes, tokens: Mapping[str, tuple[str, str]]) -> Iterator[None]:
    """Boards on a thread of their own; *tokens* has the kind and the token of each by name."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        credentials = grpc.ssl_channel_credentials(authority)
        options = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))
        async with grpc.aio.secure_channel(endpoint, credentials, options) as channel:
            tasks = [
                asyncio.create_task(board(channel, name, token, kind))
                for name, (kind, token) in tokens.items()
            ]
            ended = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait({ended, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in (ended, *tasks):
                task.cancel()
            await asyncio.gather(ended, *tasks, return_exceptions=True)
            for task in done:
                task.result()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="boards")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
