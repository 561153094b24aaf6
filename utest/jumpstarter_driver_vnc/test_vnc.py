"""The VNC driver in front of a real VNC server, QEMU's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite, Proxy
from jumpstarter_driver_network.driver import EchoNetwork
from jumpstarter_driver_qemu.driver import Qemu
from jumpstarter_driver_vnc.driver import Vnc


@contextmanager
def screen(**config: Any) -> Iterator[Any]:
    """The client of a driver whose VNC server is that of a running board."""
    vnc = Vnc(children={"tcp": Proxy(ref="qemu.vnc")}, **config)
    with serve(Composite(children={"qemu": Qemu(arch="aarch64", smp=1), "vnc": vnc})) as client:
        client.qemu.power.on()
        yield client.vnc


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_streams_lead_to_the_server() -> None:
    with screen() as client:
        with client.stream() as stream:
            assert stream.receive().startswith(b"RFB 003.")
        with client.tcp.stream() as stream:
            assert stream.receive().startswith(b"RFB 003.")

        async def greeting() -> bytes:
            async with client.stream_async("connect") as stream:
                return bytes(await stream.receive())

        assert client.portal.call(greeting).startswith(b"RFB 003.")


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
@pytest.mark.parametrize("encrypt", [True, False])
def test_session_gives_a_page_whose_websocket_leads_to_the_server(encrypt: bool) -> None:
    connect = pytest.importorskip("websockets.sync.client").connect
    with screen() as client, client.session(encrypt=encrypt) as url:
        query = parse_qs(urlsplit(url).query)
        assert query["encrypt"] == [str(int(encrypt))]
        with connect(f"ws://{query['host'][0]}:{query['port'][0]}", subprotocols=["binary"]) as socket:
            assert socket.recv().startswith(b"RFB 003.")


CONFIG = """
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata: {namespace: default, name: screen}
export:
  vnc:
    type: jumpstarter_driver_vnc.driver.Vnc
    config: {default_encrypt: %s}
    children:
      tcp:
        type: jumpstarter_driver_network.driver.EchoNetwork
"""


@pytest.mark.parametrize(
    ("default", "options", "encrypt"),
    [("true", [], "1"), ("false", [], "0"), ("true", ["--no-encrypt"], "0"), ("false", ["--encrypt"], "1")],
)
def test_session_of_the_command_line_prints_the_url_and_ends_with_ctrl_c(
    tmp_path: Path, default: str, options: list[str], encrypt: str
) -> None:
    pytest.importorskip("websockets")
    (tmp_path / "exporter.yaml").write_text(CONFIG % default)
    bin_folder = Path(sys.executable).parent
    command = [str(bin_folder / "jmp"), "shell", "--exporter-config", str(tmp_path / "exporter.yaml"), "--"]
    # The shell of the session gives its place to j, so that the signal reaches j as Ctrl-C does.
    script = f"echo $$; exec {bin_folder}/j vnc session --no-browser {' '.join(options)}"
    with subprocess.Popen([*command, "sh", "-c", script], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        pid = int(shell.stdout.readline())
        url = shell.stdout.readline()
        assert url.startswith("https://novnc.com/noVNC/vnc.html?")
        assert parse_qs(urlsplit(url).query)["encrypt"] == [encrypt]
        os.kill(pid, signal.SIGINT)
        shell.wait(60)
    assert shell.returncode == 0


@pytest.mark.parametrize("default", [True, False])
def test_default_of_the_exporter_reaches_the_client(default: bool) -> None:
    with serve(Vnc(children={"tcp": EchoNetwork()}, default_encrypt=default)) as client:
        assert client.get_default_encrypt() is default
        assert set(client.cli().list_commands(None)) == {"session", "tcp"}


def test_missing_child_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"Vnc: no child 'tcp'.*TcpNetwork"):
        Vnc()
