"""Tokens that let one peer join one stream, once.

A token is a JWT signed with a key that the controller and its routers share (HS256, RFC 7519). Issuer and audience are those
of stock Jumpstarter; `sub` is the stream. Ours also says which side it is for and which lease it belongs to: a token cannot
be used by the other side, and all streams of a lease can be cut when it ends. What was issued before a cut joins nothing
after it: the order of both is told by stamps, which are seconds that never go back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

ISSUER: Final = "https://jumpstarter.dev/stream"
AUDIENCE: Final = "https://jumpstarter.dev/router"

#: Seconds after which a token no longer opens a stream. Open streams outlive it.
LIFETIME: Final = 300
#: Seconds by which the clocks of a controller and its routers may differ.
LEEWAY: Final = 30

#: Bytes of a key, the least that HS256 asks for (RFC 7518, section 3.2).
KEY_SIZE: Final = 32


class Side(StrEnum):
    """Which end of a stream a token is for."""

    CLIENT = "client"
    EXPORTER = "exporter"


@dataclass(frozen=True)
class Ticket:
    """What a valid token says. `expiry` is in seconds since 1970; `stamp` tells the order of tokens and cuts."""

    stream: str
    side: Side
    lease: str
    expiry: float
    stamp: float = 0.0


class InvalidTokenError(Exception):
    """The token opens nothing; the text says why, without the token."""


class TokenAuthority:
    """Makes and checks tokens with a shared *key* of at least `KEY_SIZE` bytes.

    With *since*, a stamp, tokens are refused that were issued before: whoever checks them knows of no cuts of that time.
    """

    def __init__(self, key: bytes, since: float = 0.0) -> None:
        if len(key) < KEY_SIZE:
            raise ValueError(f"the router key has {len(key)} bytes: expected at least {KEY_SIZE}")
        self._key = key
        self._since = since
        self._last_stamp = 0.0
        self._cuts: dict[str, float] = {}

    def stamp(self, now: float) -> float:
        """*now*, or a bit more than the last stamp where the clock was set back."""
        self._last_stamp = max(round(now, 6), self._last_stamp + 1e-6)
        return self._last_stamp

    def void(self, lease: str, now: float, stamp: float | None = None) -> None:
        """Tokens of *lease* are refused that were issued before: before *stamp*, where another process issues them."""
        stamp = self.stamp(now) if stamp is None else stamp
        # In the order of their last cut: those that are forgotten are the first ones.
        self._cuts[lease] = max(stamp, self._cuts.pop(lease, 0.0))
        oldest = stamp - LIFETIME - 2 * LEEWAY  # of tokens that have not expired
        while self._cuts[first := next(iter(self._cuts))] < oldest:
            del self._cuts[first]

    def issue(self, lease: str, now: float) -> dict[Side, str]:
        """A token for each side of a new stream of *lease*; *now* in seconds since 1970."""
        stream = str(uuid4())
        return {side: self._sign(stream, side, lease, now) for side in Side}

    def issue_one(self, side: Side, lease: str, now: float) -> tuple[str, str]:
        """(token, stream): a token for one *side* of a new stream, whose other side needs none."""
        stream = str(uuid4())
        return self._sign(stream, side, lease, now), stream

    def _sign(self, stream: str, side: Side, lease: str, now: float) -> str:
        import jwt

        claims = {
            "iss": ISSUER,
            "aud": [AUDIENCE],
            "sub": stream,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + LIFETIME,
            "jti": str(uuid4()),
            "stamp": self.stamp(now),
            "side": side.value,
            "lease": lease,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def check(self, token: str) -> Ticket:
        """What *token* says. Raises InvalidTokenError for one that is forged, expired, void or not a router's."""
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={"require": ["exp", "sub", "jti"]},
            )
            ticket = Ticket(
                claims["sub"],
                Side(claims["side"]),
                str(claims["lease"]),
                float(claims["exp"]),
                float(claims.get("stamp", claims.get("iat", 0.0))),
            )
        except jwt.ExpiredSignatureError:
            raise InvalidTokenError("the router token has expired: dial again") from None
        except (jwt.InvalidTokenError, KeyError, ValueError):
            raise InvalidTokenError(
                "the router token is not valid: it is not one of this lab's, or was changed"
            ) from None
        if ticket.stamp <= self._since:
            raise InvalidTokenError(
                "the router token is void: the router was started after it was made; dial again"
            )
        if ticket.stamp <= self._cuts.get(ticket.lease, 0.0):
            raise InvalidTokenError(
                "the router token is void: the lease was ended or transferred after it was made"
            )
        return ticket
