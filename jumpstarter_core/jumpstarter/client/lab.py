"""The controller of a lab, as a client sees it: its exporters, its leases, the client's own token.

Calls run in the caller's thread. What the controller refuses becomes a LeaseError or ConnectionError with the controller's
own reason; a controller that is not there is a ConnectionError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import grpc
from jumpstarter_protocol import client_pb2 as pb

from jumpstarter.common.claims import CLAIM_KEY, CLAIMED
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConnectionError, LeaseError
from jumpstarter.common.printable import printable_line
from jumpstarter.config.grpc import identity

from .requests import Requests
from .rpc import Unary

if TYPE_CHECKING:
    from .watch import LeaseWatch

#: Seconds that one call may take.
CALL_TIMEOUT: Final = 30.0
#: Trailing metadata in which our controller tells the kind of a refusal.
REFUSAL_KEY: Final = "x-jmp-refusal"
#: The kind of refusal by a controller that cannot write to its disk.
STORE_ERROR: Final = "StoreError"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of a lease: Pending, Ready, Unsatisfiable or Invalid; `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """An exporter of the lab. `enabled` is None where the controller does not tell."""

    namespace: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    online: bool = False
    status: ExporterStatus = ExporterStatus.UNSPECIFIED
    message: str = ""
    enabled: bool | None = None
    deprecated_labels: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_proto(cls, message: pb.Exporter) -> Exporter:
        namespace, name = split_name(message.name, "exporters")
        return cls(
            namespace=namespace,
            name=name,
            labels=dict(message.labels),
            online=message.online,
            status=ExporterStatus.from_proto(message.status),
            message=printable_line(message.status_message),
            enabled=message.enabled if message.HasField("enabled") else None,
            deprecated_labels=dict(message.deprecated_labels),
        )


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease. Times are aware, in UTC; `exporter` is empty until one is assigned."""

    namespace: str
    name: str
    client: str = ""
    exporter: str = ""
    selector: str = ""
    exporter_name: str = ""
    duration: timedelta = timedelta()
    effective_duration: timedelta = timedelta()
    begin_time: datetime | None = None
    end_time: datetime | None = None
    effective_begin_time: datetime | None = None
    effective_end_time: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)
    deprecated_labels: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_proto(cls, message: pb.Lease) -> Lease:
        namespace, name = split_name(message.name, "leases")
        return cls(
            namespace=namespace,
            name=name,
            client=split_name(message.client, "clients")[1] if message.client else "",
            exporter=split_name(message.exporter, "exporters")[1] if message.exporter else "",
            selector=message.selector,
            exporter_name=message.exporter_name,
            duration=message.duration.ToTimedelta(),
            effective_duration=message.effective_duration.ToTimedelta(),
            begin_time=time_of(message, "begin_time"),
            end_time=time_of(message, "end_time"),
            effective_begin_time=time_of(message, "effective_begin_time"),
            effective_end_time=time_of(message, "effective_end_time"),
            conditions=tuple(
                Condition(type=c.type, status=c.status, reason=c.reason, message=printable_line(c.message))
                for c in message.conditions
            ),
            tags=dict(message.tags),
            context=dict(message.context),
            deprecated_labels=dict(message.deprecated_labels),
        )

    def condition(self, kind: str) -> Condition | None:
        """The condition of type *kind*, or None."""
        return next((c for c in self.conditions if c.type == kind), None)

    def is_true(self, kind: str) -> bool:
        """Whether condition *kind* is True."""
        condition = self.condition(kind)
        return condition is not None and condition.status == "True"

    @property
    def ready(self) -> bool:
        """Whether an exporter is assigned and may be used."""
        return self.is_true("Ready")

    @property
    def failure(self) -> str | None:
        """Why this lease will never be ready (again); None while it may be."""
        for kind in ("Unsatisfiable", "Invalid"):
            if self.is_true(kind):
                condition = self.condition(kind)
                assert condition is not None
                return f"cannot be satisfied: {condition.message or condition.reason}"
        ready = self.condition("Ready")
        if ready is not None and ready.status == "False":
            return f"has ended: {ready.message or ready.reason}"
        pending = self.condition("Pending")
        if ready is None and pending is not None and pending.status == "False":
            return f"was given up: {pending.message or pending.reason}"
        return None

    @property
    def ends_at(self) -> datetime | None:
        """When the lease will end, or has ended; None while nobody can tell."""
        if self.effective_end_time is not None:
            return self.effective_end_time
        if self.end_time is not None:
            return self.end_time
        begin = self.effective_begin_time or self.begin_time
        return None if begin is None else begin + self.duration


@dataclass(frozen=True, kw_only=True)
class LeaseEvent:
    """A lease, and how it stands among those that wait. `position` is 0 where the controller does not tell.

    `claims` is how many connections use the lease, the watcher's own included; 0 where the controller does not tell.
    """

    lease: Lease
    position: int = 0
    reason: str = ""
    estimate: datetime | None = None
    longest_slot: timedelta | None = None
    notice: str = ""
    claims: int = 0


