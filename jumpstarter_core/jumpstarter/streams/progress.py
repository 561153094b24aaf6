"""Streams that show how far a transfer has come."""

from __future__ import annotations

import logging as _logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from anyio import TypedAttributeSet, typed_attribute
from anyio.abc import AnyByteStream, ObjectStream

from jumpstarter.common.progress import Progress

logger = _logging.getLogger(__name__)

#: Seconds between two log lines.
_LOG_INTERVAL: Final = 2.0


class ProgressAttribute(TypedAttributeSet):
    """`total`: bytes that a stream is going to give, where it knows."""

    total: int | None = typed_attribute()


@dataclass(kw_only=True)
class ProgressStream(ObjectStream[bytes]):
    """*stream*, counted as it is read and written; its `ProgressAttribute.total` says how much is to come.

    Shown as `jumpstarter.common.progress.Progress` does; with *logging* (for exporters, which have no terminal) in log lines.
    """

    stream: AnyByteStream
    logging: bool = False
    _progress: Progress | None = field(default=None, init=False, repr=False)
    _done: int = field(default=0, init=False, repr=False)
    _next_line: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._next_line = time.monotonic() + _LOG_INTERVAL

    async def send(self, item: bytes) -> None:
        await self.stream.send(item)
        self._count(len(item))

    async def receive(self) -> bytes:
        data = await self.stream.receive()
        self._count(len(data))
        return data

    async def send_eof(self) -> None:
        send_eof: Any = getattr(self.stream, "send_eof", None)
        if send_eof is not None:
            await send_eof()

    async def aclose(self) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None
        await self.stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self.stream.extra_attributes

    def _count(self, size: int) -> None:
        self._done += size
        if not self.logging:
            if self._progress is None:
                self._progress = Progress("transfer", self._total()).__enter__()
            self._progress.add(size)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LOG_INTERVAL
            total = self._total()
            logger.info("%.1f MiB%s", self._done / 2**20, f" of {total / 2**20:.1f} MiB" if total else "")

    def _total(self) -> int | None:
        total: int | None = self.stream.extra(ProgressAttribute.total, None)
        return total
