"""Clients, and the tokens by which clients, exporters and administrators are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class Client:
    """Who may lease. *username* is an external identity that may act as this client, if any."""

    name: str
    uid: str
    created_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    username: str | None = None


class Role(Enum):
    """What a token is for."""

    CLIENT = "client"
    EXPORTER = "exporter"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is kept of a token that was issued: never the token itself. *id* is its ``jti``."""

    id: str
    role: Role
    owner: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and now < self.expires_at