def time_of(message: Any, name: str) -> datetime | None:
    """The time in field *name*; None when it is not set."""
    return getattr(message, name).ToDatetime(tzinfo=UTC) if message.HasField(name) else None


def split_name(resource: str, kind: str) -> tuple[str, str]:
    """(namespace, name) of ``namespaces/NS/KIND/NAME``. Raises ConnectionError for anything else: it came over the wire."""
    parts = resource.split("/")
    if len(parts) != 4 or parts[0] != "namespaces" or parts[2] != kind:
        raise ConnectionError(
            f"the controller answered with the name {resource!r}: expected namespaces/NAMESPACE/{kind}/NAME"
        )
    return parts[1], parts[3]


class Lab:
    """Calls of a controller over *channel*, as the client *name* of *namespace*.

    *token* is None where the channel itself tells the controller who calls.
    """

    def __init__(
        self, channel: grpc.Channel, namespace: str, name: str, token: str | None, endpoint: str = ""
    ) -> None:
        from jumpstarter_protocol.jumpstarter.client.v1 import client_pb2_grpc

        self.namespace = namespace
        self.name = name
        #: The controller's address, for messages; "" where it is not known.
        self.endpoint = endpoint
        self._requests = Requests(namespace)
        self._channel = channel
        self._stub: Any = client_pb2_grpc.ClientServiceStub(channel)  # type: ignore[no-untyped-call]
        self._metadata = () if token is None else identity("Client", namespace, name, token)

    @property
    def parent(self) -> str:
        """The resource name of the namespace."""
        return self._requests.parent

    def resource(self, kind: str, name: str) -> str:
        """The resource name of one of the namespace's objects."""
        return self._requests.resource(kind, name)

    def get_exporter(
        self, name: str, *, show_hidden_labels: bool = False, timeout: float = CALL_TIMEOUT
    ) -> Exporter:
        """One exporter; the controller gets *timeout* seconds to answer."""
        request = self._requests.get_exporter(name, show_hidden_labels)
        return Exporter.from_proto(self._call(self._stub.GetExporter, request, timeout))

    def list_exporters(self, selector: str = "", *, show_hidden_labels: bool = False) -> list[Exporter]:
        """The exporters that *selector* selects."""
        request = self._requests.list_exporters(selector, show_hidden_labels=show_hidden_labels)
        pages = self._pages(self._stub.ListExporters, request)
        return [Exporter.from_proto(item) for page in pages for item in page.exporters]

    def check(self, timeout: float = CALL_TIMEOUT) -> None:
        """Ask whether the controller takes this client.

        Raises ControllerUnreachable when it does not answer within *timeout* seconds, ConnectionError when it does not.
        """
        request = self._requests.list_leases(page_size=1)
        self._call(self._stub.ListLeases, request, timeout)

    def get_lease(self, name: str, timeout: float = CALL_TIMEOUT) -> Lease:
        """One lease; the controller gets *timeout* seconds to answer."""
        return Lease.from_proto(self._call(self._stub.GetLease, self._requests.get_lease(name), timeout))

    def list_leases(
        self, selector: str = "", *, only_active: bool = True, tag_filter: str = ""
    ) -> list[Lease]:
        """The leases whose labels *selector* selects, and whose tags *tag_filter* does; of all clients."""
        request = self._requests.list_leases(selector, only_active=only_active, tag_filter=tag_filter)
        pages = self._pages(self._stub.ListLeases, request)
        return [Lease.from_proto(item) for page in pages for item in page.leases]

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
        claim: str = "",
    ) -> Lease:
        """Ask for a lease of what *selector* selects, or of the exporter *exporter_name*. Raises LeaseError when refused.

        With a *claim*, it has to be kept by watching the lease.
        """
        request = self._requests.create_lease(
            selector=selector,
            exporter_name=exporter_name,
            duration=duration,
            begin_time=begin_time,
            lease_id=lease_id,
            tags=tags,
            context=context,
            allow_disabled=allow_disabled,
        )
        more = ((CLAIM_KEY, claim),) if claim else ()
        return Lease.from_proto(self._call(self._stub.CreateLease, request, more=more))

    def update_lease(
        self,
        name: str,
        *,
        duration: timedelta | None = None,
        begin_time: datetime | None = None,
        end_time: datetime | None = None,
        to_client: str | None = None,
    ) -> Lease:
        """Change a lease's times, or give it to the client *to_client*. Raises LeaseError when refused."""
        request = self._requests.update_lease(
            name, duration=duration, begin_time=begin_time, end_time=end_time, to_client=to_client
        )
        return Lease.from_proto(self._call(self._stub.UpdateLease, request))

    def delete_lease(self, name: str, timeout: float = CALL_TIMEOUT) -> None:
        """End a lease; the controller gets *timeout* seconds to answer."""
        self._call(self._stub.DeleteLease, self._requests.delete_lease(name), timeout)

    def rotate_token(self) -> tuple[str, datetime]:
        """A new token for this client, and when it expires."""
        answer = self._call(self._stub.RotateToken, self._requests.rotate_token())
        return answer.token, answer.expiry.ToDatetime(tzinfo=UTC)

    def watch_lease(
        self,
        name: str,
        timeout: float | None = None,
        *,
        claim: str = "",
        exclusive: bool = False,
        patient: bool = False,
    ) -> LeaseWatch:
        """The lease now and at every change of it, until it has ended, or for *timeout* seconds.

        With *claim*, a name of one's own making, the lease counts as used meanwhile; *exclusive*, iterating raises
        LeaseClaimed if others use it. *patient*: it begins as soon as the controller can be reached, however late that is.
        """
        from .watch import LeaseWatch

        return LeaseWatch(self, self._channel, self._metadata, name, timeout, claim, exclusive, patient)

    def release_claim(self, name: str, claim: str, timeout: float = CALL_TIMEOUT) -> None:
        """The lease is not used by *claim* any more."""
        from jumpstarter_protocol import lab_pb2, lab_pb2_grpc

        stub: Any = lab_pb2_grpc.LabServiceStub(self._channel)  # type: ignore[no-untyped-call]
        request = lab_pb2.ReleaseClaimRequest(name=self.resource("leases", name), claim=claim)
        self._call(stub.ReleaseClaim, request, timeout)

    def open_passage(self, name: str, timeout: float = CALL_TIMEOUT) -> Any:
        """This client's side of a passage to the exporter of the lease *name*: a message `jumpstarter.lab.v1.Passage`.

        Waits for the exporter to be ready, so *timeout* is not for the answer alone. Raises LeaseError where there is none.
        """
        from jumpstarter_protocol.jumpstarter.lab.v1 import lab_pb2, lab_pb2_grpc

        stub: Any = lab_pb2_grpc.LabServiceStub(self._channel)  # type: ignore[no-untyped-call]
        return self._call(stub.OpenPassage, lab_pb2.OpenPassageRequest(lease_name=name), timeout)

    def _pages(self, method: Any, request: Any) -> Iterator[Any]:
        while True:
            page = self._call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _call(
        self,
        method: Any,
        request: Any,
        timeout: float = CALL_TIMEOUT,
        more: tuple[tuple[str, str], ...] = (),
    ) -> Any:
        try:
            return Unary(method)(request, metadata=(*self._metadata, *more), timeout=timeout)
        except grpc.RpcError as error:
            raise controller_error(error, self.endpoint) from None


