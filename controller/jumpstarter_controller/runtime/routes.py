"""Which router a client and an exporter meet at."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jumpstarter_router.tokens import Side, TokenAuthority

from jumpstarter_controller.model import Exporter, Lease

from .listeners import Call


@dataclass(frozen=True)
class Router:
    """A router, and the labels of the exporters that it is for; without labels it is for any. *own*: it is in this process."""

    endpoint: str
    labels: Mapping[str, str] = field(default_factory=dict)
    own: bool = False

    def fits(self, exporter: Exporter) -> int:
        """How many of its labels are the exporter's; -1 when one is not."""
        if any(exporter.labels.get(key) != value for key, value in self.labels.items()):
            return -1
        return len(self.labels)


class RouterChoice:
    """The router that fits best; any one of those that fit equally well."""

    def __init__(
        self, routers: Sequence[Router], authority: TokenAuthority, now: Callable[[], datetime]
    ) -> None:
        self._routers = routers
        self._authority = authority
        self._now = now

    def dial(self, lease: Lease, exporter: Exporter) -> tuple[Call, Call]:
        """Where to meet for a new stream of *lease*: for the client, and for the exporter."""
        router = secrets.choice(self._best(exporter))
        tokens = self._authority.issue(lease.name, self._now().timestamp())
        return (
            Call(router.endpoint, tokens[Side.CLIENT]),
            Call(router.endpoint, tokens[Side.EXPORTER], lease.client),
        )

    def is_own(self, exporter: Exporter) -> bool:
        """Whether the router in this process is one of those that fit *exporter* best."""
        return any(router.own for router in self._best(exporter))

    def _best(self, exporter: Exporter) -> list[Router]:
        best = max(router.fits(exporter) for router in self._routers)
        return [router for router in self._routers if router.fits(exporter) == best]
