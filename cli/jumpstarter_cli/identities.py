"""Clients and exporters of a lab, as administrators see them, and the configuration files that make them usable."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .admin import API_VERSION
from .config_target import Target

if TYPE_CHECKING:
    from jumpstarter.config.client import ClientConfigV1Alpha1
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

KINDS: Final = {"client": "Client", "exporter": "Exporter"}


def role_number(kind: str) -> Any:
    """The number of a role on the wire."""
    from jumpstarter_protocol import lab_pb2

    return {"client": lab_pb2.ROLE_CLIENT, "exporter": lab_pb2.ROLE_EXPORTER}[kind]


def described(identity: Any, kind: str, endpoint: str) -> dict[str, Any]:
    """An identity in the form of stock Jumpstarter's objects."""
    metadata: dict[str, Any] = {"name": identity.name, "namespace": identity.namespace}
    if identity.labels:
        metadata["labels"] = dict(sorted(identity.labels.items()))
    metadata["creationTimestamp"] = _text(moment(identity, "created"))
    status: dict[str, Any] = {"endpoint": endpoint, "tokenExpiresAt": _text(moment(identity, "token_expiry"))}
    spec: dict[str, Any] = {"username": identity.external_username} if identity.external_username else {}
    if kind == "exporter":
        spec["enabled"] = identity.enabled
        status |= {
            "exporterStatus": status_name(identity),
            "statusMessage": identity.status_message,
            "online": identity.online,
            "lastSeen": _text(moment(identity, "last_seen")),
            "devices": [
                {
                    "uuid": d.uuid,
                    "labels": dict(d.labels),
                    **({"parentUuid": d.parent_uuid} if d.parent_uuid else {}),
                }
                for d in identity.devices
            ],
        }
    return {
        "apiVersion": API_VERSION,
        "kind": KINDS[kind],
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def status_name(identity: Any) -> str:
    """The status as stock Jumpstarter writes it: ``LeaseReady``."""
    from jumpstarter.common.enums import ExporterStatus

    return "".join(part.title() for part in ExporterStatus.from_proto(identity.status).name.split("_"))


def moment(message: Any, name: str) -> datetime | None:
    """The time in field *name*; None when it is not set."""
    found: datetime | None = getattr(message, name).ToDatetime(tzinfo=UTC) if message.HasField(name) else None
    return found


def _text(value: datetime | None) -> str | None:
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"


def client_config(
    credential: Any, *, allow: str | None, unsafe: bool, insecure: bool
) -> ClientConfigV1Alpha1:
    """The configuration of a client for a new credential."""
    from jumpstarter.config.client import ClientConfigV1Alpha1, ClientConfigV1Alpha1Drivers
    from jumpstarter.config.common import ObjectMeta

    identity = credential.identity
    allowed = [pattern.strip() for pattern in (allow or "").split(",") if pattern.strip()]
    return ClientConfigV1Alpha1(
        alias=identity.name,
        metadata=ObjectMeta(namespace=identity.namespace, name=identity.name),
        endpoint=credential.endpoint,
        token=credential.token,
        tls=_tls(credential, insecure),
        drivers=ClientConfigV1Alpha1Drivers(allow=allowed, unsafe=unsafe),
    )


def exporter_config(
    credential: Any, *, insecure: bool, board: ExporterConfigV1Alpha1 | None = None
) -> ExporterConfigV1Alpha1:
    """The configuration of an exporter for a new credential: it exports what *board* does, else nothing yet."""
    from dataclasses import replace

    from jumpstarter.config.common import ObjectMeta
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    identity = credential.identity
    metadata = ObjectMeta(namespace=identity.namespace, name=identity.name)
    return replace(
        board or ExporterConfigV1Alpha1(metadata=metadata),
        alias=identity.name,
        path=None,
        metadata=metadata,
        endpoint=credential.endpoint,
        token=credential.token,
        tls=_tls(credential, insecure),
    )


def board_of(path: str, name: str) -> ExporterConfigV1Alpha1:
    """What the exporter *name* is to export: the file at *path*, an exporter's or one with ``export:`` alone.

    Raises FileNotFoundError, FileAccessError, ConfigurationError.
    """
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    return ExporterConfigV1Alpha1.load_path(path, environment=False, name=name)


def _tls(credential: Any, insecure: bool) -> Any:
    from jumpstarter.config.tls import TLSConfigV1Alpha1

    authority = base64.b64encode(credential.certificate_authority.encode()).decode()
    return TLSConfigV1Alpha1(insecure=True) if insecure else TLSConfigV1Alpha1(ca=authority)


def save_config(config: Any, target: Target, *, drivers_chosen: bool = False) -> Any:
    """Write *config* to *target* and give what was written; the only client there is becomes the current one."""
    from jumpstarter.config.client import ClientConfigV1Alpha1
    from jumpstarter.config.files import CLIENTS
    from jumpstarter.config.user import UserConfigV1Alpha1

    written = target.write(config, drivers_chosen=drivers_chosen)
    if isinstance(config, ClientConfigV1Alpha1) and target.path == CLIENTS.user_path(config.alias):
        user = UserConfigV1Alpha1.load_or_create()
        if user.config.current_client_alias is None:
            user.use_client(config.alias)
    return written
