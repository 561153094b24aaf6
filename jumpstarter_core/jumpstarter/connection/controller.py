"""The controller that a client configuration names."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from jumpstarter.common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from jumpstarter.client.lab import Lab
    from jumpstarter.config.client import ClientConfigV1Alpha1

#: People wait for commands: a controller that is back is found within seconds.
RECONNECTING: Final[dict[str, Any]] = {
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 2_000,
}

#: Who is cut off from the controller is told within some ten seconds. It is the third of them that ends the connection
#: (gRPC 1.85), and it is a minute by default.
ALIVE: Final[dict[str, Any]] = {
    "grpc.keepalive_time_ms": 5_000,
    "grpc.keepalive_timeout_ms": 6_000,
    "grpc.http2.ping_timeout_ms": 6_000,
}


@contextmanager
def controller(config: ClientConfigV1Alpha1) -> Generator[Lab]:
    """Calls of the controller that *config* names, as the client that it describes.

    Raises ConfigurationError when it names none, ConnectionError when an unverified certificate cannot be fetched.
    """
    from jumpstarter.client.lab import Lab
    from jumpstarter.common.grpc import channel_credentials, open_channel, secure_channel

    endpoint, token = require_controller(config)
    credentials = channel_credentials(endpoint, config.tls)
    options = {**RECONNECTING, **ALIVE, **config.grpcOptions}
    with open_channel(lambda: secure_channel(endpoint, credentials, options)) as channel:
        yield Lab(channel, config.metadata.namespace or "default", config.metadata.name, token, endpoint)


def token_notice(config: ClientConfigV1Alpha1) -> str:
    """What to tell the user of *config* whose token expires soon, "" for nothing."""
    from datetime import UTC, datetime

    from jumpstarter.common.tokens import ends_soon

    whose = f"client '{config.metadata.name}'"
    renewal = "renew it with 'jmp auth rotate', or log in again"
    return ends_soon(config.token or "", whose, renewal, datetime.now(UTC))


def require_controller(config: ClientConfigV1Alpha1) -> tuple[str, str]:
    """(endpoint, token) of *config*. Raises ConfigurationError when one is missing."""
    missing = [key for key, value in (("endpoint", config.endpoint), ("token", config.token)) if not value]
    if missing:
        where = config.path or "client configuration of the environment"
        raise ConfigurationError(
            f"{where}: {' and '.join(missing)} not set, so there is no controller to ask; log in with "
            "'jmp login CLIENT@HOST --token TOKEN', or use a configuration of 'jmp admin create client --save'"
        )
    assert config.endpoint and config.token
    return config.endpoint, config.token
