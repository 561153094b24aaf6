"""The exporter's log lines in this process's logging."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty

from jumpstarter.common.enums import LogSource

LOGGERS: Final = {
    LogSource.BEFORE_LEASE_HOOK: "exporter:beforeLease",
    LogSource.AFTER_LEASE_HOOK: "exporter:afterLease",
    LogSource.DRIVER: "exporter:driver",
}
_HOOKS: Final = (LogSource.BEFORE_LEASE_HOOK, LogSource.AFTER_LEASE_HOOK)


@contextmanager
def follow(
    stub: Any, show_all: bool, *, sources: Collection[LogSource] = _HOOKS, quiet: bool = False
) -> Generator[threading.Event]:
    """See `DriverClient.log_stream`. Lines from before the context are included, as the exporter kept them.

    Without *show_all* lines of *sources* are shown. Gives an event that is set when no more lines will come; with *quiet*
    it is not told when that is because the connection broke.
    """
    call, ended = stub.LogStream(Empty()), threading.Event()
    wanted = None if show_all else frozenset(sources)
    thread = threading.Thread(
        target=_follow, args=(call, wanted, quiet, ended), name="jumpstarter-logs", daemon=True
    )
    thread.start()
    try:
        yield ended
    finally:
        call.cancel()
        thread.join()


def _follow(call: Any, wanted: frozenset[LogSource] | None, quiet: bool, ended: threading.Event) -> None:
    try:
        for line in call:
            source = LogSource.from_proto(line.source) if line.HasField("source") else LogSource.UNSPECIFIED
            if wanted is None or source in wanted:
                level = level_number(line.severity)
                logging.getLogger(LOGGERS.get(source, "exporter:system")).log(level, "%s", line.message)
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNIMPLEMENTED):
            level = logging.DEBUG if quiet else logging.WARNING
            logging.getLogger("exporter:system").log(level, "the exporter's log ended: %s", error.details())
    finally:
        ended.set()


def level_number(severity: str) -> int:
    """The number of a level's name; INFO for one that is unknown."""
    return logging.getLevelNamesMapping().get(severity.upper(), logging.INFO)
