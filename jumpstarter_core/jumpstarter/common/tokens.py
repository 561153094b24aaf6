"""What a token says about itself. Nothing is verified here: that is the controller's business."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

#: Before its end, users of a token are told for so long.
NOTICE: Final = timedelta(days=7)


@dataclass(frozen=True)
class TokenClaims:
    """The claims of a token; None where it does not make them. *authority* is the SHA-256 of the lab's certificate authority."""

    subject: str | None
    issuer: str | None
    expires: datetime | None
    issued: datetime | None = None
    authority: str | None = None

    @property
    def identity(self) -> tuple[str, str, str] | None:
        """(client or exporter, namespace, name) of a token that a controller issued; else None."""
        parts = (self.subject or "").split(":")
        return (parts[0], parts[1], parts[2]) if len(parts) == 4 else None


def read_token(token: str) -> TokenClaims | None:
    """The claims of *token*; None when it is not a JWT (RFC 7519)."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(claims, dict):
        return None
    return TokenClaims(
        subject=_text(claims.get("sub")),
        issuer=_text(claims.get("iss")),
        expires=_moment(claims.get("exp")),
        issued=_moment(claims.get("iat")),
        authority=_text(claims.get("jmp_ca")),
    )


def ends_soon(token: str, whose: str, renewal: str, now: datetime) -> str:
    """What to tell the user of a *token* that expires soon; "" while it does not, or when it does not say.

    Soon is within a week, and within the last tenth of its life. *whose* it is, and what a *renewal* takes, are told.
    """
    claims = read_token(token)
    if claims is None or claims.expires is None:
        return ""
    left = claims.expires - now
    soon = NOTICE if claims.issued is None else min(NOTICE, (claims.expires - claims.issued) / 10)
    if not timedelta(0) < left <= soon:
        return ""
    days, when = left // timedelta(days=1), f"{claims.expires.astimezone():%Y-%m-%d %H:%M}"
    within = f"in {days} days" if days > 1 else f"in {max(round(left.total_seconds() / 60), 1)} minutes"
    return f"the token of {whose} expires {within} ({when}): {renewal}"


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None
    except (OverflowError, ValueError, OSError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
