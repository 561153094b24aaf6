"""Loggers whose lines clients see with their source."""

from __future__ import annotations

import logging

from jumpstarter.common.enums import LogSource
from jumpstarter.session import Session
from jumpstarter.session.logs import LogHub as LogHandler

__all__ = ["LogHandler", "get_logger"]


def get_logger(
    name: str, source: LogSource = LogSource.SYSTEM, session: Session | None = None
) -> logging.Logger:
    """The logger *name*; clients of *session* are told that its lines come from *source*."""
    if session is not None:
        session.add_logger_source(name, source)
    return logging.getLogger(name)
