"""A program for the Python API of stock Jumpstarter 0.9.0: leases of a lab whose client configuration is its argument.

Run with any of the two products, it prints the same.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from anyio import run, to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from jumpstarter.client import Lease
from jumpstarter.client.grpc import ClientService
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.config.client import ClientConfigV1Alpha1

HOUR = timedelta(hours=1)
#: No name is given twice.
MADE = f"made-{uuid4()}"
config = ClientConfigV1Alpha1.from_file(Path(sys.argv[1]))


def make_lease(channel, portal, **options):
    return Lease(
        **{
            "channel": channel,
            "duration": HOUR,
            "selector": "board=stock",
            "portal": portal,
            "namespace": config.metadata.namespace,
            "allow": [],
            "unsafe": True,
            "tls_config": config.tls,
            "client_name": config.metadata.name,
            **options,
        }
    )


def mine():
    return config.list_leases().filter_by_client(config.metadata.name).leases


def plain():
    exporter = config.get_exporter("stock")
    print(exporter.namespace, exporter.name, exporter.labels["board"], exporter.online)
    lease = config.create_lease(HOUR, selector="board=other", lease_id=MADE, tags={"a": "b"})
    print(lease.name == MADE, lease.selector, lease.duration, lease.client, lease.tags)
    print(config.update_lease(MADE, duration=2 * HOUR).duration)
    print([lease.name == MADE for lease in config.list_leases(tag_filter="a=b").leases])
    print([e.name for e in config.list_exporters(filter="board=stock").exporters])
    print(config.delete_lease(MADE), mine())
    try:
        config.get_exporter("missing")
    except ConnectionError as error:
        print("missing" in str(error))


def threads():
    ended = threading.Event()
    with start_blocking_portal() as portal:
        channel = portal.call(config.channel)
        with make_lease(channel, portal, tags={"c": "d"}) as lease:
            print(
                lease.exporter_name,
                lease.exporter_labels["board"],
                lease.lease_ended,
                lease.lease_transferred,
            )
            with lease.connect() as client:
                client.power.on()
            with lease.serve_unix() as path:
                print(isinstance(path, Path))
            print(lease.request() is lease, portal.call(lease.get).get_status(), len(mine()))
        print(mine())
        with make_lease(channel, portal, release=False) as kept:
            pass
        print([lease.name == kept.name for lease in mine()])
        with make_lease(channel, portal, name=kept.name) as again:
            print(again.name == kept.name)
        print(mine())
        with make_lease(channel, portal, duration=timedelta(seconds=5)) as short:
            short.lease_ending_callback = lambda lease, left: left or ended.set()
            with short.monitor(timedelta(seconds=1)):
                print(ended.wait(60))
        print(short.lease_ended)
        portal.call(channel.close)


async def coroutines():
    channel = await config.channel()
    service = ClientService(channel=channel, namespace=config.metadata.namespace)
    print((await service.GetExporter(name="stock")).name)
    print([lease.name for lease in (await config.list_leases()).filter_by_client("nobody").leases])
    async with BlockingPortal() as portal:
        async with config.lease_async(
            selector="board=stock", exporter_name=None, lease_name=None, duration=HOUR, portal=portal
        ) as lease:
            print(lease.exporter_name, (await service.GetLease(name=lease.name)).client)
            with ExitStack() as stack:
                async with lease.connect_async(stack) as client, lease.monitor_async():
                    await client.power.call_async("on")
                    await to_thread.run_sync(client.power.off)
            async with lease.serve_unix_async() as path:
                print(isinstance(path, Path))
        await asyncio.sleep(0)
    await channel.close()


plain()
threads()
run(coroutines)
print(mine())
