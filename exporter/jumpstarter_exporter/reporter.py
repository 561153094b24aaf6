"""Status reports, in the order in which they were made."""

from __future__ import annotations

import asyncio
import logging

import grpc
from jumpstarter.client.lab import refusal_kind
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.registrations import SUPERSEDED

from .link import ControllerLink

logger = logging.getLogger(__name__)


class Reporter:
    """Sends each report after the one before it has arrived; an outage delays them and loses none."""

    def __init__(self, link: ControllerLink) -> None:
        self._link = link
        self._queue: asyncio.Queue[tuple[ExporterStatus, str]] = asyncio.Queue()
        self.last: tuple[ExporterStatus, str] = (ExporterStatus.AVAILABLE, "")

    def report(self, status: ExporterStatus, message: str = "") -> None:
        """Have *status* reported."""
        self.last = (status, message)
        self._queue.put_nowait(self.last)

    async def run(self) -> None:
        """Send reports until cancelled."""
        while True:
            status, message = await self._queue.get()
            try:
                await self._link.report(status, message)
            except grpc.aio.AioRpcError as error:
                if refusal_kind(error) == SUPERSEDED:
                    continue  # the newer process speaks for the exporter
                logger.error("the controller refused the status %s: %s", status, error.details())
            finally:
                self._queue.task_done()

    async def flush(self, timeout: float) -> None:
        """Wait until all reports have arrived, *timeout* seconds at the most."""
        try:
            async with asyncio.timeout(timeout):
                await self._queue.join()
        except TimeoutError:
            logger.warning("status reports did not reach the controller in %g s", timeout)
