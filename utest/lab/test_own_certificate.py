"""A lab with a certificate of one's own authority."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from jumpstarter.common.fingerprints import fingerprint
from jumpstarter_controller.identity.authority import Issuer, pem

from .world import World


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """(authority, certificate, key) for this machine's loopback names."""
    now = datetime.now(UTC)
    issuer = Issuer.self_signed(ec.generate_private_key(ec.SECP256R1()), "Our own", now, timedelta(days=9))
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = {"localhost", "127.0.0.1"}
    leaf = issuer.sign(
        key.public_key(), "lab", hosts, ExtendedKeyUsageOID.SERVER_AUTH, now, timedelta(days=5)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = tuple(folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    for path, content in zip(paths, (pem(issuer.certificate), pem(leaf), private), strict=True):
        path.write_bytes(content)
    return paths[0], paths[1], paths[2]


@pytest.fixture(params=["with the authority", "without"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, Path]]:
    """A lab that had a certificate of its own before, and the authority's file."""
    ca, cert, key = make_certificates(tmp_path)
    home = tmp_path / "lab"
    home.mkdir()
    world = World(home)
    try:
        world.start_controller().end()  # leaves a ca.pem of the lab's own
        tls = {"certificate": str(cert), "key": str(key)}
        if request.param == "with the authority":
            tls["ca"] = str(ca)
        world.start_controller({"tls": tls})
        yield world, ca
    finally:
        world.close()


def test_administrators_find_the_certificate_in_the_data_directory(own: tuple[World, Path]) -> None:
    world, _ = own
    data = world.home / "state" / "jumpstarter" / "controller"
    assert world.ok("admin", "get", "clients", "--data-dir", str(data)).startswith("No resources found")
    world.ok("admin", "create", "client", "carl", "--data-dir", str(data), "--save", "--unsafe")
    world.ok("get", "leases", "--client", "carl")


def test_token_names_an_authority_that_lasts(own: tuple[World, Path]) -> None:
    world, ca = own
    world.ok("admin", "create", "client", "cora", "--save", "--unsafe")
    path = world.home / "config" / "jumpstarter" / "clients" / "cora.yaml"
    claims = jwt.decode(yaml.safe_load(path.read_text())["token"], options={"verify_signature": False})
    named = "ca:" in (world.home / "controller.yaml").read_text()
    assert claims.get("jmp_ca") == (fingerprint(ca.read_text()) if named else None)
