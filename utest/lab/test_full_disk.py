"""A controller whose disk is full: what ends meanwhile ends for good when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import World, wait_for


@pytest.fixture
def full(own_world: World) -> Iterator[Path]:
    """The data of the controller of `own_world`, on a file system of 4 MiB of its own."""
    folder = own_world.home / "state" / "jumpstarter" / "controller"
    own_world.processes[0].end()
    saved = own_world.home / "saved"
    folder.rename(saved)
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs root")
    try:
        subprocess.run(["cp", "-a", f"{saved}/.", str(folder)], check=True)
        own_world.start_controller()
        yield folder
    finally:
        own_world.close()
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room in *folder*."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            return filler


def test_release_is_tried_until_there_is_room(own_world: World, full: Path) -> None:
    world = own_world
    world.add_exporter("board", "kind=any")
    exporter = world.run_exporter("board")
    go = world.home / "go"
    shell = world.start(
        "jmp", "shell", "-n", "board", "--", "sh", "-c", f"echo on; until [ -e {go} ]; do sleep 0.1; done"
    )
    shell.until("on\n")
    filler = fill(full)
    go.touch()
    text = shell.until("is not released yet")
    assert "the controller cannot write the store" in text and "is full" in text
    filler.unlink()
    assert shell.wait() == 0, shell.text()
    world.nothing_is_leased()
    world.is_available("board")
    assert world.ok("shell", "-n", "board", "--", "j", "power", "on") == "ok\n"
    exporter.end()


def test_client_that_gives_up_leaves_the_release_to_the_exporter(own_world: World, full: Path) -> None:
    world = own_world
    world.add_exporter("board", "kind=any", hooks={"afterLease": {"script": "echo AFTER-HOOK"}})
    exporter = world.run_exporter("board")
    go = world.home / "go"
    shell = world.start(
        "jmp", "shell", "-n", "board", "--", "sh", "-c", f"echo on; until [ -e {go} ]; do sleep 0.1; done"
    )
    shell.until("on\n")
    filler = fill(full)
    go.touch()
    shell.until("is not released yet")
    shell.popen.kill()
    exporter.until("the controller is not there")
    filler.unlink()
    world.nothing_is_leased()
    world.is_available("board")


def test_what_cannot_be_stored_is_told_and_may_be_tried_again(own_world: World, full: Path) -> None:
    world = own_world
    world.add_exporter("board", "kind=any")
    world.run_exporter("board")
    filler = fill(full)
    wait_for(lambda: world.jmp("create", "lease", "-n", "board").code == 1, "no lease can be created")
    done = world.jmp("create", "lease", "-n", "board")
    assert done.code == 1
    assert "the controller cannot write the store" in done.err and "Traceback" not in done.err
    filler.unlink()
    lease = world.ok("create", "lease", "-n", "board", "--wait", "30", "-o", "name").strip()
    world.ok("delete", "lease", lease)
