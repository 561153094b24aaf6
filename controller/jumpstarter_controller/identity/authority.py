"""The lab's private certificate authority, made once and kept, and the server certificate that it signs.

Clients are given the authority's certificate with their credentials, so what they verify stays the same while the
server certificate follows the names of the machine.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.config.files import write_atomically
from jumpstarter.config.loader import display_path

from .keys import private_pem

AUTHORITY_LIFETIME: Final = timedelta(days=20 * 365)
# Some TLS stacks refuse server certificates that are valid for longer.
SERVER_LIFETIME: Final = timedelta(days=397)
RENEW_BEFORE: Final = timedelta(days=30)
# Clocks of boards and of virtual machines are late at times.
BACKDATED: Final = timedelta(days=1)


@dataclass(frozen=True)
class ServerCertificate:
    """What a TLS server presents: its key and chain, and the authority that clients verify it with (PEM each)."""

    key: bytes
    chain: bytes
    authority: bytes


@dataclass(frozen=True)
class Issuer:
    """A key that signs certificates, and its own one."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def self_signed(
        cls, key: ec.EllipticCurvePrivateKey, name: str, now: datetime, lifetime: timedelta
    ) -> Issuer:
        """An authority called *name*, valid from *now* on, that signs leaf certificates only."""
        usage = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def sign(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        hosts: Collection[str],
        usage: x509.ObjectIdentifier,
        now: datetime,
        lifetime: timedelta,
    ) -> x509.Certificate:
        """A certificate called *name* for *key*, valid for *hosts* (names and addresses) and for *usage*."""
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(min(now + lifetime, self.certificate.not_valid_after_utc))
            .add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in sorted(hosts)]), False
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256())
        )


@dataclass(frozen=True)
class Authority:
    """A certificate authority in *folder*: ``ca.pem``, ``ca-key.pem`` (0600), ``server.pem`` and ``server-key.pem``."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @classmethod
    def open(cls, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Authority:
        """The authority in *folder*, made where there is none.

        Raises ConfigurationError for files that are not its key and certificate, FileAccessError when they cannot be used.
        """
        if not (folder / "ca.pem").exists():
            _make_authority(folder, now())
        key, certificate = _load_pair(folder / "ca-key.pem", folder / "ca.pem")
        return cls(folder, key, certificate, now)

    def server_certificate(self, names: Collection[str]) -> ServerCertificate:
        """A certificate valid for *names* (host names and addresses): the kept one while it covers them, else a new one."""
        certificate_path, key_path = self.folder / "server.pem", self.folder / "server-key.pem"
        if not self._serves(certificate_path, key_path, names):
            key = ec.generate_private_key(ec.SECP256R1())
            issuer = Issuer(self.key, self.certificate)
            usage = ExtendedKeyUsageOID.SERVER_AUTH
            certificate = issuer.sign(
                key.public_key(), "Jumpstarter lab", names, usage, self.now(), SERVER_LIFETIME
            )
            write_atomically(key_path, private_pem(key))
            write_atomically(certificate_path, (pem(certificate) + pem(self.certificate)).decode())
        return ServerCertificate(key_path.read_bytes(), certificate_path.read_bytes(), pem(self.certificate))

    def _serves(self, certificate_path: Path, key_path: Path, names: Collection[str]) -> bool:
        try:
            certificate = _load_pair(key_path, certificate_path)[1]
            certificate.verify_directly_issued_by(self.certificate)
        except (ConfigurationError, InvalidSignature, ValueError, TypeError):
            return False
        late = certificate.not_valid_after_utc - self.now() < RENEW_BEFORE
        return not late and set(names) <= _names_of(certificate)


def own_names() -> set[str]:
    """The names and addresses that this machine can be reached under without asking anybody."""
    names = {"localhost", "127.0.0.1", "::1"}
    host = socket.gethostname().rstrip(".")
    if host and len(host) <= 64:
        names.add(host)
    address = primary_address()
    return names | {address} if address else names


def primary_address() -> str | None:
    """The address that this machine has towards others; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(
                ("192.0.2.1", 9)
            )  # TEST-NET-1 of RFC 5737; connecting a datagram socket sends nothing
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address


def _make_authority(folder: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = Issuer.self_signed(key, "Jumpstarter lab authority", now, AUTHORITY_LIFETIME)
    # The certificate last: with it the authority exists.
    write_atomically(folder / "ca-key.pem", private_pem(key))
    write_atomically(folder / "ca.pem", pem(issuer.certificate).decode())


def _load_pair(key_path: Path, certificate_path: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{display_path(certificate_path)} and {display_path(key_path)} cannot be used: {error}"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigurationError(
            f"{display_path(key_path)} is not the key of {display_path(certificate_path)}; restore the pair from a "
            "backup, or delete both for a new one (clients then need the new certificate)"
        )
    return key, certificate


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName)) | {
        str(address) for address in names.get_values_for_type(x509.IPAddress)
    }


def pem(certificate: x509.Certificate) -> bytes:
    """*certificate* as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)
