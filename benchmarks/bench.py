"""The processes of a run: an exporter with its client for each subject, and those of the limits."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from .lab import Lab
from .processes import Installation, Worker

HEAD = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: bench
"""
DRIVERS = """\
export:
  bench:
    type: benchmarks.worker.driver.BenchDriver
  power:
    type: jumpstarter_driver_power.driver.MockPower
  tcp:
    type: jumpstarter_driver_network.driver.TcpNetwork
    config:
      host: 127.0.0.1
      port: {port}
  storage:
    type: jumpstarter_driver_opendal.driver.Opendal
    config:
      scheme: fs
      kwargs:
        root: {storage}
"""


@dataclass(frozen=True)
class Scale:
    """How much one repeat measures; sizes in bytes."""

    calls: int = 1000
    threads: int = 64
    calls_per_thread: int = 100
    items: int = 10_000
    stream: int = 512 << 20
    forward: int = 1 << 30
    upload: int = 1 << 30
    starts: int = 5
    leases: int = 300
    turnover: int = 1500


QUICK = Scale(
    calls=300,
    calls_per_thread=30,
    items=3000,
    stream=128 << 20,
    forward=256 << 20,
    upload=256 << 20,
    starts=3,
    leases=100,
    turnover=500,
)


class Bench:
    """A context manager; processes start when they are first asked and end with it.

    *folder* is a new folder of the caller, in memory where that is possible: uploads and their limit go there.
    """

    def __init__(self, folder: Path, scale: Scale) -> None:
        self.folder = folder
        self.scale = scale
        self._stack = ExitStack()
        self._clients: dict[str, Worker] = {}
        self._lab: Lab | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def client(self, subject: Installation) -> Worker:
        """The client of *subject*'s exporter, another process: ``jmp shell`` serves, the client is its command."""
        if subject.name not in self._clients:
            config = self.folder / f"{subject.name}.yaml"
            config.write_text(HEAD + self._drivers(subject.name))
            inner = subject.command("python", "-m", "benchmarks.worker.subject")
            command = subject.command("jmp", "shell", "--exporter-config", config, "--", *inner)
            worker = Worker(command, subject.environment(), subject.home)
            self._clients[subject.name] = self._stack.enter_context(worker)
        return self._clients[subject.name]

    def lab(self, subject: Installation) -> Lab:
        """A lab of *subject*."""
        if self._lab is None:
            folder = self.folder / "lab"
            self._lab = self._stack.enter_context(Lab(subject, self._drivers("lab"), folder))
        return self._lab

    @cached_property
    def limit(self) -> Worker:
        """The client of grpc's own limits."""
        socket = str(self.folder / "limit.socket")
        self._own("limit_server", socket)
        return self._own("limit_client", socket)

    @cached_property
    def sink_port(self) -> int:
        """The port of a TCP server that takes bytes, in a process of its own."""
        return int(self._own("sink").hello["port"])

    @cached_property
    def file(self) -> Path:
        """A file of random bytes, as large as uploads are."""
        path = self.folder / "source"
        with path.open("wb") as file:
            for _ in range(self.scale.upload >> 20):
                file.write(os.urandom(1 << 20))
        return path

    def _drivers(self, name: str) -> str:
        storage = self.folder / f"{name}-storage"
        storage.mkdir()
        return DRIVERS.format(port=self.sink_port, storage=storage)

    def _own(self, module: str, *arguments: str) -> Worker:
        command = (sys.executable, "-m", f"benchmarks.worker.{module}", *arguments)
        environment = Installation("limit", Path(sys.executable).parent, self.folder).environment()
        return self._stack.enter_context(Worker(command, environment, self.folder))
