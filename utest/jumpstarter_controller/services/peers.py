"""A lab in this process with real TLS, and peers of it that speak the protocol with raw stubs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from jumpstarter_controller.data import DataDirectory
from jumpstarter_controller.runtime.journal import open_journal
from jumpstarter_controller.server import RunningLab, serve
from jumpstarter_controller.settings import ControllerSettings, LoginSettings, RouterSettings
from jumpstarter_protocol import (
    client_pb2,
    client_pb2_grpc,
    common_pb2,
    jumpstarter_pb2,
    jumpstarter_pb2_grpc,
    lab_pb2,
    lab_pb2_grpc,
)

ROOT = "namespaces/default"
STEP = 60.0

AVAILABLE = common_pb2.EXPORTER_STATUS_AVAILABLE
LEASE_READY = common_pb2.EXPORTER_STATUS_LEASE_READY
OFFLINE = common_pb2.EXPORTER_STATUS_OFFLINE


def settings_for(folder: Path, **more: Any) -> ControllerSettings:
    """Settings of a lab on ports that are free."""
    values: dict[str, Any] = {
        "dataDirectory": folder,
        "listen": "127.0.0.1:0",
        "router": RouterSettings(listen="127.0.0.1:0"),
        "login": LoginSettings(listen="127.0.0.1:0"),
    }
    return ControllerSettings(**(values | more))


class Peer:
    """Calls with the metadata and the token of one identity."""

    def __init__(self, channel: grpc.aio.Channel, kind: str, name: str, token: str) -> None:
        self.name = name
        self.token = token
        self.metadata = [
            ("jumpstarter-kind", kind),
            ("jumpstarter-namespace", "default"),
            ("jumpstarter-name", name),
            ("authorization", f"Bearer {token}"),
        ]
        self.controller: Any = jumpstarter_pb2_grpc.ControllerServiceStub(channel)
        self.clients: Any = client_pb2_grpc.ClientServiceStub(channel)
        self.labs: Any = lab_pb2_grpc.LabServiceStub(channel)
        self.admin: Any = lab_pb2_grpc.AdminServiceStub(channel)

    async def ask(self, method: Any, request: Any) -> Any:
        return await method(request, metadata=self.metadata, timeout=STEP)

    def stream(self, method: Any, request: Any) -> Any:
        return method(request, metadata=self.metadata)


class ClientPeer(Peer):
    """A user."""

    async def create(
        self, selector: str = "", *, seconds: float = 600, lease_id: str = "", **more: Any
    ) -> client_pb2.Lease:
        duration = Duration()
        duration.FromTimedelta(timedelta(seconds=seconds))
        lease = client_pb2.Lease(selector=selector, duration=duration, **more)
        request = client_pb2.CreateLeaseRequest(parent=ROOT, lease_id=lease_id, lease=lease)
        return await self.ask(self.clients.CreateLease, request)

    async def get(self, name: str) -> client_pb2.Lease:
        return await self.ask(self.clients.GetLease, client_pb2.GetLeaseRequest(name=name))

    async def delete(self, name: str) -> None:
        await self.ask(self.clients.DeleteLease, client_pb2.DeleteLeaseRequest(name=name))

    async def update(self, lease: client_pb2.Lease, *mask: str) -> client_pb2.Lease:
        request = client_pb2.UpdateLeaseRequest(lease=lease)
        request.update_mask.paths.extend(mask)
        return await self.ask(self.clients.UpdateLease, request)

    async def dial(self, name: str) -> jumpstarter_pb2.DialResponse:
        request = jumpstarter_pb2.DialRequest(lease_name=name.rpartition("/")[2])
        return await self.ask(self.controller.Dial, request)

    def watch(self, name: str) -> Any:
        return self.stream(self.labs.WatchLease, lab_pb2.WatchLeaseRequest(name=name))

    async def until_ready(self, lease: client_pb2.Lease) -> client_pb2.Lease:
        """Wait for its board, by events."""
        async with asyncio.timeout(STEP):
            async for event in self.watch(lease.name):
                if conditions(event.lease).get("Ready") == ("True", "Ready"):
                    return event.lease
        raise AssertionError(f"the lease ended: {lease}")


class ExporterPeer(Peer):
    """A board: registers, and says what it is told to say."""

    async def report(self, status: int, message: str = "", *, release: bool = False) -> None:
        request = jumpstarter_pb2.ReportStatusRequest(status=status, message=message, release_lease=release)  # type: ignore[arg-type]
        await self.ask(self.controller.ReportStatus, request)

    async def register(self, labels: Mapping[str, str] | None = None) -> str:
        report = jumpstarter_pb2.DriverInstanceReport(uuid="00000000-0000-0000-0000-000000000001")
        request = jumpstarter_pb2.RegisterRequest(labels=labels or {}, reports=[report])
        response = await self.ask(self.controller.Register, request)
        return str(response.uuid)

    async def come_up(self) -> None:
        await self.register()
        await self.report(AVAILABLE)

    def status(self, *, back: str = "") -> Any:
        """With *back*, as a process whose line broke, and that has told this status last."""
        metadata = [*self.metadata, *([("x-jmp-back", back)] if back else [])]
        return self.controller.Status(jumpstarter_pb2.StatusRequest(), metadata=metadata)

    def with_metadata(self, session: str) -> ExporterPeer:
        """The same exporter, as the process that has registered as *session*."""
        other = copy(self)
        other.metadata = [*self.metadata, ("x-jmp-session", session)]
        return other

    def with_cuts(self, heard: int) -> ExporterPeer:
        """The same exporter, which wants to hear of cuts, and has heard of so many."""
        other = copy(self)
        other.metadata = [*self.metadata, ("x-jmp-cuts", str(heard))]
        return other

    def over(self, channel: grpc.aio.Channel) -> ExporterPeer:
        """The same exporter, with another connection."""
        return ExporterPeer(channel, "Exporter", self.name, self.token)

    def listen(self, lease: str) -> Any:
        request = jumpstarter_pb2.ListenRequest(lease_name=lease.rpartition("/")[2])
        return self.stream(self.controller.Listen, request)


@dataclass
class TestLab:
    """A running lab and its peers."""

    __test__ = False

    running: RunningLab
    channel: grpc.aio.Channel
    admin: Peer = field(init=False)

    def __post_init__(self) -> None:
        token = self.running.data.admin_token.read_text().strip()
        self.admin = Peer(self.channel, "Administrator", "admin", token)

    async def identity(
        self, role: int, name: str, labels: Mapping[str, str] | None = None
    ) -> lab_pb2.Credential:
        request = lab_pb2.CreateIdentityRequest(role=role, name=name, labels=labels or {})  # type: ignore[arg-type]
        return await self.admin.ask(self.admin.admin.CreateIdentity, request)

    async def client(self, name: str = "alice", **labels: str) -> ClientPeer:
        credential = await self.identity(lab_pb2.ROLE_CLIENT, name, labels)
        return ClientPeer(self.channel, "Client", name, credential.token)

    async def exporter(self, name: str = "board-1", *, up: bool = True, **labels: str) -> ExporterPeer:
        credential = await self.identity(lab_pb2.ROLE_EXPORTER, name, labels)
        exporter = ExporterPeer(self.channel, "Exporter", name, credential.token)
        if up:
            await exporter.come_up()
        return exporter


def secure_channel(running: RunningLab, *options: tuple[str, Any]) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(
        f"localhost:{running.port}", grpc.ssl_channel_credentials(running.authority()), options
    )


@asynccontextmanager
async def running_lab(folder: Path, **more: Any) -> AsyncIterator[TestLab]:
    """A lab with its data in *folder*."""
    async with serve(settings_for(folder, **more), open_store) as running, secure_channel(running) as channel:
        yield TestLab(running, channel)


def open_store(data: DataDirectory) -> AbstractAsyncContextManager[Any]:
    return open_journal(data.store)


def conditions(lease: client_pb2.Lease) -> dict[str, tuple[str, str]]:
    """Status and reason by type."""
    return {condition.type: (condition.status, condition.reason) for condition in lease.conditions}


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Code and text of a call that must fail."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError("the call was not refused")
