"""The memory of an exporter that waits for clients."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

from .bench import Bench
from .processes import END, START, BenchError, Installation

EXPORTER = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: idle
export:
  power:
    type: jumpstarter_driver_power.driver.MockPower
  serial:
    type: jumpstarter_driver_pyserial.driver.PySerial
    config:
      url: "loop://"
  storage:
    type: jumpstarter_driver_opendal.driver.Opendal
    config:
      scheme: fs
      kwargs:
        root: {folder}
  network:
    type: jumpstarter_driver_network.driver.TcpNetwork
    config:
      host: 127.0.0.1
      port: 22
  shell:
    type: jumpstarter_driver_shell.driver.Shell
    config:
      methods:
        hello: echo hello
"""


def memory(bench: Bench, subject: Installation) -> float:
    """MB (2^20 bytes) that ``jmp run --tls-grpc-listener`` and all processes below it occupy, once it listens."""
    config = bench.folder / f"idle-{subject.name}.yaml"
    config.write_text(EXPORTER.format(folder=subject.home))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    options = ("--tls-grpc-listener", f"127.0.0.1:{port}", "--tls-grpc-insecure")
    command = subject.command("jmp", "run", "--exporter-config", config, *options)
    with (
        (subject.home / "idle.log").open("w+") as log,
        subprocess.Popen(
            command,
            env=subject.environment(),
            cwd=subject.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _wait_until_it_listens(process, port, log.name)
            return sum(resident(pid) for pid in tree(process.pid)) / (1 << 20)
        finally:
            process.terminate()
            try:
                process.wait(END)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: str) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            # Ends early when the process does.
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
    raise BenchError(f"jmp run does not listen on port {port}\n{Path(log).read_text()[-2000:]}")


def tree(pid: int) -> list[int]:
    """*pid* and the processes below it."""
    children = (
        child
        for listed in Path(f"/proc/{pid}/task").glob("*/children")
        for child in map(int, listed.read_text().split())
    )
    return [pid, *(found for child in children for found in tree(child))]


def resident(pid: int) -> int:
    """Bytes of memory of one process that are in RAM (VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))
