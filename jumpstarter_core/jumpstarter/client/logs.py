"""The exporter's log lines in this process's logging."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty

from jumpstarter.common.enums import LogSource
from jumpstarter.common.interrupts import Flag, start_thread
from jumpstarter.common.printable import printable

from .rpc import StreamCall

LOGGERS: Final = {
    LogSource.BEFORE_LEASE_HOOK: "exporter:beforeLease",
    LogSource.AFTER_LEASE_HOOK: "exporter:afterLease",
    LogSource.DRIVER: "exporter:driver",
}
_HOOKS: Final = (LogSource.BEFORE_LEASE_HOOK, LogSource.AFTER_LEASE_HOOK)

#: Seconds without a line after which those that were on their way have come, and seconds to wait for that.
QUIET: Final = 0.1
SETTLE_TIMEOUT: Final = 2.0
#: Seconds for the line that is being shown. A handler of the program that blocks is not waited for.
CLOSE_TIMEOUT: Final = 5.0


class Following:
    """A log that is shown as it comes, on a thread. `ended` is set when no more lines will come."""

    def __init__(
        self, call: Any, wanted: frozenset[LogSource] | None, quiet: bool, on_break: Callable[[], object]
    ) -> None:
        self.ended = Flag()
        self._call = call
        self._wanted = wanted
        self._quiet = quiet
        self._on_break = on_break
        self._latest = 0.0
        self._thread = start_thread(self._run, name="jumpstarter-logs")

    def settle(self) -> None:
        """Wait until no line has come for `QUIET` seconds, `SETTLE_TIMEOUT` at the most: what was said before is shown then."""
        self._latest = started = monotonic()
        while (now := monotonic()) < min(self._latest + QUIET, started + SETTLE_TIMEOUT):
            if self.ended.wait(self._latest + QUIET - now):
                return

    def close(self) -> None:
        """Show no more lines."""
        self._call.cancel()
        self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        try:
            for line in self._call:
                self._show(line)
                self._latest = monotonic()
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._on_break()
            if error.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNIMPLEMENTED):
                level = logging.DEBUG if self._quiet else logging.WARNING
                logging.getLogger("exporter:system").log(
                    level, "the exporter's log ended: %s", error.details()
                )
        finally:
            self.ended.set()

    def _show(self, line: Any) -> None:
        source = LogSource.from_proto(line.source) if line.HasField("source") else LogSource.UNSPECIFIED
        if self._wanted is None or source in self._wanted:
            level = level_number(line.severity)
            logging.getLogger(LOGGERS.get(source, "exporter:system")).log(
                level, "%s", printable(line.message)
            )


@contextmanager
def follow(
    stub: Any,
    show_all: bool,
    *,
    sources: Collection[LogSource] = _HOOKS,
    quiet: bool = False,
    on_break: Callable[[], object] = lambda: None,
) -> Generator[Following]:
    """See `DriverClient.log_stream`. Lines from before the context are included, as the exporter kept them.

    Without *show_all* lines of *sources* are shown. With *quiet* it is not told when they end because the connection broke;
    *on_break* is called then, on a thread.
    """
    call = StreamCall(lambda: stub.LogStream(Empty()))
    following = Following(call, None if show_all else frozenset(sources), quiet, on_break)
    try:
        yield following
    finally:
        following.close()


def level_number(severity: str) -> int:
    """The number of a level's name; INFO for one that is unknown."""
    return logging.getLevelNamesMapping().get(severity.upper(), logging.INFO)
