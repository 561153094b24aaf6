"""The scenarios of exporters that serve clients themselves, without a controller."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from utest.interop_lab.lab import Installation, Process
from utest.scenarios.peers import OURS, STOCK, Shell, after, before, hooks

CONFIG = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata: {namespace: default, name: direct}
export:
  power:
    type: jumpstarter_driver_power.driver.MockPower
"""
INSECURE = ("--tls-grpc-insecure",)
SECRET = "s3cret-passphrase"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
            f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {key} -out {cert}"
        ).split(),
        check=True,
        capture_output=True,
    )
    return cert, key


@contextmanager
def listening(installation: Installation, *options: str, more: str = "") -> Iterator[tuple[Process, str]]:
    """An exporter of ours in direct mode, and its address."""
    config = installation.home / "direct.yaml"
    config.write_text(CONFIG + more)
    command = ("jmp", "run", "--exporter-config", str(config), "--tls-grpc-listener", "127.0.0.1:0")
    with installation.start(*command, *options) as process:
        address = process.until(r"listens on (\S+:\d+)")[1]
        process.until("is ready")
        yield process, address


def shell(
    installation: Installation,
    address: str,
    *command: str,
    options: tuple[str, ...] = INSECURE,
    more: Mapping[str, str] | None = None,
) -> Shell:
    return Shell.of(
        installation.run("jmp", "shell", "--tls-grpc", address, *options, "--", *command, more=more)
    )


@pytest.fixture(scope="module")
def ours(installations: Mapping[str, Installation]) -> Installation:
    return installations[OURS]


@pytest.mark.parametrize("owner", [OURS, *STOCK])
def test_direct_listener_1_connects(installations: Mapping[str, Installation], owner: str) -> None:
    with listening(installations[OURS], *INSECURE) as (process, address):
        shell(installations[owner], address, "j", "power", "on").ok()
        assert process.text.count("power on") == 1


def test_direct_listener_2_several_calls(ours: Installation) -> None:
    with listening(ours, *INSECURE) as (process, address):
        shell(ours, address, "sh", "-c", "j power on && j power read && j power off && j power on").ok()
        assert process.text.count("power on") == 2


def test_direct_listener_3_tls_mismatch_is_refused(
    ours: Installation, certificate: tuple[Path, Path]
) -> None:
    cert, key = map(str, certificate)
    with listening(ours, "--tls-cert", cert, "--tls-key", key) as (_, address):
        refused = shell(ours, address, "true")
        assert refused.code == 1
        assert "Traceback" not in refused.text
        trusting = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": cert}
        shell(ours, address, "j", "power", "on", options=(), more=trusting).ok()
    with listening(ours, *INSECURE) as (_, address):
        assert shell(ours, address, "true", options=(), more=trusting).code == 1


@pytest.mark.parametrize("owner", [OURS, "0.9.0"])
def test_direct_listener_4_before_hook(installations: Mapping[str, Installation], owner: str) -> None:
    script = before("echo BEFORE of $LEASE_NAME; j power on")
    with listening(installations[OURS], *INSECURE, more=hooks(script)) as (process, address):
        process.until("BEFORE of standalone")
        process.until("power on")
        shell(installations[owner], address, "j", "power", "off").ok()


def test_direct_listener_5_after_hook_on_sigterm(ours: Installation) -> None:
    with listening(ours, *INSECURE, more=hooks(after("echo AFTER; j power off"))) as (process, address):
        shell(ours, address, "true").ok()
        assert "AFTER" not in process.text
        assert process.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    assert process.text.index("AFTER") < process.text.index("power off")


@pytest.fixture(scope="module")
def guarded(ours: Installation) -> Iterator[tuple[Process, str]]:
    """An exporter that wants a passphrase."""
    with listening(ours, *INSECURE, "--passphrase", SECRET) as found:
        yield found


@pytest.mark.parametrize("owner", [OURS, *STOCK])
def test_direct_listener_6_right_passphrase(
    installations: Mapping[str, Installation], guarded: tuple[Process, str], owner: str
) -> None:
    process, address = guarded
    options = (*INSECURE, "--passphrase", SECRET)
    shell(installations[owner], address, "j", "power", "on", options=options).ok()
    assert SECRET not in process.text


@pytest.mark.parametrize("owner", [OURS, *STOCK])
def test_direct_listener_7_wrong_passphrase(
    installations: Mapping[str, Installation], guarded: tuple[Process, str], owner: str
) -> None:
    process, address = guarded
    options = (*INSECURE, "--passphrase", "not-" + SECRET)
    refused = shell(installations[owner], address, "echo", "NEVER", options=options)
    assert refused.code != 0
    assert "NEVER" not in refused.text
    assert SECRET not in process.text


@pytest.mark.parametrize("owner", [OURS, *STOCK])
def test_direct_listener_8_missing_passphrase(
    installations: Mapping[str, Installation], guarded: tuple[Process, str], owner: str
) -> None:
    _, address = guarded
    refused = shell(installations[owner], address, "echo", "NEVER")
    assert refused.code != 0
    assert "NEVER" not in refused.text
    if owner == OURS:
        assert "passphrase" in refused.text
