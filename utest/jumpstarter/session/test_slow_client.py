"""A client that takes its frames late gets all of them, also when it keeps its own side open as stock clients do."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Value
from jumpstarter.common.streams import RESOURCE_KEY, ResourceStreamRequest
from jumpstarter.common.values import encode_value
from jumpstarter.connection import local_session
from jumpstarter.driver import Driver, export
from jumpstarter.streams.frames import DATA, GOAWAY_FRAME, decode_frame, encode_frame
from jumpstarter_protocol import jumpstarter_pb2 as pb
from jumpstarter_protocol.jumpstarter.v1 import jumpstarter_pb2_grpc

SIZE = 3_000_000


@dataclass(kw_only=True)
class Dumping(Driver):
    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def dump(self, target: Any) -> None:
        with self.resource_blocking(target) as stream:
            stream.write(bytes(SIZE))


async def _dump(path: str, uuid: str) -> int:
    async with grpc.aio.insecure_channel(f"unix:{Path(path)}") as channel:
        stub: Any = jumpstarter_pb2_grpc.ExporterServiceStub(channel)  # type: ignore[no-untyped-call]
        method = channel.stream_stream(
            "/jumpstarter.v1.RouterService/Stream",
            request_serializer=encode_frame,
            response_deserializer=decode_frame,
        )
        request = ResourceStreamRequest(uuid=uuid)  # type: ignore[arg-type]
        call: Any = method(metadata=(("request", request.to_json()),))
        initial = dict(tuple(await call.initial_metadata()))
        handle: Value = encode_value(json.loads(initial[RESOURCE_KEY]))
        await stub.DriverCall(pb.DriverCallRequest(uuid=uuid, method="dump", args=[handle]))
        # A stock client says only now that it sends nothing. If the exporter had ended the call, this write would fail, and a
        # write that fails makes grpc.aio forget what it has received and not given out yet.
        first = await call.read()
        await stub.GetStatus(pb.GetStatusRequest())
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(GOAWAY_FRAME)
            await call.done_writing()
        received = len(first[1])
        while received < SIZE and (frame := await call.read()) is not grpc.aio.EOF:
            received += len(frame[1]) if frame[0] == DATA else 0
            await asyncio.sleep(0)
        call.cancel()
        return received


def test_late_reader_gets_every_frame() -> None:
    driver = Dumping()
    with local_session(driver) as path:
        # It is a race: one in three dumps lost data before the exporter waited for its client.
        for _ in range(20):
            assert asyncio.run(_dump(path, str(driver.uuid))) == SIZE
