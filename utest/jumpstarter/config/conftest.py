from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Homes:
    """Empty places for the user's and the system's files; nothing else is read."""

    user: Path
    system: Path

    def write(self, home: str, relative: str, text: str) -> Path:
        path: Path = getattr(self, home) / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    for name in list(os.environ):
        if name.startswith(("JMP_", "JUMPSTARTER_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JMP_CLIENT_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("JMP_SYSTEM_CONFIG_HOME", str(tmp_path / "system"))
    return Homes(tmp_path / "user", tmp_path / "system")
