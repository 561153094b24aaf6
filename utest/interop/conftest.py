"""Two implementations, each in an environment and process of its own: this one, and upstream Jumpstarter."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
import pytest

ROOT = Path(__file__).resolve().parents[2]
BOTH = Path(__file__).resolve().parent / "both"
FOREIGN = ("JMP_", "JUMPSTARTER_", "XDG_", "PYTHON", "VIRTUAL_ENV")
START = 60.0
SCENARIO = 120.0
PAYLOAD_BYTES = 3_000_000

EXPORTER = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: interop
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
        root: {storage}
  muxflash:
    type: jumpstarter_driver_opendal.driver.MockStorageMuxFlasher
  shell:
    type: jumpstarter_driver_shell.driver.Shell
    config:
      methods:
        hello: echo "Hello $1"
        environment: echo "$GREETING"
        fails: echo oops >&2; exit 3
  tcp:
    type: jumpstarter_driver_network.driver.TcpNetwork
    config:
      host: 127.0.0.1
      port: {echo_port}
  faulty:
    type: interop_faulty.Faulty
"""


@dataclass(frozen=True)
class Installation:
    """An environment that offers `jmp`, `j` and the package `jumpstarter`."""

    name: str
    bin: Path
    home: Path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        ours = {"HOME": str(self.home), "PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHONPATH": str(BOTH)}
        return kept | ours | {"NO_COLOR": "1", "TERM": "dumb"} | dict(more or {})

    def run(self, *command: str, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run one of its commands to the end, with the settings of an exporter."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            env=self.environment(settings),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SCENARIO,
        )


@dataclass
class Pair:
    """A client of one implementation that is attached to a running exporter of the other."""

    client: Installation
    exporter: Installation
    settings: Mapping[str, str]
    folder: Path = field(repr=False)

    @cached_property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        """What each function of both/interop_scenarios.py gave, all run by one client process."""
        script = str(BOTH / "interop_scenarios.py")
        done = self.client.run("python", script, str(self.folder), settings=self.settings)
        assert done.returncode == 0, f"{self}\n{done.stdout}\n{done.stderr}"
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"scenario"')]
        return {outcome["scenario"]: outcome for outcome in lines}

    def scenario(self, name: str) -> Any:
        """What that function returned; fails the test with its traceback if it raised."""
        outcome = self.outcomes[name]
        assert "error" not in outcome, f"{self}\n{outcome['error']}"
        return outcome["result"]

    def j(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.client.run("j", *arguments, settings=self.settings)


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while chunk := self.request.recv(65536):
            self.request.sendall(chunk)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture(scope="session")
def echo_port() -> Iterator[int]:
    """The port of a local TCP server that sends back what it gets."""
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = subprocess.run([ROOT / "scripts" / "peer-venv"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return Installation("upstream", Path(made.stdout.strip()) / "bin", tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation("ours", Path(sysconfig.get_path("scripts")), tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="session")
def exporter_config(tmp_path_factory: pytest.TempPathFactory, echo_port: int) -> Path:
    folder = tmp_path_factory.mktemp("config")
    (folder / "storage").mkdir()
    config = folder / "interop.yaml"
    config.write_text(EXPORTER.format(storage=folder / "storage", echo_port=echo_port))
    return config


@contextmanager
def exporter_in_shell(installation: Installation, config: Path) -> Iterator[dict[str, str]]:
    """An exporter on a unix socket: `jmp shell --exporter-config` around a command that tells them."""
    jmp, python = str(installation.bin / "jmp"), str(installation.bin / "python")
    process = subprocess.Popen(
        [jmp, "shell", "--exporter-config", str(config), "--", python, str(BOTH / "interop_hold.py")],
        env=installation.environment(),
        cwd=installation.home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("settings:"):
                break
        else:
            raise AssertionError(f"{installation.name}: jmp shell ended early\n{''.join(printed)}")
        # Logs of the exporter may fill the pipe.
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        yield json.loads(line.removeprefix("settings:"))
        process.stdin.close()
        process.wait(START)
        reader.join()


def channel_to(address: str, options: Sequence[str]) -> grpc.Channel:
    """A channel to an exporter that was started with these options."""
    if "--tls-cert" not in options:
        return grpc.insecure_channel(address)
    certificate = Path(options[options.index("--tls-cert") + 1]).read_bytes()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate))


@contextmanager
def exporter_on_tcp(installation: Installation, config: Path, *options: str) -> Iterator[str]:
    """An exporter in direct mode, `jmp run --tls-grpc-listener`; gives its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            str(installation.bin / "jmp"),
            "run",
            "--exporter-config",
            str(config),
            "--tls-grpc-listener",
            address,
            *options,
        ],
        env=installation.environment(),
        cwd=installation.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(log := (installation.home / "run.log").open("w+")),
    )
    try:
        with log, channel_to(address, options) as channel:
            grpc.channel_ready_future(channel).result(timeout=START)
            yield address
    finally:
        process.terminate()
        try:
            process.wait(START)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session", params=["ours-unix", "ours-tcp", "upstream-unix", "upstream-tcp"])
def pair(
    request: pytest.FixtureRequest,
    ours: Installation,
    upstream: Installation,
    exporter_config: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    """The exporter that the parameter names, and a client of the other implementation."""
    owner, transport = request.param.split("-")
    exporter, client = (ours, upstream) if owner == "ours" else (upstream, ours)
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "payload").write_bytes(os.urandom(PAYLOAD_BYTES // 2) + bytes(PAYLOAD_BYTES // 2))
    if transport == "unix":
        with exporter_in_shell(exporter, exporter_config) as settings:
            yield Pair(client, exporter, settings, folder)
    else:
        with exporter_on_tcp(exporter, exporter_config, "--tls-grpc-insecure") as address:
            settings = {"JUMPSTARTER_HOST": address, "JMP_GRPC_INSECURE": "1", "JMP_DRIVERS_ALLOW": "UNSAFE"}
            yield Pair(client, exporter, settings, folder)
