"""The requests that clients make of a controller, without a way to make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from jumpstarter_protocol import client_pb2 as pb

#: Entries of a list that are asked for at a time.
PAGE_SIZE: Final = 200


@dataclass(frozen=True)
class Requests:
    """Requests about the objects of *namespace*."""

    namespace: str

    @property
    def parent(self) -> str:
        """The resource name of the namespace."""
        return f"namespaces/{self.namespace}"

    def resource(self, kind: str, name: str) -> str:
        """The resource name of one of the namespace's objects."""
        return f"{self.parent}/{kind}/{name}"

    def get_exporter(self, name: str, show_hidden_labels: bool = False) -> pb.GetExporterRequest:
        """One exporter."""
        return pb.GetExporterRequest(
            name=self.resource("exporters", name), show_hidden_labels=show_hidden_labels
        )

    def list_exporters(
        self,
        selector: str = "",
        *,
        show_hidden_labels: bool = False,
        page_size: int = PAGE_SIZE,
        page_token: str = "",
    ) -> pb.ListExportersRequest:
        """A page of the exporters that *selector* selects."""
        return pb.ListExportersRequest(
            parent=self.parent,
            page_size=page_size,
            page_token=page_token,
            filter=selector,
            show_hidden_labels=show_hidden_labels,
        )

    def get_lease(self, name: str) -> pb.GetLeaseRequest:
        """One lease."""
        return pb.GetLeaseRequest(name=self.resource("leases", name))

    def list_leases(
        self,
        selector: str = "",
        *,
        only_active: bool = True,
        tag_filter: str = "",
        page_size: int = PAGE_SIZE,
        page_token: str = "",
    ) -> pb.ListLeasesRequest:
        """A page of the leases whose labels *selector* selects, and whose tags *tag_filter* does."""
        return pb.ListLeasesRequest(
            parent=self.parent,
            page_size=page_size,
            page_token=page_token,
            filter=selector,
            only_active=only_active,
            tag_filter=tag_filter,
        )

    def create_lease(
        self,
        *,
        selector: str = "",
        exporter_name: str = "",
        duration: timedelta,
        begin_time: datetime | None = None,
        lease_id: str = "",
        tags: Mapping[str, str] | None = None,
        context: Mapping[str, str] | None = None,
        allow_disabled: bool = False,
    ) -> pb.CreateLeaseRequest:
        """A lease of what *selector* selects, or of the exporter *exporter_name*."""
        lease = pb.Lease(
            selector=selector, allow_disabled=allow_disabled, tags=tags or {}, context=context or {}
        )
        lease.duration.FromTimedelta(duration)
        if exporter_name:
            lease.exporter_name = exporter_name
        if begin_time is not None:
            lease.begin_time.FromDatetime(begin_time.astimezone(UTC))
        return pb.CreateLeaseRequest(parent=self.parent, lease_id=lease_id, lease=lease)

    def update_lease(
        self,
        name: str,
        *,
        duration: timedelta | None = None,
        begin_time: datetime | None = None,
        end_time: datetime | None = None,
        to_client: str | None = None,
    ) -> pb.UpdateLeaseRequest:
        """Other times of a lease, or another client."""
        lease, paths = pb.Lease(name=self.resource("leases", name)), []
        if duration is not None:
            lease.duration.FromTimedelta(duration)
            paths.append("duration")
        for field_name, value in (("begin_time", begin_time), ("end_time", end_time)):
            if value is not None:
                getattr(lease, field_name).FromDatetime(value.astimezone(UTC))
                paths.append(field_name)
        if to_client is not None:
            lease.client = self.resource("clients", to_client)
            paths.append("client")
        request = pb.UpdateLeaseRequest(lease=lease)
        request.update_mask.paths.extend(paths)
        return request

    def delete_lease(self, name: str) -> pb.DeleteLeaseRequest:
        """The end of a lease."""
        return pb.DeleteLeaseRequest(name=self.resource("leases", name))

    def rotate_token(self) -> pb.RotateTokenRequest:
        """A new token for the caller."""
        return pb.RotateTokenRequest(parent=self.parent)
