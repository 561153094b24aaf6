"""Streams that tell something about themselves when they are opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from anyio import TypedAttributeSet, typed_attribute
from anyio.abc import AnyByteStream, ObjectStream


class MetadataStreamAttributes(TypedAttributeSet):
    """`metadata`: what the peer told in the initial metadata of the stream's call, text by key."""

    metadata: dict[str, str] = typed_attribute()


@dataclass(kw_only=True)
class MetadataStream(ObjectStream[bytes]):
    """*stream* with *metadata*, which the exporter sends to the client before the first frame."""

    stream: AnyByteStream
    metadata: dict[str, str] = field(default_factory=dict)

    async def send(self, item: bytes) -> None:
        await self.stream.send(item)

    async def receive(self) -> bytes:
        return await self.stream.receive()

    async def send_eof(self) -> None:
        send_eof: Any = getattr(self.stream, "send_eof", None)
        if send_eof is not None:
            await send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {**self.stream.extra_attributes, MetadataStreamAttributes.metadata: lambda: self.metadata}
