"""Addresses of controllers are checked where they enter, and each message of a connection says where, why and what next."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from jumpstarter.common.addresses import address_problem
from jumpstarter.common.causes import explain

if TYPE_CHECKING:
    from .conftest import Cli

WRONG = {
    "https://lab.example.com:8082": "leave out https://",
    "https://lab": "leave out https://",
    "lab": "no port",
    "lab:": "a port is a number from 1 to 65535",
    ":8082": "no host",
    "lab:99999": "a port is a number from 1 to 65535",
    "lab:0": "a port is a number from 1 to 65535",
    "lab:http": "a port is a number from 1 to 65535",
    "::1:8082": "stands in brackets",
    "[::1]": "no port",
    "lab :8082": "blanks",
    " lab:8082": "blanks",
    "lab:8082/path": "more than a host and a port",
    "me@lab:8082": "more than a host and a port",
}


@pytest.mark.parametrize("address", WRONG)
def test_wrong_address_is_named_with_what_is_wrong(address: str) -> None:
    assert WRONG[address] in address_problem(address)


@pytest.mark.parametrize("address", ["lab:8082", "lab.example.com:443", "127.0.0.1:1", "[::1]:65535"])
def test_right_address(address: str) -> None:
    assert address_problem(address) == ""


@pytest.mark.parametrize("address", ["https://lab", "lab:99999", "lab"])
def test_wrong_address_is_refused_wherever_it_enters(cli: Cli, address: str) -> None:
    told = WRONG[address]
    for command in (
        ("--endpoint", address, "get", "leases"),
        ("config", "client", "create", "x", "-e", address, "-t", "t", "--allow", "", "--nointeractive"),
        ("login", "--client", "x", "--endpoint", address, "--token", "t", "--nointeractive"),
        ("admin", "get", "clients", "--endpoint", address),
    ):
        result = cli.jmp(*command)
        assert result.code == 2, result
        assert told in result.error
    client(cli, address)
    result = cli.jmp("get", "leases")
    assert result.code == 1
    assert "default.yaml:4: endpoint: " in result.error and told in result.error
    path = cli.home / "config" / "jumpstarter" / "clients" / "default.yaml"
    assert cli.jmp("config", "validate", str(path)).code == 1
    path.unlink()
    result = cli.jmp("get", "leases", env={"JMP_ENDPOINT": address, "JMP_NAME": "a", "JMP_NAMESPACE": "b"})
    assert result.code == 1
    assert "JMP_ENDPOINT" in result.error and told in result.error


def client(cli: Cli, endpoint: str, more: str = "") -> None:
    path = cli.home / "config" / "jumpstarter" / "clients" / "default.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "apiVersion: jumpstarter.dev/v1alpha1\nkind: ClientConfig\nmetadata: {name: me, namespace: lab}\n"
        f'endpoint: "{endpoint}"\ntoken: t\n{more}'
    )


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port at which *answer* gets each connection, at all addresses of localhost: what one refuses would be told, too."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    with socket.create_server(("", 0), family=family, dualstack_ipv6=both) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    answer(connection)
                except OSError:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def plain(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\nProtocol mismatch.\r\n")
    connection.close()


def certificate(folder: str, names: list[str], begins: datetime, ends: datetime) -> tuple[str, str]:
    """(file of a certificate signed by itself and its key, its PEM)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM).decode()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = f"{folder}/server.pem"
    with open(path, "w") as file:
        file.write(secret + pem)
    return path, pem


def tls(path: str) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.set_alpn_protocols(["h2"])

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1000)

    return answer


def asked(cli: Cli, address: str, ca: str = "", env: dict[str, str] | None = None) -> str:
    import base64

    client(cli, address, f"tls: {{ca: {base64.b64encode(ca.encode()).decode()}}}\n" if ca else "")
    result = cli.jmp("get", "leases", env=env)
    assert result.code == 1
    assert address in result.error
    return result.error


def test_refused_connection(cli: Cli) -> None:
    assert "nothing listens there (check host and port" in asked(cli, "127.0.0.1:1")


@pytest.mark.parametrize("host", ["no-such-lab.invalid", "größe", "a..b"])
def test_unknown_name(cli: Cli, host: str) -> None:
    assert "the name is not known (check how it is written" in asked(cli, f"{host}:8082")


def test_certificate_to_trust_that_is_none(cli: Cli) -> None:
    client(cli, "127.0.0.1:1", "tls: {ca: bm90IGEgY2VydA==}\n")
    result = cli.jmp("get", "leases")
    assert (result.code, result.error.partition(";")[0]) == (1, "Error: tls.ca: this is no certificate")
    text = cli.home / "text"
    text.write_text("not a certificate")
    token = cli.home / "token"
    token.write_text("t\n")
    command = (
        "admin",
        "get",
        "clients",
        "--endpoint",
        "127.0.0.1:1",
        "--token-file",
        str(token),
        "--ca",
        str(text),
    )
    result = cli.jmp(*command)
    assert (result.code, result.error.partition(";")[0]) == (
        1,
        f"Error: {text} (--ca): this is no certificate",
    )


