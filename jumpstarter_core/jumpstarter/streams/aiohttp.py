"""The body of an aiohttp request or response as an anyio stream. aiohttp itself is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anyio import EndOfStream
from anyio.abc import ObjectReceiveStream


@dataclass(kw_only=True)
class AiohttpStreamReaderStream(ObjectReceiveStream[bytes]):
    """*reader* is an ``aiohttp.StreamReader``, such as ``request.content``."""

    reader: Any

    async def receive(self) -> bytes:
        data: bytes = await self.reader.readany()
        if not data:
            raise EndOfStream
        return data

    async def aclose(self) -> None:
        """The reader belongs to its request and ends with it."""
