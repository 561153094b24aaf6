"""Tokens of clients, exporters and administrators: JSON Web Tokens, ES256, verified where they are issued.

Issuer, audience and the form of the subject are those of stock Jumpstarter (``client:NAMESPACE:NAME:UID``), so that its
tokens can be accepted. Ours carry a key id in the header and an id of their own (``jti``), by which they are revoked.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from jumpstarter_controller.model import Role

from .keys import KeyRing

ISSUER: Final = "https://localhost:8085"
AUDIENCE: Final = "jumpstarter"
#: The claim with the SHA-256 of the lab's certificate authority: ``jmp login`` gives the token to no other lab.
AUTHORITY_CLAIM: Final = "jmp_ca"
DEFAULT_LIFETIME: Final = timedelta(days=365)

_REQUIRED: Final = ("exp", "iat", "sub")
#: A stock installation's key can be found by trial: what it signs makes nobody an administrator.
_FOREIGN_ROLES: Final = (Role.CLIENT, Role.EXPORTER)


class TokenRefused(Exception):
    """Raised for a token that is not accepted; the text says why, and never holds the token."""


@dataclass(frozen=True)
class Token:
    """A token as it is handed out."""

    text: str
    id: str
    issued: datetime
    expires: datetime


@dataclass(frozen=True)
class Claims:
    """What a verified token says. *token_id* is empty for a token of stock Jumpstarter."""

    role: Role
    namespace: str
    name: str
    uid: str
    token_id: str
    issued: datetime
    expires: datetime


@dataclass(frozen=True)
class TokenService:
    """Issues and verifies tokens.

    Args:
        keys: what signs and verifies.
        lifetime: how long a token is valid.
        foreign_key: verifies tokens without a key id, those of a stock installation; None refuses them.
        now: the clock.
        authority: gives the SHA-256 of the lab's certificate authority that goes into tokens, "" for none.
    """

    keys: KeyRing
    lifetime: timedelta = DEFAULT_LIFETIME
    foreign_key: ec.EllipticCurvePublicKey | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    authority: Callable[[], str] = lambda: ""

    def issue(self, role: Role, namespace: str, name: str, uid: str) -> Token:
        """A new token for that identity."""
        issued = self.now().replace(microsecond=0)
        expires, token_id = issued + self.lifetime, str(uuid.uuid4())
        claims = {
            "iss": ISSUER,
            "sub": f"{role.value}:{namespace}:{name}:{uid}",
            "aud": [AUDIENCE],
            "iat": int(issued.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": token_id,
        }
        if authority := self.authority():
            claims[AUTHORITY_CLAIM] = authority
        text = jwt.encode(claims, self.keys.private, algorithm="ES256", headers={"kid": self.keys.signing_id})
        return Token(text, token_id, issued, expires)

    def verify(self, text: str) -> Claims:
        """What the token *text* says. Raises TokenRefused."""
        try:
            header = jwt.get_unverified_header(text)
            foreign, key = "kid" not in header, self._key(header)
            claims = jwt.decode(
                text,
                key,
                algorithms=["ES256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                # The clock is ours: see _check_expiry.
                options={
                    "require": [*_REQUIRED, *([] if foreign else ["jti"])],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(f"the token is not valid here: {error}") from None
        return self._foreign(self._claims(claims)) if foreign else self._claims(claims)

    def _foreign(self, claims: Claims) -> Claims:
        """*claims* of a stock installation's token, which has no number of ours. Raises TokenRefused."""
        if claims.role not in _FOREIGN_ROLES:
            raise TokenRefused(f"a token of a stock installation cannot be that of an {claims.role.value}")
        if claims.issued > self.now():
            raise TokenRefused(
                "the token of a stock installation was issued in the future: is a clock wrong?"
            )
        return replace(claims, token_id="")

    def _key(self, header: Mapping[str, object]) -> ec.EllipticCurvePublicKey:
        key_id = header.get("kid")
        if key_id is None:
            if self.foreign_key is None:
                raise TokenRefused("the token names no key: it was not issued by this controller")
            return self.foreign_key
        key = self.keys.public.get(str(key_id))
        if key is None:
            raise TokenRefused("the token is signed by a key that this controller does not have (any more)")
        return key

    def _claims(self, claims: Mapping[str, object]) -> Claims:
        match str(claims["sub"]).split(":"):
            case [role, namespace, name, uid] if role in {each.value for each in Role}:
                pass
            case _:
                raise TokenRefused("the token's subject is not of the form ROLE:NAMESPACE:NAME:UID")
        issued, expires = (_time(claims[key]) for key in ("iat", "exp"))
        if self.now() >= expires:
            # Stock clients look for these words.
            raise TokenRefused(f"token is expired (since {expires:%Y-%m-%d %H:%M:%S} UTC); ask for a new one")
        return Claims(Role(role), namespace, name, uid, str(claims.get("jti") or ""), issued, expires)


def _time(seconds: object) -> datetime:
    if not isinstance(seconds, int | float):
        raise TokenRefused("the token's times are not numbers")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise TokenRefused("the token's times are beyond the calendar") from None
