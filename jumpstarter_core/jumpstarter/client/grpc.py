"""A controller's ClientService for coroutines, and what it tells, as models.

`jumpstarter.client.lab` is the same for threads; both make the same requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import grpc
from google.protobuf.json_format import MessageToDict
from jumpstarter_protocol import client_pb2, kubernetes_pb2
from pydantic import BaseModel, ConfigDict, Field, field_serializer

from jumpstarter.common.condition import condition_true
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.grpc import translate_grpc_exceptions

from . import lab
from .requests import PAGE_SIZE, Requests
from .selectors import selector_contains

__all__ = [
    "ClientService",
    "Exporter",
    "ExporterList",
    "Lease",
    "LeaseList",
    "MultipathExporterStub",
    "WithOptions",
]


@dataclass(frozen=True)
class WithOptions:
    """Which columns and rows a table of exporters has beside the usual ones."""

    show_online: bool = False
    show_leases: bool = False
    show_status: bool = False
    show_disabled: bool = False


class Lease(BaseModel):
    """A lease. Times are aware, in UTC; `exporter` is empty until one is assigned."""

    model_config = ConfigDict(arbitrary_types_allowed=True, ser_json_timedelta="float")

    namespace: str
    name: str
    selector: str
    exporter_name: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    duration: timedelta
    effective_duration: timedelta | None = None
    begin_time: datetime | None = None
    client: str
    exporter: str
    conditions: list[kubernetes_pb2.Condition]
    effective_begin_time: datetime | None = None
    effective_end_time: datetime | None = None
    deprecated_labels: dict[str, str] = Field(default_factory=dict)

    @field_serializer("conditions")
    def _plain_conditions(self, conditions: list[kubernetes_pb2.Condition]) -> list[dict[str, Any]]:
        return [MessageToDict(condition) for condition in conditions]

    @classmethod
    def from_protobuf(cls, data: client_pb2.Lease) -> Self:
        """The lease of a message. Raises ConnectionError for names that are not resource names."""
        known = lab.Lease.from_proto(data)
        values = {name: getattr(known, name) for name in cls.model_fields}
        return cls(
            **{
                **values,
                "exporter_name": known.exporter_name or None,
                "effective_duration": known.effective_duration or None,
                "conditions": list(data.conditions),
            }
        )

    def get_status(self) -> str:
        """How it stands, in a word: In-Use, else the reason of its last condition (NotAvailable, Expired ...), or Unknown."""
        if condition_true(self.conditions, "Ready"):
            return "In-Use"
        return (self.conditions[-1].reason if self.conditions else "") or "Unknown"

    @property
    def expires_at(self) -> datetime | None:
        """When it ends, or has ended; None while nobody can tell."""
        begin = self.effective_begin_time or self.begin_time
        return self.effective_end_time or (None if begin is None else begin + self.duration)

    @classmethod
    def rich_add_columns(cls, table: Any) -> None:
        """Add the columns of leases to *table*, a `rich.table.Table`."""
        table.add_column("NAME", no_wrap=True)
        for title in ("SELECTOR", "EXPIRES AT", "REMAINING", "CLIENT", "EXPORTER", "TAGS"):
            table.add_column(title)

    def rich_add_rows(self, table: Any) -> None:
        """Add the lease to *table*."""
        end = self.expires_at
        left = "" if end is None else _remaining(end - datetime.now(UTC))
        table.add_row(
            self.name, self.selector, _clock(end), left, self.client, self.exporter, _pairs(self.tags)
        )

    def rich_add_names(self, names: list[str]) -> None:
        """Append the name to *names*."""
        names.append(self.name)


class Exporter(BaseModel):
    """An exporter of the lab; `lease` is its lease, where it was asked for."""

    namespace: str
    name: str
    labels: dict[str, str]
    online: bool = False
    status: ExporterStatus | None = None
    enabled: bool = True
    lease: Lease | None = None
    deprecated_labels: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def from_protobuf(cls, data: client_pb2.Exporter) -> Self:
        """The exporter of a message. Raises ConnectionError for a name that is not a resource name."""
        known = lab.Exporter.from_proto(data)
        return cls(
            namespace=known.namespace,
            name=known.name,
            labels=known.labels,
            online=known.online,
            status=known.status if data.status else None,
            enabled=known.enabled is not False,
            deprecated_labels=known.deprecated_labels,
        )

    @classmethod
    def rich_add_columns(cls, table: Any, options: WithOptions | None = None) -> None:
        """Add the columns that *options* ask for to *table*, a `rich.table.Table`."""
        options = options or WithOptions()
        titles = ["NAME"]
        titles += ["ENABLED"] * options.show_disabled + ["ONLINE"] * options.show_online
        titles += ["STATUS"] * options.show_status + ["LABELS"]
        titles += ["LEASED BY", "LEASE STATUS", "RELEASE TIME"] * options.show_leases
        for title in titles:
            table.add_column(title)

    def rich_add_rows(self, table: Any, options: WithOptions | None = None) -> None:
        """Add the exporter to *table*, with the columns that *options* ask for."""
        options = options or WithOptions()
        cells = [self.name]
        cells += [_yes(self.enabled)] * options.show_disabled + [_yes(self.online)] * options.show_online
        cells += [str(self.status) if self.status else "UNKNOWN"] * options.show_status
        cells += [_pairs(self.labels)]
        if options.show_leases:
            lease = self.lease
            cells += (
                ["", "Available", ""]
                if lease is None
                else [lease.client, lease.get_status(), _clock(lease.expires_at)]
            )
        table.add_row(*cells)

    def rich_add_names(self, names: list[str]) -> None:
        """Append the name to *names*."""
        names.append(self.name)


class ExporterList(BaseModel):
    """A page of exporters. What was not asked for (`include_...`) is left out when the list is dumped."""

    exporters: list[Exporter]
    next_page_token: str | None = Field(exclude=True)
    include_online: bool = Field(default=False, exclude=True)
    include_leases: bool = Field(default=False, exclude=True)
    include_status: bool = Field(default=False, exclude=True)
    include_disabled: bool = Field(default=False, exclude=True)

    @classmethod
    def from_protobuf(cls, data: client_pb2.ListExportersResponse) -> Self:
        """The page of a message."""
        exporters = [Exporter.from_protobuf(item) for item in data.exporters]
        return cls(exporters=exporters, next_page_token=data.next_page_token)

    @property
    def _options(self) -> WithOptions:
        return WithOptions(
            self.include_online, self.include_leases, self.include_status, self.include_disabled
        )

    def _shown(self) -> list[Exporter]:
        return [exporter for exporter in self.exporters if exporter.enabled or self.include_disabled]

    def rich_add_columns(self, table: Any) -> None:
        """Add the columns of the list to *table*, a `rich.table.Table`."""
        Exporter.rich_add_columns(table, self._options)

    def rich_add_rows(self, table: Any) -> None:
        """Add the exporters to *table*."""
        for exporter in self._shown():
            exporter.rich_add_rows(table, self._options)

    def rich_add_names(self, names: list[str]) -> None:
        """Append the names to *names*."""
        names.extend(exporter.name for exporter in self._shown())

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        """The list as plain data, in the types of JSON; *kwargs* as pydantic has them."""
        asked = {
            "online": self.include_online,
            "lease": self.include_leases,
            "status": self.include_status,
            "enabled": self.include_disabled,
        }
        hidden = {name for name, wanted in asked.items() if not wanted}
        options = {**kwargs, "mode": "json", "exclude": {*(kwargs.get("exclude") or ()), *hidden}}
        return {"exporters": [exporter.model_dump(**options) for exporter in self._shown()]}

    def model_dump_json(self, **kwargs: Any) -> str:
        """`model_dump` as JSON."""
        import json

        indent = kwargs.pop("indent", None)
        return json.dumps(self.model_dump(**kwargs), indent=indent)


class LeaseList(BaseModel):
    """A page of leases."""

    leases: list[Lease]
    next_page_token: str | None = Field(exclude=True)

    @classmethod
    def from_protobuf(cls, data: client_pb2.ListLeasesResponse) -> Self:
        """The page of a message."""
        leases = [Lease.from_protobuf(item) for item in data.leases]
        return cls(leases=leases, next_page_token=data.next_page_token)

    @classmethod
    def rich_add_columns(cls, table: Any) -> None:
        """Add the columns of leases to *table*, a `rich.table.Table`."""
        Lease.rich_add_columns(table)

    def rich_add_rows(self, table: Any) -> None:
        """Add the leases to *table*."""
        for lease in self.leases:
            lease.rich_add_rows(table)

    def rich_add_names(self, names: list[str]) -> None:
        """Append the names to *names*."""
        names.extend(lease.name for lease in self.leases)

    def filter_by_selector(self, filter_selector: str | None) -> LeaseList:
        """Those whose selector has every requirement of *filter_selector*; all of them without one."""
        if not filter_selector:
            return self
        return self._only(
            lease for lease in self.leases if selector_contains(lease.selector, filter_selector)
        )

    def filter_by_client(self, client_name: str) -> LeaseList:
        """Those of the client *client_name*."""
        return self._only(lease for lease in self.leases if lease.client == client_name)

    def _only(self, leases: Iterable[Lease]) -> LeaseList:
        return LeaseList(leases=list(leases), next_page_token=self.next_page_token)


@dataclass(kw_only=True)
class ClientService:
    """Calls of a controller about the exporters and leases of *namespace*, over *channel*.

    The channel tells who calls: see `jumpstarter.config.client.ClientConfigV1Alpha1.channel`. Every call raises
    ConnectionError, with the controller's reason, when it fails.
    """

    channel: grpc.aio.Channel
    namespace: str
    stub: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from jumpstarter_protocol.jumpstarter.client.v1 import client_pb2_grpc

        self.stub = client_pb2_grpc.ClientServiceStub(self.channel)  # type: ignore[no-untyped-call]
        self._requests = Requests(self.namespace)

    async def GetExporter(self, *, name: str, show_hidden_labels: bool = False) -> Exporter:  # noqa: N802
        """One exporter."""
        request = self._requests.get_exporter(name, show_hidden_labels)
        return Exporter.from_protobuf(await self._call(self.stub.GetExporter, request))

    async def ListExporters(  # noqa: N802
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        filter: str | None = None,
        show_hidden_labels: bool = False,
    ) -> ExporterList:
        """A page of the exporters that *filter*, a label selector, selects."""
        request = self._requests.list_exporters(
            filter or "",
            show_hidden_labels=show_hidden_labels,
            page_size=page_size or PAGE_SIZE,
            page_token=page_token or "",
        )
        return ExporterList.from_protobuf(await self._call(self.stub.ListExporters, request))

    async def GetLease(self, *, name: str) -> Lease:  # noqa: N802
        """One lease."""
        return Lease.from_protobuf(await self._call(self.stub.GetLease, self._requests.get_lease(name)))

    async def ListLeases(  # noqa: N802
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        filter: str | None = None,
        only_active: bool = True,
        tag_filter: str | None = None,
    ) -> LeaseList:
        """A page of the leases whose labels *filter* selects, and whose tags *tag_filter* does; of all clients."""
        request = self._requests.list_leases(
            filter or "",
            only_active=only_active,
            tag_filter=tag_filter or "",
            page_size=page_size or PAGE_SIZE,
            page_token=page_token or "",
        )
        return LeaseList.from_protobuf(await self._call(self.stub.ListLeases, request))

    async def CreateLease(  # noqa: N802
        self,
        *,
        selector: str | None,
        duration: timedelta,
        exporter_name: str | None = None,
        begin_time: datetime | None = None,
        lease_id: str | None = None,
        tags: dict[str, str] | None = None,
        allow_disabled: bool = False,
    ) -> Lease:
        """Ask for a lease of what *selector* selects, or of the exporter *exporter_name*."""
        request = self._requests.create_lease(
            selector=selector or "",
            exporter_name=exporter_name or "",
            duration=duration,
            begin_time=begin_time,
            lease_id=lease_id or "",
            tags=tags,
            allow_disabled=allow_disabled,
        )
        return Lease.from_protobuf(await self._call(self.stub.CreateLease, request))

    async def UpdateLease(  # noqa: N802
        self,
        *,
        name: str,
        duration: timedelta | None = None,
        begin_time: datetime | None = None,
        client: str | None = None,
    ) -> Lease:
        """Change a lease's times, or give it to *client*: its name, or its resource name."""
        request = self._requests.update_lease(
            name,
            duration=duration,
            begin_time=begin_time,
            to_client=client.rpartition("/")[2] if client else None,
        )
        return Lease.from_protobuf(await self._call(self.stub.UpdateLease, request))

    async def DeleteLease(self, *, name: str) -> None:  # noqa: N802
        """End a lease."""
        await self._call(self.stub.DeleteLease, self._requests.delete_lease(name))

    async def RotateToken(self) -> str:  # noqa: N802
        """A new token for the caller."""
        answer = await self._call(self.stub.RotateToken, self._requests.rotate_token())
        return str(answer.token)

    async def _call(self, method: Any, request: Any) -> Any:
        with translate_grpc_exceptions():
            return await method(request, timeout=lab.CALL_TIMEOUT)


