"""A session on TCP: TLS, passphrase, ports; and clients that reach it from coroutines."""

from __future__ import annotations

import asyncio
import base64
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from anyio.from_thread import BlockingPortal
from google.protobuf.empty_pb2 import Empty
from jumpstarter.client.client import client_from_path, connect_path
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError
from jumpstarter.common.grpc import (
    PASSPHRASE_METADATA_KEY,
    aio_secure_channel,
    is_tcp,
    ssl_channel_credentials,
    translate_grpc_exceptions,
)
from jumpstarter.common.stubs import ExporterStub
from jumpstarter.common.utils import env, serve_async
from jumpstarter.exporter import Session
from jumpstarter.exporter.auth import PassphraseInterceptor, passphrase_client_interceptors
from jumpstarter.utils.env import ExporterMetadata, env_async, env_with_metadata_async
from jumpstarter_protocol import jumpstarter_pb2, router_pb2

from .lab import Lab


@dataclass
class Tls:
    """A certificate for `names`, made for this test."""

    key: bytes
    certificate: bytes
    file: Path

    @property
    def credentials(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key, self.certificate)])


def make_certificate(folder: Path, names: str) -> Tls:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=exporter"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", *request.split(), *files, "-addext", f"subjectAltName={names}"],
        check=True,
        capture_output=True,
    )
    return Tls(key.read_bytes(), certificate.read_bytes(), certificate)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:localhost,IP:127.0.0.1")


@pytest.fixture(scope="module")
def other_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """For a name that the exporter is not reached by."""
    return make_certificate(tmp_path_factory.mktemp("other"), "DNS:board.example")


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(root_device=Lab()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        yield session


def echo(host: str, **options: Any) -> Any:
    with connect_path(host, allow=[], unsafe=True, **options) as client:
        with client.stream("connect") as stream:
            stream.send(b"through")
            assert stream.receive() == b"through"
        return client.call("echo", "hello")


# --- TLS ---


def test_calls_and_streams_go_through_tls(session: Session, tls: Tls) -> None:
    with session.serve_tcp(tls_credentials=tls.credentials) as port:
        assert echo(f"localhost:{port}", root_certificates=tls.certificate) == "hello"
        assert echo(f"127.0.0.1:{port}", root_certificates=tls.certificate) == "hello"


def test_a_certificate_that_nobody_vouches_for_is_refused(session: Session, tls: Tls) -> None:
    with session.serve_tcp(tls_credentials=tls.credentials) as port, pytest.raises(ConnectionError):
        echo(f"localhost:{port}")


def test_a_certificate_for_another_name_is_refused(session: Session, other_tls: Tls) -> None:
    with session.serve_tcp(tls_credentials=other_tls.credentials) as port, pytest.raises(ConnectionError):
        echo(f"localhost:{port}", root_certificates=other_tls.certificate)


def test_without_verification_any_certificate_will_do(session: Session, tls: Tls, other_tls: Tls) -> None:
    for chosen in (tls, other_tls):
        with session.serve_tcp(tls_credentials=chosen.credentials) as port:
            assert echo(f"localhost:{port}", verify=False) == "hello"


def test_plain_and_tls_do_not_mix(session: Session, tls: Tls) -> None:
    with session.serve_tcp(tls_credentials=tls.credentials) as port, pytest.raises(ConnectionError):
        echo(f"localhost:{port}", insecure=True)
    with session.serve_tcp() as port, pytest.raises(ConnectionError):
        echo(f"localhost:{port}", root_certificates=tls.certificate)
    with session.serve_tcp() as port, pytest.raises(ConnectionError, match="cannot get the certificate of"):
        echo(f"localhost:{port}", verify=False)


def test_the_surrounding_shell_says_how_to_reach_it(
    session: Session, tls: Tls, other_tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
    ways: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"tls_credentials": tls.credentials}, {"JMP_GRPC_CA": str(tls.file)}),
        ({"tls_credentials": other_tls.credentials}, {"JUMPSTARTER_GRPC_INSECURE": "1"}),
        ({"passphrase": "open sesame"}, {"JMP_GRPC_INSECURE": "1", "JMP_GRPC_PASSPHRASE": "open sesame"}),
    ]
    for options, variables in ways:
        with session.serve_tcp(**options) as port, monkeypatch.context() as patch:
            patch.setenv("JUMPSTARTER_HOST", f"localhost:{port}")
            for name, value in variables.items():
                patch.setenv(name, value)
            with env() as client:
                assert client.call("echo", 1) == 1


# --- passphrase ---


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "plain"])
def test_the_passphrase_opens_calls_and_streams(session: Session, tls: Tls, secure: bool) -> None:
    credentials = tls.credentials if secure else None
    options = {"root_certificates": tls.certificate} if secure else {"insecure": True}
    with session.serve_tcp(tls_credentials=credentials, passphrase="öffne dich".encode().hex()) as port:
        assert echo(f"localhost:{port}", passphrase="öffne dich".encode().hex(), **options) == "hello"
        for wrong in (None, "wrong", ""):
            with pytest.raises(ConnectionError, match="invalid or missing passphrase; give the right"):
                echo(f"localhost:{port}", passphrase=wrong, **options)


