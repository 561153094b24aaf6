"""A lab in three places, each with a network of its own: the lab, a client and an exporter, each of which has a cable to the lab.

The places are network namespaces of Linux, which only root may make. A cable that is pulled drops packets: nobody is told.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .world import Process, World

#: Where the lab is reached from both places, and the cables' networks.
LAB = "10.213.0.1"
CABLES = {"client": "10.213.1", "exporter": "10.213.2"}


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, timeout=30)


def _inside(place: str, *command: str) -> None:
    _ip("netns", "exec", place, *command)


def can_be_made() -> bool:
    """Whether this process may make places."""
    if os.geteuid() or shutil.which("ip") is None:
        return False
    name = f"jmp-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except subprocess.CalledProcessError:
        return False
    return True


@dataclass
class Places:
    """The three places; `name` is what their namespaces begin with."""

    name: str = field(default_factory=lambda: f"jmp-{os.getpid()}")

    def of(self, place: str) -> str:
        return f"{self.name}-{place}"

    def pull(self, place: str) -> None:
        """Cut the cable to *place*."""
        _inside(self.of("lab"), "ip", "link", "set", place, "down")

    def plug(self, place: str) -> None:
        """The opposite of `pull`."""
        lab = self.of("lab")
        _inside(lab, "ip", "link", "set", place, "up")

    def slow(self, place: str, rate: str) -> None:
        """Let no more than *rate*, as tc has it, through the cable to *place*, in either direction."""
        bucket = ("tbf", "rate", rate, "burst", "16kbit", "latency", "400ms")
        _inside(self.of("lab"), "tc", "qdisc", "add", "dev", place, "root", *bucket)
        _inside(self.of(place), "tc", "qdisc", "add", "dev", "lab", "root", *bucket)

    def make(self) -> None:
        lab = self.of("lab")
        for place in ("lab", *CABLES):
            _ip("netns", "add", self.of(place))
            _inside(self.of(place), "ip", "link", "set", "lo", "up")
        _inside(lab, "ip", "address", "add", f"{LAB}/32", "dev", "lo")
        for place, network in CABLES.items():
            there = self.of(place)
            _ip("link", "add", place, "netns", lab, "type", "veth", "peer", "name", "lab", "netns", there)
            _inside(lab, "ip", "address", "add", f"{network}.1/24", "dev", place)
            _inside(there, "ip", "address", "add", f"{network}.2/24", "dev", "lab")
            _inside(lab, "ip", "link", "set", place, "up")
            _inside(there, "ip", "link", "set", "lab", "up")
            _inside(there, "ip", "route", "add", "default", "via", f"{network}.1")

    def remove(self) -> None:
        for place in ("lab", *CABLES):
            subprocess.run(("ip", "netns", "delete", self.of(place)), capture_output=True, check=False)


class DistantWorld(World):
    """A `World` in three places. Commands run at the client's."""

    def __init__(self, home: Path, places: Places) -> None:
        super().__init__(home, endpoint=f"{LAB}:0", router=f"{LAB}:0")
        self.places = places
        self._at = "lab"

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Start processes at *place* while the context lasts."""
        before, self._at = self._at, place
        try:
            yield
        finally:
            self._at = before

    def there(self, *command: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.places.of(self._at), *command)


@contextmanager
def distant_world(home: Path) -> Iterator[DistantWorld]:
    """A lab that runs, with the client anna at the client's place."""
    places = Places()
    world = DistantWorld(home, places)
    try:
        places.make()
        world.start_controller()
        world.add_client("anna")
        yield world
    finally:
        world.close()
        places.remove()


__all__ = ["DistantWorld", "Places", "Process", "can_be_made", "distant_world"]
