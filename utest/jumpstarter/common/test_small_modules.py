"""Addresses, conditions, the fls program, and names that load when they are used."""

from __future__ import annotations

import functools
import http.server
import ipaddress
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import jumpstarter.common
import pytest
from jumpstarter.common import download_fls, get_fls_binary, get_fls_github_url
from jumpstarter.common.condition import (
    condition_false,
    condition_message,
    condition_present_and_equal,
    condition_true,
)
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError
from jumpstarter.common.ipaddr import get_ip_address, get_minikube_ip
from jumpstarter_protocol import kubernetes_pb2

# --- addresses ---


def test_the_address_of_this_machine_is_one_that_it_has() -> None:
    address = get_ip_address()
    assert ipaddress.ip_address(address).version == 4
    with socket.socket() as probe:
        probe.bind((address, 0))


def test_without_a_route_it_is_the_loopback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Broadcast needs a permission that the socket has not asked for: connecting fails as without a route.
    monkeypatch.setattr("jumpstarter.common.ipaddr._ELSEWHERE", ("255.255.255.255", 9))
    assert get_ip_address(logging.getLogger("test")) == "127.0.0.1"
    assert "no route" in caplog.text


def script(folder: Path, text: str) -> str:
    path = folder / "minikube"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_minikube_is_asked_for_its_address(tmp_path: Path) -> None:
    minikube = script(tmp_path, 'test "$*" = "ip -p lab" && echo 192.168.49.2')
    assert anyio.run(get_minikube_ip, "lab", minikube) == "192.168.49.2"


def test_what_minikube_says_is_told(tmp_path: Path) -> None:
    minikube = script(tmp_path, 'echo "no such profile" >&2; exit 85')
    with pytest.raises(ConfigurationError, match=r"minikube ip' gave no address: no such profile"):
        anyio.run(functools.partial(get_minikube_ip, minikube=minikube))
    with pytest.raises(ConfigurationError, match="cannot run .*: No such file or directory"):  # noqa: RUF043
        anyio.run(functools.partial(get_minikube_ip, minikube=str(tmp_path / "none")))


# --- conditions ---

CONDITIONS = [
    kubernetes_pb2.Condition(type="Ready", status="False", reason="Expired", message="it is over"),
    kubernetes_pb2.Condition(type="Online", status="True", reason="Seen"),
]


def test_conditions_are_found_by_type_status_and_reason() -> None:
    assert condition_true(CONDITIONS, "Online")
    assert condition_false(CONDITIONS, "Ready")
    assert not condition_true(CONDITIONS, "Ready")
    assert not condition_true(CONDITIONS, "Missing")
    assert not condition_false(CONDITIONS, "Missing")
    assert condition_present_and_equal(CONDITIONS, "Ready", "False", "Expired")
    assert not condition_present_and_equal(CONDITIONS, "Ready", "False", "Released")
    assert condition_message(CONDITIONS, "Ready") == "it is over"
    assert condition_message(CONDITIONS, "Ready", "Released") is None
    assert condition_message([], "Ready") is None


# --- fls ---


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address where a server offers it; downloads go to a cache of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "files"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Not on standard error."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_program_is_fetched_once_and_can_be_run(files: tuple[Path, str]) -> None:
    folder, url = files
    (folder / "fls").write_text("#!/bin/sh\necho flashed\n")
    path = download_fls(f"{url}/fls")
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout == "flashed\n"
    (folder / "fls").unlink()
    assert download_fls(f"{url}/fls") == path


def test_a_program_that_is_not_there_is_told_without_the_query(files: tuple[Path, str]) -> None:
    with pytest.raises(ConnectionError, match=r"cannot fetch fls from http://.*/none\?\.\.\.: ") as caught:
        download_fls(f"{files[1]}/none?token=secret")
    assert "secret" not in str(caught.value)
    assert "File not found" in str(caught.value)


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        ("x86_64", "x86_64"),
        ("amd64", "x86_64"),
        ("arm64", "aarch64"),
        ("aarch64", "aarch64"),
        (None, os.uname().machine),
    ],
)
def test_releases_have_an_address_for_each_architecture(arch: str | None, name: str) -> None:
    assert get_fls_github_url("0.3.0", arch).endswith(f"/releases/download/0.3.0/fls-{name}-linux")


def test_the_program_of_the_path_is_used_unless_another_is_named() -> None:
    assert get_fls_binary() == "fls"
    with pytest.raises(ConfigurationError, match="fls_allow_custom_binaries: true"):
        get_fls_binary(fls_binary_url="https://host/fls")
    with pytest.raises(ConfigurationError, match="expected an https:// address"):
        get_fls_binary(fls_binary_url="http://host/fls", allow_custom_binaries=True)


# --- names that load when they are used ---


def test_every_name_is_there() -> None:
    for name in jumpstarter.common.__all__:
        assert getattr(jumpstarter.common, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = jumpstarter.common.Nothing


def test_the_client_path_imports_nothing_heavy() -> None:
    code = (
        "import sys, jumpstarter.client.client, jumpstarter.client.flasher, jumpstarter.utils.env, jumpstarter.common.utils;"
        "print([m for m in ('anyio', 'pydantic', 'yaml', 'tqdm', 'asyncio', 'ssl', 'grpc.aio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.strip()
    assert not {"anyio", "pydantic", "yaml", "tqdm"} & set(loaded.strip("[]").replace("'", "").split(", ")), (
        loaded
    )
