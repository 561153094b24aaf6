"""The lab of a run: a controller with its router, an exporter, and those who lease."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from .processes import END, START, BenchError, Installation, Worker

SETTINGS = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ControllerConfig
login:
  listen: ""
"""
DIRECT = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: direct
"""
#: What an exporter's file has after its identity.
NO_DRIVERS = "export: {}\n"
#: Boards that do nothing but report, as many as there are clients.
BOARDS = 50


class Lab:
    """A context manager; processes start when they are first asked and end with it.

    Args:
        installation: whose controller and exporter these are.
        drivers: the section ``export`` of the exporter's configuration.
        folder: for logs and configurations.
    """

    def __init__(self, installation: Installation, drivers: str, folder: Path) -> None:
        self._installation = installation
        self._drivers = drivers
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir()
        # Not in memory: a durable write has to reach a disk.
        self._data = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-lab-", dir="/var/tmp"))
        )
        try:
            self._start_controller()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def clients(self) -> Worker:
        """Clients that only lease. The boards for them are a process of their own, and one is an exporter."""
        self._start_exporter("handover")
        self._worker("lab_boards", str(BOARDS))
        return self._worker("lab_clients", str(BOARDS))

    @cached_property
    def shell(self) -> Worker:
        """The client of a leased exporter, inside of ``jmp shell``."""
        self._start_exporter("shell")
        self._run("admin", "create", "client", "shell", "--save", "--unsafe")
        inner = self._installation.command("python", "-m", "benchmarks.worker.subject")
        options = ("shell", "--client", "shell", "--selector", "kind=shell", "--")
        command = self._installation.command("jmp", *options, *inner)
        return self._stack.enter_context(Worker(command, self._environment(), self.folder))

    @cached_property
    def library(self) -> Worker:
        """The client of a leased exporter in the process that leases it, as in a Robot suite."""
        self._start_exporter("library")
        self._run("admin", "create", "client", "library", "--save", "--unsafe")
        return self._worker("lab_leased", "library")

    @cached_property
    def direct(self) -> Worker:
        """The client of an exporter in direct mode, which serves on TCP with TLS and knows no lab."""
        config, tls = self.folder / "direct.yaml", self._data / "ca"
        config.write_text(DIRECT + self._drivers)
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        files = ("--tls-cert", tls / "server.pem", "--tls-key", tls / "server-key.pem")
        options = ("--exporter-config", config, "--tls-grpc-listener", address, *files)
        self._start("direct", self._installation.command("jmp", "run", *options), "listens on")
        where = {
            "JUMPSTARTER_HOST": address,
            "JMP_GRPC_CA": str(tls / "ca.pem"),
            "JMP_DRIVERS_ALLOW": "UNSAFE",
        }
        command = self._installation.command("python", "-m", "benchmarks.worker.subject")
        return self._stack.enter_context(Worker(command, self._environment() | where, self.folder))

    def _worker(self, module: str, *arguments: str) -> Worker:
        command = self._installation.command(
            "python", "-m", f"benchmarks.worker.{module}", str(self._data), *arguments
        )
        return self._stack.enter_context(Worker(command, self._environment(), self.folder))

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        return self._installation.environment(
            {
                "XDG_CONFIG_HOME": str(home / "config"),
                "XDG_STATE_HOME": str(home / "state"),
                "XDG_RUNTIME_DIR": str(home),
            }
        )

    def _run(self, *arguments: str) -> None:
        command = self._installation.command("jmp", *arguments, "--data-dir", self._data)
        done = subprocess.run(
            command, env=self._environment(), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True
        )
        if done.returncode:
            raise BenchError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()}")

    def _start_controller(self) -> None:
        config = self.folder / "controller.yaml"
        config.write_text(SETTINGS)
        options = ("--config", config, "--data-dir", self._data)
        listen = ("--listen", "127.0.0.1:0", "--router-listen", "127.0.0.1:0")
        command = self._installation.command("jmp", "controller", "run", *options, *listen)
        self._start("controller", command, "Ctrl-C stops it")

    def _start_exporter(self, name: str) -> None:
        """An exporter with the label ``kind=NAME``."""
        self._run("admin", "create", "exporter", name, "--save", "--label", f"kind={name}")
        path = self.folder / "home" / "config" / "jumpstarter" / "exporters" / f"{name}.yaml"
        path.write_text(path.read_text().replace(NO_DRIVERS, "") + self._drivers)
        command = self._installation.command("jmp", "run", "--exporter", name)
        self._start(name, command, "registered as")

    def _start(self, name: str, command: Sequence[str], ready: str) -> None:
        """Run *command* until the end, and wait until it says *ready*."""
        path = self.folder / f"{name}.log"
        log = self._stack.enter_context(path.open("w"))
        process = subprocess.Popen(
            command,
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self._stack.callback(_end, process)
        _wait_until_ready(process, path, ready)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, ready: str) -> None:
    for _ in range(int(START / 0.1)):
        if ready in log.read_text():
            return
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise BenchError(f"{log.stem}: did not say {ready!r}\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
