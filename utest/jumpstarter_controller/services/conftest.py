"""One running lab a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .peers import TestLab, running_lab


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[TestLab]:
    async with running_lab(tmp_path / "lab") as lab:
        yield lab
