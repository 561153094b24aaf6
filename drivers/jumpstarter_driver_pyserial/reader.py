"""What a serial console has said, kept until somebody reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.interrupts import start_thread
from jumpstarter.streams.screen import as_lines
from jumpstarter.streams.unread import NotFound, NothingMoreComes, Unread

if TYPE_CHECKING:
    from threading import Thread

    from jumpstarter.streams.blocking import BlockingStream
    from jumpstarter.streams.matching import Matcher

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

    Streams may come and go (`attach`, `detach`); what they said stays in order in `unread` until it is read.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self.unread = Unread(MOST_KEPT)
        self._stream: BlockingStream | None = None
        self._thread: Thread | None = None

    @property
    def attached(self) -> bool:
        """True while a stream is read and has not ended."""
        return self._stream is not None and self.unread.ended is None

    def attach(self, stream: BlockingStream) -> None:
        """Read *stream* from now on; it is owned until `detach`."""
        self.detach()
        self._stream = stream
        self.unread.open()
        self._thread = start_thread(self._read, stream, name="serial reader")

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

    def take(self, timeout: float, encoding: str) -> bytes:
        """All that is unread, in whole characters; waits up to *timeout* seconds for something, then returns nothing."""
        self._tell_what_was_dropped()
        return self.unread.take_something(timeout, encoding)

    def take_quiet(self, quiet: float, timeout: float) -> bytes:
        """All that is unread, when nothing came for *quiet* seconds; *timeout* seconds at most."""
        return self.unread.take_quiet(quiet, timeout)[0]

    def take_until(self, matcher: Matcher, timeout: float) -> bytes:
        """All that is unread up to and including what *matcher* looks for, waiting up to *timeout* seconds for it.

        Raises:
            SerialReadTimeout: it did not arrive in time
            SerialReadError: the stream ended before it arrived
        """
        try:
            return self.unread.take_until(matcher, timeout)
        except NotFound as failure:
            raise _error(failure, matcher, timeout) from None
        finally:
            self._tell_what_was_dropped()

    def _tell_what_was_dropped(self) -> None:
        dropped = self.unread.take_untold()
        if dropped:
            self._warn(f"serial output was not read for long: its oldest {dropped} bytes are dropped")

    def _read(self, stream: BlockingStream) -> None:
        from anyio import BrokenResourceError, ClosedResourceError, EndOfStream

        failure = ""
        try:
            while True:
                self.unread.append(stream.receive())
        except (EndOfStream, ClosedResourceError):
            pass
        except (BrokenResourceError, JumpstarterException) as error:
            failure = str(error)
        finally:
            self.unread.end(failure)


def _error(failure: NotFound, matcher: Matcher, timeout: float) -> SerialReadError:
    text = as_lines(failure.data)
    told = f" ({failure.reason})" if failure.reason else ""
    if not text:
        told += "; nothing was read"
    else:
        told += f"; read so far: {'...' if len(text) > SHOWN else ''}{text[-SHOWN:]!r}"
    if isinstance(failure, NothingMoreComes):
        return SerialReadError(f"the serial stream ended before {matcher.shown} arrived{told}", text)
    return SerialReadTimeout(f"{matcher.shown} did not arrive within {timeout:g} s{told}", text)
