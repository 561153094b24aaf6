"""One running lab a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jumpstarter_controller.services import call

from .peers import TestLab, running_lab


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[TestLab]:
    async with running_lab(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture(autouse=True)
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines about strangers are counted for the process, and so for all tests."""
    monkeypatch.setattr(call.refusals, "_windows", {})
