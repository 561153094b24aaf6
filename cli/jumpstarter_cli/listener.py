"""What ``jmp run --tls-grpc-listener`` listens on and with, checked before anything is started: errors name the file."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    import grpc

DEFAULT_HOST: Final = "0.0.0.0"

CERT: Final = "--tls-cert"
KEY: Final = "--tls-key"


def parse_listener(text: str) -> tuple[str, int]:
    """``[HOST:]PORT`` as host and port; an IPv6 host stands in brackets.

    Raises:
        click.BadParameter: *text* is not of that form, or the port is not within 0..65535.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(
            f"'{text}' is not [HOST:]PORT with a port from 0 to 65535", param_hint="'--tls-grpc-listener'"
        )
    return host.removeprefix("[").removesuffix("]") or DEFAULT_HOST, int(port)


def server_credentials(cert: str | None, key: str | None, insecure: bool) -> grpc.ServerCredentials | None:
    """The listener's TLS credentials, or None for plaintext. Raises click.UsageError with the file and what is wrong with it."""
    if insecure:
        if cert or key:
            raise click.UsageError("--tls-grpc-insecure excludes --tls-cert and --tls-key.")
        return None
    if not cert or not key:
        raise click.UsageError("--tls-grpc-listener needs --tls-cert and --tls-key, or --tls-grpc-insecure.")
    chain, private = _read(cert, CERT), _read(key, KEY)
    _check_certificate(cert, chain)
    _check_key(key, private)
    _check_pair(cert, key)
    _check_time(cert, key, chain)
    import grpc

    return grpc.ssl_server_credentials([(private, chain)])


def _wrong(option: str, message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint=f"'{option}'")


def _read(path: str, option: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _wrong(option, f"{path}: {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise _wrong(option, f"{path} is not a PEM file")
    return content


def _check_certificate(path: str, content: bytes) -> None:
    if b"-----BEGIN CERTIFICATE-----" not in content:
        hint = f"; it has a key, which belongs to {KEY}" if b"PRIVATE KEY-----" in content else ""
        raise _wrong(CERT, f"{path} has no certificate{hint}")
    try:
        _trusting(content)
    except (ssl.SSLError, ValueError) as error:
        raise _wrong(CERT, f"{path}: its certificate cannot be read ({_said(error)})") from None


def _check_key(path: str, content: bytes) -> None:
    if b"PRIVATE KEY-----" not in content:
        hint = f"; it has a certificate, which belongs to {CERT}" if b"CERTIFICATE-----" in content else ""
        raise _wrong(KEY, f"{path} has no private key{hint}")
    if b"BEGIN ENCRYPTED PRIVATE KEY" in content or b"Proc-Type: 4,ENCRYPTED" in content:
        raise _wrong(
            KEY,
            f"the key in {path} is encrypted, expected one without a passphrase; decrypt it with "
            f"'openssl pkey -in {path} -out FILE'",
        )


def _check_pair(cert: str, key: str) -> None:
    try:
        _serving(cert, key)
    except ssl.SSLError as error:
        # The second is what OpenSSL says of a key of another kind.
        if "MISMATCH" in str(error.reason) or error.reason == "NO_CERTIFICATE_ASSIGNED":
            raise _wrong(KEY, f"the key in {key} does not belong to the certificate in {cert}") from None
        raise _wrong(KEY, f"{key}: its key cannot be used ({_said(error)})") from None


def _check_time(cert: str, key: str, chain: bytes) -> None:
    """Refuse a certificate that no client can accept, as its time is over or has not come."""
    try:
        _shake_hands(_serving(cert, key), _trusting(chain))
    except ssl.SSLCertVerificationError as error:
        raise _wrong(CERT, f"{cert}: {error.verify_message}; clients would refuse it") from None
    except ssl.SSLError as error:
        raise _wrong(CERT, f"{cert}: its certificate cannot be used ({_said(error)})") from None


def _serving(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key, password=lambda: b"")
    return context


def _trusting(chain: bytes) -> ssl.SSLContext:
    """The context of a client that trusts the certificates of *chain*, for any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=chain.decode("ascii", errors="ignore"))
    return context


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """A TLS handshake in memory. Raises ssl.SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends: list[Any] = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    for _ in range(10):
        ends = [end for end in ends if not _done(end)]


def _done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _said(error: Exception) -> str:
    """What OpenSSL says, in small letters and without numbers."""
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error)
