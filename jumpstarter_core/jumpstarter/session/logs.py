"""Log lines of an exporter for its clients.

Every subscriber has a bounded queue of its own: a slow one loses its own oldest lines only, and is told how many.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common.enums import LogSource
from jumpstarter.common.interrupts import ShieldedLock
from jumpstarter.common.secrets import mask

#: Lines kept for a client that connects later, and lines a client may lag behind.
BACKLOG: Final = 256
QUEUE: Final = 4096


@dataclass(frozen=True)
class LogLine:
    """One line as clients get it; `severity` is a name of a level of the logging module, `created` seconds since 1970.

    One with a `mark` is none: see `jumpstarter.common.log_marks`.
    """

    severity: str
    message: str
    source: LogSource
    created: float
    mark: str = ""

    def to_response(self) -> pb.LogStreamResponse:
        """The line as it is sent."""
        if self.mark:
            return pb.LogStreamResponse(uuid=self.mark)
        stamp = Timestamp()
        stamp.FromNanoseconds(int(self.created * 1e9))
        return pb.LogStreamResponse(
            severity=self.severity,
            message=self.message,
            source=self.source.to_proto(),  # type: ignore[arg-type]
            timestamp=stamp,
        )


class LogHub(logging.Handler):
    """Takes the records of all loggers and hands them to the subscribers."""

    def __init__(self) -> None:
        super().__init__()
        self._subscribers: set[Subscription] = set()
        self._backlog: deque[LogLine] = deque(maxlen=BACKLOG)
        self._sources: dict[str, LogSource] = {}
        self._hub_lock = threading.Lock()

    def createLock(self) -> None:  # noqa: N802 - as logging calls it
        self.lock = ShieldedLock()  # type: ignore[assignment]

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.take(self.line_of(record))
        except Exception:  # noqa: BLE001 - logging must not fail its caller
            self.handleError(record)

    def line_of(self, record: logging.LogRecord) -> LogLine:
        """What clients get to see of *record*."""
        return LogLine(record.levelname, mask(self.format(record)), self.source_of(record), record.created)

    def take(self, line: LogLine) -> None:
        """Hand *line* to the subscribers."""
        with self._hub_lock:
            self._backlog.append(line)
            for subscriber in self._subscribers:
                subscriber.add(line)

    def source_of(self, record: logging.LogRecord) -> LogSource:
        """The part of the exporter that wrote *record*."""
        for name, source in self._sources.items():
            if record.name == name or record.name.startswith(f"{name}."):
                return source
        return self.source_without_name(record)

    def source_without_name(self, record: logging.LogRecord) -> LogSource:
        """The source of a record whose logger no source was added for."""
        return LogSource.DRIVER if record.name.startswith("driver.") else LogSource.SYSTEM

    def add_source(self, logger_name: str, source: LogSource) -> None:
        """Lines of *logger_name* and the loggers below it come from *source*."""
        # The latest first; records are looked up while this runs, so the mapping is replaced, never changed.
        self._sources = {logger_name: source, **self._without(logger_name)}

    def remove_source(self, logger_name: str) -> None:
        """Forget what `add_source` was told of *logger_name*."""
        self._sources = self._without(logger_name)

    def _without(self, logger_name: str) -> dict[str, LogSource]:
        return {name: source for name, source in self._sources.items() if name != logger_name}

    @contextmanager
    def context_source(self, logger_name: str, source: LogSource) -> Generator[None]:
        """`add_source` while the context lasts."""
        before = self._sources.get(logger_name)
        self.add_source(logger_name, source)
        try:
            yield
        finally:
            if before is None:
                self.remove_source(logger_name)
            else:
                self.add_source(logger_name, before)

    def mark(self, name: str) -> bool:
        """Put a mark behind the lines of the subscription *name*; False when there is none of that name."""
        line = LogLine("", "", LogSource.UNSPECIFIED, 0.0, name)
        with self._hub_lock:
            marked = [subscriber for subscriber in self._subscribers if subscriber.name == name]
            for subscriber in marked:
                subscriber.add(line)
        return bool(marked)

    @contextmanager
    def subscribe(self, name: str = "") -> Generator[Subscription]:
        """A subscription that starts with the lines kept so far."""
        with self._hub_lock:
            subscription = Subscription(self._backlog, name)
            self._subscribers.add(subscription)
        try:
            yield subscription
        finally:
            with self._hub_lock:
                self._subscribers.discard(subscription)


class Subscription:
    """Iterates log lines as they come, until `close`."""

    def __init__(self, lines: deque[LogLine], name: str = "") -> None:
        self.name = name
        self._lines = deque(lines)
        self._dropped = 0
        self._closed = False
        self._arrived = threading.Condition()

    def add(self, line: LogLine) -> None:
        """Queue *line*, dropping the oldest when the reader is too slow."""
        with self._arrived:
            if len(self._lines) >= QUEUE:
                self._lines.popleft()
                self._dropped += 1
            self._lines.append(line)
            self._arrived.notify()

    def close(self) -> None:
        """End the iteration."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()

    def __iter__(self) -> Iterator[LogLine]:
        while (line := self._next()) is not None:
            yield line

    def _next(self) -> LogLine | None:
        with self._arrived:
            while not self._lines and not self._closed:
                self._arrived.wait()
            if self._closed:
                return None
            if self._dropped:
                count, self._dropped = self._dropped, 0
                text = f"{count} log lines were dropped: this client reads them too slowly"
                return LogLine("WARNING", text, LogSource.SYSTEM, self._lines[0].created)
            return self._lines.popleft()
