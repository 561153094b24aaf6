"""Drivers and clients of other packages, in every form in which they write their classes."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pydantic
import pytest
from anyio.abc import ObjectStream
from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverInvalidArgument
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.driver import Driver, FlasherInterface, export, exportstream
from jumpstarter.streams.common import create_memory_stream
from pydantic import ConfigDict, validate_call
from pydantic.dataclasses import dataclass as pydantic_dataclass

arbitrary = pydantic_dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True))
standard = dataclasses.dataclass(kw_only=True)


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


class Link:
    """A class that pydantic knows nothing of."""


class Interface:
    @classmethod
    def client(cls) -> str:
        return f"{__name__}.{cls.client_name()}"

    @classmethod
    def client_name(cls) -> str:
        return "StandardClient"


class Body:
    """The exported methods that all drivers here share."""

    speed: Speed
    link: Link

    @export
    def get_speed(self) -> str:
        return self.speed.value

    @export
    def set_speed(self, speed: Speed) -> None:
        self.speed = speed

    @export
    @validate_call(validate_return=True)
    def add(self, a: int, b: int = 1) -> int:
        return a + b

    @export
    @validate_call
    async def wait(self, seconds: float) -> float:
        return seconds * 2

    @export
    @validate_call
    def count(self, to: int) -> Iterator[int]:
        yield from range(to)

    @export
    async def count_async(self, to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ObjectStream[bytes]]:
        near, far = create_memory_stream()
        async with near, far:
            await near.send(b"hello")
            yield far


@standard
class Standard(Body, Interface, Driver):
    speed: Speed = Speed.SLOW
    path: Path = Path("/dev/null")
    link: Link = dataclasses.field(default_factory=Link)
    started: list[str] = dataclasses.field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if hasattr(super(), "__post_init__"):
            super().__post_init__()
        self.started.append(self.logger.name)


@arbitrary
class Pydantic(Body, Interface, Driver):
    speed: Speed = Speed.SLOW
    path: Path = Path("/dev/null")
    link: Link = dataclasses.field(default_factory=Link)
    started: list[str] = dataclasses.field(default_factory=list, init=False)

    @classmethod
    def client_name(cls) -> str:
        return "PydanticClient"

    def __post_init__(self) -> None:
        if hasattr(super(), "__post_init__"):
            super().__post_init__()
        self.started.append(self.logger.name)


@arbitrary
class PydanticBelowStandard(Standard):
    retries: int = 3


@standard
class StandardBelowPydantic(Pydantic):
    retries: int = 3


class Undecorated(Standard):
    """No decorator: the fields are those of its base."""

    @classmethod
    def client_name(cls) -> str:
        return "UndecoratedClient"


class Calls:
    """What all clients here share."""

    call: Any

    def add(self, a: int, b: int) -> int:
        return int(self.call("add", a, b))


@standard
class StandardClient(Calls, DriverClient):
    seen: list[int] = dataclasses.field(default_factory=list)


@arbitrary
class PydanticClient(Calls, DriverClient):
    seen: list[int] = dataclasses.field(default_factory=list)
    link: Link = dataclasses.field(default_factory=Link)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.seen.append(1)


class UndecoratedClient(StandardClient):
    """No decorator."""


# The client is imported by this path; test modules are not found on sys.path.
sys.modules.setdefault(__name__, sys.modules.get(__name__) or sys.modules["__main__"])

DRIVERS: list[type[Any]] = [Standard, Pydantic, PydanticBelowStandard, StandardBelowPydantic, Undecorated]


@pytest.mark.parametrize("kind", DRIVERS)
def test_a_driver_serves_a_client(kind: type[Any]) -> None:
    with serve(kind(speed=Speed.FAST)) as client:
        assert type(client).__name__ == kind.client_name()
        assert client.call("get_speed") == "fast"
        client.call("set_speed", "slow")
        assert client.call("get_speed") == "slow"
        assert client.add(1, 2) == 3
        assert client.call("wait", 1) == 2
        assert list(client.streamingcall("count", 4)) == [0, 1, 2, 3]
        assert list(client.streamingcall("count_async", 4)) == [0, 1, 2, 3]
        with client.stream("connect") as stream:
            assert stream.receive() == b"hello"
        with pytest.raises(DriverInvalidArgument):
            client.call("add", "x")
        with pytest.raises(DriverInvalidArgument):
            client.call("set_speed", "ludicrous")


@pytest.mark.parametrize("kind", DRIVERS)
def test_a_driver_has_the_fields_of_the_base(kind: type[Any]) -> None:
    identity = uuid4()
    child = Standard()
    driver = kind(
        uuid=identity,
        labels={"a": "b"},
        children={"child": child},
        description="text",
        methods_description={"on": "x"},
        log_level="DEBUG",
    )
    assert (driver.uuid, driver.labels, driver.description) == (identity, {"a": "b"}, "text")
    assert driver.children["child"] is child
    assert driver.methods_description == {"on": "x"}
    assert driver.logger.name == f"driver.{kind.__name__}"
    assert driver.logger.level == 10
    assert driver.started == [driver.logger.name]
    assert isinstance(driver.uuid, UUID)
    assert driver.resources == {}


@pytest.mark.parametrize("kind", [Standard, StandardBelowPydantic, Undecorated])
def test_a_misspelt_key_is_refused(kind: type[Any]) -> None:
    with pytest.raises(TypeError, match="sped"):
        kind(sped=Speed.FAST)


@pytest.mark.parametrize("kind", DRIVERS)
def test_a_misspelt_key_of_an_exporter_file_is_refused(kind: type[Any], tmp_path: Path) -> None:
    """Also for pydantic's dataclasses, which take any key themselves."""
    file = tmp_path / "board.yaml"
    file.write_text(
        "apiVersion: jumpstarter.dev/v1alpha1\nkind: ExporterConfig\nmetadata: {namespace: a, name: b}\n"
        "endpoint: x:1\ntoken: y\n"
        f"export: {{board: {{type: {__name__}.{kind.__name__}, config: {{sped: fast}}}}}}\n"
    )
    with pytest.raises(ConfigurationError, match=r"sped.*speed"):
        ExporterConfigV1Alpha1.load_path(file).instantiate()


