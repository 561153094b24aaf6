"""A lab in a process of its own, and configurations for stock peers of it."""

from __future__ import annotations

import base64
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import grpc
from jumpstarter_protocol import client_pb2, client_pb2_grpc, lab_pb2, lab_pb2_grpc

FOREIGN = ("JMP_", "JUMPSTARTER_", "XDG_", "PYTHON", "VIRTUAL_ENV", "ACQUISITION_", "RETRY_", "DIAL_")
START = 60.0
SCENARIO = 120.0
ROOT = "namespaces/default"

_numbers = itertools.count(1)

SETTINGS = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ControllerConfig
login:
  listen: "127.0.0.1:0"
"""

EXPORTER = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata: {{namespace: default, name: {name}}}
endpoint: {endpoint}
tls: {{ca: {ca}, insecure: false}}
token: {token}
export:
  power:
    type: jumpstarter_driver_power.driver.MockPower
{more}"""

CLIENT = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ClientConfig
metadata: {{namespace: default, name: {name}}}
endpoint: {endpoint}
tls: {{ca: {ca}, insecure: false}}
token: {token}
drivers: {{allow: [], unsafe: true}}
"""


@dataclass
class Process:
    """A running command whose output goes to a file: what it has said before it answers somebody is there at once."""

    popen: subprocess.Popen[bytes]
    output: Path
    _begin: int = 0

    @property
    def text(self) -> str:
        """What it has said."""
        return self.output.read_text("utf-8", errors="replace")[self._begin :]

    def forget(self) -> None:
        """What it has said until now does not count any more."""
        self._begin += len(self.text)

    def until(self, pattern: str, timeout: float = START) -> re.Match[str]:
        """Wait for a whole line that has *pattern*."""
        deadline = monotonic() + timeout
        while True:
            ended = self.popen.poll() is not None  # looked at first: what it said last counts
            for line in self.text.splitlines(keepends=True):
                if (ended or line.endswith("\n")) and (match := re.search(pattern, line)):
                    return match
            assert not ended, f"ended without {pattern!r}\n{self.text}"
            assert monotonic() < deadline, f"no {pattern!r} in {timeout} s\n{self.text}"
            sleep(0.05)

    def stop(self, number: int = signal.SIGTERM, timeout: float = START) -> int:
        """End it, and give its exit code."""
        self.popen.send_signal(number)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError(f"signal {number} does not end it\n{self.text}") from None
        finally:
            self.popen.wait()


@dataclass(frozen=True)
class Installation:
    """An environment that offers `jmp` and `j`."""

    bin: Path
    home: Path

    @property
    def version(self) -> str:
        """Of a stock one: its environment is named after it."""
        return self.bin.parent.name

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        own = {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "COLUMNS": "300",
            "PYTHONUNBUFFERED": "1",
        }
        return kept | own | dict(more or {})

    def run(self, *command: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of its commands to the end."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            env=self.environment(more),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SCENARIO,
        )

    @contextmanager
    def start(self, *command: str, stop: int = signal.SIGTERM) -> Iterator[Process]:
        """Run one of its commands as long as the block does."""
        output = self.home / f"output-{next(_numbers)}"
        with output.open("wb") as file:
            popen = subprocess.Popen(
                [str(self.bin / command[0]), *command[1:]],
                env=self.environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        process = Process(popen, output)
        try:
            yield process
        except BaseException:
            print(f"--- {' '.join(command)}\n{process.text}")  # for whoever reads why the test failed
            raise
        finally:
            if process.popen.poll() is None:
                process.stop(stop)


@dataclass
class Lab:
    """A lab that runs; its peers' configuration files are in *folder*."""

    process: Process
    endpoint: str
    folder: Path
    data: Path

    def __post_init__(self) -> None:
        self._ca = (self.data / "ca" / "ca.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(self._ca)
        self.channel = grpc.secure_channel(self.endpoint, credentials)
        self.admin: Any = lab_pb2_grpc.AdminServiceStub(self.channel)

    @property
    def admin_metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {(self.data / 'admin.token').read_text().strip()}")]

    def create(self, role: int, name: str, labels: Mapping[str, str] | None = None) -> str:
        """A new identity; gives its token."""
        request = lab_pb2.CreateIdentityRequest(role=role, name=name, labels=labels or {})  # type: ignore[arg-type]
        credential = self.admin.CreateIdentity(request, metadata=self.admin_metadata, timeout=START)
        return str(credential.token)

    def client_config(self, name: str) -> Path:
        """The configuration file of a new client."""
        return self._write(CLIENT, name, self.create(lab_pb2.ROLE_CLIENT, name), "")

    def exporter_config(self, name: str, more: str = "", **labels: str) -> Path:
        """The configuration file of a new exporter; *more* is added to it."""
        return self._write(EXPORTER, name, self.create(lab_pb2.ROLE_EXPORTER, name, labels), more)

    def _write(self, template: str, name: str, token: str, more: str) -> Path:
        path = self.folder / f"{name}.yaml"
        ca = base64.b64encode(self._ca).decode()
        path.write_text(template.format(name=name, endpoint=self.endpoint, ca=ca, token=token, more=more))
        return path

    def raw(self, config: Path) -> RawClient:
        """Raw stubs with the identity of a client's configuration file."""
        token = next(line for line in config.read_text().splitlines() if line.startswith("token:"))
        return RawClient(self.channel, config.stem, token.partition(": ")[2])

    def exporter(self, name: str) -> lab_pb2.Identity:
        request = lab_pb2.ListIdentitiesRequest(role=lab_pb2.ROLE_EXPORTER, name=name)
        return self.admin.ListIdentities(request, metadata=self.admin_metadata, timeout=START).identities[0]


class RawClient:
    """A client that waits for events where stock ones poll."""

    def __init__(self, channel: grpc.Channel, name: str, token: str) -> None:
        self.metadata = [
            ("jumpstarter-kind", "Client"),
            ("jumpstarter-namespace", "default"),
            ("jumpstarter-name", name),
            ("authorization", f"Bearer {token}"),
        ]
        self.clients: Any = client_pb2_grpc.ClientServiceStub(channel)
        self.labs: Any = lab_pb2_grpc.LabServiceStub(channel)

    def lease(self, *, seconds: int = 600, **fields: Any) -> client_pb2.Lease:
        lease = client_pb2.Lease(**fields)
        lease.duration.FromSeconds(seconds)
        request = client_pb2.CreateLeaseRequest(parent=ROOT, lease=lease)
        return self.clients.CreateLease(request, metadata=self.metadata, timeout=START)

    def get(self, lease: client_pb2.Lease) -> client_pb2.Lease:
        """The lease as it is now."""
        request = client_pb2.GetLeaseRequest(name=lease.name)
        return self.clients.GetLease(request, metadata=self.metadata, timeout=START)

    def until(self, lease: client_pb2.Lease, reason: str) -> client_pb2.Lease:
        """Wait until the lease's last condition has that reason."""
        request = lab_pb2.WatchLeaseRequest(name=lease.name)
        for event in self.labs.WatchLease(request, metadata=self.metadata, timeout=START):
            if event.lease.conditions and event.lease.conditions[-1].reason == reason:
                return event.lease
        raise AssertionError(f"the lease ended without {reason}: {lease}")

    def release(self, lease: client_pb2.Lease) -> None:
        self.clients.DeleteLease(
            client_pb2.DeleteLeaseRequest(name=lease.name), metadata=self.metadata, timeout=START
        )

    def wait_for_board(self, selector: str) -> None:
        """Wait until a board can be leased."""
        lease = self.lease(selector=selector)
        self.until(lease, "Ready")
        self.release(lease)


@contextmanager
def running_lab(ours: Installation, folder: Path, *options: str) -> Iterator[Lab]:
    """`jmp controller run` on ports that are free, with its data in *folder*."""
    config, data = folder / "controller.yaml", folder / "data"
    config.write_text(SETTINGS)
    command = ("jmp", "controller", "run", "--config", str(config), "--data-dir", str(data))
    if "--listen" not in options:
        options = ("--listen", "127.0.0.1:0", "--router-listen", "127.0.0.1:0", *options)
    with ours.start(*command, *options) as process:
        endpoint = process.until(r"controller +(\S+:\d+)")[1]
        lab = Lab(process, endpoint, folder, data)
        try:
            yield lab
        finally:
            lab.channel.close()


def own_scripts() -> Path:
    return Path(sys.executable).parent
