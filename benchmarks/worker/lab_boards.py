"""Boards of a lab that do nothing but tell their status, as exporters do: for what a controller does with many of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

from jumpstarter.common.enums import ExporterStatus
from jumpstarter.config.grpc import identity
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc, lab_pb2

from .answering import answer
from .lab_access import NAMESPACE, Access

#: The label that they have.
KIND = "board"


async def board(access: Access, name: str, token: str, ready: asyncio.Semaphore) -> None:
    """One board: it reports what an exporter without hooks reports."""
    metadata = identity("Exporter", NAMESPACE, name, token)
    async with access.channel() as channel:
        stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(channel)  # type: ignore[no-untyped-call]
        await stub.Register(jumpstarter_pb2.RegisterRequest(labels={"kind": KIND}), metadata=metadata)
        async for status in stub.Status(jumpstarter_pb2.StatusRequest(), metadata=metadata):
            told = ExporterStatus.LEASE_READY if status.leased else ExporterStatus.AVAILABLE
            request = jumpstarter_pb2.ReportStatusRequest(status=told.to_proto(), message="")  # type: ignore[arg-type]
            await stub.ReportStatus(request, metadata=metadata)
            ready.release()


async def run(access: Access, count: int, ready: threading.Event) -> None:
    """All boards; *ready* is set when each has reported once."""
    names = [f"{KIND}-{number}" for number in range(count)]
    tokens = access.tokens(lab_pb2.ROLE_EXPORTER, names, {"kind": KIND})
    reported = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as tasks:
        for name, token in zip(names, tokens, strict=True):
            tasks.create_task(board(access, name, token, reported))
        for _ in names:
            await reported.acquire()
        ready.set()


def main(data: str, count: str) -> None:
    """Serve until standard input ends."""
    ready = threading.Event()
    work = run(Access(Path(data)), int(count), ready)
    threading.Thread(target=lambda: asyncio.run(work), daemon=True).start()
    ready.wait()
    answer({}, {})


if __name__ == "__main__":
    main(*sys.argv[1:])
