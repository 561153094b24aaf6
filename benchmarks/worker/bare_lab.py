"""What gRPC alone takes for boards that come back: a server that answers them at once, and keeps and decides nothing.

Arguments: the data directory of a lab that has run, and where to listen. Writes a line when it serves.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from jumpstarter.common.addresses import split_address
from jumpstarter_controller.identity.authority import Authority
from jumpstarter_controller.server import CONTROLLER_OPTIONS
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc


class Lab(jumpstarter_pb2_grpc.ControllerServiceServicer):
    """Takes every board as it comes."""

    async def Status(  # noqa: N802 - as gRPC calls it
        self, request: Any, context: Any
    ) -> AsyncIterator[jumpstarter_pb2.StatusResponse]:
        yield jumpstarter_pb2.StatusResponse()
        await asyncio.Event().wait()


async def serve(data: Path, address: str) -> None:
    """Serve until the process is killed."""
    certificate = Authority.open(data / "ca").server_certificate(frozenset({split_address(address)[0]}))
    server = grpc.aio.server(options=CONTROLLER_OPTIONS)
    jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(Lab(), server)  # type: ignore[no-untyped-call]
    server.add_secure_port(address, grpc.ssl_server_credentials([(certificate.key, certificate.chain)]))
    await server.start()
    print("The lab runs.", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
