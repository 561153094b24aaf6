"""What a controller tells the client of a configuration, asked over a connection for each question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from jumpstarter.client.grpc import ClientService, ExporterList, Lease, LeaseList
from jumpstarter.common.grpc import aio_secure_channel, ssl_channel_credentials, with_call_credentials
from jumpstarter.common.portal import LazyPortal
from jumpstarter.config.grpc import call_credentials

from .controller import RECONNECTING, require_controller

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from jumpstarter.config.client import ClientConfigV1Alpha1

    from .objects import Lease as LeaseObject

T = TypeVar("T")


async def controller_channel(config: ClientConfigV1Alpha1) -> grpc.aio.Channel:
    """A channel to the controller of *config* that tells it who calls. The caller closes it.

    Raises ConfigurationError when *config* names no controller, ConnectionError when an unverified certificate cannot be
    fetched.
    """
    endpoint, token = require_controller(config)
    credentials = with_call_credentials(
        await ssl_channel_credentials(endpoint, config.tls),
        call_credentials("Client", config.metadata, token),
    )
    return aio_secure_channel(endpoint, credentials, {**RECONNECTING, **config.grpcOptions})


def ask(
    config: ClientConfigV1Alpha1, question: Callable[[ClientService], Awaitable[T]]
) -> T | Coroutine[Any, Any, T]:
    """The answer to *question*; for callers on a running event loop, a coroutine that gives it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _asked_aside(config, question)
    return _ask(config, question)


def _asked_aside(config: ClientConfigV1Alpha1, question: Callable[[ClientService], Awaitable[T]]) -> T:
    """The answer, by a loop on a thread of its own: signals meet the main thread, and a loop there may not survive them."""
    portal = LazyPortal("a question to the controller")
    try:
        return portal.run(_ask(config, question))
    finally:
        portal.close()


async def _ask(config: ClientConfigV1Alpha1, question: Callable[[ClientService], Awaitable[T]]) -> T:
    async with _service(config) as service:
        return await question(service)


@asynccontextmanager
async def _service(config: ClientConfigV1Alpha1) -> AsyncGenerator[ClientService]:
    async with await controller_channel(config) as channel:
        yield ClientService(channel=channel, namespace=config.metadata.namespace or "default")


async def all_exporters(
    service: ClientService, *, leases: bool, page_size: int, options: dict[str, Any], **asked: Any
) -> ExporterList:
    """All pages of exporters, with their *leases* where wanted; *asked* is for ListExporters, *options* for the list."""
    pages = [await service.ListExporters(page_size=page_size, **asked)]
    while pages[-1].next_page_token:
        pages.append(
            await service.ListExporters(page_size=page_size, page_token=pages[-1].next_page_token, **asked)
        )
    exporters = [exporter for page in pages for exporter in page.exporters]
    if leases:
        found = await all_leases(service, page_size=page_size)
        held: dict[str, Lease] = {lease.exporter: lease for lease in found.leases if lease.exporter}
        for exporter in exporters:
            exporter.lease = held.get(exporter.name)
    return ExporterList(exporters=exporters, next_page_token=None, include_leases=leases, **options)


async def all_leases(service: ClientService, *, page_size: int, **asked: Any) -> LeaseList:
    """All pages of leases; *asked* is for ListLeases."""
    pages = [await service.ListLeases(page_size=page_size, **asked)]
    while pages[-1].next_page_token:
        pages.append(
            await service.ListLeases(page_size=page_size, page_token=pages[-1].next_page_token, **asked)
        )
    return LeaseList(leases=[lease for page in pages for lease in page.leases], next_page_token=None)


@asynccontextmanager
async def leasing(
    config: ClientConfigV1Alpha1, portal: BlockingPortal, name: str | None, **options: Any
) -> AsyncGenerator[LeaseObject]:
    """A `Lease` as *config* has it; one that *name* names stays at the end."""
    from .objects import Lease as LeaseObject

    async with await controller_channel(config) as channel:
        settings = {
            "acquisition_timeout": config.leases.acquisition_timeout,
            "retry_timeout": config.leases.retry_timeout,
            **{key: value for key, value in options.items() if value is not None},
        }
        async with LeaseObject(
            channel=channel,
            selector=settings.pop("selector", None),
            portal=portal,
            namespace=config.metadata.namespace or "default",
            name=name or None,
            allow=config.drivers.allow,
            unsafe=config.drivers.unsafe,
            release=not name,
            tls_config=config.tls,
            grpc_options=config.grpcOptions,
            client_name=config.metadata.name,
            dial_timeout=config.leases.dial_timeout,
            **settings,
        ) as lease:
            yield lease