class ControllerUnreachable(ConnectionError):
    """Raised when the controller does not answer. Asking again later may help."""


class ControllerCannotStore(ControllerUnreachable):
    """Raised when the controller is there, and cannot write down what it is asked for: its disk is full, most likely."""


class LeaseClaimed(LeaseError):
    """Raised when a lease is wanted for oneself, and another connection uses it."""


def controller_error(error: grpc.RpcError, address: str = "") -> ConnectionError | LeaseError:
    """The exception for what the controller at *address* answered."""
    from jumpstarter.common.causes import explain

    code, details = error.code(), error.details() or ""
    if refusal_kind(error) == STORE_ERROR:
        return ControllerCannotStore(f"the controller {details}; try again when there is room")
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return ControllerUnreachable(
            f"the controller cannot be reached: {explain(details, address, _last_reason(details))}"
        )
    if code is grpc.StatusCode.UNIMPLEMENTED and "method not found" in details.lower():
        return ConnectionError(f"the controller cannot be asked: {explain(details, address)}")
    if "namespace mismatch" in details and refusal_kind(error) != "NotAuthenticated":
        return LeaseError(f"{details}; say that one with --namespace, or leave the option out")
    if is_refusal(error):
        return ConnectionError(
            f"the controller refuses this client: {details}; check token, name and namespace, or log in again"
        )
    kind = LeaseClaimed if refusal_kind(error) == CLAIMED else LeaseError
    return kind(details or f"the controller answered {code.name}")


def is_refusal(error: grpc.RpcError) -> bool:
    """Whether the controller does not take the caller for whom it says it is."""
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return True
    if kind := refusal_kind(error):
        return kind == "NotAuthenticated"
    # Stock controllers answer UNKNOWN for a token that they do not accept.
    return error.code() is grpc.StatusCode.UNKNOWN and "token" in (error.details() or "").lower()


def refusal_kind(error: grpc.RpcError) -> str:
    """The kind of a refusal by our controller; "" for all else."""
    trailing: Any = error.trailing_metadata() or ()
    return next((str(value) for key, value in trailing if key == REFUSAL_KEY), "")


def _last_reason(details: str) -> str:
    """gRPC's details without its list of addresses."""
    return details.rsplit("Failed to connect to remote host: ", 1)[-1].rsplit(" last error: ", 1)[-1]
