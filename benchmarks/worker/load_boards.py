"""Many boards of a lab, each with a connection of its own, which come back whenever the controller does.

They do so as exporters do: the first time by registering, then by asking for their lease. Writes a line whenever one of them
has heard of its lease, and the controller knows how it is.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
from jumpstarter.client.lab import refusal_kind
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.grpc import FLOW, KEEPALIVE
from jumpstarter.common.registrations import BACK_KEY, SESSION_KEY, UNREGISTERED
from jumpstarter.config.grpc import identity
from jumpstarter_exporter.link import RECONNECTING, Backoff
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc, lab_pb2

from .lab_access import NAMESPACE, Access

#: As exporters have them.
OPTIONS: Final = tuple((dict(KEEPALIVE) | dict(FLOW) | RECONNECTING).items())
#: A tenth of the boards has each value of this label.
GROUP: Final = "jumpstarter.dev/group"
#: Drivers that a board has.
DRIVERS: Final = 4


def registration(number: int) -> Any:
    """What board *number* registers with."""
    reports = [
        jumpstarter_pb2.DriverInstanceReport(
            uuid=f"{number}-{driver}", labels={"jumpstarter.dev/name": f"driver-{driver}"}
        )
        for driver in range(DRIVERS)
    ]
    return jumpstarter_pb2.RegisterRequest(labels=labels(number), reports=reports)


def labels(number: int) -> dict[str, str]:
    """The labels that board *number* tells."""
    return {GROUP: f"g{number % 10}", "jumpstarter.dev/rack": f"r{number % 200}"}


async def board(access: Access, number: int, token: str) -> None:
    """One board, for ever."""
    backoff, request = Backoff(), registration(number)
    metadata = identity("Exporter", NAMESPACE, f"board-{number}", token)
    async with access.channel(OPTIONS) as channel:
        stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(channel)  # type: ignore[no-untyped-call]
        call = stub.Register(request, metadata=metadata)
        await call
        metadata = (*metadata, (SESSION_KEY, dict(await call.trailing_metadata())[SESSION_KEY]))
        told: ExporterStatus | None = None
        while True:
            try:
                async for reported in follow(stub, metadata, told):
                    told = reported
                    backoff.reset()
            except grpc.aio.AioRpcError as error:
                if refusal_kind(error) == UNREGISTERED:
                    told = None  # what it told last did not arrive
            await asyncio.sleep(backoff.next())


async def follow(stub: Any, metadata: Any, told: ExporterStatus | None) -> AsyncIterator[ExporterStatus]:
    """Report whatever the controller tells of the board's lease; *told* is what was reported last, and so is what this gives.

    Raises AioRpcError as soon as the controller is gone.
    """
    back = () if told is None else ((BACK_KEY, told.name),)
    came = False
    async for status in stub.Status(jumpstarter_pb2.StatusRequest(), metadata=(*metadata, *back)):
        now = ExporterStatus.LEASE_READY if status.leased else ExporterStatus.AVAILABLE
        if now is not told:
            report = jumpstarter_pb2.ReportStatusRequest(status=now.to_proto(), message="")  # type: ignore[arg-type]
            await stub.ReportStatus(report, metadata=metadata)
            told = now
        yield told
        if not came:
            came = True
            print("back", flush=True)


async def run(access: Access, first: int, count: int) -> None:
    """Boards *first* and the following."""
    numbers = range(first, first + count)
    tokens = access.tokens(
        lab_pb2.ROLE_EXPORTER, [f"board-{number}" for number in numbers], {"kind": "board"}
    )
    async with asyncio.TaskGroup() as tasks:
        for number, token in zip(numbers, tokens, strict=True):
            tasks.create_task(board(access, number, token))


if __name__ == "__main__":
    asyncio.run(run(Access(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])))