SERVICES = (
    jumpstarter_pb2.DESCRIPTOR.services_by_name["ExporterService"],
    router_pb2.DESCRIPTOR.services_by_name["RouterService"],
)
METHODS = {f"/{each.full_name}/{method.name}": method for each in SERVICES for method in each.methods}


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize("given", [(), ((PASSPHRASE_METADATA_KEY, ""),), ((PASSPHRASE_METADATA_KEY, "P"),)])
def test_every_kind_of_call_needs_the_passphrase(session: Session, path: str, given: Any) -> None:
    with session.serve_tcp(passphrase="p") as port, grpc.insecure_channel(f"localhost:{port}") as channel:
        # Bytes that are no request: nobody reads them before it is known who sends them.
        if METHODS[path].client_streaming:
            answer = channel.stream_stream(path)(iter([b"\xff"]), metadata=given, timeout=60)
        else:
            answer = channel.unary_stream(path)(b"\xff", metadata=given, timeout=60)
        with pytest.raises(grpc.RpcError) as caught:
            list(answer)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_message_that_is_small_on_the_wire_alone_is_not_inflated(session: Session) -> None:
    with session.serve_tcp(passphrase="p") as port, grpc.insecure_channel(f"localhost:{port}") as channel:
        call = channel.unary_unary("/jumpstarter.v1.ExporterService/GetReport")
        with pytest.raises(grpc.RpcError) as caught:
            call(bytes(64 << 20), compression=grpc.Compression.Gzip, timeout=60)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in str(caught.value)


def test_a_unix_socket_beside_it_needs_none(session: Session) -> None:
    async def scenario() -> None:
        async with session.serve_tcp_and_unix_async("127.0.0.1", 0, passphrase="p") as (port, path):
            assert echo(path) == "hello"
            assert echo(f"127.0.0.1:{port}", insecure=True, passphrase="p") == "hello"
            with pytest.raises(ConnectionError):
                echo(f"127.0.0.1:{port}", insecure=True)

    asyncio.run(scenario())


def test_the_unix_socket_beside_it_may_have_a_path_of_its_own(session: Session, tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "hooks"
        interceptors = [PassphraseInterceptor("p")]
        async with session.serve_tcp_and_unix_async("127.0.0.1", 0, path, interceptors=interceptors):
            assert echo(str(path)) == "hello"

    asyncio.run(scenario())


def test_the_interceptors_of_the_documented_names_meet(session: Session) -> None:
    async def scenario() -> None:
        options: Any = {"interceptors": [PassphraseInterceptor("p")]}
        async with session.serve_tcp_async("127.0.0.1", 0, **options) as port:
            for passphrase, code in (("p", None), ("q", grpc.StatusCode.UNAUTHENTICATED)):
                interceptors = passphrase_client_interceptors(passphrase)
                target = f"127.0.0.1:{port}"
                async with grpc.aio.insecure_channel(target, interceptors=interceptors) as channel:
                    stub = ExporterStub(channel)  # type: ignore[no-untyped-call]
                    if code is None:
                        assert len((await stub.GetReport(Empty())).reports) == 1
                        logs = stub.LogStream(Empty())
                        await logs.initial_metadata()
                        logs.cancel()
                        continue
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await stub.GetReport(Empty())
                    assert caught.value.code() is code

    asyncio.run(scenario())
    assert PASSPHRASE_METADATA_KEY == "x-jumpstarter-passphrase"


# --- ports and sockets ---


def test_a_port_in_use_is_told(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConnectionError, match=rf"cannot listen on 127.0.0.1:{port}: the port is in use"),
            session.serve_tcp(port=port),
        ):
            pass


def test_two_sessions_never_share_a_port(session: Session) -> None:
    with (
        session.serve_tcp() as port,
        pytest.raises(ConnectionError, match="in use"),
        session.serve_tcp(port=port),
    ):
        pass


def test_an_address_of_another_machine_is_told(session: Session) -> None:
    with pytest.raises(ConnectionError, match="not one of this machine"), session.serve_tcp(host="192.0.2.1"):
        pass


def test_a_session_serves_on_many_addresses(session: Session, tmp_path: Path) -> None:
    async def scenario() -> None:
        one, two = str(tmp_path / "one"), str(tmp_path / "two")
        async with session.serve_multi_port_async(f"unix:{one}", f"unix:{two}"):
            assert echo(one) == echo(two) == "hello"
        async with session.serve_port_async(f"unix:{one}"):
            assert echo(one) == "hello"
        async with session.serve_unix_async() as path:
            assert echo(path) == "hello"
        async with session.serve_unix_with_hook_socket_async() as (path, hook_path):
            assert path != hook_path
            assert echo(path) == echo(hook_path) == "hello"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("host", "tcp"),
    [
        ("localhost:1", True),
        ("[::1]:65535", True),
        ("h:0", False),
        ("h:65536", False),
        ("/run/x.sock", False),
        (":1", False),
        ("h:", False),
    ],
)
def test_an_address_is_tcp_or_a_path(host: str, tcp: bool) -> None:
    assert is_tcp(host) is tcp


