"""The controller's ClientService for coroutines, its models, and the calls of a client configuration."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from jumpstarter.client.grpc import ClientService, Exporter, MultipathExporterStub, WithOptions
from jumpstarter.client.lab import CALL_TIMEOUT
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.common import ObjectMeta
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.connection import local_session
from jumpstarter_driver_power.driver import MockPower

from .world import World

HOUR = timedelta(hours=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def config(world: World) -> ClientConfigV1Alpha1:
    """The configuration of anna, in a lab with one exporter that runs and one that does not."""
    world.add_client("bob")
    world.add_exporter("board", "kind=board,rack=7")
    world.add_exporter("shelved", "kind=shelved")
    world.run_exporter("board")
    return client_config(world, "anna")


@pytest.fixture(autouse=True)
def free(world: World, config: ClientConfigV1Alpha1) -> None:
    """The board has tidied up after the test before, so that a lease of it is granted at once."""
    world.is_available("board")


def client_config(world: World, name: str) -> ClientConfigV1Alpha1:
    path = world.home / "config" / "jumpstarter" / "clients" / f"{name}.yaml"
    return ClientConfigV1Alpha1.from_file(path, environment=False)


@pytest.fixture
async def service(config: ClientConfigV1Alpha1) -> AsyncIterator[ClientService]:
    async with await config.channel() as channel:
        yield ClientService(channel=channel, namespace="default")


class Table:
    """What a `rich.table.Table` would be given."""

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.rows: list[tuple[str, ...]] = []

    def add_column(self, title: str, **options: Any) -> None:
        self.columns.append(title)

    def add_row(self, *cells: str) -> None:
        self.rows.append(cells)


@pytest.mark.anyio
async def test_service_tells_of_exporters(service: ClientService) -> None:
    board = await service.GetExporter(name="board")
    assert (board.namespace, board.name, board.labels) == (
        "default",
        "board",
        {"kind": "board", "rack": "7"},
    )
    assert (board.online, board.status, board.enabled, board.lease) == (
        True,
        ExporterStatus.AVAILABLE,
        True,
        None,
    )
    found = await service.ListExporters(filter="kind=shelved")
    assert [(exporter.name, exporter.online) for exporter in found.exporters] == [("shelved", False)]
    page = await service.ListExporters(page_size=1)
    rest = await service.ListExporters(page_size=1, page_token=page.next_page_token)
    assert [exporter.name for exporter in page.exporters + rest.exporters] == ["board", "shelved"]


@pytest.mark.anyio
async def test_service_makes_changes_and_ends_a_lease(service: ClientService) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) + 10 * HOUR
    lease = await service.CreateLease(
        selector="kind=board", duration=HOUR, begin_time=begin, lease_id="later", tags={"page": "yes"}
    )
    assert (lease.namespace, lease.name, lease.client, lease.exporter) == ("default", "later", "anna", "")
    assert (lease.selector, lease.duration, lease.begin_time) == ("kind=board", HOUR, begin)
    assert (lease.tags, lease.exporter_name, lease.expires_at) == ({"page": "yes"}, None, begin + HOUR)
    assert (await service.UpdateLease(name="later", duration=2 * HOUR)).duration == 2 * HOUR
    moved = await service.UpdateLease(name="later", begin_time=begin + HOUR)
    assert moved.begin_time == begin + HOUR
    assert (await service.GetLease(name="later")).duration == 2 * HOUR
    assert [item.name for item in (await service.ListLeases(tag_filter="page=yes")).leases] == ["later"]
    assert (await service.ListLeases(tag_filter="page=no")).leases == []
    await service.DeleteLease(name="later")
    assert (await service.ListLeases()).leases == []
    ended = await service.ListLeases(only_active=False)
    assert "later" in [item.name for item in ended.leases]


@pytest.mark.anyio
@pytest.mark.parametrize("client", ["bob", "namespaces/default/clients/bob"])
async def test_service_gives_a_lease_to_another_client(
    service: ClientService, world: World, client: str
) -> None:
    lease = await service.CreateLease(selector=None, exporter_name="board", duration=HOUR)
    assert (lease.exporter_name, lease.exporter) == ("board", "board")
    assert (await service.UpdateLease(name=lease.name, client=client)).client == "bob"
    listed = await service.ListLeases()
    assert listed.filter_by_client("anna").leases == []
    assert [item.name for item in listed.filter_by_client("bob").leases] == [lease.name]
    await client_config(world, "bob").delete_lease(lease.name)


@pytest.mark.anyio
async def test_service_gives_the_reason_of_the_controller_in_one_line(service: ClientService) -> None:
    for call in (
        service.GetExporter(name="missing"),
        service.GetLease(name="missing"),
        service.DeleteLease(name="missing"),
        service.CreateLease(selector=None, duration=HOUR),
    ):
        with pytest.raises(ConnectionError) as caught:
            await call
        assert "the controller answered" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.anyio
async def test_channel_is_known_by_its_token(service: ClientService, config: ClientConfigV1Alpha1) -> None:
    token = await service.RotateToken()
    assert token.count(".") == 2
    stranger = ClientConfigV1Alpha1(
        metadata=config.metadata, endpoint=config.endpoint, tls=config.tls, token="not.a.token"
    )
    async with await stranger.channel() as channel:
        with pytest.raises(ConnectionError):
            await ClientService(channel=channel, namespace="default").ListLeases()
    renewed = ClientConfigV1Alpha1(
        metadata=config.metadata, endpoint=config.endpoint, tls=config.tls, token=token
    )
    async with await renewed.channel() as channel:
        assert (await ClientService(channel=channel, namespace="default").GetExporter(name="board")).online


def test_channel_takes_the_certificate_that_is_presented(config: ClientConfigV1Alpha1) -> None:
    trusting = ClientConfigV1Alpha1(
        metadata=config.metadata,
        endpoint=config.endpoint,
        tls=TLSConfigV1Alpha1(insecure=True),
        token=config.token,
    )
    assert trusting.get_exporter("board").online
    careful = ClientConfigV1Alpha1(
        metadata=config.metadata, endpoint=config.endpoint, tls=TLSConfigV1Alpha1(), token=config.token
    )
    with pytest.raises(ConnectionError, match="cannot be reached"):
        careful.get_exporter("board")


def test_configuration_answers_plain_code(config: ClientConfigV1Alpha1) -> None:
    assert config.get_exporter("board").name == "board"
    lease = config.create_lease(HOUR, selector="kind=board,rack=7", lease_id="mine", tags={"a": "b"})
    assert (lease.name, lease.get_status(), lease.exporter) == ("mine", "In-Use", "board")
    assert config.update_lease("mine", duration=2 * HOUR).duration == 2 * HOUR
    assert [item.name for item in config.list_leases(page_size=1).filter_by_client("anna").leases] == ["mine"]
    assert config.list_leases().filter_by_selector("rack=7").leases[0].name == "mine"
    assert config.list_leases().filter_by_selector("rack in (7)").leases == []
    exporters = config.list_exporters(include_leases=True, include_online=True, page_size=1)
    assert {e.name: e.lease and e.lease.name for e in exporters.exporters} == {
        "board": "mine",
        "shelved": None,
    }
    assert config.delete_lease("mine") is None
    assert config.rotate_token().count(".") == 2
    with pytest.raises(ConnectionError, match="missing"):
        config.get_exporter("missing")


def test_configuration_answers_coroutines(config: ClientConfigV1Alpha1) -> None:
    async def use() -> list[str]:
        lease = await config.create_lease(HOUR, exporter_name="shelved", lease_id="waiting")
        assert (await config.update_lease(lease.name, duration=2 * HOUR)).duration == 2 * HOUR
        names = [item.name for item in (await config.list_leases()).filter_by_client("anna").leases]
        await config.delete_lease(lease.name)
        assert (await config.rotate_token()).count(".") == 2
        assert (await config.get_exporter("board")).name == "board"
        return names + [exporter.name for exporter in (await config.list_exporters(filter="rack")).exporters]

    assert anyio.run(use) == ["waiting", "board"]


def test_configuration_without_a_controller_says_so() -> None:
    config = ClientConfigV1Alpha1(metadata=ObjectMeta(name="anna"))
    with pytest.raises(ConfigurationError, match="endpoint and token not set"):
        config.list_leases()
    with pytest.raises(ConfigurationError, match="endpoint and token not set"):
        anyio.run(config.channel)


def test_lists_are_shown_with_what_was_asked_for(config: ClientConfigV1Alpha1) -> None:
    config.create_lease(HOUR, selector="kind=board", lease_id="shown", tags={"a": "b"})
    plain = config.list_exporters()
    assert set(plain.model_dump()["exporters"][0]) == {"namespace", "name", "labels", "deprecated_labels"}
    full = config.list_exporters(include_leases=True, include_online=True, include_status=True)
    (board, shelved) = json.loads(full.model_dump_json())["exporters"]
    assert (board["online"], board["lease"]["duration"], shelved["lease"]) == (True, 3600, None)
    assert board["lease"]["conditions"][0]["type"] == "Ready"

    table = Table()
    full.rich_add_columns(table)
    full.rich_add_rows(table)
    assert table.columns == [
        "NAME",
        "ONLINE",
        "STATUS",
        "LABELS",
        "LEASED BY",
        "LEASE STATUS",
        "RELEASE TIME",
    ]
    assert (table.rows[0][0], table.rows[0][3:6]) == ("board", ("kind=board,rack=7", "anna", "In-Use"))
    assert table.rows[1][4:] == ("", "Available", "")

    leases, table, names = config.list_leases().filter_by_client("anna"), Table(), list[str]()
    leases.rich_add_columns(table)
    leases.rich_add_rows(table)
    leases.rich_add_names(names)
    assert table.columns == ["NAME", "SELECTOR", "EXPIRES AT", "REMAINING", "CLIENT", "EXPORTER", "TAGS"]
    (row,) = table.rows
    assert (row[:2], row[3:], names) == (
        ("shown", "kind=board"),
        ("59m", "anna", "board", "a=b"),
        ["shown"],
    )
    config.delete_lease("shown")


def test_disabled_exporters_are_shown_when_asked_for() -> None:
    table = Table()
    exporter = Exporter(namespace="n", name="x", labels={}, enabled=False)
    options = WithOptions(show_disabled=True)
    Exporter.rich_add_columns(table, options)
    exporter.rich_add_rows(table, options)
    assert (table.columns, table.rows) == (["NAME", "ENABLED", "LABELS"], [("x", "no", "")])


@pytest.mark.anyio
async def test_multipath_stub_takes_the_way_that_is_there(tmp_path: Path) -> None:
    with local_session(MockPower()) as path:
        async with (
            grpc.aio.insecure_channel(f"unix:{tmp_path / 'nobody'}") as broken,
            grpc.aio.insecure_channel(f"unix:{path}") as working,
        ):
            stub = MultipathExporterStub([broken, working])
            with pytest.raises(grpc.aio.AioRpcError):
                await MultipathExporterStub([broken]).GetReport(Empty())
            await working.channel_ready()
            report = await stub.GetReport(Empty(), timeout=CALL_TIMEOUT)
            assert len(report.reports) == 1
            assert stub.Stream
            with pytest.raises(AttributeError, match="NoSuchMethod"):
                _ = stub.NoSuchMethod
    with pytest.raises(ValueError, match="no channels"):
        MultipathExporterStub([])
