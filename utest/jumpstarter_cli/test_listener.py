"""What `jmp run --tls-grpc-listener` says about files and addresses that it cannot use."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Cli, Result, Running

REQUEST = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"


def make(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates and keys, good and bad."""
    folder = tmp_path_factory.mktemp("tls")

    def certificate(name: str, *options: str, request: str = REQUEST) -> None:
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        make(*request.split(), "-out", str(cert), "-keyout", str(key), *options)

    certificate("a", "-days", "2")
    certificate("b", "-days", "2")
    certificate("rsa", "-days", "2", request="openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost")
    _signed(folder, "expired", "20200101000000Z", "20200102000000Z")
    _signed(folder, "early", "20990101000000Z", "20990102000000Z")
    a = folder / "a.key"
    make(
        "openssl", "pkcs8", "-topk8", "-in", str(a), "-out", str(folder / "locked.key"), "-passout", "pass:x"
    )
    make("openssl", "ec", "-aes128", "-in", str(a), "-out", str(folder / "old.key"), "-passout", "pass:x")
    text = (folder / "a.pem").read_text()
    (folder / "garbage.pem").write_text(text.replace("MII", "AAA", 1))
    (folder / "garbage.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (folder / "cut.pem").write_text(text[:200])
    (folder / "empty.pem").touch()
    (folder / "both.pem").write_text(text + a.read_text())
    return folder


def _signed(folder: Path, name: str, since: str, until: str) -> None:
    """A certificate for the time from *since* to *until*, signed by a small authority."""
    (folder / "index").write_text("")
    (folder / "index.attr").write_text("")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\n"
        f"dir={folder}\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    make(*new.split(), "-keyout", str(key), "-out", str(request))
    make(
        *(
            "openssl",
            "ca",
            "-batch",
            "-config",
            str(folder / "ca.cnf"),
            "-startdate",
            since,
            "-enddate",
            until,
        ),
        *("-cert", str(folder / "a.pem"), "-keyfile", str(folder / "a.key"), "-notext"),
        *("-in", str(request), "-out", str(folder / f"{name}.pem")),
    )


@pytest.fixture
def run(cli: Cli, board: Path, files: Path) -> Callable[..., Result]:
    def run(cert: str, key: str) -> Result:
        options = ("--tls-cert", str(files / cert), "--tls-key", str(files / key))
        return cli.jmp("run", "--exporter-config", str(board), "--tls-grpc-listener", "127.0.0.1:0", *options)

    return run


@pytest.mark.parametrize(
    ("cert", "key", "named", "words"),
    [
        ("a.pem", "b.key", "b.key", "does not belong to the certificate in"),
        ("a.pem", "rsa.key", "rsa.key", "does not belong to the certificate in"),
        ("rsa.pem", "a.key", "a.key", "does not belong to the certificate in"),
        ("a.key", "a.pem", "a.key", "no certificate; it has a key, which belongs to --tls-key"),
        ("a.pem", "b.pem", "b.pem", "no private key; it has a certificate, which belongs to --tls-cert"),
        ("a.pem", "locked.key", "locked.key", "is encrypted"),
        ("a.pem", "old.key", "old.key", "is encrypted"),
        ("garbage.pem", "a.key", "garbage.pem", "cannot be read"),
        ("cut.pem", "a.key", "cut.pem", "cannot be read"),
        ("empty.pem", "a.key", "empty.pem", "is not a PEM file"),
        ("a.pem", "garbage.key", "garbage.key", "cannot be used"),
        ("expired.pem", "expired.key", "expired.pem", "certificate has expired"),
        ("early.pem", "early.key", "early.pem", "certificate is not yet valid"),
        ("missing.pem", "a.key", "missing.pem", "No such file"),
        ("a.pem", "missing.key", "missing.key", "No such file"),
        (".", "a.key", "", "Is a directory"),
    ],
)
def test_wrong_file_is_named_with_what_is_wrong(
    run: Callable[..., Result], files: Path, cert: str, key: str, named: str, words: str
) -> None:
    result = run(cert, key)
    assert result.code == 2, result.err
    assert str(files / named) in result.error and words in result.error
    assert "in use" not in result.err and "Traceback" not in result.err


@pytest.mark.parametrize(
    ("cert", "key"), [("a.pem", "a.key"), ("rsa.pem", "rsa.key"), ("both.pem", "both.pem")]
)
def test_good_files_are_served(
    start: Callable[..., Running], board: Path, files: Path, cert: str, key: str
) -> None:
    options = ("--tls-cert", str(files / cert), "--tls-key", str(files / key))
    running = start(
        "jmp", "run", "--exporter-config", str(board), "--tls-grpc-listener", "127.0.0.1:0", *options
    )
    running.wait_for("is ready")
    assert running.end() == 143


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("192.0.2.1:0", "not one of this machine"),
        ("no-such-host.invalid:0", "no-such-host.invalid"),
        ("[2001:db8::1]:0", "2001:db8::1"),
    ],
)
def test_address_of_another_machine_is_told(cli: Cli, board: Path, address: str, words: str) -> None:
    result = cli.jmp(
        *("run", "--exporter-config", str(board), "--tls-grpc-listener", address, "--tls-grpc-insecure")
    )
    assert result.code == 1
    assert words in result.error and "in use" not in result.error


