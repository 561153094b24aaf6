"""gRPC channels: to exporters, for threads; to controllers and routers, for coroutines."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, Final

import grpc

from .exceptions import ConfigurationError, ConnectionError
from .interrupts import Shield, run_aside

logger = logging.getLogger("jumpstarter.session")

PASSPHRASE_METADATA_KEY: Final = "x-jumpstarter-passphrase"

KEEPALIVE: Final = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 180_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


#: Where data of leased exporters goes: who is cut off without a word is told within 15 s. gRPC has the second of them as the time
#: that TCP waits for an acknowledgement, which finds a cable that was pulled; the third ends what else is silent (gRPC 1.85; by
#: default after a minute). The answer to a ping comes behind the data that is under way, so it may not be shorter on slow lines.
DATA_ALIVE: Final[Mapping[str, Any]] = {
    "grpc.keepalive_time_ms": 3_000,
    "grpc.keepalive_timeout_ms": 8_000,
    "grpc.http2.ping_timeout_ms": 11_000,
}

#: What comes for a stream that nobody reads waits at its sender, beyond these bytes. gRPC's own estimate of what the
#: connection can carry would let it grow without a bound.
FLOW: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 4 << 20))


#: The same from end to end through a joint, where the answer to a ping comes behind all that is under way on every leg.
FAR_FLOW: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 2 << 20))


def is_tcp(host: str) -> bool:
    """True for HOST:PORT with a port of 1 to 65535; everything else is the path of a unix socket."""
    name, _, port = host.rpartition(":")
    return bool(name) and port.isdecimal() and 1 <= int(port) <= 65535


def exporter_channel(
    host: str | os.PathLike[str],
    *,
    options: Sequence[tuple[str, Any]] = (),
    insecure: bool = False,
    passphrase: str | None = None,
    root_certificates: bytes | None = None,
    verify: bool = True,
) -> grpc.Channel:
    """A channel to an exporter's session: plain on a unix socket, on TCP with TLS unless *insecure*.

    *root_certificates* (PEM) replace gRPC's default roots; without *verify* any certificate is taken as it is presented.
    Raises ConnectionError when the certificate cannot be fetched, ConfigurationError for a socket that does not exist.
    """
    host = os.fspath(host)
    if not is_tcp(host):
        if not os.path.exists(host):  # noqa: PTH110 - every client starts here: pathlib would be one more import
            raise ConfigurationError(
                f"no exporter at {host}: the socket does not exist; the 'jmp shell' that set JUMPSTARTER_HOST has ended"
            )
        return grpc.insecure_channel(f"unix:{host}", options=options)
    options = [*KEEPALIVE, *options]
    if insecure:
        channel = grpc.insecure_channel(host, options=options)
    else:
        if not verify:
            from .certificates import presented_certificate

            root_certificates, name = presented_certificate(host)
            options = [*options, ("grpc.ssl_target_name_override", name)]
        channel = grpc.secure_channel(host, grpc.ssl_channel_credentials(root_certificates), options=options)
    return grpc.intercept_channel(channel, _Passphrase(passphrase)) if passphrase else channel


@contextmanager
def open_channel(make: Callable[[], grpc.Channel]) -> Generator[grpc.Channel]:
    """The channel that *make* makes, closed with the context."""
    with Shield():
        channel = make()
    try:
        yield channel
    finally:
        close_channel(channel)


#: Seconds that closing a channel may take. It takes none, unless something else left a lock of gRPC held.
CLOSE_TIMEOUT: Final = 5.0


def close_channel(channel: grpc.Channel) -> None:
    """Close *channel*; one that cannot be closed is left behind, with a warning: what uses it ends with the process."""
    try:
        run_aside(channel.close, CLOSE_TIMEOUT, "jumpstarter-close")
    except TimeoutError:
        logger.warning("a connection does not close within %g s: it is left behind", CLOSE_TIMEOUT)


def grpc_options(options: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Channel options from a configuration's ``grpcOptions``."""
    return list((options or {}).items())


class PresentedCredentials(grpc.ChannelCredentials):  # type: ignore[misc]
    """Credentials that trust one certificate; `name` is what it is valid for, which need not be the host's name."""

    def __init__(self, certificate: bytes, name: str) -> None:
        super().__init__(grpc.ssl_channel_credentials(certificate)._credentials)  # type: ignore[attr-defined]
        self.name = name


