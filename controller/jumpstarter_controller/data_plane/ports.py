"""The router and its joint, served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

import grpc
from jumpstarter.common.addresses import split_address
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.grpc import DATA_ALIVE, FLOW
from jumpstarter_router.joint import Gate, Joint
from jumpstarter_router.service import RouterService
from jumpstarter_router.tokens import TokenAuthority

from jumpstarter_controller.identity.certificates import server_credentials

from .settings import PlaneSettings

logger = logging.getLogger("jumpstarter.router")

#: Seconds that streams may take to end when the router stops.
GRACE: Final = 2.0
#: Seconds that streams of a router that takes no new ones may go on: leases end before.
DRAIN: Final = 30 * 86400.0

SERVER_OPTIONS: Final[Sequence[tuple[str, Any]]] = (
    *FLOW,
    # A second server on the port is an error, not a silent share of the calls.
    ("grpc.so_reuseport", 0),
    # Peers ping every 20 s without data.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # A peer that vanished without a word must not look alive for long.
    *DATA_ALIVE.items(),
    # Whoever connects and says nothing, or half of it, is sent away.
    ("grpc.server_handshake_timeout_ms", 10_000),
)


class Ports:
    """Serves the router and, where there is one, the joint, whose clients *gate* knows.

    `router_port` and `joint_port` are known after `start`; the latter is 0 without a joint. Nothing is known of cuts before
    *since*, a stamp: tokens of before are void.
    """

    def __init__(self, settings: PlaneSettings, gate: Gate, since: float) -> None:
        authority = TokenAuthority(settings.data.router_key(), since)
        self.router = RouterService(authority)
        self.joint = Joint(authority, gate)
        self.router_port = 0
        self.joint_port = 0
        self._settings = settings
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when an address cannot be used, or the certificate cannot."""
        self._server.add_generic_rpc_handlers((self.router.handlers(),))
        credentials = server_credentials(self._settings.certificates())
        self.router_port = bind(
            self._server, self._settings.listen, credentials, "router.listen, --router-listen"
        )
        await self._server.start()
        self.joint_port = await self._start_joint()

    async def _start_joint(self) -> int:
        address = self._settings.joint_address(self.router_port)
        if not address:
            return 0
        try:
            return await self.joint.start(*split_address(address))
        except OSError as error:
            problem = (
                f"cannot listen on {address}: {error.strerror or error}; choose another (router.joint.listen"
            )
            if self._settings.joint is not None:
                raise ConfigurationError(f"{problem}, '' for none)") from None
            logger.warning("connections to boards go the slower way, without a joint: %s)", problem)
            return 0

    async def drain(self) -> None:
        """Take no new connections, and give up the addresses; what is open goes on."""
        await self.joint.close_listeners()
        self._draining = asyncio.create_task(self._server.stop(DRAIN))
        await asyncio.sleep(0)  # the listeners are closed in the task's first step

    async def stop(self) -> None:
        """End everything."""
        await self.joint.stop()
        await self._server.stop(GRACE)
        if self._draining is not None:
            await self._draining

    def cut(self, lease: str, stamp: float | None = None) -> None:
        """End all that is open for *lease*, and refuse its tokens of before *stamp*, by default of before now."""
        self.router.cut(lease, stamp)
        self.joint.cut(lease, stamp)

    @property
    def leases(self) -> set[str]:
        """The leases for which something is open."""
        return self.router.leases | self.joint.leases


def bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials, option: str) -> int:
    """Have *server* listen on *address*, which *option* sets; gives the port. Raises ConfigurationError."""
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise ConfigurationError(
            f"cannot listen on {address}: another process uses the port, or the address is not this machine's; "
            f"choose another ({option})"
        )
    return port
