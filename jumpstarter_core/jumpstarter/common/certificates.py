"""The certificate that a TLS server presents, taken without verifying it: for those who asked for just that."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from .addresses import split_address
from .exceptions import ConnectionError


def presented_certificate(host: str, timeout: float = 5.0) -> tuple[bytes, str]:
    """The certificate (PEM) that the server at *host* presents, unverified, and a name that it is valid for."""
    address = split_address(host)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    pem = _peer(
        address, context, timeout, lambda s: ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True) or b"")
    )
    # The names in a certificate are only told for one that was verified: so verify it against itself.
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    names = _peer(address, context, timeout, lambda s: dict(s.getpeercert() or {}).get("subjectAltName", ()))
    return pem.encode(), next((value for _, value in names), address[0])


def _peer(address: tuple[str, int], context: ssl.SSLContext, timeout: float, ask: Any) -> Any:
    try:
        with socket.create_connection(address, timeout) as plain:
            context.set_alpn_protocols(["h2"])
            with context.wrap_socket(plain, server_hostname=address[0]) as secure:
                return ask(secure)
    except OSError as error:
        raise ConnectionError(f"cannot get the certificate of {address[0]}:{address[1]}: {error}") from None
