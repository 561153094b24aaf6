"""A lab of many boards over real gRPC: how fast they are back after the controller was killed, and how fast leases are granted.

``python -m benchmarks.load --boards 4000`` starts a controller as a process, as many boards as are wanted (each with a TLS
connection of its own, in processes of 1000), takes leases and gives them back, kills the controller, starts it again, and waits
until all boards are back. Then the same with a server that does nothing but answer: what gRPC itself takes on this machine, and
so the limit of the run. It ends with exit code 1 where a limit is given and not held.

The boards cost as much processor time as the controller, and a lab has them elsewhere. So they have the lower priority, and the
line tells how much processor time of its own each took.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from jumpstarter.client.requests import Requests
from jumpstarter.config.grpc import identity
from jumpstarter_protocol import client_pb2_grpc, lab_pb2, lab_pb2_grpc

from .worker.lab_access import NAMESPACE, Access
from .worker.load_boards import GROUP

#: Boards of one process; more would wait for each other.
TOGETHER: Final = 1000
_HOUR: Final = timedelta(hours=1)
#: Seconds for everything that should take seconds.
PATIENCE: Final = 600.0


@dataclass(frozen=True)
class Figures:
    """What was measured, in seconds.

    Attributes:
        boards: how many there were.
        back: from the start of the controller until all were back.
        busy: processor time that the controller took for that, its start included.
        theirs: processor time that the boards took for it.
        limit: the same as *back* for a server that does nothing.
        limit_busy: processor time that this server took.
        grants: from the request until it was granted, for each lease.
        grant_busy: processor time that the controller took for a lease, while all boards were connected.
    """

    boards: int
    back: float
    busy: float
    theirs: float
    limit: float
    limit_busy: float
    grants: tuple[float, ...]
    grant_busy: float

    def grant(self, share: float) -> float:
        """The time within which *share* of the leases were granted."""
        return sorted(self.grants)[min(int(len(self.grants) * share), len(self.grants) - 1)]

    def describe(self) -> str:
        """One line."""
        return (
            f"{self.boards} boards: back in {self.back:.1f} s (gRPC alone: {self.limit:.1f} s; processor time: controller "
            f"{self.busy:.1f} s, gRPC alone {self.limit_busy:.1f} s, boards {self.theirs:.1f} s), "
            f"granted in {1000 * self.grant(0.5):.0f} ms, 99 % in "
            f"{1000 * self.grant(0.99):.0f} ms (controller {1000 * self.grant_busy:.1f} ms each)"
        )


class Controller:
    """``jmp controller run`` on ports of its own, again and again with the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.data = folder / "data"
        self._listen, self._router = (f"127.0.0.1:{_free_port()}" for _ in range(2))
        self._config = folder / "controller.yaml"
        self._config.write_text(
            "apiVersion: jumpstarter.dev/v1alpha1\nkind: ControllerConfig\nlogin:\n  listen: ''\n"
            "router:\n  joint:\n    listen: ''\n"
        )
        self._log = folder / "controller.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        jmp = Path(sys.executable).with_name("jmp")
        options = ("--config", self._config, "--data-dir", self.data, "--listen", self._listen)
        self._run(jmp, "controller", "run", *options, "--router-listen", self._router)

    def start_bare(self) -> None:
        """Start a server in its place that does nothing but answer."""
        self._run(sys.executable, "-m", "benchmarks.worker.bare_lab", self.data, self._listen)

    def _run(self, *command: str | Path) -> None:
        environment = {**os.environ, "HOME": str(self._folder)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        _until(lambda: "The lab runs." in self._log.read_text(), self._process, self._log)

    def kill(self) -> None:
        """End it without a word."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE)

    def busy(self) -> float:
        """Seconds of processor time that it has taken."""
        assert self._process is not None
        return _busy(self._process.pid)


@dataclass(frozen=True)
class Boards:
    """Processes of boards. *reports* has a line for every time that a board has come back, a file for each process."""

    processes: tuple[int, ...]
    reports: tuple[Path, ...]

    def came(self) -> int:
        """How often one of them has come."""
        return sum(map(_came, self.reports))

    def busy(self) -> float:
        """Seconds of processor time that they have taken."""
        return sum(map(_busy, self.processes))


@contextmanager
def boards(data: Path, count: int, folder: Path) -> Iterator[Boards]:
    """So many boards."""
    processes, reports = [], []
    with ExitStack() as stack:
        for first in range(0, count, TOGETHER):
            report = folder / f"boards-{first}.txt"
            command = ("nice", sys.executable, "-m", "benchmarks.worker.load_boards", data, str(first))
            with report.open("wb") as output:
                process = subprocess.Popen(
                    (*command, str(min(TOGETHER, count - first))), stdout=output, stdin=subprocess.PIPE
                )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process.pid)
            reports.append(report)
            # One after the other: the first start is not what is measured.
            _until(
                lambda report=report, first=first: _came(report) >= min(TOGETHER, count - first),
                process,
                report,
            )
        yield Boards(tuple(processes), tuple(reports))


def _busy(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _came(report: Path) -> int:
    return report.read_bytes().count(b"\n")


async def granted(access: Access, count: int) -> list[float]:
    """Take a lease of any board and give it back, *count* times; seconds from the request until it was granted, for each."""
    (token,) = access.tokens(lab_pb2.ROLE_CLIENT, ["loader"], {})
    metadata, requests, times = identity("Client", NAMESPACE, "loader", token), Requests(NAMESPACE), []
    async with access.channel() as channel:
        clients: Any = client_pb2_grpc.ClientServiceStub(channel)  # type: ignore[no-untyped-call]
        lab: Any = lab_pb2_grpc.LabServiceStub(channel)  # type: ignore[no-untyped-call]
        for number in range(count):
            request = requests.create_lease(
                selector=f"kind=board,{GROUP}=g{number % 10}", duration=_HOUR, lease_id=f"load-{number}"
            )
            begun = time.monotonic()
            lease = await clients.CreateLease(request, metadata=metadata)
            watch = lab.WatchLease(lab_pb2.WatchLeaseRequest(name=lease.name), metadata=metadata)
            async for event in watch:
                if event.lease.exporter:
                    break
            times.append(time.monotonic() - begun)
            watch.cancel()
            await clients.DeleteLease(requests.delete_lease(f"load-{number}"), metadata=metadata)
    return times


def measure(count: int, grants: int, folder: Path) -> Figures:
    """Run the lab; see the module."""
    controller = Controller(folder)
    controller.start()
    try:
        with boards(controller.data, count, folder) as lab:
            before = controller.busy()
            times = asyncio.run(granted(Access(controller.data), grants))
            each = (controller.busy() - before) / grants
            theirs = lab.busy()
            back, busy = returned(controller, controller.start, lab, count)
            theirs = lab.busy() - theirs
            limit, limit_busy = returned(controller, controller.start_bare, lab, count)
            return Figures(count, back, busy, theirs, limit, limit_busy, tuple(times), each)
    finally:
        controller.stop()


def returned(
    controller: Controller, start: Callable[[], None], lab: Boards, count: int
) -> tuple[float, float]:
    """Kill *controller* and *start* it again: seconds until all *count* boards are back, and of its processor time."""
    came = lab.came()
    controller.kill()
    begun = time.monotonic()
    start()
    _until(lambda: lab.came() >= came + count)
    return time.monotonic() - begun, controller.busy()


def held(figures: Figures, *, back: float | None, p99: float | None) -> bool:
    """Whether *figures* are within the limits."""
    return (back is None or figures.back <= back) and (p99 is None or figures.grant(0.99) <= p99)


def _until(done: Any, process: subprocess.Popen[bytes] | None = None, log: Path | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if process is not None and process.poll() is not None:
            raise SystemExit(f"a process ended: {log.read_text() if log else ''}")
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE:g} s")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser("python -m benchmarks.load", description="Measure a lab of many boards.")
    parser.add_argument("--boards", type=int, default=1000, metavar="N", help="boards (1000)")
    parser.add_argument("--grants", type=int, default=200, metavar="N", help="leases that are taken (200)")
    parser.add_argument("--back", type=float, metavar="S", help="limit in seconds for all boards to be back")
    parser.add_argument("--p99", type=float, metavar="S", help="limit in seconds for 99 %% of the grants")
    options = parser.parse_args(arguments)
    if options.boards < 10 or options.grants < 1:
        parser.error("--boards must be 10 or more, --grants 1 or more")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; gives the exit code."""
    options = parse(arguments)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Not in memory: a durable write has to reach a disk.
    with tempfile.TemporaryDirectory(prefix="load-", dir="/var/tmp") as folder:
        figures = measure(options.boards, options.grants, Path(folder))
    print(figures.describe())
    return 0 if held(figures, back=options.back, p99=options.p99) else 1


if __name__ == "__main__":
    sys.exit(main())