@pytest.mark.parametrize("token", ["x y", "x\ty", "größe", "x\x07"])
def test_token_that_cannot_be_one_is_told_without_showing_it(cli: Cli, token: str) -> None:
    client(cli, "127.0.0.1:1")
    result = cli.jmp("get", "leases", env={"JMP_TOKEN": token})
    assert result.code == 1
    assert result.error.startswith("Error: JMP_TOKEN: token: it has a blank, a line end or another character")
    assert repr(token)[1:-1] not in result.error
    result = cli.jmp("admin", "get", "clients", env={"JMP_ADMIN_TOKEN": token})
    assert result.code == 1
    assert result.error.startswith(
        "Error: JMP_ADMIN_TOKEN: this is no token of an administrator: it has a blank"
    )


def test_line_end_around_a_token_does_not_count(cli: Cli) -> None:
    client(cli, "127.0.0.1:1", "refresh_token: |\n  abc\n")
    for variables, command in (
        ({"JMP_TOKEN": "abc\n"}, ("get", "leases")),
        ({"JMP_ADMIN_TOKEN": " abc\r\n"}, ("admin", "get", "clients", "--endpoint", "127.0.0.1:1")),
    ):
        assert "nothing listens there" in cli.jmp(*command, env=variables).error


def test_service_without_tls(cli: Cli) -> None:
    with listening(plain) as port:
        assert "does not speak TLS" in asked(cli, f"127.0.0.1:{port}")


def test_certificate_of_an_authority_that_is_not_trusted(cli: Cli) -> None:
    now = datetime.now(UTC)
    path, _ = certificate(str(cli.home), ["localhost"], now - timedelta(1), now + timedelta(1))
    with listening(tls(path)) as port:
        told = asked(cli, f"localhost:{port}")
    assert "not trusted here" in told and "jmp login" in told


def test_refusal_of_one_address_of_a_name_does_not_hide_that_another_one_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = "failed to connect to all addresses; last error: ipv4:127.0.0.2: Connection refused"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # A name with two addresses, of which one takes connections at this port.
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        told = explain(refused, f"lab.example.com:{port}")
        assert "one of its addresses refuses, and the connection to another, 127.0.0.1, fails too" in told
        assert f"use 127.0.0.1:{port}" in told
    assert "nothing listens there" in explain(refused, f"lab.example.com:{port}")


def test_certificate_for_another_name(cli: Cli) -> None:
    now = datetime.now(UTC)
    path, pem = certificate(str(cli.home), ["other.example.com"], now - timedelta(1), now + timedelta(1))
    with listening(tls(path)) as port:
        assert "its certificate is for another name" in asked(cli, f"127.0.0.1:{port}", pem)


def test_drivers_command_at_a_port_whose_certificate_is_not_trusted_says_so_in_one_line(cli: Cli) -> None:
    now = datetime.now(UTC)
    path, _ = certificate(str(cli.home), ["localhost"], now - timedelta(1), now + timedelta(1))
    with listening(tls(path)) as port:
        result = cli.j("power", "on", env={"JUMPSTARTER_HOST": f"localhost:{port}"})
    assert (result.code, len(result.err.splitlines())) == (1, 1), result.err
    assert f"localhost:{port}" in result.error and "not trusted here" in result.error


def test_certificate_that_has_expired(cli: Cli) -> None:
    now = datetime.now(UTC)
    path, pem = certificate(str(cli.home), ["localhost"], now - timedelta(2), now - timedelta(1))
    with listening(tls(path)) as port:
        assert "its certificate is not valid today" in asked(cli, f"localhost:{port}", pem)


def test_dead_proxy_is_mentioned_without_its_password(cli: Cli) -> None:
    proxy = {"https_proxy": "http://user:secret@127.0.0.1:1", "no_proxy": ""}
    told = asked(cli, "lab.example.com:8082", env=proxy)
    assert "https_proxy=http://127.0.0.1:1 is used" in told
    assert "secret" not in told


def direct(cli: Cli, port: int, *options: str) -> str:
    result = cli.jmp("shell", "--tls-grpc", f"127.0.0.1:{port}", *options, "--", "j", "power", "on")
    assert result.code == 1, result
    assert result.error.startswith(f"Error: 127.0.0.1:{port}: "), result
    assert len(result.error.splitlines()) == 1
    return result.error


def test_exporter_in_direct_mode_that_does_not_run_is_told_with_its_address(cli: Cli) -> None:
    told = "nothing listens there (check host and port, and that the exporter runs"
    assert told in direct(cli, 1, "--tls-grpc-insecure")
    assert told in direct(cli, 1)
    for variables in ({}, {"JMP_GRPC_INSECURE": "1"}):
        result = cli.j("power", "on", env={"JUMPSTARTER_HOST": "127.0.0.1:1", **variables})
        assert (result.code, result.error.count("127.0.0.1:1")) == (1, 1)
        assert told in result.error


def test_exporter_in_direct_mode_without_tls_is_told_with_its_address(cli: Cli) -> None:
    with listening(plain) as port:
        assert "does not speak TLS (the exporter may serve without TLS" in direct(cli, port)


def test_exporter_in_direct_mode_that_is_no_exporter_is_told_with_its_address(cli: Cli) -> None:
    with listening(plain) as port:
        assert "exporter" in direct(cli, port, "--tls-grpc-insecure")


def test_exporter_in_direct_mode_of_another_authority_is_told_with_its_address(cli: Cli) -> None:
    now = datetime.now(UTC)
    path, _ = certificate(str(cli.home), ["localhost"], now - timedelta(1), now + timedelta(1))
    with listening(tls(path)) as port:
        assert "not trusted here (name its certificate authority with JMP_GRPC_CA)" in direct(cli, port)
