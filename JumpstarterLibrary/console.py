"""A console that is read all the time, so that nothing is lost between two keywords.

`Console` owns a byte stream and one thread that opens it and receives from it. What has come waits in
`jumpstarter.streams.unread`, which keeps the rules of reading; `jumpstarter.streams.matching` keeps those of finding. What must
hold here:

- a stream that has ended is opened again by whoever wants to read or write, with what was not read in front;
- waiting, for text or for a device that is not there yet, happens in the caller's thread, which a signal (a Robot timeout,
  Ctrl-C) can interrupt at any moment; opening happens in the console's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from time import monotonic
from typing import Protocol

from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.interrupts import Flag, start_thread
from jumpstarter.streams.matching import Matcher
from jumpstarter.streams.screen import Screen
from jumpstarter.streams.unread import LIMIT, NotFound, NothingMoreComes, Unread

from .errors import ConsoleClosedError, NotSeenError

#: Seconds that whoever writes waits for a device that is not there.
PATIENCE = 5.0
#: Seconds between two attempts to open: the first, and the most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5


class Stream(Protocol):
    """What a console needs of a stream; `jumpstarter.streams.blocking.BlockingStream` has it."""

    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes: ...


Opener = Callable[[], AbstractContextManager[Stream]]


def find_text(text: str | Sequence[str], encoding: str = "utf-8", *, controls: bool = False) -> Matcher:
    """A matcher of *text*, or of the first of several texts."""
    return Matcher(text, encoding=encoding, controls=controls)


def find_pattern(pattern: str | Sequence[str], encoding: str = "utf-8", *, controls: bool = False) -> Matcher:
    """A matcher of the regular expression *pattern*, with ``^`` and ``$`` matching at lines.

    Raises `re.error` if the pattern is not valid.
    """
    return Matcher(pattern, regex=True, encoding=encoding, controls=controls)


def printable(text: str) -> str:
    """*text* for a log: without terminal control sequences, lines ended by a newline only."""
    screen = Screen("utf-8")
    screen.feed(text.encode("utf-8", "surrogateescape"))
    screen.finish()
    return screen.window(0)


class Console:
    """Opens *stream*, or what *opener* gives, and reads it in a thread of its own until `close`.

    With an *opener* the stream is opened again when it is wanted and has ended. *name* is for messages, *unread* is text that
    counts as received already.
    """

    def __init__(
        self,
        name: str,
        stream: AbstractContextManager[Stream] | None = None,
        *,
        opener: Opener | None = None,
        unread: bytes = b"",
        limit: int = LIMIT,
    ) -> None:
        self.name = name
        self.text = Unread(limit)
        if unread:
            self.text.append(unread)
        self._opener = opener
        self._closing = Flag()
        self._start_or_stop = threading.Lock()
        self._thread: threading.Thread | None = None
        self._opened = ExitStack()
        self._stream: Stream | None = None
        self._refusal: Exception | None = None
        if stream is not None:
            self._start(lambda: stream)
            self.text.wait_open()

    @property
    def dropped(self) -> int:
        """How many bytes were thrown away unread, as they were too many."""
        return self.text.dropped

    @property
    def ended(self) -> bool:
        """Whether nothing comes at present."""
        return self.text.ended is not None

    def peek(self) -> bytes:
        """What was received and not read yet; the read position stays."""
        return self.text.peek()

    def want(self, seconds: float, *, another: bool = False) -> None:
        """See to it that a stream is open, or will be within *seconds*; *another* if that one ends. Returns at once."""
        if self._opener is None:
            return
        self.text.expect(monotonic() + seconds, another=another)
        if self.ended:
            self._start(self._opener)

    def open(self, seconds: float = 0.0) -> None:
        """Open a stream if none is open, trying for *seconds*. Raises what the last attempt has raised."""
        self.want(seconds)
        if self.text.wait_open() is not None and self._refusal is not None:
            raise self._refusal

    def send(self, data: bytes) -> None:
        """Send *data* to the other side. Raises `ConsoleClosedError` when it is gone."""
        if self.ended:
            self.open(PATIENCE)
        stream = self._stream
        if self.ended or stream is None:
            raise ConsoleClosedError(f"{self.name}: cannot write, {self.text.ended}")
        stream.send(data)

    def read_until(self, find: Matcher, timeout: float, wanted: str = "") -> bytes:
        """Wait up to *timeout* seconds for what *find* finds; return all up to it. *wanted* is for the message.

        Raises `NotSeenError` when the time is over, or when nothing more can come; the read position stays then.
        """
        self.want(timeout)
        try:
            return self.text.take_until(find, timeout)
        except NotFound as failure:
            refused = self._refusal is not None and self.ended
            ended = failure.reason if isinstance(failure, NothingMoreComes) or refused else None
            raise NotSeenError(
                self.name,
                wanted or find.shown,
                timeout,
                failure.data,
                ended,
                refused=refused,
                reason=failure.reason,
                matcher=find,
                dropped=self.text.take_untold(),
                end=failure.end,
            ) from None

    def read(self, *, quiet: float = 0.0, timeout: float = 0.0) -> bytes:
        """Everything unread.

        With *quiet*, wait (*timeout* seconds at most) until nothing came for that long.
        """
        return self.read_quiet(quiet, timeout)[0]

    def read_quiet(self, quiet: float, timeout: float, encoding: str | None = None) -> tuple[bytes, bool]:
        """Everything unread when nothing came for *quiet* seconds, or *timeout* seconds are over; whether it was quiet.

        With an *encoding*, the beginning of a character stays for the next read while the rest of it may come.

        Raises what opening has raised when there is nothing unread and the console cannot be opened.
        """
        if not self.ended or self.peek():
            self.want(0.0)
        else:
            self.open(min(PATIENCE, timeout))
        return self.text.take_quiet(quiet, timeout, encoding)

    def expect_nothing(self) -> None:
        """Do not try to open it any more until it is wanted again."""
        self.text.expect_nothing()

    def release(self, reason: str) -> None:
        """Close the stream and end the thread. What was not read stays; it is opened again when it is wanted."""
        with self._start_or_stop:
            thread, self._thread = self._thread, None
            self._closing.set()
        self.text.expect_nothing()
        self._opened.pop_all().close()
        if thread is not None:
            thread.join(5)
        self.text.end(reason)

    def close(self) -> None:
        """Close the stream for good, and end the thread. Closing twice is fine."""
        self._opener = None
        self.release("the console was closed")

    def _start(self, opener: Opener) -> None:
        with self._start_or_stop:
            if self._thread is None:
                self.text.opening()
                self._closing = Flag()
                self._thread = start_thread(self._run, opener, self._closing, name=f"console-{self.name}")

    def _run(self, opener: Opener, closing: Flag) -> None:
        pause = _FIRST_PAUSE
        while True:
            opened = self._run_once(opener, closing)
            pause = _FIRST_PAUSE if opened else min(2 * pause, _LONGEST_PAUSE)
            if self.text.expected:
                closing.wait(pause)
            with self._start_or_stop:
                if closing.is_set():
                    return
                if not self.text.expected:
                    self._thread = None
                    return
                self.text.opening()

    def _run_once(self, opener: Opener, closing: Flag) -> bool:
        """Open a stream and receive until it ends; whether one was opened."""
        try:
            with ExitStack() as stack:
                stream = stack.enter_context(opener())
                self._opened = stack.pop_all()
            if not closing.is_set():
                self._stream, self._refusal = stream, None
                self.text.open()
                self.text.end(self._receive(stream))
            self._opened.pop_all().close()
        except Exception as error:  # noqa: BLE001 - a thread has no caller: whoever reads next must be told
            self._refused(error)
            return False
        return True

    def _refused(self, error: Exception) -> None:
        self._refusal = error
        if isinstance(error, ConnectionError):
            # The exporter has gone, not the device.
            self.text.expect_nothing()
        self.text.end(str(error) or type(error).__name__)

    def _receive(self, stream: Stream) -> str:
        from anyio import BrokenResourceError, ClosedResourceError, EndOfStream

        try:
            while True:
                self.text.append(stream.receive())
        except EndOfStream:
            return "the exporter ended the stream"
        except (BrokenResourceError, ClosedResourceError, OSError) as error:
            return f"the stream broke: {error or type(error).__name__}"
        except Exception as error:  # noqa: BLE001 - a thread has no caller: whoever reads next must be told
            return f"the stream failed: {error or type(error).__name__}"
