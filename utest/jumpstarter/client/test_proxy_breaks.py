"""The proxy of a shell, and a client in its own process, whose connection to the exporter breaks: in front of a real session."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from anyio import to_thread
from jumpstarter.client.client import connect_channel, connect_path
from jumpstarter.client.patience import Waits
from jumpstarter.client.proxy import OPTIONS, proxying
from jumpstarter.client.rpc import ConnectionClosedError
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.repeats import NAME_KEY, SERVICE
from jumpstarter.driver import Driver, export
from jumpstarter.session import Session, repeats

pytestmark = pytest.mark.anyio

QUICK = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["shell", "process"])
def using(request: pytest.FixtureRequest) -> Any:
    """What makes a user of an exporter in a folder: a shell, or a client in a process of its own."""
    return shell if request.param == "shell" else process


class Gate(Driver):
    """Counts its calls, which last until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.calls = 0
        self.cancelled = threading.Event()

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    def _begin(self) -> None:
        self.calls += 1
        self.begun.release()

    @export
    def wait(self) -> int:
        self._begin()
        assert self.go.wait(60)
        return self.calls

    @export
    async def wait_async(self) -> int:
        self._begin()
        try:
            while not self.go.is_set():  # noqa: ASYNC110 - it is set on another thread
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.calls

    @export
    def fail(self) -> None:
        self._begin()
        assert self.go.wait(60)
        raise LookupError("no such thing")

    @export
    def count(self) -> int:
        return self.calls


@dataclass
class Network:
    """A unix socket *path* that leads to another one, *target*; both ends of its connections can be cut."""

    path: Path
    target: Path
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: Any = None

    async def mend(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_unix_server(self._carry, self.path)

    async def cut(self) -> None:
        """End all connections, and take no more."""
        self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in self.writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            self.writers |= {writer, far_writer}
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@dataclass
class Shell:
    """What a shell has: the network to its exporter, the exporter's driver, the proxy's socket, and what the user was told."""

    network: Network
    gate: Gate
    socket: Path
    told: list[str]
    over: str | None = None
    client: Any = None

    async def use(self, method: str) -> Any:
        """Call *method* as a command in the shell does."""
        return await to_thread.run_sync(self._call, method)

    def _call(self, method: str) -> Any:
        if self.client is not None:
            return self.client.call(method)
        with connect_path(str(self.socket), allow=[], unsafe=True) as client:
            return client.call(method)

    async def begun(self) -> None:
        """Until a call has reached the driver."""
        assert await to_thread.run_sync(lambda: self.gate.begun.acquire(timeout=60))

    async def until_told(self, text: str) -> None:
        async with asyncio.timeout(60):
            while not any(text in line for line in self.told):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@contextmanager
def exporter(path: Path, gate: Gate) -> Iterator[Session]:
    with Session(root_device=gate) as session, session.serve_unix(path):
        session.status.update(ExporterStatus.LEASE_READY)
        yield session


@asynccontextmanager
async def shell(folder: Path, limit: float = 60) -> AsyncIterator[Shell]:
    gate, told = Gate(), list[str]()
    with ExitStack() as stack:
        stack.callback(gate.go.set)
        stack.enter_context(exporter(folder / "exporter", gate))
        network = Network(folder / "network", folder / "exporter")
        await network.mend()
        made = Shell(network, gate, folder / "proxy", told)
        waits = Waits(limit, told.append, "board", lambda: made.over, lambda: "the network is cut")
        channel = grpc.aio.insecure_channel(f"unix:{network.path}", options=(*OPTIONS, *QUICK))
        async with proxying(channel, str(made.socket), waits) as patience:
            with patience.waiting():
                assert await made.use("count") == 0
                yield made
        await network.cut()


@asynccontextmanager
async def process(folder: Path, limit: float = 60) -> AsyncIterator[Shell]:
    gate, told = Gate(), list[str]()
    with ExitStack() as stack:
        stack.callback(gate.go.set)
        stack.enter_context(exporter(folder / "exporter", gate))
        network = Network(folder / "network", folder / "exporter")
        await network.mend()
        made = Shell(network, gate, folder, told)
        waits = Waits(limit, told.append, "board", lambda: made.over, lambda: "the network is cut")
        channel = stack.enter_context(grpc.insecure_channel(f"unix:{network.path}", options=QUICK))
        connecting = connect_channel(channel, allow=[], unsafe=True, waits=waits)
        made.client = await to_thread.run_sync(connecting.__enter__)
        assert await made.use("count") == 0
        yield made
        await to_thread.run_sync(connecting.__exit__, None, None, None)
        await network.cut()


@pytest.mark.parametrize("method", ["wait", "wait_async"])
async def test_call_that_was_under_way_is_answered_and_has_run_once(
    using: Any, tmp_path: Path, method: str
) -> None:
    async with using(tmp_path) as made:
        call = asyncio.create_task(made.use(method))
        await made.begun()
        await made.network.cut()
        await made.until_told("Waiting for exporter board: the network is cut")
        made.gate.go.set()
        await made.network.mend()
        assert await call == 1
        await made.until_told("Exporter board answers again")
        assert await made.use("count") == 1
        assert not made.gate.cancelled.is_set()


async def test_error_of_a_call_that_was_under_way_arrives(using: Any, tmp_path: Path) -> None:
    async with using(tmp_path) as made:
        call = asyncio.create_task(made.use("fail"))
        await made.begun()
        await made.network.cut()
        made.gate.go.set()
        await made.network.mend()
        with pytest.raises(Exception, match=r"LookupError: .*no such thing"):
            await call
        assert await made.use("count") == 1


async def test_call_that_comes_while_the_network_is_cut_waits(using: Any, tmp_path: Path) -> None:
    async with using(tmp_path) as made:
        await made.network.cut()
        calls = [asyncio.create_task(made.use("count")) for _ in range(3)]
        await made.until_told("Waiting for exporter board: the network is cut")
        await made.network.mend()
        assert await asyncio.gather(*calls) == [0, 0, 0]
        # Told once for all who waited.
        assert [line for line in made.told if "now)" not in line] == [
            "Waiting for exporter board: the network is cut",
            "Exporter board answers again",
        ]


async def test_wait_has_an_end_and_the_next_one_is_short(using: Any, tmp_path: Path) -> None:
    async with using(tmp_path, limit=2) as made:
        await made.network.cut()
        for _ in range(2):
            with pytest.raises(
                ConnectionError, match=r"exporter board did not come back within .*: the network is cut"
            ):
                await made.use("count")
        await made.network.mend()
        async with asyncio.timeout(60):
            while True:
                with suppress(ConnectionError):
                    assert await made.use("count") == 0
                    break


async def test_what_is_over_is_not_waited_for(using: Any, tmp_path: Path) -> None:
    async with using(tmp_path) as made:
        made.over = "lease x has ended"
        await made.network.cut()
        with pytest.raises(ConnectionError, match="lease x has ended"):
            await made.use("count")


async def test_call_under_way_of_an_exporter_that_was_started_anew_is_not_made_again(
    using: Any, tmp_path: Path
) -> None:
    async with using(tmp_path) as made:
        call = asyncio.create_task(made.use("wait"))
        await made.begun()
        await made.network.cut()
        fresh = Gate()
        with exporter(tmp_path / "another", fresh):
            made.network.target = tmp_path / "another"
            await made.network.mend()
            with pytest.raises(
                ConnectionError, match=r"started anew while the call was under way: whether .* not known"
            ):
                await call
            assert fresh.calls == 0
            if using is shell:  # the other one logs a warning with its next call
                await made.until_told("Exporter board was started anew: its drivers are fresh")
            assert await made.use("count") == 0


async def test_method_whose_caller_gave_up_is_cancelled(tmp_path: Path) -> None:
    def impatient(path: Path) -> None:
        with connect_path(str(path), allow=[], unsafe=True) as client:
            call = client.stub.DriverCall.future
            from jumpstarter_protocol import jumpstarter_pb2 as pb

            running = call(pb.DriverCallRequest(uuid=str(client.uuid), method="wait_async"))
            assert made.gate.begun.acquire(timeout=60)
            running.cancel()

    async with shell(tmp_path) as made:
        await to_thread.run_sync(impatient, made.socket)
        assert await to_thread.run_sync(lambda: made.gate.cancelled.wait(60))


async def test_method_whose_caller_does_not_come_back_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "AWAY", 0.1)
    async with shell(tmp_path, limit=1) as made:
        calling = asyncio.create_task(made.use("wait_async"))
        await made.begun()
        await made.network.cut()
        assert await to_thread.run_sync(lambda: made.gate.cancelled.wait(60))
        with pytest.raises(ConnectionError):
            await calling