def test_port_in_use_is_told_as_such_with_certificates_too(cli: Cli, board: Path, files: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        options = ("--tls-cert", str(files / "a.pem"), "--tls-key", str(files / "a.key"))
        result = cli.jmp("run", "--exporter-config", str(board), "--tls-grpc-listener", address, *options)
    assert result.code == 1
    assert address in result.error and "the port is in use" in result.error


def test_passphrase_given_twice_is_wrong_usage(cli: Cli, board: Path) -> None:
    twice = ("--passphrase", "one", "--passphrase", "two")
    listener = ("--tls-grpc-listener", "127.0.0.1:0", "--tls-grpc-insecure")
    result = cli.jmp("run", "--exporter-config", str(board), *listener, *twice)
    assert result.code == 2
    assert "--passphrase" in result.error and "twice" in result.error
    assert "one" not in result.error.replace("once", "").split() and "two" not in result.error.split()


def test_passphrase_of_the_environment_may_have_spaces(
    cli: Cli, board: Path, start: Callable[..., Running]
) -> None:
    listener = ("--tls-grpc-listener", "127.0.0.1:0", "--tls-grpc-insecure")
    env = {"JMP_GRPC_PASSPHRASE": "open sesame"}
    running = start("jmp", "run", "--exporter-config", str(board), *listener, env=env)
    host, port = running.wait_for(r"listens on (\S+):(\d+)").groups()
    running.wait_for("is ready")
    target = ("--tls-grpc", f"{host}:{port}", "--tls-grpc-insecure", "--passphrase", "open sesame")
    assert cli.ok("jmp", "shell", *target, "--", "j", "power", "on") == "ok\n"


@pytest.mark.parametrize("length", [60, 120, 200])
def test_long_folder_for_temporary_files_is_no_obstacle(
    cli: Cli, board: Path, tmp_path: Path, start: Callable[..., Running], length: int
) -> None:
    folder = tmp_path
    while len(str(folder)) < length:
        folder /= "x" * min(40, max(1, length - len(str(folder)) - 1))
    folder.mkdir(parents=True, exist_ok=True)
    env = {"TMPDIR": str(folder)}
    assert (
        cli.ok("jmp", "shell", "--exporter-config", str(board), "--", "j", "power", "on", env=env) == "ok\n"
    )
    listener = ("--tls-grpc-listener", "127.0.0.1:0", "--tls-grpc-insecure")
    running = start("jmp", "run", "--exporter-config", str(board), *listener, env=env)
    running.wait_for("is ready")
    assert running.end() == 143


def test_long_folder_for_the_state_of_the_session_is_no_obstacle(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 60) / ("y" * 60)
    folder.mkdir(parents=True)
    env = {"XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
    assert cli.run("jmp", "local", "start", env=env).code == 0
    try:
        assert cli.ok("j", "power", "on", env=env) == "ok\n"
    finally:
        assert cli.run("jmp", "local", "stop", env=env).code == 0


def test_no_folder_that_is_short_enough_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jumpstarter.common.exceptions import FileAccessError
    from jumpstarter.common.tempfile import LONGEST_PATH, short_folder

    with pytest.raises(FileAccessError, match="set TMPDIR to a shorter one"):
        short_folder(LONGEST_PATH)


def test_path_that_is_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    from jumpstarter.common.exceptions import ConnectionError
    from jumpstarter.session import Session
    from jumpstarter_driver_power.driver import MockPower

    path = tmp_path / ("x" * 120)
    with (
        Session(root_device=MockPower()) as session,
        pytest.raises(ConnectionError, match="expected 107 at most for a socket"),
        session.serve_unix(path),
    ):
        pass
