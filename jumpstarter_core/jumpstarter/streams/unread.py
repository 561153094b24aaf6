"""What a console has said and nobody has read: one thread receives, others wait for text and take it.

What must hold:

- a read that finds what it waits for takes everything up to and including the match; one that fails takes nothing;
- every reader sees all that was unread when it began and all that came since, whatever other readers take meanwhile: two that
  wait on one console both find their text. The read position is the furthest end of all of them;
- a read that gives text leaves the beginning of a character where it is as long as the rest of it may come;
- the bytes are bounded: when nobody reads, the oldest go. How many is told by the next read, once;
- a reader looks at what is new (`jumpstarter.streams.matching`), in pieces, without the lock, and asks for the time between them.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, time
from typing import TYPE_CHECKING, NoReturn

from jumpstarter.common.interrupts import Condition

if TYPE_CHECKING:
    from .matching import Matcher

#: Bytes that are kept.
LIMIT = 8 * 1024 * 1024
#: Bytes that a reader looks at first, and at most, before it asks for the time.
_FIRST_PIECE, _LONGEST_PIECE = 1024, 64 * 1024
#: Seconds between two notes of the time.
_TICK = 0.02


class NotFound(Exception):
    """The base of the two ways in which a wait fails.

    *data* is what was read, up to place *end*; *reason* says why in a few words.
    """

    def __init__(self, reason: str, data: bytes, end: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.data = data
        self.end = end


class TimeIsOver(NotFound):
    """Raised when the awaited text did not come in time, or looking for it takes too long."""


class NothingMoreComes(NotFound):
    """Raised when the stream has ended before the awaited text came."""


class _Reader:
    """A reader that waits: where it began, and where the bytes are that its matcher has got."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.next = start  # the place of the byte that the matcher gets next
        self._jumps = [(0, start)]  # (bytes fed, place): the limit threw away what was in between

    def advance(self, fed: int, place: int, count: int) -> None:
        """The matcher, which has *fed* bytes, gets *count* from *place* on."""
        if place != self.next:
            self._jumps.append((fed, place))
        self.next = place + count

    def place(self, fed: int) -> int:
        """The place behind the first *fed* bytes."""
        since, place = next(jump for jump in reversed(self._jumps) if jump[0] <= fed)
        return place + fed - since