def test_a_socket_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the socket does not exist"):
        echo(str(tmp_path / "none"))


# --- coroutines ---


def test_a_client_for_coroutines(session: Session, tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Config:
        ca: str = base64.b64encode(tls.certificate).decode()
        insecure: bool = False

    async def scenario(port: int) -> None:
        async with BlockingPortal() as portal:
            with ExitStack() as stack:
                async with client_from_path(
                    f"localhost:{port}", portal, stack, [], True, tls_config=Config(), passphrase="p"
                ) as client:
                    assert await client.call_async("echo", 1) == 1
                    assert [n async for n in client.streamingcall_async("items", 3)] == [0, 1, 2]
                    async with client.stream_async("connect") as stream:
                        await stream.send(b"x")
                        assert await stream.receive() == b"x"
                    await client.check_exporter_status()
                    async with client.log_stream_async():
                        assert await client.get_status_async() is ExporterStatus.LEASE_READY
            await portal.stop()

    with session.serve_tcp(tls_credentials=tls.credentials, passphrase="p") as port:
        asyncio.run(scenario(port))


def test_the_shells_client_for_coroutines(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with BlockingPortal() as portal:
            with ExitStack() as stack:
                async with env_async(portal, stack) as client:
                    assert await client.call_async("echo", 1) == 1
                async with env_with_metadata_async(portal, stack) as (client, metadata):
                    assert await client.call_async("echo", 2) == 2
                    assert metadata == ExporterMetadata("board", {"rack": "7"}, "lease-1")
            await portal.stop()

    with session.serve_unix() as path:
        monkeypatch.setenv("JUMPSTARTER_HOST", str(path))
        monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
        monkeypatch.setenv("JMP_EXPORTER", "board")
        monkeypatch.setenv("JMP_EXPORTER_LABELS", "rack=7")
        monkeypatch.setenv("JMP_LEASE", "lease-1")
        asyncio.run(scenario())


def test_serving_a_driver_to_coroutines() -> None:
    async def scenario() -> Lab:
        lab = Lab()
        async with BlockingPortal() as portal:
            with ExitStack() as stack:
                async with serve_async(lab, portal, stack) as client:
                    assert await client.call_async("echo_async", 1) == 1
            await portal.stop()
        return lab

    assert asyncio.run(scenario()).resources == {}


# --- channels to controllers ---


@dataclass
class TlsConfig:
    ca: str = ""
    insecure: bool = False


def test_channels_of_grpc_aio(
    session: Session, tls: Tls, other_tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def report(port: int, config: TlsConfig) -> int:
        target = f"localhost:{port}"
        credentials = await ssl_channel_credentials(target, config)
        async with aio_secure_channel(target, credentials, {"grpc.enable_retries": 0}) as channel:
            stub = ExporterStub(channel)  # type: ignore[no-untyped-call]
            with translate_grpc_exceptions():
                return len((await stub.GetReport(Empty())).reports)

    with session.serve_tcp(tls_credentials=tls.credentials) as port:
        assert asyncio.run(report(port, TlsConfig(ca=base64.b64encode(tls.certificate).decode()))) == 1
        with pytest.raises(ConnectionError, match="the controller cannot be reached"):
            asyncio.run(report(port, TlsConfig()))
        with pytest.raises(ConfigurationError, match=r"tls\.ca is not base64"):
            asyncio.run(report(port, TlsConfig(ca="-----BEGIN")))
    with session.serve_tcp(tls_credentials=other_tls.credentials) as port:
        assert asyncio.run(report(port, TlsConfig(insecure=True))) == 1
        monkeypatch.setenv("JUMPSTARTER_GRPC_INSECURE", "1")
        assert asyncio.run(report(port, TlsConfig())) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (grpc.StatusCode.UNAVAILABLE, "the controller cannot be reached: token is expired"),
        (grpc.StatusCode.UNKNOWN, "the controller answered: token is expired"),
        (grpc.StatusCode.NOT_FOUND, "the controller answered NOT_FOUND: token is expired"),
    ],
)
def test_errors_of_a_controller_keep_its_words(code: grpc.StatusCode, text: str) -> None:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "token is expired")
    with pytest.raises(ConnectionError) as caught, translate_grpc_exceptions():
        raise error
    assert caught.value.message == text
    assert caught.value.__cause__ is error


def test_a_value_that_is_wrong_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="bad"), translate_grpc_exceptions():
        raise ValueError("bad")
