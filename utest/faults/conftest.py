"""Exporters and clients in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.client.client import connect_path
from jumpstarter_testing.eventually import eventually

HERE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent
# The clients that the exporters here name are imported by the tests too.
sys.path.append(str(HERE))
#: Seconds for anything that has to end; the machine may be busy.
LIMIT = 60.0

CONFIG = """\
metadata: {name: faulty}
export:
  faulty: {type: faulty.Faulty}
  other: {type: faulty.Faulty}
  power: {type: jumpstarter_driver_power.driver.MockPower}
"""

CLIENT = """
import sys
from jumpstarter.client.client import connect_path

def endless():
    while True:
        yield b"x" * 65536

with connect_path(sys.argv[1], allow=[], unsafe=True, insecure=True) as client:
    faulty = client.faulty
    print("connected", flush=True)
    %s
"""


def environment(home: Path) -> dict[str, str]:
    """The environment of a user without configuration, whose Python finds the drivers here."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("JMP_", "JUMPSTARTER_", "XDG_", "_JMP"))
    }
    return {
        **kept,
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": str(HERE),
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
    }


class Process:
    """A process that is killed with its context; collects what it writes to standard error."""

    def __init__(self, command: list[str], home: Path, **env: str) -> None:
        self.popen = subprocess.Popen(
            command,
            env=environment(home) | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def errors(self) -> list[str]:
        """The lines that a user would take for an error."""
        return [line for line in self.lines if not line.startswith(("INFO", "calling", "WARNING:driver"))]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line of standard error that matches."""

        def found() -> Any:
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() or self._ended, LIMIT), self.lines
        match = found()
        assert match, f"no {pattern!r} in {self.lines}"
        return match  # type: ignore[no-any-return]

    def line(self) -> str:
        """The next line of standard output."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().rstrip("\n")

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def end(self, signum: int | None = None) -> int:
        """Send a signal, if one is given, and wait for the exit code."""
        if signum is not None:
            self.popen.send_signal(signum)
        code = self.popen.wait(LIMIT)
        self._reader.join(LIMIT)
        return code

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._reader.join(LIMIT)
        assert self.popen.stdout is not None and self.popen.stderr is not None
        self.popen.stdout.close()
        self.popen.stderr.close()


@dataclass
class Exporter:
    """A running exporter in direct mode."""

    process: Process
    address: str
    home: Path

    @contextmanager
    def client(self, **options: Any) -> Generator[Any]:
        with connect_path(self.address, allow=[], unsafe=True, insecure=True, **options) as client:
            yield client

    @contextmanager
    def client_process(self, action: str) -> Generator[Process]:
        """A client that is connected and does *action*, in which `faulty` is the driver's client."""
        command = [sys.executable, "-c", CLIENT % action, self.address]
        with Process(command, self.home) as process:
            assert process.line() == "connected", process.lines
            yield process

    @contextmanager
    def command(self, *command: str) -> Generator[Process]:
        """A command in a `jmp shell` for this exporter."""
        env = {"JUMPSTARTER_HOST": self.address, "JMP_GRPC_INSECURE": "1", "JMP_DRIVERS_ALLOW": "UNSAFE"}
        with Process(list(command), self.home, **env) as process:
            yield process

    def held(self) -> list[str]:
        """What clients have in use of the driver `faulty`."""
        with self.client() as client:
            return client.faulty.call("held")  # type: ignore[no-any-return]

    def rss(self) -> float:
        """Resident memory in MiB."""
        return status(self.process.pid, "VmRSS") / 1024

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def threads(self) -> int:
        return status(self.process.pid, "Threads")


def status(pid: int, key: str) -> int:
    """A number of /proc/PID/status."""
    text = Path(f"/proc/{pid}/status").read_text()
    match = re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE)
    assert match
    return int(match[1])


@contextmanager
def running(home: Path, config: str = CONFIG, *options: str, port: int = 0) -> Generator[Exporter]:
    """An exporter with *config*, ready for clients."""
    path = home / "exporter.yaml"
    path.write_text(config)
    listener = ("--tls-grpc-listener", f"127.0.0.1:{port}", "--tls-grpc-insecure")
    with Process(["jmp", "run", "--exporter-config", str(path), *listener, *options], home) as process:
        address = process.wait_for(r"listens on (\S+)")[1]
        process.wait_for("is ready")
        yield Exporter(process, address, home)
        if process.popen.poll() is None:
            assert process.end(signal.SIGTERM) == 128 + signal.SIGTERM


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Exporter]:
    """An exporter that the test may kill."""
    with running(tmp_path) as exporter:
        yield exporter


@pytest.fixture(scope="session")
def _survivor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    with running(tmp_path_factory.mktemp("exporter")) as exporter:
        yield exporter


@pytest.fixture
def exporter(_survivor: Exporter) -> Iterator[Exporter]:
    """An exporter that has to survive the test: afterwards a new client gets at a device that nobody holds."""
    yield _survivor
    assert _survivor.process.popen.poll() is None, _survivor.process.lines[-5:]
    with _survivor.client() as client:
        assert client.power.on() is None
        eventually(lambda: client.faulty.call("held") == [], timeout=LIMIT)
        eventually(lambda: client.faulty.call("handles") == 0, timeout=LIMIT)
