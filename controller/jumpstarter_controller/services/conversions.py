"""Between the model and protobuf. A lab has one namespace; names on the wire have it around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.selectors import Operator, Requirement, Selector
from jumpstarter_protocol import client_pb2, jumpstarter_pb2, kubernetes_pb2

from jumpstarter_controller.model import Condition, Device, Exporter, InvalidRequest, Lease

if TYPE_CHECKING:
    from google.protobuf.message import Message

_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.ABSENT,
}
_OPERATOR_NAMES = {operator: name for name, operator in _OPERATORS.items()}


@dataclass(frozen=True)
class Labels:
    """Which labels are not shown: *hidden* ones, and *deprecated* ones with what to tell those who use them."""

    hidden: frozenset[str] = frozenset()
    deprecated: Mapping[str, str] = ()  # type: ignore[assignment]

    def shown(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {k: v for k, v in labels.items() if k not in self.hidden and k not in self.deprecated}

    def warnings(self, keys: Mapping[str, object]) -> dict[str, str]:
        """What to tell those who use *keys*."""
        return {key: self.deprecated[key] for key in keys if key in self.deprecated}


def timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def duration(length: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(length)
    return message


def moment_of(message: Message, field: str) -> datetime | None:
    """The time in *field* of *message*, None where it is not set. Raises InvalidRequest for one beyond the calendar."""
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{field}: {value.seconds} s is no time between the years 1 and 9999") from None


def duration_of(message: Message, field: str) -> timedelta | None:
    """The duration in *field* of *message*, None where it is not set. Raises InvalidRequest for one that is too long."""
    if not message.HasField(field):
        return None
    value: Duration = getattr(message, field)
    try:
        return value.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{field}: {value.seconds} s is longer than any lease can be") from None


def name_of(text: str, namespace: str, kind: str) -> str:
    """The bare name in ``namespaces/NAMESPACE/<kind>/NAME``; *kind* is the plural.

    Raises InvalidRequest for another form, and NamespaceMismatch.
    """
    match text.split("/"):
        case ["namespaces", found, plural, name] if plural == kind and found and name:
            check_namespace(found, namespace)
            return name
    raise InvalidRequest(f"{kind[:-1]} name '{text}' is not valid, expected namespaces/NAMESPACE/{kind}/NAME")


def check_parent(text: str, namespace: str) -> None:
    """Check ``namespaces/NAMESPACE``. Raises InvalidRequest, NamespaceMismatch."""
    match text.split("/"):
        case ["namespaces", found] if found:
            return check_namespace(found, namespace)
    raise InvalidRequest(f"parent '{text}' is not valid, expected namespaces/{namespace}")


class NamespaceMismatch(Exception):
    """Raised for a resource of another namespace than the caller's."""


def check_namespace(found: str, namespace: str) -> None:
    """Raise NamespaceMismatch unless both are the same."""
    if found != namespace:
        raise NamespaceMismatch(f"namespace mismatch: this lab serves namespace '{namespace}', not '{found}'")


def selector_from_proto(message: kubernetes_pb2.LabelSelector) -> Selector:
    """A selector of kubernetes.proto. Raises InvalidRequest."""
    requirements = [
        Requirement(key, Operator.EQUALS, frozenset({value})) for key, value in message.match_labels.items()
    ]
    for item in message.match_expressions:
        operator = _OPERATORS.get(item.operator)
        if operator is None:
            raise InvalidRequest(
                f"selector operator '{item.operator}' is not known, expected one of {', '.join(_OPERATORS)}"
            )
        requirements.append(Requirement(item.key, operator, frozenset(item.values)))
    try:
        return Selector.of_parts(requirements)
    except ConfigurationError as error:
        raise InvalidRequest(str(error)) from None


def selector_to_proto(selector: Selector) -> kubernetes_pb2.LabelSelector:
    """The opposite of `selector_from_proto`."""
    expressions = [
        kubernetes_pb2.LabelSelectorRequirement(
            key=item.key, operator=_OPERATOR_NAMES[item.operator], values=sorted(item.values)
        )
        for item in selector.requirements
        if item.operator is not Operator.EQUALS
    ]
    return kubernetes_pb2.LabelSelector(match_labels=selector.match_labels, match_expressions=expressions)


def condition_to_proto(condition: Condition) -> kubernetes_pb2.Condition:
    since = timestamp(condition.since)
    return kubernetes_pb2.Condition(
        type=condition.type.value,
        status="True" if condition.status else "False",
        lastTransitionTime=kubernetes_pb2.Time(seconds=since.seconds, nanos=since.nanos),
        reason=condition.reason.value,
        message=condition.message,
    )


def lease_to_proto(lease: Lease, namespace: str, labels: Labels, now: datetime) -> client_pb2.Lease:
    """A lease as clients see it. `effective_end_time` says that it has ended, so it is absent before."""
    spec, root = lease.spec, f"namespaces/{namespace}"
    message = client_pb2.Lease(
        name=f"{root}/leases/{lease.name}",
        selector=str(spec.selector),
        duration=duration(spec.times.duration),
        client=f"{root}/clients/{lease.client}",
        conditions=map(condition_to_proto, lease.conditions),
        exporter_name=spec.exporter_name,
        tags=spec.tags,
        context=spec.context,
        allow_disabled=spec.allow_disabled,
        deprecated_labels=labels.warnings({item.key: None for item in spec.selector.requirements}),
    )
    if lease.exporter is not None:
        message.exporter = f"{root}/exporters/{lease.exporter}"
    if spec.times.begin is not None:
        message.begin_time.FromDatetime(spec.times.begin)
    if spec.times.end is not None:
        message.end_time.FromDatetime(spec.times.end)
    if lease.begun_at is not None:
        end = lease.ended_at or now
        message.effective_begin_time.FromDatetime(lease.begun_at)
        message.effective_duration.FromTimedelta(max(end - lease.begun_at, timedelta(0)))
        if lease.ended_at is not None:
            message.effective_end_time.FromDatetime(lease.ended_at)
    return message


def exporter_to_proto(
    exporter: Exporter, namespace: str, labels: Labels, now: datetime, *, all_labels: bool = False
) -> client_pb2.Exporter:
    """An exporter as clients see it; hidden labels only with *all_labels*."""
    status, message = shown_status(exporter, now)
    return client_pb2.Exporter(
        name=f"namespaces/{namespace}/exporters/{exporter.name}",
        labels=exporter.labels if all_labels else labels.shown(exporter.labels),
        online=exporter.is_online(now),
        status=status,  # type: ignore[arg-type]
        status_message=message,
        enabled=exporter.enabled,
        deprecated_labels=labels.warnings(exporter.labels),
    )


def shown_status(exporter: Exporter, now: datetime) -> tuple[int, str]:
    """Status and message: OFFLINE for an exporter that was not heard of for too long, whatever it said last."""
    from jumpstarter.common.enums import ExporterStatus

    if exporter.last_seen is None:
        return ExporterStatus.OFFLINE.value, exporter.status_message or "Never seen"
    if not exporter.is_online(now) and exporter.status is not ExporterStatus.OFFLINE:
        return (
            ExporterStatus.OFFLINE.value,
            f"Connection lost: last seen at {exporter.last_seen:%Y-%m-%d %H:%M:%S} UTC",
        )
    return exporter.status.value, exporter.status_message


def device_of(report: jumpstarter_pb2.DriverInstanceReport) -> Device:
    """A registered driver instance."""
    parent = report.parent_uuid if report.HasField("parent_uuid") else None
    return Device(report.uuid, parent, dict(report.labels))
