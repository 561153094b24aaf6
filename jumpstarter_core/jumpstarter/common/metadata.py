"""What drivers and their clients have in common: an identity and labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

CLIENT_LABEL = "jumpstarter.dev/client"
NAME_LABEL = "jumpstarter.dev/name"


@dataclass(kw_only=True)
class Metadata:
    """`uuid` is the identity of a driver instance; `labels` are free, two of them are interpreted:

    ``jumpstarter.dev/client`` (import path of the client class) and ``jumpstarter.dev/name`` (key below the parent).
    """

    uuid: UUID = field(default_factory=uuid4)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The driver's key below its parent, or "unknown"."""
        return self.labels.get(NAME_LABEL, "unknown")
