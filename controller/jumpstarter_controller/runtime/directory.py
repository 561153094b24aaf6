"""What the authenticator looks up about identities: in the lab's memory, or in a draft of what the lab will be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from jumpstarter_controller.model import Client, Exporter, Role, Token

from .draft import Draft
from .identities import ADMINISTRATOR_UID
from .lab import Lab

T = TypeVar("T", covariant=True)


class _Table(Protocol[T]):
    def get(self, name: str, /) -> T | None: ...
    def values(self) -> Iterable[T]: ...


class _Records(Protocol):
    @property
    def clients(self) -> _Table[Client]: ...
    @property
    def exporters(self) -> _Table[Exporter]: ...
    @property
    def tokens(self) -> _Table[Token]: ...


class RecordsDirectory:
    """`jumpstarter_controller.identity.authenticator.Directory` over the *records* and the time that these give."""

    def __init__(self, records: Callable[[], _Records], now: Callable[[], datetime]) -> None:
        self._records = records
        self._now = now

    def uid(self, role: Role, name: str) -> str | None:
        records = self._records()
        if role is Role.ADMINISTRATOR:
            # The token's own record is what tells; see `token`.
            return ADMINISTRATOR_UID
        found = records.clients.get(name) if role is Role.CLIENT else records.exporters.get(name)
        return found.uid if found is not None else None

    def token(self, token_id: str) -> Token | None:
        return self._records().tokens.get(token_id)

    def rotated_at(self, role: Role, name: str) -> datetime | None:
        now = self._now()
        revoked = (
            token.revoked_at
            for token in self._records().tokens.values()
            if token.role is role and token.owner == name and token.revoked_at is not None
        )
        return max((moment for moment in revoked if moment <= now), default=None)


def lab_directory(lab: Lab) -> RecordsDirectory:
    """What holds now."""
    return RecordsDirectory(lambda: lab.records, lab.now)


def draft_directory(draft: Draft) -> RecordsDirectory:
    """What will hold when the operations before have been stored."""
    return RecordsDirectory(lambda: draft, lambda: draft.now)
