"""A console that is read all the time, so that nothing is lost between two keywords.

`Console` owns a byte stream and one thread that receives from it. Received bytes wait in a buffer until they
are read; the *read position* is the end of what was read last. What must hold:

- a read that finds what it waits for takes everything up to and including the match;
- a read that fails takes nothing: the same text can be looked at again;
- waiting happens in the caller's thread, which a signal (a Robot timeout, Ctrl-C) can interrupt at any
  moment;
- the buffer is bounded: when nobody reads, the oldest bytes go, and `dropped` says how many.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from time import monotonic
from typing import Protocol

from .errors import ConsoleClosedError, NotSeenError

BUFFER_LIMIT = 8 * 1024 * 1024

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")

Finder = Callable[[bytes, int], int | None]
"""Given the unread bytes and how many of them were looked at before: the end of the match, or None."""


class Stream(Protocol):
    """What a console needs of a stream; `jumpstarter.streams.blocking.BlockingStream` has it."""

    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes: ...


def find_text(text: str, encoding: str = "utf-8") -> Finder:
    """A finder of *text*; looks at every byte once, however the bytes arrive."""
    wanted = text.encode(encoding)

    def find(data: bytes, seen: int) -> int | None:
        index = data.find(wanted, max(0, seen - len(wanted) + 1))
        return None if index < 0 else index + len(wanted)

    return find


def find_pattern(pattern: str, encoding: str = "utf-8") -> Finder:
    """A finder of the regular expression *pattern*, with ``^`` and ``$`` matching at lines.

    Raises `re.error` if the pattern is not valid.
    """
    wanted = re.compile(pattern, re.MULTILINE)

    def find(data: bytes, seen: int) -> int | None:
        # surrogateescape keeps bytes that are no text, so that the end in bytes follows from the end in text
        text = data.decode(encoding, "surrogateescape")
        match = wanted.search(text)
        return None if match is None else len(text[: match.end()].encode(encoding, "surrogateescape"))

    return find


def printable(text: str) -> str:
    """*text* for a log: without terminal control sequences, lines ended by a newline only."""
    return _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


class Console:
    """Opens *stream* and reads it in a thread of its own until `close`.

    *name* is for messages, *unread* is text that counts as received already.
    """

    def __init__(
        self,
        name: str,
        stream: AbstractContextManager[Stream],
        *,
        unread: bytes = b"",
        limit: int = BUFFER_LIMIT,
    ) -> None:
        self.name = name
        self.dropped = 0
        self._limit = limit
        self._unread = bytearray(unread)
        self._changed = threading.Condition()
        self._ended: str | None = None
        self._cleanup = ExitStack()  # leaves the stream first, and that ends the thread
        self._reader = threading.Thread(target=self._receive, name=f"console-{name}", daemon=True)
        self._cleanup.callback(self._reader.join, 5)
        self._stream = self._cleanup.enter_context(stream)
        self._reader.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more will arrive."""
        return self._ended is not None

    def peek(self) -> bytes:
        """What was received and not read yet; the read position stays."""
        with self._changed:
            return bytes(self._unread)

    def send(self, data: bytes) -> None:
        """Send *data* to the other side. Raises `ConsoleClosedError` when it is gone."""
        if self._ended is not None:
            raise ConsoleClosedError(f"{self.name}: cannot write, {self._ended}")
        self._stream.send(data)

    def read_until(self, find: Finder, timeout: float, wanted: str) -> bytes:
        """Wait up to *timeout* seconds for what *find* finds;

        return all up to it. *wanted* is for the message.

        Raises `NotSeenError` when the time is over or the stream ends first; the read position stays then.
        """
        deadline = monotonic() + timeout
        seen = 0
        while True:
            with self._changed:
                # Waiting releases the lock, searching happens without it: the reader is never held up.
                while (
                    len(self._unread) == seen and self._ended is None and (left := deadline - monotonic()) > 0
                ):
                    self._changed.wait(left)
                data, ended, dropped = bytes(self._unread), self._ended, self.dropped
            end = find(data, seen)
            if end is not None:
                return self._take(end, dropped)
            if ended is not None or monotonic() >= deadline:
                raise NotSeenError(self.name, wanted, timeout, data, ended)
            seen = len(data) if self.dropped == dropped else 0

    def read(self, *, quiet: float = 0.0, timeout: float = 0.0) -> bytes:
        """Everything unread.

        With *quiet*, wait (*timeout* seconds at most) until nothing came for that long.
        """
        deadline = monotonic() + timeout
        with self._changed:
            size = -1
            while size != len(self._unread) and self._ended is None:
                size = len(self._unread)
                wait = min(quiet, deadline - monotonic())
                if wait <= 0:
                    break
                self._changed.wait_for(partial(self._has_news, size), wait)
            data = bytes(self._unread)
            self._unread.clear()
            return data

    def _has_news(self, size: int) -> bool:
        return len(self._unread) != size or self._ended is not None

    def close(self) -> None:
        """Close the stream and end the thread. Closing twice is fine."""
        self._end("the console was closed")
        self._cleanup.close()

    def _take(self, end: int, dropped: int) -> bytes:
        with self._changed:
            end -= self.dropped - dropped  # what the limit threw away meanwhile
            data = bytes(self._unread[: max(end, 0)])
            del self._unread[: max(end, 0)]
            return data

    def _receive(self) -> None:
        from anyio import BrokenResourceError, ClosedResourceError, EndOfStream

        try:
            while True:
                self._append(self._stream.receive())
        except EndOfStream:
            self._end("the exporter ended the stream")
        except (BrokenResourceError, ClosedResourceError, OSError) as error:
            self._end(f"the stream broke: {error or type(error).__name__}")
        except Exception as error:  # noqa: BLE001 - a thread has no caller: whoever reads next must be told
            self._end(f"the stream failed: {error or type(error).__name__}")

    def _append(self, data: bytes) -> None:
        with self._changed:
            self._unread += data
            excess = len(self._unread) - self._limit
            if excess > 0:
                del self._unread[:excess]
                self.dropped += excess
            self._changed.notify_all()

    def _end(self, reason: str) -> None:
        with self._changed:
            if self._ended is None:
                self._ended = reason
            self._changed.notify_all()
