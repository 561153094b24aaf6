"""`j` of the one implementation on an exporter of the other; direct mode with a passphrase."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from utest.interop.conftest import Installation, Pair, exporter_on_tcp

pytestmark = pytest.mark.timeout(300)


def test_j_help_lists_the_drivers(pair: Pair) -> None:
    done = pair.j("--help")
    assert done.returncode == 0, done.stderr
    commands = {line.split()[0] for line in done.stdout.split("Commands:")[1].splitlines() if line.strip()}
    assert {"power", "serial", "storage", "shell", "muxflash", "tcp"} <= commands


@pytest.mark.parametrize("action", ["on", "off"])
def test_j_power(action: str, pair: Pair) -> None:
    done = pair.j("power", action)
    assert done.returncode == 0, done.stderr
    # Upstream 0.9.0 prints nothing; the documents, and so our client, print ok.
    assert done.stdout == {"ours": "ok\n", "upstream": ""}[pair.client.name]


def test_j_power_read(pair: Pair) -> None:
    assert pair.j("power", "on").returncode == 0
    done = pair.j("power", "read", "-n", "1", "-i", "0")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["voltage=0.0", "voltage=5.0"]


def test_j_shell_prints_the_output(pair: Pair) -> None:
    done = pair.j("shell", "hello", "board")
    assert (done.returncode, done.stdout) == (0, "Hello board\n")


def test_j_network_address(pair: Pair, echo_port: int) -> None:
    done = pair.j("tcp", "address")
    assert (done.returncode, done.stdout.strip()) == (0, f"127.0.0.1:{echo_port}")


def test_j_flash_and_dump(pair: Pair, tmp_path: Path) -> None:
    image, dumped = tmp_path / "image", tmp_path / "dumped"
    image.write_bytes(b"an image" * 5000)
    for arguments in (("flash", str(image)), ("dump", str(dumped))):
        done = pair.j("muxflash", *arguments)
        assert done.returncode == 0, done.stderr
    assert dumped.read_bytes() == image.read_bytes()


def test_j_names_an_unknown_command(pair: Pair) -> None:
    done = pair.j("nosuch")
    assert done.returncode != 0
    assert "No such command 'nosuch'" in done.stderr


@pytest.fixture(params=["ours", "upstream"])
def sides(
    request: pytest.FixtureRequest, ours: Installation, upstream: Installation
) -> tuple[Installation, Installation]:
    """The exporter's and the client's installation."""
    return (ours, upstream) if request.param == "ours" else (upstream, ours)


@pytest.mark.parametrize(("passphrase", "works"), [("open sesame", True), ("wrong", False)])
def test_direct_mode_with_a_passphrase(
    passphrase: str, works: bool, sides: tuple[Installation, Installation], exporter_config: Path
) -> None:
    exporter, client = sides
    with exporter_on_tcp(
        exporter, exporter_config, "--tls-grpc-insecure", "--passphrase", "open sesame"
    ) as address:
        options = ["--tls-grpc", address, "--tls-grpc-insecure", "--passphrase", passphrase]
        done = client.run("jmp", "shell", *options, "--", "j", "tcp", "address", "--host", settings={})
    assert (done.returncode == 0) is works, done.stdout + done.stderr
    assert ("127.0.0.1" in done.stdout.split("\n")) is works


def test_shell_in_direct_mode_returns_the_exit_code(
    sides: tuple[Installation, Installation], exporter_config: Path
) -> None:
    exporter, client = sides
    with exporter_on_tcp(exporter, exporter_config, "--tls-grpc-insecure") as address:
        options = ["--tls-grpc", address, "--tls-grpc-insecure"]
        done = client.run("jmp", "shell", *options, "--", "bash", "-c", "j power on; exit 5", settings={})
    assert done.returncode == 5, done.stdout + done.stderr


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    form = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", *form, *names, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("trusted", [True, False])
def test_direct_mode_with_tls(
    trusted: bool,
    sides: tuple[Installation, Installation],
    exporter_config: Path,
    certificate: tuple[Path, Path],
) -> None:
    exporter, client = sides
    cert, key = certificate
    with exporter_on_tcp(
        exporter, exporter_config, "--tls-cert", str(cert), "--tls-key", str(key)
    ) as address:
        settings = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(cert)} if trusted else {}
        command = ["jmp", "shell", "--tls-grpc", address, "--", "j", "tcp", "address", "--host"]
        done = client.run(*command, settings=settings)
    assert (done.returncode == 0) is trusted, done.stdout + done.stderr
    assert ("127.0.0.1" in done.stdout.split("\n")) is trusted
