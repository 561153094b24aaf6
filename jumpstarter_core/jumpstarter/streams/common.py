"""Joining anyio streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    create_memory_object_stream,
    create_task_group,
)
from anyio.abc import AnyByteReceiveStream, AnyByteSendStream, AnyByteStream, ObjectStream
from anyio.streams.stapled import StapledObjectStream


async def copy_stream(dst: AnyByteSendStream, src: AnyByteReceiveStream) -> None:
    """Send to *dst* what *src* gives, until either side ends; then tell *dst* that nothing more comes."""
    try:
        while True:
            await dst.send(await src.receive())
    except (EndOfStream, BrokenResourceError, ClosedResourceError):
        send_eof: Any = getattr(dst, "send_eof", None)
        if send_eof is not None:
            try:
                await send_eof()
            except (BrokenResourceError, ClosedResourceError, OSError):
                return


@asynccontextmanager
async def forward_stream(a: AnyByteStream, b: AnyByteStream) -> AsyncGenerator[None]:
    """Carry bytes both ways between *a* and *b* while the context lasts and until both directions have ended."""
    async with a, b, create_task_group() as tasks:
        tasks.start_soon(copy_stream, a, b)
        tasks.start_soon(copy_stream, b, a)
        yield


def create_memory_stream() -> tuple[ObjectStream[bytes], ObjectStream[bytes]]:
    """Two ends of a stream in memory, 32 chunks in each direction."""
    a_send, b_receive = create_memory_object_stream[bytes](32)
    b_send, a_receive = create_memory_object_stream[bytes](32)
    return StapledObjectStream(a_send, a_receive), StapledObjectStream(b_send, b_receive)
