"""A disk that fills up during a transfer: an error that names the file, and no part of it left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jumpstarter.client.transfer import receiving, sending
from jumpstarter.common.exceptions import DriverError, FileAccessError
from jumpstarter_testing.eventually import eventually

from .conftest import LIMIT, Exporter, running


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(1 << 20) * 4)
    return path


def test_an_upload_that_does_not_fit_leaves_nothing(exporter: Exporter, small: Path, image: Path) -> None:
    target = small / "target"
    with exporter.client() as client:
        with (
            pytest.raises(DriverError, match=r"OSError: .*No space left on device"),
            sending(client.faulty, image) as handle,
        ):
            client.faulty.call("take", handle, str(target))
        eventually(lambda: not target.exists(), timeout=LIMIT)
        # There is room again.
        with client.faulty.sending([b"x" * 1000]) as handle:
            assert client.faulty.call("take", handle, str(target)) == 1000


def test_storage_that_is_full_says_so_and_stays_usable(tmp_path: Path, small: Path, image: Path) -> None:
    config = (
        "metadata: {name: storage}\n"
        f"export: {{fs: {{type: jumpstarter_driver_opendal.driver.Opendal, "
        f"config: {{scheme: fs, kwargs: {{root: {small}}}}}}}}}\n"
    )
    with running(tmp_path, config) as exporter, exporter.client() as client:
        with pytest.raises(DriverError, match=r"(?i)no space left"):
            client.fs.write_from_path("big", str(image))
        eventually(lambda: not (small / "big").exists(), timeout=LIMIT)
        client.fs.write_bytes("next", b"works")
        assert (small / "next").read_bytes() == b"works"
        with exporter.command("j", "fs", "write-from-path", "big", str(image)) as j:
            assert j.end() == 1
            assert len(j.errors) == 1, j.errors
        assert "no space left" in j.errors[0].lower()
        assert (small / "next").exists()


@pytest.mark.parametrize("method", ["give", "give_async"])
def test_a_dump_that_does_not_fit_names_the_file_and_leaves_nothing(
    exporter: Exporter, small: Path, method: str
) -> None:
    target = small / "dump"
    with exporter.client() as client:
        with (
            pytest.raises(FileAccessError, match=f"cannot write '{target}': No space left on device"),
            receiving(client.faulty, target) as handle,
        ):
            client.faulty.call(method, handle, 64 << 20)
        assert not target.exists()
        eventually(lambda: exporter.held() == [], timeout=LIMIT)


def test_a_dump_into_a_file_that_was_there_keeps_the_file(exporter: Exporter, small: Path) -> None:
    target = small / "dump"
    target.write_bytes(b"before")
    with (
        exporter.client() as client,
        pytest.raises(FileAccessError, match="No space left"),
        receiving(client.faulty, target) as handle,
    ):
        client.faulty.call("give", handle, 64 << 20)
    assert target.exists()
