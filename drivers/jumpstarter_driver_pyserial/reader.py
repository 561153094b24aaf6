"""What a serial console has said, kept until somebody reads it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jumpstarter.common.exceptions import JumpstarterException

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream

MOST_KEPT = 64 * 1024 * 1024
"""Bytes of unread output that are kept; of more, the oldest are dropped."""

SHOWN = 2000
"""Characters of what was read that an error message shows, from the end."""


class SerialReadError(JumpstarterException):
    """Raised when expected text cannot arrive any more, as the stream ended. `text` is what was read."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


class SerialReadTimeout(SerialReadError, TimeoutError):
    """Raised when expected text did not arrive in time. `text` is what was read; it stays readable."""


class SerialReader:
    """Reads a stream in the background, so that nothing is lost between calls.

    Streams may come and go (`attach`, `detach`); what they said stays in order until it is read.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self._buffer = bytearray()
        self._received = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._stream: BlockingStream | None = None
        self._thread: threading.Thread | None = None
        self._ended = False
        self._failure = ""

    @property
    def attached(self) -> bool:
        """True while a stream is read and has not ended."""
        return self._stream is not None and not self._ended

    def attach(self, stream: BlockingStream) -> None:
        """Read *stream* from now on; it is owned until `detach`."""
        self.detach()
        self._stream, self._ended, self._failure = stream, False, ""
        self._thread = threading.Thread(target=self._read, args=(stream,), name="serial reader", daemon=True)
        self._thread.start()

    def detach(self) -> None:
        """Close the stream; what it said stays."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def send(self, data: bytes) -> None:
        """Send *data* on the stream."""
        assert self._stream is not None, "attach a stream first"
        self._stream.send(data)

    def take(self, timeout: float) -> bytes:
        """All that is unread; waits up to *timeout* seconds for something, then returns nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._ended, timeout)
            data = bytes(self._buffer)
            self._buffer.clear()
            return data

    def take_until(self, expected: str | re.Pattern[bytes], timeout: float) -> bytes:
        """All that is unread up to and including *expected*, waiting up to *timeout* seconds for it.

        Raises:
            SerialReadTimeout: it did not arrive in time
            SerialReadError: the stream ended before it arrived
        """
        find, dropped = _finder(expected), self._dropped
        shown = repr(expected if isinstance(expected, str) else expected.pattern.decode(errors="replace"))
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                if self._dropped != dropped:
                    # What was searched has moved in the buffer.
                    find, dropped = _finder(expected), self._dropped
                end = find(self._buffer)
                if end is not None:
                    break
                if self._ended:
                    told = f"the serial stream ended before {shown} arrived{self._told()}"
                    raise SerialReadError(told, self._text())
                if not self._wait_for_more(deadline - time.monotonic()):
                    raise SerialReadTimeout(
                        f"{shown} did not arrive within {timeout:g} s{self._told()}", self._text()
                    )
            data = bytes(self._buffer[:end])
            del self._buffer[:end]
            return data

    def _wait_for_more(self, seconds: float) -> bool:
        """Wait for new bytes or the end; false when neither came. Each new byte is then searched once."""
        received = self._received
        return self._changed.wait_for(lambda: self._received != received or self._ended, max(0.0, seconds))

    def _told(self) -> str:
        text = self._text()
        failure = f" ({self._failure})" if self._failure else ""
        if not text:
            return f"{failure}; nothing was read"
        return f"{failure}; read so far: {'...' if len(text) > SHOWN else ''}{text[-SHOWN:]!r}"

    def _text(self) -> str:
        return self._buffer.decode(errors="replace")

    def _read(self, stream: BlockingStream) -> None:
        from anyio import BrokenResourceError, ClosedResourceError, EndOfStream

        failure = ""
        try:
            while True:
                self._add(stream.receive())
        except (EndOfStream, ClosedResourceError):
            pass
        except (BrokenResourceError, JumpstarterException) as error:
            failure = str(error)
        finally:
            with self._changed:
                self._ended, self._failure = True, failure
                self._changed.notify_all()

    def _add(self, data: bytes) -> None:
        with self._changed:
            self._buffer += data
            self._received += len(data)
            surplus = len(self._buffer) - MOST_KEPT
            if surplus > 0:
                del self._buffer[:surplus]
                self._dropped += surplus
                self._warn(f"serial output was not read for long: its oldest {surplus} bytes are dropped")
            self._changed.notify_all()


def _finder(expected: str | re.Pattern[bytes]) -> Callable[[bytearray], int | None]:
    """A function that gives the end of the first match in a buffer that only grows at its end, or None."""
    if isinstance(expected, re.Pattern):
        pattern = expected

        def find_pattern(buffer: bytearray) -> int | None:
            match = pattern.search(buffer)
            return match.end() if match else None

        return find_pattern
    wanted = expected.encode()
    searched = 0

    def find_text(buffer: bytearray) -> int | None:
        nonlocal searched
        at = buffer.find(wanted, searched)
        searched = max(0, len(buffer) - len(wanted) + 1)
        return None if at < 0 else at + len(wanted)

    return find_text
