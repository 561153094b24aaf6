from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jumpstarter.client import DriverClient
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.client import FlasherClient, OpendalClient
from jumpstarter_driver_opendal.driver import MockFlasher, MockStorageMux, MockStorageMuxFlasher

OPENDAL = [
    "capability",
    "copy",
    "create-dir",
    "delete",
    "exists",
    "hash",
    "list",
    "presign-read",
    "presign-stat",
    "presign-write",
    "read-bytes",
    "read-into-path",
    "remove-all",
    "rename",
    "scan",
    "stat",
    "write-bytes",
    "write-from-path",
]
MUX = ["dut", "host", "off", "read-local-file", "write-local-file"]


def run(client: DriverClient, *args: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(client.cli(), args, input=stdin)


def out(client: DriverClient, *args: str) -> str:
    result = run(client, *args)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def commands(client: DriverClient) -> list[str]:
    return sorted(
        line.split()[0] for line in out(client, "--help").split("Commands:")[1].strip().splitlines()
    )


@pytest.fixture
def flasher() -> Iterator[FlasherClient]:
    with serve(MockFlasher()) as client:
        yield client


def test_every_command_of_a_storage_is_there(opendal: OpendalClient) -> None:
    assert len(OPENDAL) == 18
    assert commands(opendal) == OPENDAL


def test_content_in_and_out(opendal: OpendalClient, tmp_path: Path) -> None:
    assert out(opendal, "write-bytes", "f", "text") == "ok\n"
    assert out(opendal, "read-bytes", "f") == "text"
    binary = os.urandom(100)
    result = run(opendal, "write-bytes", "g", stdin=binary)
    assert (result.stdout, result.stderr, result.exception) == ("ok\n", "", None)
    assert run(opendal, "read-bytes", "g").stdout_bytes == binary
    assert out(opendal, "read-into-path", "g", str(tmp_path / "local")) == "ok\n"
    assert (tmp_path / "local").read_bytes() == binary
    assert out(opendal, "write-from-path", "h", str(tmp_path / "local")) == "ok\n"
    assert opendal.read_bytes("h") == binary


def test_changes(opendal: OpendalClient) -> None:
    opendal.write_bytes("f", b"1")
    assert out(opendal, "copy", "f", "g") == out(opendal, "rename", "f", "h") == "ok\n"
    assert out(opendal, "create-dir", "d/e/") == out(opendal, "delete", "g") == "ok\n"
    assert sorted(out(opendal, "scan", "/").split()) == ["/", "d/", "d/e/", "h"]
    assert sorted(out(opendal, "list", "/").split()) == ["/", "d/", "h"]
    assert out(opendal, "remove-all", "d/") == "ok\n"
    assert (out(opendal, "exists", "d/"), out(opendal, "exists", "h")) == ("false\n", "true\n")


def test_questions_are_answered_on_standard_output(opendal: OpendalClient) -> None:
    opendal.write_bytes("f", b"hello")
    assert out(opendal, "hash", "f", "--algo", "md5") == "5d41402abc4b2a76b9719d911017c592\n"
    assert len(out(opendal, "hash", "f")) == 65
    assert json.loads(out(opendal, "stat", "f"))["content_length"] == 5
    assert json.loads(out(opendal, "capability"))["copy"] is True


def test_presigning_commands_reach_the_driver(opendal: OpendalClient) -> None:
    for name in ("presign-stat", "presign-read", "presign-write"):
        result = run(opendal, name, "f", "--expire-second", "60")
        assert isinstance(result.exception, NotImplementedError)
    assert run(opendal, "presign-read", "f", "--expire-second", "0").exit_code == 2


def test_flash_and_dump(flasher: FlasherClient, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"image")
    (tmp_path / "boot.gz").write_bytes(gzip.compress(b"boot"))
    assert commands(flasher) == ["dump", "flash"]
    assert out(flasher, "flash", str(tmp_path / "image")) == "ok\n"
    assert out(flasher, "flash", "-t", f"boot:{tmp_path / 'boot.gz'}", "--compression", "gzip") == "ok\n"
    assert out(flasher, "dump", str(tmp_path / "dump")) == "ok\n"
    assert (tmp_path / "dump").read_bytes() == b"image"
    assert out(flasher, "dump", str(tmp_path / "dump"), "--target", "boot") == "ok\n"
    assert (tmp_path / "dump").read_bytes() == b"boot"
    packed = str(tmp_path / "dump.gz")
    assert out(flasher, "dump", packed, "--target", "boot", "--compression", "gzip") == "ok\n"
    assert gzip.decompress(Path(packed).read_bytes()) == b"boot"
    assert out(flasher, "flash", str(tmp_path / "image"), "--target", "boot") == "ok\n"
    assert out(flasher, "dump", str(tmp_path / "dump"), "--target", "boot") == "ok\n"
    assert (tmp_path / "dump").read_bytes() == b"image"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "give either FILE, or one or more -t NAME:FILE"),
        (["f", "-t", "a:b"], "give either FILE, or one or more -t NAME:FILE"),
        (["-t", "ab"], "'ab' is not of the form name:file"),
        (["f", "--compression", "rar"], "'rar' is not one of"),
    ],
)
def test_flash_refuses_wrong_usage(flasher: FlasherClient, args: list[str], message: str) -> None:
    result = run(flasher, "flash", *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_storage_mux(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"image")
    with serve(MockStorageMux()) as client:
        assert commands(client) == MUX
        assert "Generic storage mux" in out(client, "--help")
        for name in ("host", "dut", "off"):
            assert out(client, name) == "ok\n"
        assert out(client, "write-local-file", str(tmp_path / "image")) == "ok\n"
        assert out(client, "read-local-file", str(tmp_path / "back")) == "ok\n"
    assert (tmp_path / "back").read_bytes() == b"image"


def test_storage_mux_flasher_has_the_commands_of_both(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"image")
    with serve(MockStorageMuxFlasher()) as client:
        assert commands(client) == sorted([*MUX, "flash", "dump"])
        assert out(client, "flash", str(tmp_path / "image")) == "ok\n"
        assert out(client, "dump", str(tmp_path / "back")) == "ok\n"
    assert (tmp_path / "back").read_bytes() == b"image"
