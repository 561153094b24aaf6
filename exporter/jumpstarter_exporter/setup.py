"""What an exporter of a lab is made of: who it is to which controller, and its drivers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.fetching import FetchPolicy
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, FailureDetectionConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1

if TYPE_CHECKING:
    import grpc
    from jumpstarter.driver import Driver


@dataclass(frozen=True, kw_only=True)
class Setup:
    """`make_device` makes the drivers, new ones for every lease; `connect` gives a channel to the controller.

    `identity` is sent with every call of the controller, and is empty where the channel says who calls. `tls` and
    `grpc_options` are for routers. `name`, `controller` and `token` are for messages. `record` is the file that outlives the
    process, None where there is none. The rest is as in an exporter's file.
    """

    make_device: Callable[[], Driver]
    connect: Callable[[], Awaitable[grpc.aio.Channel]]
    identity: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    tls: TLSConfigV1Alpha1 = field(default_factory=TLSConfigV1Alpha1)
    grpc_options: Mapping[str, Any] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    name: str
    controller: str
    motd: str = ""
    record: Path | None = None
    exit_on_lease_end: bool = False
    failure_detection: FailureDetectionConfigV1Alpha1 = field(default_factory=FailureDetectionConfigV1Alpha1)
    fetch_policy: FetchPolicy = field(default_factory=FetchPolicy)


def configured(config: ExporterConfigV1Alpha1) -> Setup:
    """The exporter that *config* describes. Connecting raises ConfigurationError when it names no controller."""
    from jumpstarter.config.grpc import identity

    from .link import secure_channel
    from .record import record_path

    async def connect() -> grpc.aio.Channel:
        endpoint, _ = require_controller(config)
        return await secure_channel(endpoint, config.tls, config.grpcOptions)

    return Setup(
        make_device=config.instantiate,
        connect=connect,
        identity=identity(
            "Exporter", config.metadata.namespace or "", config.metadata.name, config.token or ""
        ),
        token=config.token or "",
        tls=config.tls,
        grpc_options=config.grpcOptions,
        name=config.metadata.name,
        controller=config.endpoint or "",
        motd=config.motd or "",
        record=record_path(config.endpoint or "", config.metadata.namespace or "", config.metadata.name),
        exit_on_lease_end=config.exitOnLeaseEnd,
        failure_detection=config.failure_detection,
        fetch_policy=config.fetch_policy,
    )


def require_controller(config: ExporterConfigV1Alpha1) -> tuple[str, str]:
    """(endpoint, token) of *config*. Raises ConfigurationError when one is missing."""
    missing = [key for key, value in (("endpoint", config.endpoint), ("token", config.token)) if not value]
    if missing:
        raise ConfigurationError(
            f"{config.path}: {' and '.join(missing)} missing: expected what 'jmp admin create exporter --save' or "
            "'jmp login --exporter' write; to serve clients without a controller use --tls-grpc-listener"
        )
    assert config.endpoint and config.token
    return config.endpoint, config.token
