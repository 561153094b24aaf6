"""Labs of real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .world import World


def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("lab"))
    try:
        world.start_controller()
        world.add_client("anna")
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A controller with the client anna, for the tests of one module."""
    yield from _world(tmp_path_factory)


@pytest.fixture
def own_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """As `world`, for tests that do not leave it as they found it."""
    yield from _world(tmp_path_factory)
