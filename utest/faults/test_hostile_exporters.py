"""Exporters that answer what none should, or not at all: the client says so in one line, in bounded time."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from jumpstarter.client import transport
from jumpstarter.client.client import connect_path
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError, DriverError
from jumpstarter_protocol import jumpstarter_pb2 as pb
from jumpstarter_protocol.jumpstarter.v1 import jumpstarter_pb2_grpc

from .conftest import Exporter, Process

POWER = "jumpstarter_driver_power.client.PowerClient"
COMPOSITE = "jumpstarter_driver_composite.client.CompositeClient"
A, B, C = (str(uuid4()) for _ in range(3))


def node(uuid: str, parent: str | None = None, client: str | None = COMPOSITE, name: str = "") -> Any:
    labels = {"jumpstarter.dev/client": client} if client is not None else {}
    if name:
        labels["jumpstarter.dev/name"] = name
    return pb.DriverInstanceReport(uuid=uuid, parent_uuid=parent, labels=labels)


class Hostile(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Reports *reports*; every call answers *size* bytes."""

    def __init__(self, reports: list[Any], size: int = 0) -> None:
        self._reports = reports
        self._size = size
        self.release = threading.Event()

    def GetReport(self, request: Any, context: Any) -> Any:
        if not self._reports:
            self.release.wait()
        return pb.GetReportResponse(uuid=str(uuid4()), reports=self._reports)

    def DriverCall(self, request: Any, context: Any) -> Any:
        response = pb.DriverCallResponse(uuid="x")
        response.result.string_value = "x" * self._size
        return response


@contextmanager
def hostile(reports: list[Any], size: int = 0) -> Iterator[str]:
    """The address of an exporter with *reports*; without any it never answers."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        service = Hostile(reports, size)
        jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            service.release.set()
            server.stop(None).wait()


@contextmanager
def client_of(address: str, **options: Any) -> Iterator[Any]:
    chosen = {"allow": [], "unsafe": True, "insecure": True} | options
    with connect_path(address, **chosen) as client:
        yield client


BAD_REPORTS = {
    "two roots": ([node(A), node(B)], "2 root drivers: expected one"),
    "no root": ([node(A, B), node(B, A)], "0 root drivers: expected one"),
    "circle": ([node(A), node(B, C), node(C, B)], "2 drivers that are not below its root: .* a circle"),
    "own parent": ([node(A), node(B, B)], "1 drivers that are not below its root"),
    "unknown parent": ([node(A), node(B, C)], "which it does not report"),
    "no uuid": ([node("")], "the uuid '': expected a UUID"),
    "bad uuid": ([node("x" * 36)], "expected a UUID"),
}


@pytest.mark.parametrize(("reports", "words"), BAD_REPORTS.values(), ids=BAD_REPORTS)
def test_a_report_that_is_no_tree(reports: list[Any], words: str) -> None:
    with hostile(reports) as address, pytest.raises(ConnectionError, match=words), client_of(address):
        pass


def test_an_exporter_without_any_driver_is_told_in_one_line(tmp_path: Path) -> None:
    with hostile([node(A), node(B)]) as address:
        env = {"JUMPSTARTER_HOST": address, "JMP_GRPC_INSECURE": "1", "JMP_DRIVERS_ALLOW": "UNSAFE"}
        with Process(["j", "power", "on"], tmp_path, **env) as j:
            assert j.end() == 1
            assert len(j.errors) == 1, j.lines
    assert "2 root drivers" in j.errors[0]


BAD_CLASSES = {
    "no label": (None, "is not the path of a class"),
    "no dots": ("PowerClient", "is not the path of a class"),
    "no module": ("no_such_module.Client", "not installed"),
    "no class": ("jumpstarter_driver_power.client.NoSuchClient", "has no class 'NoSuchClient'"),
    "odd path": ("..client.X", "cannot be imported|is not the path of a class|not installed"),
    "raises at import": ("raising_client.Client", "cannot be imported: .*the library is broken"),
    "ends the process at import": ("exiting_client.Client", "cannot be imported: .*SystemExit"),
    "is no client": ("os.path.join", "is not a driver client"),
    "is no class": ("sys.path", "is not a driver client"),
}


@pytest.mark.parametrize(("path", "words"), BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_a_client_class_that_cannot_be_had_spoils_only_its_driver(
    path: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raising_client.py").write_text("raise RuntimeError('the library is broken')\n")
    (tmp_path / "exiting_client.py").write_text("import sys; sys.exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with (
        hostile([node(A), node(B, A, path, "bad"), node(C, A, POWER, "power")]) as address,
        client_of(address) as client,
    ):
        assert client.power.name == "power"
        with pytest.raises(ImportError, match=words):
            client.bad.on()
    for name in ("raising_client", "exiting_client"):
        sys.modules.pop(name, None)


def test_a_client_class_that_is_not_allowed_is_not_imported(tmp_path: Path) -> None:
    refused = pytest.raises(ImportError, match=r"antigravity\.Client is not allowed")
    with (
        hostile([node(A), node(B, A, "antigravity.Client", "bad")]) as address,
        client_of(address, allow=["jumpstarter_driver_*"], unsafe=False) as client,
        refused,
    ):
        client.bad.on()
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(("size", "accepted"), [(10 << 20, True), (100 << 20, False)])
def test_a_value_of_many_megabytes(size: int, accepted: bool) -> None:
    with (
        hostile([node(A, client="jumpstarter.client.DriverClient")], size) as address,
        client_of(address) as client,
    ):
        if accepted:
            assert len(client.call("x")) == size
            return
        with pytest.raises(DriverError, match="Received message larger than max"):
            client.call("x")


def test_a_report_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert transport.REPORT_TIMEOUT <= 60
    monkeypatch.setattr(transport, "REPORT_TIMEOUT", 1.0)
    with (
        hostile([]) as address,
        pytest.raises(ConnectionError, match="did not answer in time"),
        client_of(address),
    ):
        pass


def test_a_server_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REPORT_TIMEOUT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConnectionError, match="did not answer in time"), client_of(address):
            pass


def test_addresses_where_nobody_is(tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(stale))
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = f"127.0.0.1:{server.getsockname()[1]}"
    file = tmp_path / "file"
    file.touch()
    for address in (str(stale), str(file)):
        with pytest.raises(ConnectionError, match=f"nobody serves {address}"), client_of(address):
            pass
    with pytest.raises(ConnectionError, match=f"^{free}: .* nothing listens there"), client_of(free):
        pass
    with pytest.raises(ConfigurationError, match="the socket does not exist"), client_of(str(tmp_path / "x")):
        pass


@pytest.mark.parametrize("host", ["/nowhere/socket", "127.0.0.1:1", "stale"])
def test_jumpstarter_host_that_leads_nowhere(tmp_path: Path, host: str) -> None:
    if host == "stale":
        host = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(host)
    env = {"JUMPSTARTER_HOST": host, "JMP_GRPC_INSECURE": "1", "JMP_DRIVERS_ALLOW": "UNSAFE"}
    with Process(["j", "power", "on"], tmp_path, **env) as j:
        assert j.end() == 1
        assert len(j.errors) == 1, j.lines
    assert host in j.errors[0]


def test_tls_where_there_is_none(exporter: Exporter) -> None:
    with pytest.raises(ConnectionError), client_of(exporter.address, insecure=False):
        pass
