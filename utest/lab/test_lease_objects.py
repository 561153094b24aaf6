"""`Lease` and `DirectLease`, used by threads and by coroutines, with a channel and an event loop of their own."""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
import yaml
from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from jumpstarter.client import DirectLease, Lease
from jumpstarter.client.client import client_from_path, connect_path, fetch_motd
from jumpstarter.client.exceptions import LeaseError
from jumpstarter.common.exceptions import ConnectionError, ExporterNotReady, JumpstarterException
from jumpstarter.config.client import ClientConfigV1Alpha1

from .world import PATIENCE, POWER, Process, World, wait_for

HOUR = timedelta(hours=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def config(world: World) -> ClientConfigV1Alpha1:
    """The configuration of anna, in a lab with one board."""
    world.add_client("bob")
    world.add_exporter("board", "kind=board")
    world.run_exporter("board")
    return client_config(world, "anna")


def client_config(world: World, name: str) -> ClientConfigV1Alpha1:
    path = world.home / "config" / "jumpstarter" / "clients" / f"{name}.yaml"
    return ClientConfigV1Alpha1.from_file(path, environment=False)


def make_lease(config: ClientConfigV1Alpha1, channel: Any, portal: Any, **options: Any) -> Lease:
    return Lease(
        **{
            "channel": channel,
            "duration": HOUR,
            "selector": "kind=board",
            "portal": portal,
            "namespace": "default",
            "allow": [],
            "unsafe": True,
            "tls_config": config.tls,
            "grpc_options": config.grpcOptions,
            "client_name": "anna",
            **options,
        }
    )


@contextmanager
def making(config: ClientConfigV1Alpha1) -> Iterator[Any]:
    """Makes leases for threads."""
    with start_blocking_portal() as portal:
        channel = portal.call(config.channel)
        try:
            yield lambda **options: make_lease(config, channel, portal, **options)
        finally:
            portal.call(channel.close)


@asynccontextmanager
async def making_async(config: ClientConfigV1Alpha1) -> AsyncIterator[Any]:
    """Makes leases for coroutines."""
    async with BlockingPortal() as portal, await config.channel() as channel:
        yield lambda **options: make_lease(config, channel, portal, **options)


def names(config: ClientConfigV1Alpha1) -> list[str]:
    return [lease.name for lease in config.list_leases().leases]


class Told:
    """What a `lease_ending_callback` was told."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[tuple[Any, timedelta, threading.Thread]] = queue.SimpleQueue()

    def __call__(self, lease: Any, left: timedelta) -> None:
        self.calls.put((lease, left, threading.current_thread()))

    def next(self) -> tuple[Any, timedelta, threading.Thread]:
        return self.calls.get(timeout=PATIENCE)


def test_thread_leases_connects_and_gives_back(config: ClientConfigV1Alpha1) -> None:
    with making(config) as make:
        lease = make(tags={"page": "yes"})
        assert (lease.name, lease.exporter_name, lease.exporter_labels) == (None, "remote", {})
        with lease as entered:
            assert entered is lease
            assert (lease.exporter_name, lease.exporter_labels) == ("board", {"kind": "board"})
            assert (lease.lease_ended, lease.lease_transferred) == (False, False)
            (listed,) = config.list_leases(tag_filter="page=yes").leases
            assert (listed.name, listed.duration, listed.client) == (lease.name, HOUR, "anna")
            assert lease.portal.call(lease.get).get_status() == "In-Use"
            with lease.connect() as client:
                client.power.on()
            with (
                lease.serve_unix() as path,
                connect_path(str(path), allow=[], unsafe=True) as client,
            ):
                client.power.off()
            assert not path.exists()
            assert lease.request() is lease
            assert names(config) == [lease.name]
    assert names(config) == []


@pytest.mark.anyio
async def test_coroutine_leases_connects_and_gives_back(config: ClientConfigV1Alpha1) -> None:
    async with making_async(config) as make:
        async with make() as lease:
            assert (await lease.get()).exporter == lease.exporter_name == "board"
            with ExitStack() as stack:
                async with lease.connect_async(stack) as client:
                    await client.power.call_async("on")
                    await to_thread.run_sync(client.power.off)
            with ExitStack() as stack:
                async with (
                    lease.serve_unix_async() as path,
                    client_from_path(path, lease.portal, stack, allow=[], unsafe=True) as client,
                ):
                    await client.power.call_async("on")
            assert await lease.request_async() is lease
        assert (await config.list_leases()).leases == []


@pytest.mark.anyio
async def test_a_stream_of_a_program_is_carried_to_the_exporter(config: ClientConfigV1Alpha1) -> None:
    async with making_async(config) as make, make() as lease:
        with TemporaryDirectory() as folder, ExitStack() as stack:
            path = Path(folder) / "socket"
            async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, lease.handle_async)
                async with client_from_path(path, lease.portal, stack, allow=[], unsafe=True) as client:
                    await client.power.call_async("on")
                tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_configuration_gives_such_a_lease_to_coroutines(config: ClientConfigV1Alpha1) -> None:
    async with BlockingPortal() as portal:
        async with config.lease_async("kind=board", None, None, HOUR, portal) as lease:
            assert isinstance(lease, Lease)
            assert (lease.duration, lease.client_name, lease.release) == (HOUR, "anna", True)
            held = lease.name
            async with config.lease_async(None, None, held, HOUR, portal=portal) as again:
                assert (again.name, again.release, again.exporter_name) == (held, False, "board")
            assert [item.name for item in (await config.list_leases()).leases] == [held]
            with pytest.raises(LeaseError, match="no exporter within 1s"):
                async with config.lease_async(
                    exporter_name="board", portal=portal, acquisition_timeout=timedelta(seconds=1)
                ):
                    pass
        assert (await config.list_leases()).leases == []


def test_lease_stays_when_it_is_not_to_be_released(config: ClientConfigV1Alpha1) -> None:
    with making(config) as make:
        with make(release=False, selector=None, requested_exporter_name="board") as first:
            assert first.exporter_name == "board"
        assert names(config) == [first.name]
        with make(name=first.name, client_name=None, release=False) as second, second.connect() as client:
            client.power.on()
        assert names(config) == [first.name]
        with make(name=first.name) as third:
            assert third.name == first.name
        assert names(config) == []
        with pytest.raises(LeaseError, match="lease 'missing' not found"), make(name="missing"):
            pass


def test_lease_that_cannot_be_had_leaves_nothing(config: ClientConfigV1Alpha1) -> None:
    with making(config) as make, make() as held:
        with pytest.raises(LeaseError, match="no exporter within 1s"), make(acquisition_timeout=1):
            pass
        with pytest.raises(JumpstarterException, match="kind=nothing"), make(selector="kind=nothing"):
            pass
        assert names(config) == [held.name]


@pytest.mark.anyio
@pytest.mark.parametrize("by", ["scope", "task"])
async def test_cancelled_request_leaves_nothing(config: ClientConfigV1Alpha1, by: str) -> None:
    def waiting() -> list[str]:
        return [lease.name for lease in config.list_leases().leases if not lease.exporter]

    async with making_async(config) as make, make():
        second = make()
        async with anyio.create_task_group() as tasks:
            if by == "scope":
                tasks.start_soon(second.request_async)
            task = asyncio.create_task(second.request_async()) if by == "task" else None
            await to_thread.run_sync(wait_for, waiting, "a lease that waits")
            tasks.cancel_scope.cancel()
            if task is not None:
                task.cancel()
        if task is not None:
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await to_thread.run_sync(waiting) == []
        with pytest.raises(RuntimeError, match="no name yet"):
            await second.get()


WAITING = """
from datetime import timedelta
from anyio.from_thread import start_blocking_portal
from jumpstarter.client import Lease
from jumpstarter.config.client import ClientConfigV1Alpha1

config = ClientConfigV1Alpha1.load("anna")
with start_blocking_portal() as portal:
    channel = portal.call(config.channel)
    try:
        with Lease(channel=channel, portal=portal, namespace="default", selector="kind=board", duration=timedelta(hours=1),
                   allow=[], unsafe=True, tls_config=config.tls):
            print("leased")
    except KeyboardInterrupt:
        print("interrupted")
    portal.call(channel.close)
"""


def test_interrupted_thread_leaves_nothing(config: ClientConfigV1Alpha1, world: World) -> None:
    with making(config) as make, make() as held:
        process = world.start("python", "-u", "-c", WAITING)
        process.until("Waiting for an exporter")
        assert process.end(signal.SIGINT) == 0, process.text()
        assert process.text().splitlines()[-1] == "interrupted"
        assert names(config) == [held.name]


def test_monitor_tells_that_the_lease_ends_and_has_ended(config: ClientConfigV1Alpha1) -> None:
    told = Told()
    with making(config) as make, make() as lease:
        lease.lease_ending_callback = told
        with lease.monitor(2 * HOUR):
            about, left, thread = told.next()
            assert about is lease
            assert HOUR - timedelta(minutes=2) < left <= HOUR
            assert thread is lease.portal.call(threading.current_thread)
            assert not lease.lease_ended
            config.delete_lease(lease.name)
            assert told.next() == (lease, timedelta(0), thread)
            assert (lease.lease_ended, lease.lease_transferred) == (True, False)
        assert told.calls.empty()
        with pytest.raises(LeaseError, match="the lease has ended"), lease.connect():
            pass


@pytest.mark.anyio
async def test_coroutine_is_told_on_its_loop(config: ClientConfigV1Alpha1) -> None:
    async with making_async(config) as make, make() as lease:
        ended = asyncio.get_running_loop().create_future()
        lease.lease_ending_callback = lambda about, left: ended.set_result((about, left))
        async with lease.monitor_async():
            await config.delete_lease(lease.name)
            assert await asyncio.wait_for(ended, PATIENCE) == (lease, timedelta(0))
        assert lease.lease_ended


def test_transferred_lease_is_over_and_stays(config: ClientConfigV1Alpha1, world: World) -> None:
    told, bob = Told(), client_config(world, "bob")
    with making(config) as make:
        with make(client_name=None) as lease:
            lease.lease_ending_callback = told
            with lease.monitor():
                config.update_lease(lease.name, client="bob")
                assert told.next()[:2] == (lease, timedelta(0))
            assert (lease.lease_ended, lease.lease_transferred) == (False, True)
        assert names(config) == [lease.name]
    bob.delete_lease(lease.name)


def test_connection_finds_that_the_lease_is_another_clients(
    config: ClientConfigV1Alpha1, world: World
) -> None:
    with making(config) as make:
        with make() as lease:
            config.update_lease(lease.name, client="bob")
            with pytest.raises(LeaseError, match="was transferred to another client"), lease.connect():
                pass
            assert lease.lease_transferred
        assert names(config) == [lease.name]
    client_config(world, "bob").delete_lease(lease.name)


def test_lease_goes_on_over_another_channel(config: ClientConfigV1Alpha1) -> None:
    with making(config) as make, make() as lease:
        newer = lease.portal.call(config.channel)
        older, told = lease.channel, Told()
        lease.refresh_channel(newer)
        lease.portal.call(older.close)
        assert lease.channel is newer
        lease.lease_ending_callback = told
        with lease.connect() as client, lease.monitor():
            client.power.on()
            config.delete_lease(lease.name)
            assert told.next()[1] == timedelta(0)
        lease.portal.call(newer.close)


def test_lease_of_a_configuration_tells_its_end(config: ClientConfigV1Alpha1) -> None:
    told = Told()
    with config.lease("kind=board") as lease:
        lease.lease_ending_callback = told
        with lease.serve_unix() as path, connect_path(str(path), allow=[], unsafe=True) as client:
            client.power.on()
        with lease.monitor():
            assert (lease.lease_ended, lease.lease_transferred) == (False, False)
            config.delete_lease(lease.name)
            assert told.next()[:2] == (lease, timedelta(0))
        assert (lease.lease_ended, lease.lease_transferred) == (True, False)


@pytest.fixture
def gate(world: World, config: ClientConfigV1Alpha1, tmp_path: Path) -> Iterator[Path]:
    """A file for which the beforeLease hook of the exporter ``hooked`` waits before it makes ``passed`` beside it."""
    gate = tmp_path / "gate"
    script = f"until [ -e {gate} ]; do sleep 0.05; done; touch {tmp_path}/passed; [ ! -s {gate} ]"
    hooks = {"beforeLease": {"script": script, "onFailure": "endLease"}}
    world.add_exporter("hooked", "kind=hooked", hooks=hooks)
    process = world.run_exporter("hooked")
    yield gate
    process.end()
    world.ok("admin", "delete", "exporter", "hooked", "--delete")


@pytest.mark.anyio
async def test_connection_waits_for_the_hook_of_the_exporter(
    config: ClientConfigV1Alpha1, gate: Path
) -> None:
    async with making_async(config) as make, make(selector="kind=hooked") as lease:
        with ExitStack() as stack, anyio.move_on_after(0.5) as scope:
            async with lease.connect_async(stack):
                pytest.fail("it did not wait")
        assert scope.cancelled_caught
        gate.touch()
        with ExitStack() as stack:
            async with lease.connect_async(stack) as client:
                assert gate.with_name("passed").exists()
                await client.power.call_async("on")


def test_connection_tells_that_the_hook_failed(config: ClientConfigV1Alpha1, gate: Path) -> None:
    gate.write_text("fail")
    with (
        making(config) as make,
        make(selector="kind=hooked") as lease,
        # Whichever is seen first: the failure, or that the exporter has given the lease back for it.
        pytest.raises((ExporterNotReady, LeaseError), match=r"hook failed|has ended"),
        lease.connect(),
    ):
        pytest.fail("there is nothing to connect to")


def test_connection_of_a_lease_that_has_ended_is_refused_at_once(config: ClientConfigV1Alpha1) -> None:
    with making(config) as make, make() as lease:
        config.delete_lease(lease.name)
        with pytest.raises(LeaseError, match="the lease has ended"), lease.connect():
            pytest.fail("there is nothing to connect to")


@pytest.fixture(scope="module")
def direct(world: World) -> Iterator[str]:
    """The address of an exporter without a controller, with the passphrase ``open``."""
    path = world.home / "direct.yaml"
    head = {"apiVersion": "jumpstarter.dev/v1alpha1", "kind": "ExporterConfig"}
    named = {"metadata": {"namespace": "default", "name": "direct"}, "motd": "Mind the relay."}
    path.write_text(yaml.safe_dump({**head, **named, "export": POWER}))
    listener = ("--tls-grpc-listener", "127.0.0.1:0", "--tls-grpc-insecure", "--passphrase", "open")
    process: Process = world.start("jmp", "run", "--exporter-config", str(path), *listener)
    text = process.until("is ready")
    yield next(word for word in text.split() if word.startswith("127.0.0.1:")).rstrip(";,.")
    process.end()


def direct_lease(address: str, portal: Any, passphrase: str = "open") -> DirectLease:
    return DirectLease(
        address=address, portal=portal, allow=[], unsafe=True, insecure=True, passphrase=passphrase
    )


def test_direct_lease_connects_threads(direct: str) -> None:
    with start_blocking_portal() as portal:
        with direct_lease(direct, portal) as lease:
            assert (lease.name, lease.exporter_name, lease.exporter_labels) == ("direct", "direct", {})
            assert (lease.release, lease.lease_ended) == (False, False)
            with lease.connect() as client, lease.monitor():
                client.power.on()
            with lease.serve_unix() as address:
                assert address == direct
        with (
            pytest.raises(ConnectionError, match="passphrase"),
            direct_lease(direct, portal, "wrong") as lease,
            lease.connect(),
        ):
            pass


@pytest.mark.anyio
async def test_direct_lease_connects_coroutines(direct: str) -> None:
    async with BlockingPortal() as portal, direct_lease(direct, portal) as lease:
        with ExitStack() as stack:
            async with lease.monitor_async(), lease.connect_async(stack) as client:
                await client.power.call_async("on")
        async with lease.serve_unix_async() as address:
            assert address == direct


@pytest.mark.anyio
async def test_exporter_tells_its_message_of_the_day(direct: str, tmp_path: Path) -> None:
    assert await fetch_motd(direct, insecure=True, passphrase="open") == "Mind the relay."
    with pytest.raises(ConnectionError, match="passphrase"):
        await fetch_motd(direct, insecure=True)
    with pytest.raises(JumpstarterException, match="does not exist"):
        await fetch_motd(str(tmp_path / "nobody"))
