"""Records as rows and back. Times are whole microseconds since 1970, so that they sort and stay exact.

What is looked for has a column of its own; the rest is one JSON text. Rows are decoded once as long as they are in use:
records are frozen and can be shared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.selectors import Selector

from jumpstarter_controller.model import (
    AccessPolicy,
    AuditEntry,
    Client,
    Condition,
    ConditionType,
    Device,
    Exporter,
    Lease,
    LeaseSpec,
    LeaseState,
    LeaseTimes,
    PolicyRule,
    Reason,
    Role,
    Token,
)

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_dump: Callable[[Any], str] = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False
).encode


def time_to_row(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def time_from_row(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _maybe_time(moment: datetime | None) -> int | None:
    return None if moment is None else time_to_row(moment)


def _time_or_none(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else time_from_row(microseconds)


def _maybe_duration(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // _MICROSECOND


@lru_cache(maxsize=1024)
def _selector(text: str) -> Selector:
    return Selector.parse(text)


def lease_to_row(lease: Lease) -> Row:
    spec, times = lease.spec, lease.spec.times
    body = {
        "selector": str(spec.selector),
        "exporter_name": spec.exporter_name,
        "duration": _maybe_duration(times.duration),
        "begin": _maybe_time(times.begin),
        "end": _maybe_time(times.end),
        "tags": dict(spec.tags),
        "context": dict(spec.context),
        "allow_disabled": spec.allow_disabled,
        "priority": lease.priority,
        "spot": lease.spot,
        "begun_at": _maybe_time(lease.begun_at),
        "notice_at": _maybe_time(lease.notice_at),
        "claims": sorted(lease.claims),
        "conditions": [
            [c.type.value, c.status, c.reason.value, c.message, time_to_row(c.since)]
            for c in lease.conditions
        ],
    }
    return {
        "name": lease.name,
        "client": lease.client,
        "exporter": lease.exporter,
        "state": lease.state.value,
        "created_at": time_to_row(lease.created_at),
        "ended_at": _maybe_time(lease.ended_at),
        "body": _dump(body),
    }


@lru_cache(maxsize=4096)
def lease_from_row(
    name: str,
    client: str,
    exporter: str | None,
    state: str,
    created_at: int,
    ended_at: int | None,
    body: str,
) -> Lease:
    values = json.loads(body)
    times = LeaseTimes(
        timedelta(microseconds=values["duration"]),
        _time_or_none(values["begin"]),
        _time_or_none(values["end"]),
    )
    spec = LeaseSpec(
        times=times,
        selector=_selector(values["selector"]),
        exporter_name=values["exporter_name"],
        tags=values["tags"],
        context=values["context"],
        allow_disabled=values["allow_disabled"],
    )
    return Lease(
        name=name,
        client=client,
        created_at=time_from_row(created_at),
        spec=spec,
        state=LeaseState(state),
        exporter=exporter,
        priority=values["priority"],
        spot=values["spot"],
        begun_at=_time_or_none(values["begun_at"]),
        ended_at=_time_or_none(ended_at),
        notice_at=_time_or_none(values["notice_at"]),
        claims=frozenset(values.get("claims", ())),
        conditions=tuple(
            Condition(ConditionType(about), status, Reason(reason), message, time_from_row(since))
            for about, status, reason, message, since in values["conditions"]
        ),
    )


def exporter_to_row(exporter: Exporter) -> Row:
    devices = exporter.devices
    body = {
        "created_at": time_to_row(exporter.created_at),
        "labels": dict(exporter.labels),
        "username": exporter.username,
        "enabled": exporter.enabled,
        "devices": None if devices is None else [[d.uuid, d.parent_uuid, dict(d.labels)] for d in devices],
        "status": exporter.status.name,
        "status_message": exporter.status_message,
        "last_seen": _maybe_time(exporter.last_seen),
        "session": exporter.session,
    }
    return {"name": exporter.name, "uid": exporter.uid, "body": _dump(body)}


@lru_cache(maxsize=4096)
def exporter_from_row(name: str, uid: str, body: str) -> Exporter:
    values = json.loads(body)
    devices = values["devices"]
    return Exporter(
        name=name,
        uid=uid,
        created_at=time_from_row(values["created_at"]),
        labels=values["labels"],
        username=values["username"],
        enabled=values["enabled"],
        devices=None if devices is None else tuple(Device(*device) for device in devices),
        status=ExporterStatus[values["status"]],
        status_message=values["status_message"],
        last_seen=_time_or_none(values["last_seen"]),
        session=values.get("session", 0),
    )


def client_to_row(client: Client) -> Row:
    body = {
        "created_at": time_to_row(client.created_at),
        "labels": dict(client.labels),
        "username": client.username,
    }
    return {"name": client.name, "uid": client.uid, "body": _dump(body)}


@lru_cache(maxsize=4096)
def client_from_row(name: str, uid: str, body: str) -> Client:
    values = json.loads(body)
    created_at = time_from_row(values["created_at"])
    return Client(
        name=name, uid=uid, created_at=created_at, labels=values["labels"], username=values["username"]
    )


def policy_to_row(policy: AccessPolicy) -> Row:
    rules = [
        {
            "clients": [str(selector) for selector in rule.clients],
            "priority": rule.priority,
            "maximum_duration": _maybe_duration(rule.maximum_duration),
            "spot_access": rule.spot_access,
            "description": rule.description,
        }
        for rule in policy.rules
    ]
    return {"name": policy.name, "body": _dump({"exporters": str(policy.exporters), "rules": rules})}


@lru_cache(maxsize=1024)
def policy_from_row(name: str, body: str) -> AccessPolicy:
    values = json.loads(body)
    rules = []
    for rule in values["rules"]:
        longest = rule["maximum_duration"]
        rules.append(
            PolicyRule(
                clients=tuple(map(_selector, rule["clients"])),
                priority=rule["priority"],
                maximum_duration=None if longest is None else timedelta(microseconds=longest),
                spot_access=rule["spot_access"],
                description=rule["description"],
            )
        )
    return AccessPolicy(name=name, exporters=_selector(values["exporters"]), rules=tuple(rules))


def token_to_row(token: Token) -> Row:
    return {
        "id": token.id,
        "role": token.role.value,
        "owner": token.owner,
        "issued_at": time_to_row(token.issued_at),
        "expires_at": time_to_row(token.expires_at),
        "revoked_at": _maybe_time(token.revoked_at),
    }


def token_from_row(
    id: str, role: str, owner: str, issued_at: int, expires_at: int, revoked_at: int | None
) -> Token:
    return Token(
        id=id,
        role=Role(role),
        owner=owner,
        issued_at=time_from_row(issued_at),
        expires_at=time_from_row(expires_at),
        revoked_at=_time_or_none(revoked_at),
    )


def entry_to_row(entry: AuditEntry) -> Row:
    return {
        "at": time_to_row(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
    }


def entry_from_row(at: int, actor: str, action: str, subject: str, detail: str) -> AuditEntry:
    return AuditEntry(at=time_from_row(at), actor=actor, action=action, subject=subject, detail=detail)
