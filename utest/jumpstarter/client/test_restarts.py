"""A client that lives on when its exporter is started anew, with real sessions on one socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter.client.client import connect_path
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConnectionError, DriverError
from jumpstarter.driver import Driver
from jumpstarter.session import Session
from jumpstarter_driver_composite.driver import Composite, Proxy
from jumpstarter_driver_network.driver import EchoNetwork
from jumpstarter_driver_power.driver import MockPower

FRESH = "the exporter was started anew: its drivers are fresh"


def board(**more: Driver) -> Driver:
    inner = Composite(children={"power": MockPower(), "echo": EchoNetwork()})
    return Composite(children={"inner": inner, "supply": Proxy(ref="inner.power"), **more})


@contextmanager
def exporter(path: Path, root: Driver, identity: str | None, client: Any = None) -> Iterator[None]:
    """An exporter, to which the connection of *client* comes again."""
    with Session(root_device=root, identity=identity) as session, session.serve_unix(path):
        session.status.update(ExporterStatus.LEASE_READY)
        if client is not None:
            reconnected(client)
        yield


def reconnected(client: Any) -> None:
    grpc.channel_ready_future(client.stub.channel).result(timeout=60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture(params=["lease", None], ids=["same UUIDs", "new UUIDs"])
def identity(request: pytest.FixtureRequest) -> str | None:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def client(path: Path, identity: str | None) -> Iterator[Any]:
    """A client that was used, and whose exporter has gone away."""
    with ExitStack() as stack:
        with exporter(path, board(), identity):
            client = stack.enter_context(connect_path(str(path), allow=[], unsafe=True))
            client.inner.power.on()
        with pytest.raises(ConnectionError):
            client.inner.power.on()
        yield client


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "jumpstarter.client"]


def echo(client: Any) -> None:
    with client.inner.echo.stream() as stream:
        stream.send(b"x")
        assert stream.receive() == b"x"


CALLS: dict[str, Callable[[Any], object]] = {
    "call": lambda client: client.inner.power.on(),
    "call of a proxy": lambda client: client.supply.on(),
    "items": lambda client: [*client.inner.power.read()],
    "stream": echo,
}


@pytest.mark.parametrize("name", CALLS)
def test_client_goes_on_with_fresh_drivers_and_says_so_once(
    client: Any, path: Path, identity: str | None, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with exporter(path, board(), identity, client):
        CALLS[name](client)
        (line,) = warnings(caplog)
        assert FRESH in line and "no driver" not in line
        for each in CALLS.values():
            each(client)
        assert len(warnings(caplog)) == 1


def test_exporter_that_is_not_back_yet_is_waited_for(
    client: Any, path: Path, identity: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with pytest.raises(ConnectionError):
            client.inner.power.on()
    assert warnings(caplog) == []
    with exporter(path, board(), identity, client):
        client.inner.power.on()
        assert len(warnings(caplog)) == 1


def test_connection_that_broke_alone_is_no_restart(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        Session(root_device=board()) as session,
        ExitStack() as stack,
    ):
        session.status.update(ExporterStatus.LEASE_READY)
        with session.serve_unix(path):
            client = stack.enter_context(connect_path(str(path), allow=[], unsafe=True))
        with pytest.raises(ConnectionError):
            client.inner.power.on()
        with session.serve_unix(path):
            reconnected(client)
            client.inner.power.on()
    assert warnings(caplog) == []


def test_driver_that_is_missing_or_of_another_kind_is_named(
    client: Any, path: Path, identity: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    changed = Composite(
        children={"inner": Composite(children={"power": EchoNetwork()}), "supply": MockPower()}
    )
    with exporter(path, changed, identity, client):
        with pytest.raises(DriverError, match="connect again"):
            client.inner.power.on()
        (line,) = warnings(caplog)
        assert "no driver 'inner.power', 'inner.echo' as before" in line
        with pytest.raises(DriverError, match="connect again"):
            client.inner.power.on()


def test_driver_keeps_its_uuid_while_its_place_and_kind_are_the_same() -> None:
    def uuids(root: Driver, identity: str) -> dict[str | None, Any]:
        with Session(root_device=root, identity=identity) as session:
            return {each.labels.get("jumpstarter.dev/name"): each.uuid for each in session.report().reports}

    first = uuids(board(), "a")
    assert uuids(board(more=MockPower()), "a").items() >= first.items()
    assert set(uuids(board(), "b").values()).isdisjoint(first.values())
    assert first["supply"] == first["power"]
    assert len(set(first.values())) == len(first) - 1
