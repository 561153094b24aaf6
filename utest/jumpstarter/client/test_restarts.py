"""A client that lives on when its exporter is started anew, with real sessions on one socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter.client.client import connect_path
from jumpstarter.client.streams import file_chunks
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConnectionError, DriverError
from jumpstarter.driver import Driver, export
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


@pytest.fixture
def idle(path: Path) -> Iterator[Any]:
    """A client that has not called since its exporter was started anew with other UUIDs."""
    with ExitStack() as stack:
        with exporter(path, board(), None):
            client = stack.enter_context(connect_path(str(path), allow=[], unsafe=True))
            client.inner.power.on()
        with exporter(path, board(), None, client):
            yield client


@pytest.mark.parametrize("name", CALLS)
def test_first_call_of_an_idle_client_reaches_the_fresh_driver(
    idle: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    CALLS[name](idle)
    (line,) = warnings(caplog)
    assert FRESH in line
    for each in CALLS.values():
        each(idle)
    assert len(warnings(caplog)) == 1


def test_threads_of_an_idle_client_all_reach_the_fresh_driver(
    idle: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(CALLS[name], idle) for name in [*CALLS] * 4]
        for call in calls:
            call.result(60)
    assert len(warnings(caplog)) == 1


def test_upload_of_an_idle_client_is_whole(tmp_path: Path) -> None:
    path, source = tmp_path / "s", tmp_path / "image"
    source.write_bytes(bytes(range(256)) * 20_000)
    taken: list[bytes] = []

    def flasher() -> Driver:
        return Composite(children={"taker": Taker(taken)})

    with ExitStack() as stack:
        with exporter(path, flasher(), None):
            client = stack.enter_context(connect_path(str(path), allow=[], unsafe=True))
            client.taker.call("ready")
        stack.enter_context(exporter(path, flasher(), None, client))
        with source.open("rb", buffering=0) as file, client.taker.sending(file_chunks(file)) as handle:
            client.taker.call("take", handle)
    assert b"".join(taken) == source.read_bytes()


class Taker(Driver):
    """Takes what it is lent."""

    def __init__(self, taken: list[bytes]) -> None:
        super().__init__()
        self.taken = taken

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def ready(self) -> None:
        pass

    @export
    async def take(self, source: Any) -> None:
        async with self.resource(source) as stream:
            async for chunk in stream:
                self.taken.append(chunk)


def test_error_of_a_driver_that_names_its_uuid_is_told_once_and_as_it_is(path: Path) -> None:
    with (
        exporter(path, Composite(children={"odd": Odd()}), None),
        connect_path(str(path), allow=[], unsafe=True) as client,
    ):
        with pytest.raises(DriverError, match=str(client.odd.uuid)):
            client.odd.call("fail")
        assert client.odd.call("count") == 1


class Odd(Driver):
    """Fails with its own UUID in the text."""

    calls = 0

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def fail(self) -> None:
        Odd.calls += 1
        raise KeyError(self.uuid)

    @export
    def count(self) -> int:
        return Odd.calls
