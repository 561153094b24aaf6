"""The body of an aiohttp request or response as an anyio stream. aiohttp itself is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anyio import BrokenResourceError, EndOfStream
from anyio.abc import ObjectStream


@dataclass(kw_only=True)
class AiohttpStreamReaderStream(ObjectStream[bytes]):
    """*reader* is an ``aiohttp.StreamReader``, such as ``request.content``. Nothing can be sent."""

    reader: Any

    async def receive(self) -> bytes:
        data: bytes = await self.reader.readany()
        if not data:
            raise EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Raises BrokenResourceError: a body goes one way."""
        raise BrokenResourceError

    async def send_eof(self) -> None:
        """Nothing was sent, so nothing has to end."""

    async def aclose(self) -> None:
        """The reader belongs to its request and ends with it."""
