"""Where the server's certificate comes from, and gRPC credentials that follow it when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import grpc
from jumpstarter.common.exceptions import ConfigurationError, FileAccessError
from jumpstarter.config.loader import display_path

from .authority import Authority, ServerCertificate

logger = logging.getLogger(__name__)


class CertificateSource(Protocol):
    """Gives the certificate to present now. Asked at every handshake, by several threads."""

    def current(self) -> ServerCertificate: ...


@dataclass
class OwnCertificate:
    """The certificate that the lab's own *authority* signs for *names*, renewed before it expires."""

    authority: Authority
    names: frozenset[str]

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._looked = self.authority.now()
        self._certificate = self.authority.server_certificate(self.names)

    def current(self) -> ServerCertificate:
        with self._lock:
            now = self.authority.now()
            if (now - self._looked).days >= 1:
                self._looked, self._certificate = now, self.authority.server_certificate(self.names)
            return self._certificate


class CertificateFiles:
    """A certificate, its key and the authority that signed it, read from files again when they change.

    Raises ConfigurationError, FileAccessError for files that cannot be used at the start; later such files are logged,
    and the certificate before them stays.
    """

    def __init__(self, certificate: Path, key: Path, authority: Path | None = None) -> None:
        self._paths = (key, certificate, authority or certificate)
        self._lock = Lock()
        self._stamp = self._stamp_now()
        self._certificate = self._read()

    def current(self) -> ServerCertificate:
        with self._lock:
            self._look()
            return self._certificate

    def _look(self) -> None:
        try:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                # The stamp first: what is wrong now is told once, not at every handshake.
                self._stamp = stamp
                self._certificate = self._read()
                logger.info("serving the new certificate %s", display_path(self._paths[1]))
        except (ConfigurationError, FileAccessError) as error:
            logger.error("%s; going on with the certificate before", error)

    def _stamp_now(self) -> tuple[tuple[int, int, int], ...]:
        try:
            found = [path.stat() for path in self._paths]
        except OSError as error:
            raise FileAccessError(f"{error.filename}: cannot be read: {error.strerror}") from None
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found)

    def _read(self) -> ServerCertificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        key_path, certificate_path, authority_path = self._paths
        try:
            key_pem, chain, authority = (path.read_bytes() for path in self._paths)
            key = serialization.load_pem_private_key(key_pem, None)
            certificate = x509.load_pem_x509_certificate(chain)
            x509.load_pem_x509_certificate(authority)
        except OSError as error:
            raise FileAccessError(f"{error.filename}: cannot be read: {error.strerror}") from None
        except (ValueError, TypeError) as error:
            names = ", ".join(display_path(path) for path in (key_path, certificate_path, authority_path))
            raise ConfigurationError(f"{names}: expected a key and certificates in PEM: {error}") from None
        if key.public_key() != certificate.public_key():
            raise ConfigurationError(
                f"{display_path(key_path)} is not the key of {display_path(certificate_path)}"
            )
        return ServerCertificate(key_pem, chain, authority)


def server_credentials(source: CertificateSource) -> grpc.ServerCredentials:
    """Credentials for one port of a gRPC server, which presents what *source* gives at each handshake."""

    def configuration(certificate: ServerCertificate) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(certificate.key, certificate.chain)])

    shown = source.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        now = source.current()
        if now is shown:
            return None
        shown = now
        return configuration(now)

    # None means unchanged, which the stubs do not know.
    fetch: Callable[[], Any] = changed
    return grpc.dynamic_ssl_server_credentials(
        configuration(shown), fetch, require_client_authentication=False
    )
