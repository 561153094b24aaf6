"""A board's serial line while U-Boot has it: what is sent, and all that comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from jumpstarter_driver_pyserial.reader import SerialReader

from .common import LineEnded

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream

#: Bytes of what was said that are kept for a log.
MOST_KEPT = 1024 * 1024

Opener = Callable[[], "AbstractContextManager[BlockingStream]"]


class Line:
    """The line that *opener* opens; a context that closes it. *show* gets every piece that comes."""

    def __init__(self, opener: Opener, show: Callable[[bytes], object] | None = None) -> None:
        self._opener = opener
        self._show = show
        self._reader = SerialReader(lambda _: None)
        self._opened = ExitStack()
        self._said = bytearray()
        self.text = self._reader.unread

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether something can come."""
        return self._reader.attached

    def open(self) -> None:
        """Open it, if it is not. Raises what the opener raises."""
        if not self.is_open:
            self.close()
            stream = self._opened.enter_context(self._opener())
            self._reader.attach(_Heard(stream, self._hear))  # type: ignore[arg-type]

    def send(self, text: str) -> None:
        """Type *text*. Raises `LineEnded` when the line has ended."""
        from anyio import BrokenResourceError, ClosedResourceError

        try:
            self._reader.send(text.encode())
        except (BrokenResourceError, ClosedResourceError) as error:
            raise LineEnded(f"the serial line ended: {error or 'it was closed'}") from None

    def take_said(self) -> bytes:
        """All that came since this was last asked, read or not; the end of it if it is long."""
        said, self._said = self._said, bytearray()
        return bytes(said)

    def close(self) -> None:
        """Close it; what was not read stays."""
        self._reader.detach()
        self._opened.close()

    def _hear(self, data: bytes) -> None:
        self._said += data
        del self._said[: max(0, len(self._said) - MOST_KEPT)]
        if self._show is not None:
            self._show(data)


class _Heard:
    """A stream, with somebody who hears what comes."""

    def __init__(self, stream: BlockingStream, hear: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._hear = hear
        self.send = stream.send
        self.close = stream.close

    def receive(self) -> bytes:
        data = self._stream.receive()
        self._hear(data)
        return data