class MultipathExporterStub:
    """The methods of ExporterService and RouterService on the first of *channels* that is connected.

    Which one that is, is decided again for every call. Without one, the call goes to the first channel.
    """

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        from jumpstarter_protocol import jumpstarter_pb2_grpc, router_pb2_grpc

        if not channels:
            raise ValueError("no channels: expected at least one way to the exporter")
        self._ways: list[tuple[grpc.aio.Channel, tuple[Any, Any]]] = [
            (
                channel,
                (
                    jumpstarter_pb2_grpc.ExporterServiceStub(channel),  # type: ignore[no-untyped-call]
                    router_pb2_grpc.RouterServiceStub(channel),  # type: ignore[no-untyped-call]
                ),
            )
            for channel in channels
        ]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        # Asking all of them to connect, so that there is another one when the first breaks.
        states = [channel.get_state(try_to_connect=True) for channel, _ in self._ways]
        ready = grpc.ChannelConnectivity.READY
        _, stubs = self._ways[states.index(ready) if ready in states else 0]
        for stub in stubs:
            if hasattr(stub, name):
                return getattr(stub, name)
        raise AttributeError(f"neither ExporterService nor RouterService has a method {name!r}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _pairs(values: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(values.items()))


def _clock(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _remaining(left: timedelta) -> str:
    minutes = int(left.total_seconds() // 60)
    if minutes < 0:
        return "expired"
    days, hours = divmod(minutes // 60, 24)
    parts = ((days, "d"), (hours, "h"), (minutes % 60, "m"))
    return " ".join(f"{number}{unit}" for number, unit in parts if number) or "0m"
