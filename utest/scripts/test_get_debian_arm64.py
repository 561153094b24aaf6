"""scripts/board/get-debian-arm64: reading apt's sources, making the initramfs, and its errors."""

from __future__ import annotations

import gzip
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "board" / "get-debian-arm64"


def load() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("get_debian_arm64", str(SCRIPT))
    spec = importlib.util.spec_from_loader("get_debian_arm64", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # The script has no suffix: bytecode would land beside it, in a folder of the repository.
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


script: Any = load()


def run(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environ},
    )


def test_sources_of_both_formats() -> None:
    deb822 = """\
# a comment: with a colon
Types: deb deb-src
# http://example.test/snapshot
URIs: http://one.test/debian http://two.test/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://other.test/repository
Suites: bookworm
Components: stable
"""
    assert script.parse_deb822(deb822) == [
        ("http://one.test/debian", "bookworm"),
        ("http://one.test/debian", "bookworm-updates"),
        ("http://two.test/debian", "bookworm"),
        ("http://two.test/debian", "bookworm-updates"),
    ]
    one_line = """\
# deb http://off.test/debian bookworm main
deb http://one.test/debian bookworm main contrib
deb [arch=amd64 signed-by=/k.gpg] http://two.test/debian bookworm-security main
deb-src http://one.test/debian bookworm main
deb http://other.test/apt cloud main2
"""
    assert script.parse_one_line(one_line) == [
        ("http://one.test/debian", "bookworm"),
        ("http://two.test/debian", "bookworm-security"),
    ]


@pytest.mark.parametrize(
    ("suite", "wanted"),
    [
        ("bookworm", True),
        ("bookworm-updates", True),
        ("bookworm-security", True),
        ("bookworm-backports", False),
        ("cloud-bookworm", False),
    ],
)
def test_suites_of_a_release(suite: str, wanted: bool) -> None:
    assert script.is_of_release(suite, "bookworm") is wanted


def module(needs: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0"


def test_modules_load_after_those_they_need(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "modules" / "6.1" / "kernel"
    folder.mkdir(parents=True)
    # virtio_mmio is built in here; names are spelt with either of - and _.
    for name, needs in (
        ("virtio_pci", "virtio,virtio_ring"),
        ("virtio", ""),
        ("virtio_ring", "virtio"),
        ("virtio_net", "net-failover,virtio_ring"),
        ("net_failover", ""),
        ("virtio_blk", "virtio_ring"),
        ("unneeded", ""),
    ):
        (folder / f"{name.replace('_net', '-net')}.ko").write_bytes(module(needs))
    assert list(script.load_order(tmp_path)) == [
        "virtio",
        "virtio_ring",
        "virtio_pci",
        "net_failover",
        "virtio_net",
        "virtio_blk",
    ]


def test_archive_follows_the_format() -> None:
    archive = script.Cpio()
    archive.directory("d")
    archive.file("d/f", b"12345", 0o755)
    data = archive.close()
    assert len(data) % 4 == 0
    head = data[:110]
    assert head[:6] == b"070701" and int(head[14:22], 16) == 0o040755 and int(head[94:102], 16) == len("d\0")
    second = data[112:]
    assert int(second[14:22], 16) == 0o100755 and int(second[54:62], 16) == 5
    assert second[110:114] == b"d/f\0" and second[116:121] == b"12345"
    assert b"TRAILER!!!\0" in data


def test_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JMP_CACHE", "/c")
    assert script.cache_directory() == Path("/c")
    monkeypatch.delenv("JMP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert script.cache_directory() == Path("/x/jumpstarter")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert script.cache_directory() == Path.home() / ".cache" / "jumpstarter"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--mirror", "http://127.0.0.1:1/debian", "--suite", "bookworm"],
            "`apt-get update` failed:\nE: Failed to fetch",
        ),
        (
            ["--suite", "nosuch"],
            "no apt source of this machine offers Debian nosuch main; name one: --mirror",
        ),
    ],
)
def test_failure_is_told_and_leaves_nothing(tmp_path: Path, options: list[str], words: str) -> None:
    done = run(*options, JMP_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert f"get-debian-arm64: {words}" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert [path.name for path in (tmp_path / "boards").iterdir()] == ["debian-arm64.lock"]


def test_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(JMP_CACHE=str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"get-debian-arm64: cannot make {tmp_path}/file/boards/debian-arm64")


def test_without_apt_says_what_to_do(tmp_path: Path) -> None:
    python = tmp_path / "bin"
    python.mkdir()
    (python / "python3").symlink_to(sys.executable)
    done = run("--mirror", "http://127.0.0.1:1", "--suite", "x", JMP_CACHE=str(tmp_path), PATH=str(python))
    assert done.returncode == 1
    assert "apt-get is not here" in done.stderr


@pytest.mark.board
def test_files_that_are_there_are_not_fetched_again(linux: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in linux.iterdir()}
    done = run("--mirror", "http://127.0.0.1:1/debian", "--suite", "bookworm")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{linux}\n", "")
    assert {path.name: path.stat().st_mtime_ns for path in linux.iterdir()} == before


@pytest.mark.board
def test_machine_keeps_its_architectures_and_the_files_are_whole(linux: Path) -> None:
    done = subprocess.run(
        ["dpkg", "--print-foreign-architectures"], capture_output=True, text=True, check=True
    )
    assert "arm64" not in done.stdout.split()
    # The magic number of an arm64 Image: Documentation/arch/arm64/booting.rst of the kernel.
    assert (linux / "Image").read_bytes()[56:60] == b"ARM\x64"
    initrd = gzip.decompress((linux / "initrd.gz").read_bytes())
    for name in (b"init\0", b"bin/busybox\0", b"lib/modules/virtio_net.ko\0", b"etc/udhcpc/default.script\0"):
        assert name in initrd
