"""What is told where an address is a wrong one of the lab, or that of a peer that says nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import yaml

from .blackhole import Network
from .world import World


def moved(world: World, kind: str, name: str, endpoint: str) -> str:
    """A copy of a configuration that has another endpoint; gives its path."""
    path = world.home / "config" / "jumpstarter" / f"{kind}s" / f"{name}.yaml"
    copy = world.home / f"{kind}-elsewhere.yaml"
    copy.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "endpoint": endpoint}))
    return str(copy)


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """The address of a peer that takes connections and says nothing."""
    with Network("127.0.0.1:1") as network:
        network.swallow()
        yield network.address


def commands(world: World, address: str) -> list[tuple[str, ...]]:
    client = moved(world, "client", "anna", address)
    return [
        ("get", "leases", "--client-config", client),
        ("get", "exporters", "--client-config", client),
        ("create", "lease", "-l", "a=b", "--client-config", client),
        ("shell", "--client-config", client, "-l", "a=b", "--", "true"),
        ("admin", "get", "clients", "--endpoint", address),
    ]


@pytest.mark.parametrize("number", range(5))
def test_address_of_the_router_in_place_of_the_controllers(world: World, number: int) -> None:
    done = world.jmp(*commands(world, world.router)[number])
    assert done.code == 1 and len(done.err.splitlines()) == 1, done
    assert world.router in done.err and "router" in done.err, done


@pytest.mark.parametrize("number", [0, 4])
def test_peer_that_says_nothing_is_told_in_time(world: World, silent: str, number: int) -> None:
    begin = time.monotonic()
    done = world.jmp(*commands(world, silent)[number])
    assert done.code == 1, done
    assert silent in done.err and "Traceback" not in done.err, done
    assert time.monotonic() - begin < 60


def test_exporter_with_the_routers_address_says_so(world: World) -> None:
    world.add_exporter("astray", "kind=astray")
    path = moved(world, "exporter", "astray", world.router)
    done = world.jmp("run", "--exporter-config", path)
    assert done.code != 0
    assert world.router in done.err and "router" in done.err
