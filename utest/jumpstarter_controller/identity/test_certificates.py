"""The certificate authority is kept; the server certificate follows names, files and time."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_controller.identity.authority import Authority, own_names
from jumpstarter_controller.identity.certificates import CertificateFiles, OwnCertificate, server_credentials

NAMES = frozenset({"localhost", "127.0.0.1", "lab.example.com"})


def test_authority_and_certificate_are_kept(tmp_path: Path) -> None:
    first = Authority.open(tmp_path).server_certificate(NAMES)
    assert Authority.open(tmp_path).server_certificate(NAMES) == first
    assert Authority.open(tmp_path).server_certificate({"localhost"}) == first


def test_new_name_gets_a_new_certificate_of_the_same_authority(tmp_path: Path) -> None:
    first = Authority.open(tmp_path).server_certificate(NAMES)
    second = Authority.open(tmp_path).server_certificate({*NAMES, "10.0.0.7", "other.example.com"})
    assert second.chain != first.chain
    assert second.authority == first.authority


def test_keys_are_private(tmp_path: Path) -> None:
    Authority.open(tmp_path).server_certificate(NAMES)
    assert {path.name: path.stat().st_mode & 0o77 for path in tmp_path.glob("*-key.pem")} == {
        "ca-key.pem": 0,
        "server-key.pem": 0,
    }


def test_certificate_is_renewed_before_it_expires(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    source = OwnCertificate(Authority.open(tmp_path, lambda: now), NAMES)
    first = source.current()
    now += timedelta(days=300)
    assert source.current() == first
    now += timedelta(days=80)
    renewed = source.current()
    assert renewed.chain != first.chain
    assert renewed.authority == first.authority


def test_broken_pair_is_refused_with_its_files(tmp_path: Path) -> None:
    Authority.open(tmp_path / "a")
    Authority.open(tmp_path / "b")
    shutil.copy(tmp_path / "a" / "ca-key.pem", tmp_path / "b" / "ca-key.pem")
    with pytest.raises(ConfigurationError, match=r"ca-key.pem is not the key of .*ca.pem"):
        Authority.open(tmp_path / "b")


def test_own_names_have_loopback() -> None:
    assert {"localhost", "127.0.0.1", "::1"} <= own_names()


def files(folder: Path, name: str) -> CertificateFiles:
    Authority.open(folder / name).server_certificate(NAMES)
    for file in ("server.pem", "server-key.pem", "ca.pem"):
        # As tools that renew certificates do it: the new file takes the place of the old.
        shutil.copy(folder / name / file, folder / f"new-{file}")
        (folder / f"new-{file}").replace(folder / file)
    return CertificateFiles(folder / "server.pem", folder / "server-key.pem", folder / "ca.pem")


async def presented(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(found).encode()


async def served_before_and_after(tmp_path: Path) -> tuple[bytes, bytes, bytes]:
    source = files(tmp_path, "first")
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", server_credentials(source))
    await server.start()
    try:
        before = await presented(port)
        (tmp_path / "server-key.pem").write_text("half a file")
        broken = await presented(port)
        files(tmp_path, "second")
        return before, broken, await presented(port)
    finally:
        await server.stop(None)


def test_running_server_presents_changed_files(tmp_path: Path) -> None:
    before, broken, after = asyncio.run(served_before_and_after(tmp_path))
    assert (tmp_path / "first" / "server.pem").read_bytes().startswith(before)
    assert broken == before
    assert (tmp_path / "second" / "server.pem").read_bytes().startswith(after)


def test_key_of_another_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    files(tmp_path, "first")
    Authority.open(tmp_path / "second").server_certificate(NAMES)
    with pytest.raises(ConfigurationError, match="is not the key of"):
        CertificateFiles(tmp_path / "server.pem", tmp_path / "second" / "server-key.pem")