def test_pydantic_drivers_convert_their_configuration() -> None:
    kind: Any = PydanticBelowStandard
    driver = kind(speed="fast", path="/dev/ttyS0", retries="4")
    assert (driver.speed, driver.path, driver.retries) == (Speed.FAST, Path("/dev/ttyS0"), 4)
    with pytest.raises(pydantic.ValidationError, match="retries"):
        kind(retries="many")


def test_each_instance_has_an_identity_and_tables_of_its_own() -> None:
    for kind in DRIVERS:
        one, two = kind(), kind()
        assert one.uuid != two.uuid
        assert one.children is not two.children
        assert one.resources is not two.resources


def test_a_driver_without_a_client_cannot_be_made() -> None:
    @standard
    class Incomplete(Driver):
        pass

    with pytest.raises(TypeError, match=r"abstract.*client"):
        Incomplete()  # type: ignore[abstract]


def test_an_interface_gives_the_client() -> None:
    @standard
    class Flasher(FlasherInterface, Driver):
        @export
        def flash(self, source: Any, target: str | None = None) -> None:
            """Nothing to write to."""

        @export
        def dump(self, target: Any, partition: str | None = None) -> None:
            """Nothing to read from."""

    with serve(Flasher()) as client:
        assert type(client).__name__ == "FlasherClient"


def test_closing_and_resetting_reach_all_children() -> None:
    done: list[str] = []

    @standard
    class Logged(Standard):
        tag: str

        def close(self) -> None:
            done.append(f"close {self.tag}")
            super().close()

        def reset(self) -> None:
            done.append(f"reset {self.tag}")
            super().reset()

    kind: Any = Logged
    root = kind(tag="root", children={"a": kind(tag="a", children={"b": kind(tag="b")})})
    with serve(root):
        assert done == ["reset root", "reset a", "reset b"]
        done.clear()
    assert done == ["close root", "close a", "close b"]


def test_the_report_has_labels_description_and_name() -> None:
    @standard
    class Labelled(Standard):
        def extra_labels(self) -> dict[str, str]:
            return {"kind": "special"}

    child = Labelled(labels={"own": "1"}, description="text", methods_description={"on": "help"})
    root = Standard(children={"child": child})
    with serve(root) as client:
        seen = client.children["child"]
        assert seen.labels == {
            "own": "1",
            "kind": "special",
            "jumpstarter.dev/client": f"{__name__}.StandardClient",
            "jumpstarter.dev/name": "child",
        }
        assert (seen.name, seen.description, seen.methods_description) == ("child", "text", {"on": "help"})
    assert [(name, node) for _, _, name, node in root.enumerate()] == [(None, root), ("child", child)]
    assert root.enumerate()[1][1] is root
