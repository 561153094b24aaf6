"""A lab starts, stops, starts again, and says why it cannot."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64decode
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter.common.exceptions import ConfigurationError, FileAccessError
from jumpstarter_controller.server import serve
from jumpstarter_controller.settings import LoginSettings, RouterSettings
from jumpstarter_protocol import lab_pb2

from .peers import TestLab, conditions, open_store, refusal, running_lab, settings_for

pytestmark = pytest.mark.anyio


async def start(folder: Path, **more: Any) -> None:
    async with serve(settings_for(folder, **more), open_store):
        pass


async def test_everything_outlasts_a_restart(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        token = lab.admin.token
        board, alice = await lab.exporter(board="rpi"), await lab.client()
        lease = await alice.create("board=rpi", tags={"job": "7"})
        waiting = await alice.create("board=rpi")
        authority = lab.running.authority()
    async with running_lab(tmp_path) as lab:
        assert lab.admin.token == token
        assert lab.running.authority() == authority
        again = TestLab(lab.running, lab.channel)
        client = type(alice)(lab.channel, "Client", "alice", alice.token)
        found = await client.get(lease.name)
        assert conditions(found)["Ready"] == ("True", "Ready")
        assert found.effective_begin_time == lease.effective_begin_time
        assert dict(found.tags) == {"job": "7"}
        assert "Ready" not in conditions(await client.get(waiting.name))
        assert again.running.lab.holder(board.name) is not None
        # Its token is valid still, and it is offline only until it comes back.
        await type(board)(lab.channel, "Exporter", "board-1", board.token).come_up()
        await client.delete(lease.name)
        await client.until_ready(waiting)


async def test_administrators_token_is_private_and_made_again_when_it_is_gone(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        path = lab.running.data.admin_token
        assert path.stat().st_mode & 0o777 == 0o600
        first = path.read_text()
        path.unlink()
    async with running_lab(tmp_path) as lab:
        assert path.read_text() != first
        await lab.client()
        lost = type(lab.admin)(lab.channel, "Administrator", "admin", first.strip())
        _, text = await refusal(lost.ask(lost.admin.ListPolicies, lab_pb2.ListPoliciesRequest()))
        assert "the token is revoked" in text


async def test_second_controller_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with running_lab(tmp_path):
        with pytest.raises(ConfigurationError, match="another controller uses it"):
            await start(tmp_path)


async def test_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=f"cannot listen on {address}: .*--listen"):
            await start(tmp_path, listen=address)
        with pytest.raises(ConfigurationError, match=f"cannot listen on {address}: .*--router-listen"):
            await start(tmp_path, router=RouterSettings(listen=address))
        with pytest.raises(ConfigurationError, match=f"cannot listen on {address}: .*login.listen"):
            await start(tmp_path, login=LoginSettings(listen=address))
    # What was begun was let go of.
    await start(tmp_path)


async def test_two_labs_do_not_share_a_port(tmp_path: Path) -> None:
    async with running_lab(tmp_path / "one") as lab:
        with pytest.raises(ConfigurationError, match="another process uses the port"):
            await start(tmp_path / "two", listen=f"127.0.0.1:{lab.running.port}")


async def test_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileAccessError, match="name another with --data-dir"):
        await start(tmp_path / "file" / "data")


@pytest.mark.parametrize("folder", [".", "keys", "ca"])
async def test_data_directory_that_everybody_may_write_into_is_refused(tmp_path: Path, folder: str) -> None:
    data = tmp_path / "lab"
    (data / folder).mkdir(parents=True, exist_ok=True)
    (data / folder).chmod(0o777)
    with pytest.raises(
        ConfigurationError, match=r"everybody may write into it \(mode 777\): run 'chmod o-w "
    ):
        await start(data)
    (data / folder).chmod(0o775)
    await start(data)


async def request(port: int, text: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_login_service(tmp_path: Path) -> None:
    async with running_lab(tmp_path, endpoints=["lab.example.com:8082"]) as lab:
        port = lab.running.login_port
        assert port is not None
        answer = await request(port, "GET /v1/auth/config HTTP/1.1\r\nHost: lab\r\n\r\n")
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 OK")
        config = json.loads(body)
        assert b64decode(config.pop("caBundle")) == lab.running.authority()
        assert config == {
            "grpcEndpoint": "lab.example.com:8082",
            "routerEndpoint": lab.running.router_endpoint,
            "namespace": "default",
        }
        for header in (
            "Content-Security-Policy: default-src 'none'",
            "X-Frame-Options: DENY",
            "X-Content-Type-Options: nosniff",
        ):
            assert header in head
        page = await request(port, "GET / HTTP/1.1\r\nHost: <lab>\r\n\r\n")
        assert "Jumpstarter" in page
        assert "jmp login NAME@&lt;lab&gt;" in page
        assert (await request(port, "GET /healthz HTTP/1.0\r\n\r\n")).endswith("\r\n\r\nok")
        assert (await request(port, "HEAD /healthz HTTP/1.0\r\n\r\n")).endswith("\r\n\r\n")
        assert (await request(port, "GET /x HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 404")
        assert (await request(port, "POST / HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 405")
        assert await request(port, "x" * 100_000 + "\r\n\r\n") == ""


async def test_names_of_the_endpoints_are_in_the_certificate(tmp_path: Path) -> None:
    async with running_lab(tmp_path, endpoints=["lab.example.com:8082"]) as lab:
        credentials = grpc.ssl_channel_credentials(lab.running.authority())
        options = [("grpc.ssl_target_name_override", "lab.example.com")]
        target = f"127.0.0.1:{lab.running.port}"
        async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
            peer = TestLab(lab.running, channel).admin
            listed = await peer.ask(peer.admin.ListPolicies, lab_pb2.ListPoliciesRequest())
            assert not listed.policies


async def test_plain_connections_are_not_served(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{lab.running.port}") as channel:
            peer = TestLab(lab.running, channel).admin
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await peer.ask(peer.admin.ListPolicies, lab_pb2.ListPoliciesRequest())
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
