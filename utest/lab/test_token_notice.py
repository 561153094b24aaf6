"""Who uses a token that expires soon is told: by the lab's commands, and in an exporter's log."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import yaml

from .world import World


def expiring(path: Path) -> None:
    """Put a token into the file *path* that expires in two days. No controller takes it, which clients cannot know."""
    claims = {"exp": time.time() + 2.5 * 86_400, "iat": time.time() - 300 * 86_400}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "token": f"e30.{middle}.c2lnbmF0dXJl"}))


def test_token_that_expires_soon_is_told_of_once_a_command(own_world: World) -> None:
    world = own_world
    exporter = world.add_exporter("board", "kind=any")
    expiring(world.home / "config" / "jumpstarter" / "clients" / "anna.yaml")
    notice = "Warning: the token of client 'anna' expires in 2 days ("
    for command in (
        ("get", "exporters"),
        ("create", "lease", "-n", "board"),
        ("shell", "-n", "board", "--", "true"),
    ):
        done = world.jmp(*command)
        assert done.code == 1
        assert done.err.count(notice) == 1, done.err
        assert "renew it with 'jmp auth rotate'" in done.err
        assert notice not in done.out
    expiring(exporter)
    process = world.start("jmp", "run", "--exporter", "board")
    assert process.wait() == 1
    assert "the token of exporter 'board' expires in 2 days (" in process.text()
    assert "'jmp admin rotate exporter board'" in process.text()
