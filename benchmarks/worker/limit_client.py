"""The client of `limit_server`, and the sender of the raw TCP limit."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import grpc
from jumpstarter_protocol import jumpstarter_pb2 as pb
from jumpstarter_protocol import jumpstarter_pb2_grpc, router_pb2, router_pb2_grpc

from . import timing
from .answering import answer
from .limit_messages import request, value
from .payload import CHUNK, ECHO, UUID

# The faster of grpc's two ways to read a stream of responses.
OPTIONS = (("SingleThreadedUnaryStream", 1),)


def items(calls: Any, count: int) -> float:
    """Items per second."""
    call = pb.StreamingDriverCallRequest(uuid=UUID, method="items", args=[value(count)])
    return timing.items(calls.StreamingDriverCall(call), count)


def byte_stream(router: Any, size: int) -> float:
    """MB/s of messages with 64 KiB, one way, until the server has answered."""
    started = time.perf_counter()
    frames = (router_pb2.StreamRequest(payload=CHUNK) for _ in range(size // len(CHUNK)))
    for _ in router.Stream(frames):
        pass
    return timing.rate(size, started)


def main(path: str) -> None:
    """Answer until standard input ends."""
    with grpc.insecure_channel(f"unix:{path}", options=OPTIONS) as channel:
        calls = jumpstarter_pb2_grpc.ExporterServiceStub(channel)  # type: ignore[no-untyped-call]
        router = router_pb2_grpc.RouterServiceStub(channel)  # type: ignore[no-untyped-call]
        ping = partial(calls.DriverCall, request("ping"))
        answer(
            {
                "ping": lambda count: timing.p50(ping, count),
                "echo": lambda count: timing.p50(partial(calls.DriverCall, request("echo", ECHO)), count),
                "threads": lambda threads, count: timing.concurrent(ping, threads, count),
                "items": partial(items, calls),
                "byte_stream": partial(byte_stream, router),
                "port_forward": lambda port, size: timing.push(("127.0.0.1", port), size),
            },
            {},
        )


if __name__ == "__main__":
    main(sys.argv[1])