class Unread:
    """Bytes of a console from the read position on. Places are counted from the first byte ever received."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._data = bytearray()
        self._begin = 0  # the place of the first byte of _data
        self._position = 0
        self._readers: list[_Reader] = []
        self._untold = 0
        self._last = 0.0  # when something came, monotonic
        self._ticks: deque[tuple[int, float]] = deque()
        self._changed = Condition()
        self._ended: str | None = "nothing was opened yet"
        self._opening = False
        self._expected_until = 0.0
        #: Bytes that were thrown away unread.
        self.dropped = 0

    # The side that receives

    def opening(self) -> None:
        """A stream is being opened: readers wait for what comes of it."""
        with self._changed:
            self._opening = True

    def open(self) -> None:
        """A stream has been opened: bytes may come."""
        self._set_ended(None)

    def append(self, data: bytes) -> None:
        """These bytes came."""
        with self._changed:
            self._note_time()
            self._data += data
            self._trim()
            self._changed.notify_all()

    def end(self, reason: str) -> None:
        """Nothing comes any more, or a stream could not be opened."""
        self._set_ended(reason)

    def expect(self, until: float, *, another: bool = False) -> None:
        """Readers wait until *until* (monotonic) for a stream to be opened, if none is, or for *another* one."""
        with self._changed:
            if another or self._ended is not None:
                self._expected_until = max(self._expected_until, until)

    def expect_nothing(self) -> None:
        """No other stream is waited for."""
        with self._changed:
            self._expected_until = 0.0
            self._changed.notify_all()

    def _set_ended(self, reason: str | None) -> None:
        with self._changed:
            self._ended, self._opening = reason, False
            if reason is None:
                self._expected_until = 0.0
            self._changed.notify_all()

    # The side that reads

    @property
    def ended(self) -> str | None:
        """Why nothing comes at present; None while a stream is open."""
        return self._ended

    @property
    def expected(self) -> bool:
        """Whether another stream is waited for."""
        return monotonic() < self._expected_until

    @property
    def received(self) -> int:
        """The place behind the last byte that came."""
        return self._begin + len(self._data)

    def peek(self, after: int = 0) -> bytes:
        """What is unread, from place *after* on if that is later; the read position stays."""
        with self._changed:
            return self._from(max(self._position, after))

    def take_untold(self) -> int:
        """How many bytes were thrown away unread since this was last asked."""
        with self._changed:
            count, self._untold = self._untold, 0
            return count

    def lines_of(self, after: int = 0) -> Iterator[tuple[float, bytes]]:
        """What is unread after place *after*, in lines, each with the time (seconds since 1970) when it began to come."""
        with self._changed:
            start = max(self._position, after, self._begin)
            data, ticks = self._from(start), list(self._ticks)
        place, tick = start, 0
        for line in data.splitlines(keepends=True):
            while tick + 1 < len(ticks) and ticks[tick + 1][0] <= place:
                tick += 1
            yield ticks[tick][1] if ticks else time(), line
            place += len(line)

    def wait_open(self) -> str | None:
        """Wait until a stream is open or none is expected any more. Returns why there is none."""
        with self._changed:
            while self._ended is not None and not self._is_over:
                self._changed.wait(None if self._opening else max(0.0, self._expected_until - monotonic()))
            return self._ended

    def wait_opening(self) -> str | None:
        """Wait until the attempt to open that is under way has ended. Returns why no stream is open."""
        with self._changed:
            while self._opening:
                self._changed.wait()
            return self._ended

    def wait_beyond(self, place: int, until: float, *, closed: bool = False) -> None:
        """Wait until something has come behind *place*, or until *until*. With *closed*, also while no stream is open."""
        with self._changed:
            while (
                self.received <= place and (closed or not self._is_over) and (left := until - monotonic()) > 0
            ):
                self._changed.wait(left)

    def take(self, encoding: str | None = None) -> bytes:
        """All that is unread; with an *encoding*, but for the beginning of a character at its end."""
        with self._changed:
            return self._take_all(encoding)

    def take_something(self, timeout: float, encoding: str | None = None) -> bytes:
        """As `take`; with nothing unread, wait up to *timeout* seconds for something. What stays a beginning is taken then."""
        deadline = monotonic() + timeout
        with self._changed:
            while (
                not (found := self._has_text(encoding))
                and not self._is_over
                and (left := deadline - monotonic()) > 0
            ):
                self._changed.wait(left)
            return self._take_all(encoding if found or not timeout else None)

    def wait_quiet(self, quiet: float, timeout: float) -> bool:
        """Wait until nothing came for *quiet* seconds, or *timeout* seconds are over; whether it was quiet."""
        now = monotonic()
        return self.wait_silent(now, quiet, now + timeout)

    def wait_silent(self, since: float, quiet: float, until: float) -> bool:
        """Wait until nothing came for *quiet* seconds after *since*, or until *until*; whether it was silent."""
        with self._changed:
            while not self._is_over:
                silent_at, now = max(since, self._last) + quiet, monotonic()
                if now >= min(silent_at, until):
                    return now >= silent_at
                self._changed.wait(min(silent_at, until) - now)
            return True

    def take_quiet(self, quiet: float, timeout: float, encoding: str | None = None) -> tuple[bytes, bool]:
        """As `take`, after `wait_quiet`; and whether it was quiet. The rest of a character would have come meanwhile."""
        was_quiet = self.wait_quiet(quiet, timeout)
        return self.take(None if quiet and was_quiet else encoding), was_quiet

    def take_until(self, matcher: Matcher, timeout: float) -> bytes:
        """All from the read position up to and including what *matcher* looks for, waiting up to *timeout* seconds.

        Raises `TimeIsOver` or `NothingMoreComes`; the read position stays then.
        """
        deadline = monotonic() + timeout
        with self._reader() as reader:
            end = self._look(matcher, reader, deadline)
            return self._take_to(reader.start, reader.place(end))

    @contextmanager
    def _reader(self) -> Iterator[_Reader]:
        with self._changed:
            reader = _Reader(max(self._position, self._begin))
            self._readers.append(reader)
        try:
            yield reader
        finally:
            with self._changed:
                self._readers.remove(reader)
                self._trim()

    def _look(self, matcher: Matcher, reader: _Reader, deadline: float) -> int:
        from .search import SearchTimeout

        try:
            return self._look_until(matcher, reader, deadline)
        except SearchTimeout:
            slow = "the pattern was not through with the text in time; give a pattern that repeats less"
            raise TimeIsOver(slow, *self._since(reader.start)) from None

    def _look_until(self, matcher: Matcher, reader: _Reader, deadline: float) -> int:
        size = _FIRST_PIECE
        while True:
            data, more, over = self._next(matcher, reader, size, deadline)
            size = min(2 * size, _LONGEST_PIECE)
            end = _looked(matcher, data, more, deadline - monotonic())
            if end is not None:
                return end
            if not more and (over or monotonic() >= deadline):
                end = matcher.finish(deadline - monotonic())
                if end is None:
                    self._fail(reader.start)
                return end

    def _next(
        self, matcher: Matcher, reader: _Reader, size: int, deadline: float
    ) -> tuple[bytes, bool, bool]:
        """The next bytes for a reader, whether more are there, and whether none can come. No bytes when it was silent."""
        with self._changed:
            pause = matcher.pause
            silent_at = deadline if pause is None else min(deadline, monotonic() + pause)
            while self.received <= reader.next and not self._is_over and (left := self._left(silent_at)) > 0:
                self._changed.wait(left)
            place = max(reader.next, self._begin)
            data = bytes(self._data[place - self._begin : place - self._begin + size])
            reader.advance(matcher.fed, place, len(data))
            return data, reader.next < self.received, self._is_over

    def _fail(self, start: int) -> NoReturn:
        data, end = self._since(start)
        if self._is_over and self._ended is not None:
            raise NothingMoreComes(self._ended, data, end)
        raise TimeIsOver(self._ended or "", data, end)

    def _since(self, start: int) -> tuple[bytes, int]:
        """What came from place *start* on, as far as it is still here, read or not; and the place behind it."""
        with self._changed:
            return self._from(start), self.received

    # With the lock held

    @property
    def _is_over(self) -> bool:
        return self._ended is not None and not self._opening and not self.expected

    def _left(self, until: float) -> float:
        """Seconds until there is something to look at: *until*, or the end of hope for another stream."""
        if self._ended is not None and not self._opening:
            until = min(until, self._expected_until)
        return until - monotonic()

    def _from(self, place: int) -> bytes:
        return bytes(self._data[max(0, place - self._begin) :])

    def _take_all(self, encoding: str | None) -> bytes:
        data = self._from(self._position)
        end = len(data) if self._ended is not None else _whole(data, encoding)
        self._position = self.received - (len(data) - end)
        self._trim()
        return data[:end]

    def _has_text(self, encoding: str | None) -> bool:
        return _whole(self._from(self._position), encoding) > 0

    def _take_to(self, start: int, end: int) -> bytes:
        with self._changed:
            data = bytes(self._data[max(0, start - self._begin) : max(0, end - self._begin)])
            self._position = max(self._position, end)
            return data

    def _trim(self) -> None:
        """Let go of what was read by all, and of the oldest bytes beyond the limit."""
        kept_from = min([self._position, *(reader.start for reader in self._readers)])
        excess_to = self.received - self._limit
        lost = max(0, excess_to - max(self._position, self._begin))
        self.dropped += lost
        self._untold += lost
        count = max(kept_from, excess_to) - self._begin
        if count > 0:
            del self._data[:count]
            self._begin += count
        while len(self._ticks) > 1 and self._ticks[1][0] <= self._begin:
            self._ticks.popleft()

    def _note_time(self) -> None:
        self._last, now = monotonic(), time()
        if not self._ticks or now - self._ticks[-1][1] >= _TICK:
            self._ticks.append((self.received, now))


def _whole(data: bytes, encoding: str | None) -> int:
    """How many bytes of *data* are whole characters, or no text at all; the others begin one."""
    if encoding is None:
        return len(data)
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    decoder.decode(data)
    return len(data) - len(decoder.getstate()[0])


def _looked(matcher: Matcher, data: bytes, more: bool, seconds: float) -> int | None:
    if data:
        return matcher.feed(data, more=more, seconds=seconds)
    return None if matcher.pause is None else matcher.look_at_all(seconds)
