"""What the authenticator looks up, in the lab's memory."""

from __future__ import annotations

from datetime import datetime

from jumpstarter_controller.model import Role, Token

from .identities import ADMINISTRATOR_UID
from .lab import Lab


class LabDirectory:
    """`jumpstarter_controller.identity.authenticator.Directory` of a running lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def uid(self, role: Role, name: str) -> str | None:
        records = self._lab.records
        if role is Role.ADMINISTRATOR:
            # The token's own record is what tells; see `token`.
            return ADMINISTRATOR_UID
        found = records.clients.get(name) if role is Role.CLIENT else records.exporters.get(name)
        return found.uid if found is not None else None

    def token(self, token_id: str) -> Token | None:
        return self._lab.records.tokens.get(token_id)

    def rotated_at(self, role: Role, name: str) -> datetime | None:
        now = self._lab.now()
        revoked = (
            token.revoked_at
            for token in self._lab.records.tokens.values()
            if token.role is role and token.owner == name and token.revoked_at is not None
        )
        return max((moment for moment in revoked if moment <= now), default=None)
