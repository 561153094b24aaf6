"""Many boards of a lab, each with a connection of its own, which come back whenever the controller does.

Writes a line whenever one of them has registered, has heard of its lease, and has reported.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.grpc import FLOW, KEEPALIVE
from jumpstarter.common.registrations import SESSION_KEY
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
        while True:
            with suppress(grpc.aio.AioRpcError):
                call = stub.Register(request, metadata=metadata)
                await call
                session = dict(await call.trailing_metadata())[SESSION_KEY]
                metadata = (*(each for each in metadata if each[0] != SESSION_KEY), (SESSION_KEY, session))
                await follow(stub, metadata, backoff)
            await asyncio.sleep(backoff.next())


async def follow(stub: Any, metadata: Any, backoff: Backoff) -> None:
    """Report whatever the controller tells of the board's lease. Raises AioRpcError as soon as the controller is gone."""
    came = False
    async for status in stub.Status(jumpstarter_pb2.StatusRequest(), metadata=metadata):
        told = ExporterStatus.LEASE_READY if status.leased else ExporterStatus.AVAILABLE
        report = jumpstarter_pb2.ReportStatusRequest(status=told.to_proto(), message="")  # type: ignore[arg-type]
        await stub.ReportStatus(report, metadata=metadata)
        if not came:
            came = True
            backoff.reset()
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
