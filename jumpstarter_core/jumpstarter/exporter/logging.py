"""Loggers whose lines clients see with their source."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Protocol

from jumpstarter.common.enums import LogSource
from jumpstarter.session.logs import LogHub, LogLine

__all__ = ["LogHandler", "get_logger"]


class LogHandler(LogHub):
    """Puts what is logged into *queue*, as the messages that an exporter's LogStream sends.

    The lines come from *source*, unless `add_child_handler` says something else of their logger.
    """

    def __init__(self, queue: deque[Any], source: LogSource = LogSource.UNSPECIFIED) -> None:
        super().__init__()
        self.queue = queue
        self.source = source

    def take(self, line: LogLine) -> None:
        self.queue.append(line.to_response())

    def prepare(self, record: logging.LogRecord) -> Any:
        """The message for *record*."""
        return self.line_of(record).to_response()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put *record* into the queue."""
        self.take(self.line_of(record))

    def get_source_for_record(self, record: logging.LogRecord) -> LogSource:
        """Where *record* comes from."""
        return self.source_of(record)

    def source_without_name(self, record: logging.LogRecord) -> LogSource:
        return self.source

    def add_child_handler(self, logger_name: str, source: LogSource) -> None:
        """Lines of *logger_name* and the loggers below it come from *source*."""
        self.add_source(logger_name, source)

    def remove_child_handler(self, logger_name: str) -> None:
        """Forget what `add_child_handler` was told of *logger_name*."""
        self.remove_source(logger_name)

    def context_log_source(self, logger_name: str, source: LogSource) -> Any:
        """`add_child_handler` while the context lasts."""
        return self.context_source(logger_name, source)


class _Registration(Protocol):
    def add_logger_source(self, logger_name: str, source: LogSource) -> None: ...


def get_logger(
    name: str, source: LogSource = LogSource.SYSTEM, session: _Registration | None = None
) -> logging.Logger:
    """The logger *name*; clients of *session* are told that its lines come from *source*."""
    if session is not None:
        session.add_logger_source(name, source)
    return logging.getLogger(name)
