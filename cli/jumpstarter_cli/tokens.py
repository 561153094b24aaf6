"""What a token says about itself. Nothing is verified here: that is the controller's business."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class TokenClaims:
    """The claims of a token; None where it does not make them. *authority* is the SHA-256 of the lab's certificate authority."""

    subject: str | None
    issuer: str | None
    expires: datetime | None
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
    expires = claims.get("exp")
    return TokenClaims(
        subject=_text(claims.get("sub")),
        issuer=_text(claims.get("iss")),
        expires=datetime.fromtimestamp(expires, UTC) if isinstance(expires, int | float) else None,
        authority=_text(claims.get("jmp_ca")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