def with_call_credentials(
    credentials: grpc.ChannelCredentials, calls: grpc.CallCredentials
) -> grpc.ChannelCredentials:
    """*credentials* of a channel that sends *calls* with every call."""
    composed = grpc.composite_channel_credentials(credentials, calls)
    if isinstance(credentials, PresentedCredentials):
        # gRPC's composition would lose the name.
        credentials = copy(credentials)
        credentials._credentials = composed._credentials  # type: ignore[attr-defined]
        return credentials
    return composed


def channel_credentials(target: str, tls_config: Any, timeout: float = 5.0) -> grpc.ChannelCredentials:
    """Credentials for the service at *target* (HOST or HOST:PORT, 443 by default).

    *tls_config* has `ca` (base64 of a PEM bundle, or "") and `insecure`; with the latter, or JMP_GRPC_INSECURE=1 or
    JUMPSTARTER_GRPC_INSECURE=1, whatever certificate the service presents within *timeout* seconds is taken. Raises
    ConnectionError when it presents none, ConfigurationError for a `ca` that is none.
    """
    unverified = any(
        os.environ.get(name) == "1" for name in ("JMP_GRPC_INSECURE", "JUMPSTARTER_GRPC_INSECURE")
    )
    if unverified or tls_config.insecure:
        from .certificates import presented_certificate

        host = target if is_tcp(target) else f"{target}:443"
        return PresentedCredentials(*presented_certificate(host, timeout))
    return grpc.ssl_channel_credentials(_bundle(tls_config.ca) if tls_config.ca else None)


async def ssl_channel_credentials(
    target: str, tls_config: Any, timeout: float = 5.0
) -> grpc.ChannelCredentials:
    """`channel_credentials` for coroutines."""
    from anyio import to_thread

    return await to_thread.run_sync(channel_credentials, target, tls_config, timeout)


def _bundle(text: str) -> bytes:
    import base64
    import binascii

    from .pem import certificates

    try:
        bundle = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ConfigurationError(f"tls.ca is not base64 ({error}): expected that of a PEM bundle") from None
    return certificates(bundle, "tls.ca")


def aio_secure_channel(
    target: str,
    credentials: grpc.ChannelCredentials,
    grpc_options: Mapping[str, Any] | None,
    *,
    interceptors: Sequence[Any] | None = None,
) -> grpc.aio.Channel:
    """A channel to a controller or router, for coroutines. *grpc_options* replace the ones that keep it alive."""
    options = _secure_options(credentials, grpc_options)
    return grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)


def secure_channel(
    target: str, credentials: grpc.ChannelCredentials, grpc_options: Mapping[str, Any] | None
) -> grpc.Channel:
    """`aio_secure_channel` for threads."""
    return grpc.secure_channel(target, credentials, _secure_options(credentials, grpc_options))


def _secure_options(
    credentials: grpc.ChannelCredentials, grpc_options: Mapping[str, Any] | None
) -> list[tuple[str, Any]]:
    options = {"grpc.lb_policy_name": "round_robin", **dict(KEEPALIVE), **dict(FLOW)}
    if isinstance(credentials, PresentedCredentials):
        options["grpc.ssl_target_name_override"] = credentials.name
    return list((options | dict(grpc_options or {})).items())


@contextmanager
def translate_grpc_exceptions() -> Generator[None]:
    """Turn errors of calls to a controller into ConnectionError, and ValueError into ConfigurationError."""
    try:
        yield
    except grpc.RpcError as error:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE:
            text = f"the controller cannot be reached: {details or 'no reason given'}"
        elif code is grpc.StatusCode.UNKNOWN:
            text = f"the controller answered: {details}"
        else:
            text = f"the controller answered {code.name}: {details}"
        raise ConnectionError(text) from error
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


class _Passphrase(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor
):
    """Adds the passphrase to every call."""

    def __init__(self, passphrase: str) -> None:
        self._entry = (PASSPHRASE_METADATA_KEY, passphrase)

    def _with(self, continuation: Any, details: Any, request: Any) -> Any:
        metadata = (*(details.metadata or ()), self._entry)
        return continuation(_Details(details, metadata), request)

    intercept_unary_unary = _with  # type: ignore[assignment]
    intercept_unary_stream = _with  # type: ignore[assignment]
    intercept_stream_stream = _with  # type: ignore[assignment]


class _Details(grpc.ClientCallDetails):
    def __init__(self, other: Any, metadata: Any) -> None:
        self.method = other.method
        self.timeout = other.timeout
        self.metadata = metadata
        self.credentials = other.credentials
        self.wait_for_ready = other.wait_for_ready
        self.compression = other.compression
