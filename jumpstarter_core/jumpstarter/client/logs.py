"""The exporter's log lines in this process's logging."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from random import getrandbits
from time import monotonic
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty
from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common.enums import LogSource
from jumpstarter.common.interrupts import Flag, Shield, start_thread
from jumpstarter.common.log_marks import MARK_KEY, mark_in
from jumpstarter.common.printable import printable

from .rpc import StreamCall, Unary

LOGGERS: Final = {
    LogSource.BEFORE_LEASE_HOOK: "exporter:beforeLease",
    LogSource.AFTER_LEASE_HOOK: "exporter:afterLease",
    LogSource.DRIVER: "exporter:driver",
}
_HOOKS: Final = (LogSource.BEFORE_LEASE_HOOK, LogSource.AFTER_LEASE_HOOK)

#: Seconds to wait for the mark behind the last line. A program that shows lines so slowly is not waited for.
MARK_TIMEOUT: Final = 10.0
#: Seconds that the exporter gets to set it.
ANSWER_TIMEOUT: Final = 10.0
#: The same for exporters that know no marks, as stock ones: seconds without a line after which those that were on their way have
#: come, and seconds to wait for that.
QUIET: Final = 0.1
SETTLE_TIMEOUT: Final = 2.0
#: Seconds for the line that is being shown. A handler of the program that blocks is not waited for.
CLOSE_TIMEOUT: Final = 5.0


class Following:
    """A log that is shown as it comes, on a thread. `ended` is set when no more lines will come."""

    def __init__(
        self, stub: Any, wanted: frozenset[LogSource] | None, quiet: bool, on_break: Callable[[], object]
    ) -> None:
        self.ended = Flag()
        self._stub = stub
        self._name = f"{getrandbits(128):032x}"
        self._metadata = ((MARK_KEY, self._name),)
        self._call = StreamCall(lambda: stub.LogStream(Empty(), metadata=self._metadata))
        self._wanted = wanted
        self._quiet = quiet
        self._on_break = on_break
        self._latest = 0.0
        self._marked = Flag()
        self._thread = start_thread(self._run, name="jumpstarter-logs")

    def settle(self) -> None:
        """Wait until what was said before is shown, `MARK_TIMEOUT` seconds at the most.

        For exporters that know no marks: until no line has come for `QUIET` seconds, `SETTLE_TIMEOUT` at the most.
        """
        self._marked = Flag()
        if self.ended.is_set():
            return
        if self._mark():
            self._marked.wait(MARK_TIMEOUT)
            return
        self._latest = started = monotonic()
        while (now := monotonic()) < min(self._latest + QUIET, started + SETTLE_TIMEOUT):
            if self.ended.wait(self._latest + QUIET - now):
                return

    def _mark(self) -> bool:
        """Have the exporter put a mark behind the lines so far; whether it did."""
        status = Unary(self._stub.GetStatus.with_call)
        try:
            _, call = status(pb.GetStatusRequest(), timeout=ANSWER_TIMEOUT, metadata=self._metadata)
        except grpc.RpcError:
            return False
        with Shield():
            told = mark_in(call.trailing_metadata())
            del call  # its end takes a lock of gRPC
        return told == self._name

    def close(self) -> None:
        """Show no more lines."""
        self._call.cancel()
        self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        try:
            for line in self._call:
                if line.uuid == self._name:
                    self._marked.set()
                    continue
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
            self._marked.set()

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
    following = Following(stub, None if show_all else frozenset(sources), quiet, on_break)
    try:
        yield following
    finally:
        following.close()


def level_number(severity: str) -> int:
    """The number of a level's name; INFO for one that is unknown."""
    return logging.getLevelNamesMapping().get(severity.upper(), logging.INFO)
