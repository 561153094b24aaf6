"""Loggers of exporters, under a documented import name."""

from __future__ import annotations

from jumpstarter.common.enums import LogSource
from jumpstarter.exporter.logging import LogHandler, get_logger

__all__ = ["LogHandler", "LogSource", "get_logger"]
