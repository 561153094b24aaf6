"""Passages: the keys by which a lease's client and its exporter know each other, and the ticket that lets the client in.

Every lease and client have an authority of their own, whose key follows from the lab's: it is not stored, and is the same
after a restart. What it signs is of no use for another lease, or for another client of the same one. The leaf keys are made
anew for whoever asks.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from jumpstarter.common.passages import EXPORTER_NAME

from jumpstarter_controller.model import Role

from .authenticator import Principal
from .authority import Issuer, pem
from .keys import private_pem
from .tokens import Claims

#: What a certificate is good for ends with its lease: no clock of an exporter or client needs to be right for it.
BEGIN: Final = datetime(2000, 1, 2, tzinfo=UTC)
LIFETIME: Final = timedelta(days=200 * 365)

_ISSUER: Final = "https://jumpstarter.dev/passage"
_ALGORITHM: Final = "HS256"
_USAGE: Final = {
    Role.CLIENT: ("client.jumpstarter.invalid", ExtendedKeyUsageOID.CLIENT_AUTH),
    Role.EXPORTER: (EXPORTER_NAME, ExtendedKeyUsageOID.SERVER_AUTH),
}
#: The order of P-256's group (FIPS 186-5, SP 800-186 section 3.2.1.3): private keys are below it.
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class TicketRefused(Exception):
    """The ticket opens nothing. The text says why, without the ticket."""


@dataclass(frozen=True)
class PassageKeys:
    """PEM: what the other side is verified with, and the caller's own certificate and key."""

    authority: str
    certificate: str
    key: str


class PassageAuthority:
    """Makes the keys and tickets of passages from the lab's *secret*, which only the controller has."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def keys(self, lease: str, client: str, side: Role) -> PassageKeys:
        """For one *side* of *client*'s passage to the exporter of *lease*."""
        issuer = Issuer.self_signed(self._authority_key(lease, client), "Jumpstarter lease", BEGIN, LIFETIME)
        name, usage = _USAGE[side]
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issuer.sign(key.public_key(), "Jumpstarter passage", {name}, usage, BEGIN, LIFETIME)
        return PassageKeys(pem(issuer.certificate).decode(), pem(certificate).decode(), private_pem(key))

    def _authority_key(self, lease: str, client: str) -> ec.EllipticCurvePrivateKey:
        digest = hmac.digest(self._secret, f"authority\0{lease}\0{client}".encode(), hashlib.sha512)
        return ec.derive_private_key(int.from_bytes(digest) % (_ORDER - 1) + 1, ec.SECP256R1())

    def ticket(self, lease: str, claims: Claims) -> str:
        """What lets the client of *claims* in, again and again while the lease is theirs and their token is valid."""
        import jwt

        said = {
            "iss": _ISSUER,
            "aud": [_ISSUER],
            "lease": lease,
            "namespace": claims.namespace,
            "sub": claims.name,
            "uid": claims.uid,
            "token": claims.token_id,
            "iat": claims.issued.timestamp(),
            "exp": claims.expires.timestamp(),
        }
        return jwt.encode(said, self._secret, algorithm=_ALGORITHM)

    def check(self, ticket: str) -> tuple[str, Principal]:
        """(lease, client) of *ticket*. Raises TicketRefused."""
        import jwt

        try:
            said = jwt.decode(ticket, self._secret, algorithms=[_ALGORITHM], audience=_ISSUER, issuer=_ISSUER)
            claims = Claims(
                Role.CLIENT,
                said["namespace"],
                said["sub"],
                said["uid"],
                said["token"],
                datetime.fromtimestamp(said["iat"], UTC),
                datetime.fromtimestamp(said["exp"], UTC),
            )
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise TicketRefused("the ticket is not one of this lab's, or has expired") from None
        return str(said["lease"]), Principal(
            Role.CLIENT, claims.namespace, claims.name, claims.token_id, claims
        )
