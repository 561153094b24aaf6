from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from jumpstarter_driver_qemu.folder import BoardFolder, remove_abandoned

OWNER = """
import sys
from jumpstarter_driver_qemu.folder import BoardFolder
print(BoardFolder().path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go, in this process and in its children; short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def test_folder_lasts_until_it_is_closed(place: Path) -> None:
    folder = BoardFolder()
    (folder.path / "disk").write_bytes(b"x")
    remove_abandoned(place)
    assert (folder.path / "disk").exists()
    folder.close()
    folder.close()
    assert list(place.iterdir()) == []


def test_folder_of_a_killed_exporter_is_removed_by_the_next_board(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        left = Path(owner.stdout.readline().decode().strip())
        (left / "disk").write_bytes(b"x")
        first = BoardFolder()
        assert left.exists(), "its owner lives"
        owner.kill()
    second = BoardFolder()
    assert sorted(place.iterdir()) == sorted([first.path, second.path])
    first.close()
    second.close()


def test_what_is_not_a_folder_of_a_board_is_left_alone(place: Path) -> None:
    precious = place / "precious"
    precious.mkdir()
    (precious / "lock").touch()
    (place / "jumpstarter-qemu-link").symlink_to(precious)
    (place / "jumpstarter-qemu-new").mkdir()
    (place / "jumpstarter-qemu-file").touch()
    before = sorted(place.rglob("*"))
    remove_abandoned(place)
    assert sorted(place.rglob("*")) == before
