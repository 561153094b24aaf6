"""A session on a unix socket with one client, for the tests of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jumpstarter.exporter import Session

from .lab import Lab


@dataclass
class Bench:
    """A session on a unix socket with one client."""

    lab: Lab
    other: Lab
    session: Session
    path: str
    client: Any

    @property
    def stub(self) -> Any:
        return self.client.stub