async def test_call_on_a_channel_that_was_closed_says_so(tmp_path: Path) -> None:
    with (
        exporter(tmp_path / "exporter", Gate()),
        grpc.insecure_channel(f"unix:{tmp_path / 'exporter'}") as channel,
        connect_channel(channel, allow=[], unsafe=True, waits=Waits(60)) as client,
    ):
        channel.close()
        with pytest.raises(ConnectionClosedError, match="this connection has been closed: connect again"):
            client.call("count")


class Interrupted(BaseException):
    pass


def test_method_whose_caller_in_its_own_process_was_interrupted_is_cancelled(tmp_path: Path) -> None:
    gate = Gate()

    def interrupt() -> None:
        assert gate.begun.acquire(timeout=60)
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    def handler(number: int, frame: Any) -> None:
        raise Interrupted

    with (
        exporter(tmp_path / "exporter", gate),
        grpc.insecure_channel(f"unix:{tmp_path / 'exporter'}") as channel,
        connect_channel(channel, allow=[], unsafe=True, waits=Waits(60)) as client,
    ):
        before = signal.signal(signal.SIGALRM, handler)
        threading.Thread(target=interrupt).start()
        try:
            with pytest.raises(Interrupted):
                client.call("wait_async")
        finally:
            signal.signal(signal.SIGALRM, before)
        assert gate.cancelled.wait(60)
        assert client.call("count") == 1


async def test_exporter_refuses_calls_without_a_name_or_for_another_session(tmp_path: Path) -> None:
    with exporter(tmp_path / "exporter", Gate()):
        async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'exporter'}") as channel:
            method: Any = channel.unary_unary(f"/{SERVICE}/DriverCall")
            for name, code in (
                ("", grpc.StatusCode.INVALID_ARGUMENT),
                ("a b c d", grpc.StatusCode.INVALID_ARGUMENT),
                ("another a 1 1", grpc.StatusCode.FAILED_PRECONDITION),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await method(b"", metadata=((NAME_KEY, name),))
                assert caught.value.code() is code
