"""The client's end of a passage: one TLS connection to the leased exporter, through a joint that does not read it.

It is twice as fast as what is dialled through a router, which has to take every byte apart and put it together
again. Where there is none (another controller, an older exporter, a port that a firewall keeps closed) clients dial.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc

from jumpstarter.common.addresses import split_address
from jumpstarter.common.exceptions import ConnectionError, LeaseError
from jumpstarter.common.grpc import DATA_ALIVE, FAR_FLOW, KEEPALIVE, close_channel
from jumpstarter.common.interrupts import Shield, result_of
from jumpstarter.common.passages import EXPORTER_NAME

if TYPE_CHECKING:
    from jumpstarter.client.lab import Lab

logger = logging.getLogger("jumpstarter.lease")

#: Seconds that the joint gets to take a connection; one that does not is not reachable from here.
PROBE_TIMEOUT: Final = 1.0
#: Seconds for the way to an exporter that is ready, with all of its handshakes.
TRIAL: Final = 15.0
_TARGET: Final = f"{EXPORTER_NAME}:443"

#: Seconds for the controller to say what is wrong.
PROBLEM_TIMEOUT: Final = 2.0


@dataclass(frozen=True)
class Passage:
    """What opens a passage to the exporter of *lease*, again and again; `joint` is where it goes through."""

    lease: str
    joint: str
    _ticket: str = field(repr=False)
    _credentials: grpc.ChannelCredentials = field(repr=False)
    _lab: Lab = field(repr=False)

    def channel(self, options: Sequence[tuple[str, Any]]) -> grpc.Channel:
        """A channel for threads, with a connection of its own."""
        return grpc.secure_channel(_TARGET, self._credentials, options=self._options(options))

    def aio_channel(self, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
        """A channel for coroutines, with a connection of its own."""
        return grpc.aio.secure_channel(_TARGET, self._credentials, options=self._options(options))

    def opened(self, options: Sequence[tuple[str, Any]]) -> grpc.Channel | None:
        """A channel for threads that is connected; None when that takes too long."""
        with Shield():
            channel = self.channel(options)
            ready = grpc.channel_ready_future(channel)
        try:
            result_of(ready, TRIAL)
        except TimeoutError:
            close_channel(channel)
            self._warn()
            return None
        except BaseException:
            close_channel(channel)
            raise
        return channel

    async def aio_opened(self, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel | None:
        """A channel for coroutines that is connected; None when that takes too long."""
        channel = self.aio_channel(options)
        try:
            async with asyncio.timeout(TRIAL):
                await channel.channel_ready()
        except TimeoutError:
            await channel.close()
            self._warn()
            return None
        except BaseException:
            await channel.close()
            raise
        return channel

    @property
    def problem(self) -> str | None:
        """Why the controller would let nobody through now; None when it would, or does not say."""
        try:
            self._lab.open_passage(self.lease, PROBLEM_TIMEOUT)
        except (ConnectionError, LeaseError) as error:
            return str(error)
        return None

    def _warn(self) -> None:
        logger.warning(
            "the passage by %s does not open within %g s: dialling, which is slower", self.joint, TRIAL
        )

    def _options(self, more: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        # The joint is the proxy; the target's name means something to the exporter's certificate only.
        proxy = f"http://client:{self._ticket}@{self.joint}"
        return [
            *{**dict(KEEPALIVE), **dict(more), **DATA_ALIVE, **dict(FAR_FLOW)}.items(),
            ("grpc.http_proxy", proxy),
            ("grpc.enable_http_proxy", 1),
        ]


def find_passage(lab: Lab, lease: str, timeout: float) -> Passage | None:
    """The passage to the exporter of *lease*, which gets *timeout* seconds to be ready; None where there is none."""
    try:
        found = lab.open_passage(lease, timeout)
        with socket.create_connection(split_address(found.endpoint), PROBE_TIMEOUT):
            pass
    except (ConnectionError, LeaseError, OSError) as error:
        logger.debug("no passage to the exporter of lease %s: %s", lease, error)
        return None
    credentials = grpc.ssl_channel_credentials(
        found.authority.encode(), found.key.encode(), found.certificate.encode()
    )
    return Passage(lease, found.endpoint, found.ticket, credentials, lab)
