"""The rows of the table: their names, targets, and how each is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from . import calls, idle, lab_rows, startup, transfers
from .bench import Bench
from .processes import Installation

Measure = Callable[[Bench, Installation], float]


class Better(Enum):
    """Which side of its target a row has to be on."""

    LOWER = "at most"
    HIGHER = "at least"


@dataclass(frozen=True)
class Row:
    """One row. Its number is `measure` / `limit`, or `measure` itself when there is no limit.

    *upstream* is that number for jumpstarter 0.9.0, taken on another machine, or what is known about it; *unit* that of
    both measurements. Rows of the lab are not measured for upstream, whose controller needs a cluster: *lab*.
    """

    name: str
    title: str
    upstream: float | str
    target: float
    better: Better
    unit: str
    measure: Measure
    limit: Measure | None
    lab: bool = False

    def holds(self, number: float) -> bool:
        """True when *number* reaches the target."""
        return number <= self.target if self.better is Better.LOWER else number >= self.target


_LOWER, _HIGHER = Better.LOWER, Better.HIGHER

LAB_ROWS = (
    Row(
        "granted",
        "lease granted, board free, p50, ms",
        "polls every 5 s",
        15,
        _LOWER,
        "ms",
        lab_rows.granted_p50,
        None,
        lab=True,
    ),
    Row(
        "granted99",
        "lease granted, board free, p99, ms",
        "polls every 5 s",
        100,
        _LOWER,
        "ms",
        lab_rows.granted_p99,
        None,
        lab=True,
    ),
    Row(
        "handover",
        "release to next waiter told, p50, ms",
        "5 to 30 s",
        30,
        _LOWER,
        "ms",
        lab_rows.handed_over_p50,
        None,
        lab=True,
    ),
    Row(
        "handover99",
        "release to next waiter told, p99, ms",
        "5 to 30 s",
        150,
        _LOWER,
        "ms",
        lab_rows.handed_over_p99,
        None,
        lab=True,
    ),
    Row(
        "turnover",
        "leases created and released a second, 50 clients",
        "labgrid: 78",
        300,
        _HIGHER,
        "leases/s",
        lab_rows.turnover,
        None,
        lab=True,
    ),
    Row(
        "routed",
        "unary call p50 through the router, x direct",
        "-",
        3,
        _LOWER,
        "us",
        lab_rows.unary,
        lab_rows.unary_direct,
        lab=True,
    ),
    Row(
        "routed-stream",
        "byte stream through the router, x direct",
        "-",
        0.5,
        _HIGHER,
        "MB/s",
        lab_rows.stream,
        lab_rows.stream_direct,
        lab=True,
    ),
    Row(
        "routed-j",
        "`j power on` of a leased exporter, x local",
        3,
        1.3,
        _LOWER,
        "ms",
        lab_rows.j,
        lab_rows.j_local,
        lab=True,
    ),
)

ROWS = (
    Row("unary", "unary call p50, x grpc sync/sync", 2.0, 1.25, _LOWER, "us", calls.unary, calls.unary_limit),
    Row(
        "echo",
        "echo of a 10-key dict, x grpc sync/sync",
        2.8,
        1.6,
        _LOWER,
        "us",
        calls.echo,
        calls.echo_limit,
    ),
    Row(
        "threads",
        "64 threads calling, x grpc sync/sync calls/s",
        0.49,
        0.9,
        _HIGHER,
        "calls/s",
        calls.threads,
        calls.threads_limit,
    ),
    Row(
        "items",
        "streamed items/s, x grpc sync/sync",
        0.37,
        0.8,
        _HIGHER,
        "items/s",
        calls.items,
        calls.items_limit,
    ),
    Row(
        "stream",
        "byte stream 64 KiB sends, x grpc one way 64 KiB",
        0.47,
        0.9,
        _HIGHER,
        "MB/s",
        transfers.stream,
        transfers.stream_limit,
    ),
    Row(
        "forward",
        "port forward to a sink, x raw TCP",
        0.085,
        0.25,
        _HIGHER,
        "MB/s",
        transfers.forward,
        transfers.forward_limit,
    ),
    Row(
        "upload",
        "upload of 1 GiB to fs storage, x cp",
        0.18,
        0.5,
        _HIGHER,
        "MB/s",
        transfers.upload,
        transfers.upload_limit,
    ),
    Row("j", "`j power on`, x `python -c pass`", 54, 10, _LOWER, "ms", startup.j, startup.limit),
    Row("jmp", "`jmp --help`, x `python -c pass`", 67, 8, _LOWER, "ms", startup.jmp, startup.limit),
    Row(
        "idle",
        "idle exporter with 5 drivers, RSS of all processes, MB",
        232,
        60,
        _LOWER,
        "MB",
        idle.memory,
        None,
    ),
    *LAB_ROWS,
)
