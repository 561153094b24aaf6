"""A driver that has a ref among its children uses it like the driver that the ref names."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from anyio.abc import ByteStream
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter_driver_composite.driver import Composite, Proxy
from jumpstarter_driver_network.driver import EchoNetwork
from jumpstarter_driver_power.driver import MockPower, PowerInterface


@dataclass(kw_only=True)
class Supply(PowerInterface, Driver):
    """A supply with a method of each kind, which notes what happens to it."""

    events: list[str] = field(default_factory=list)
    limit: float = 3.0

    @export
    async def on(self) -> None:
        self.events.append("on")

    @export
    async def off(self) -> None:
        self.events.append("off")

    @export
    async def read(self) -> AsyncGenerator[float]:
        yield 1.0
        yield 2.0

    @export
    def volts(self) -> Generator[float]:
        yield from (3.0, 4.0)

    @export
    def name_of(self, *, prefix: str = "") -> str:
        return prefix + self.description if self.description else prefix

    @property
    def watts(self) -> float:
        return self.limit * 12

    def __call__(self, word: str) -> str:
        return f"called with {word}"

    def __len__(self) -> int:
        return 2

    async def __aenter__(self) -> str:
        return "entered"

    async def __aexit__(self, *error: object) -> None:
        self.events.append("left")

    def close(self) -> None:
        self.events.append("close")
        super().close()

    def reset(self) -> None:
        self.events.append("reset")
        super().reset()


@dataclass(kw_only=True)
class Board(Driver):
    """A driver that works with its children."""

    task: Callable[[Any], Any]
    on_close: Callable[[Any], Any] = lambda children: None

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_composite.client.CompositeClient"

    @export
    async def run(self) -> Any:
        result = self.task(self.children)
        return await result if hasattr(result, "__await__") else result

    def close(self) -> None:
        self.on_close(self.children)
        super().close()


def with_supply(task: Callable[[Any], Any], **children: Driver) -> tuple[Supply, Any]:
    """A supply, and what *task* gave, run by a driver whose child `power` is a ref to it."""
    supply = Supply()
    board = Board(task=task, children={"power": Proxy(ref="supply")})
    with serve(Composite(children={"supply": supply, "board": board, **children})) as client:
        return supply, client.board.call("run")


async def switches_off(children: Any) -> str:
    await children["power"].off()
    return "off"


def test_a_coroutine_of_the_target_can_be_awaited() -> None:
    supply, result = with_supply(switches_off)
    assert result == "off"
    assert supply.events == ["reset", "off", "close"]


async def reads(children: Any) -> list[float]:
    return [item async for item in children["power"].read()]


TASKS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "async generator": (reads, [1.0, 2.0]),
    "generator": (lambda children: list(children["power"].volts()), [3.0, 4.0]),
    "function with named arguments": (lambda children: children["power"].name_of(prefix="p"), "p"),
    "field": (lambda children: children["power"].limit, 3.0),
    "property": (lambda children: children["power"].watts, 36.0),
    "special method": (lambda children: children["power"]("me"), "called with me"),
    "length": (lambda children: len(children["power"]), 2),
    "description": (lambda children: children["power"].client(), Supply.client()),
    "class": (lambda children: isinstance(children["power"], Supply), True),
    "interface": (lambda children: isinstance(children["power"], PowerInterface), True),
    "other class": (lambda children: isinstance(children["power"], MockPower), False),
    "proxy": (lambda children: isinstance(children["power"], Proxy), True),
    "default of getattr": (lambda children: getattr(children["power"], "nothing", "none"), "none"),
    "hasattr": (lambda children: hasattr(children["power"], "off"), True),
    "name in dir": (lambda children: "volts" in dir(children["power"]), True),
}


@pytest.mark.parametrize("case", TASKS)
def test_what_the_target_has_is_had_through_a_ref(case: str) -> None:
    task, expected = TASKS[case]
    assert with_supply(task)[1] == expected


def test_a_target_is_entered_like_itself() -> None:
    async def enter(children: Any) -> str:
        async with children["power"] as what:
            return str(what)

    supply, result = with_supply(enter)
    assert result == "entered"
    assert "left" in supply.events


def test_attributes_are_set_and_deleted_at_the_target() -> None:
    def change(children: Any) -> None:
        children["power"].limit = 5.0
        children["power"].note = "new"
        children["power"].gone = 1
        del children["power"].gone

    supply, _ = with_supply(change)
    assert supply.limit == 5.0
    assert vars(supply)["note"] == "new"
    assert "gone" not in vars(supply)


def test_a_missing_attribute_is_told_as_the_targets() -> None:
    with pytest.raises(Exception, match="'Supply' object has no attribute 'nothing'"):
        with_supply(lambda children: children["power"].nothing())


def test_a_ref_is_equal_to_its_target() -> None:
    supply = Supply()
    ref = Proxy(ref="supply")
    Composite(children={"supply": supply, "ref": ref}).enumerate()
    assert ref == supply
    assert supply == ref
    assert ref != Supply()


def test_a_stream_of_the_target_is_opened_through_a_ref() -> None:
    @dataclass(kw_only=True)
    class Console(Driver):
        @classmethod
        def client(cls) -> str:
            return "jumpstarter_driver_network.client.NetworkClient"

        @exportstream
        @asynccontextmanager
        async def connect(self) -> AsyncGenerator[ByteStream]:
            async with self.children["tcp"].connect() as stream:
                yield stream

    board = Console(children={"tcp": Proxy(ref="echo")})
    with (
        serve(Composite(children={"echo": EchoNetwork(), "console": board})) as client,
        client.console.stream() as stream,
    ):
        stream.send(b"through two")
        assert stream.receive() == b"through two"


def test_refs_to_refs_and_refs_below_refs_lead_to_the_target() -> None:
    supply = Supply()
    board = Board(task=switches_off, children={"power": Proxy(ref="second")})
    root = Composite(
        children={
            "board": board,
            "second": Proxy(ref="alias.psu"),
            "alias": Proxy(ref="bench"),
            "bench": Composite(children={"psu": supply}),
        }
    )
    with serve(root) as client:
        assert client.board.call("run") == "off"
        assert client.board.power.uuid == supply.uuid
    assert supply.events == ["reset", "off", "close"]


@pytest.mark.parametrize("supply_first", [True, False])
def test_a_target_is_open_until_the_drivers_that_refer_to_it_are_closed(supply_first: bool) -> None:
    supply = Supply()
    board = Board(
        task=switches_off,
        on_close=lambda children: children["power"].events.append("last use"),
        children={"power": Proxy(ref="bench.supply")},
    )
    bench, group = Composite(children={"supply": supply}), Composite(children={"board": board})
    children = {"bench": bench, "group": group} if supply_first else {"group": group, "bench": bench}
    with serve(Composite(children=children)):
        pass
    assert supply.events == ["reset", "last use", "close"]


def test_drivers_that_refer_to_each_other_are_closed_once_each() -> None:
    closed: list[str] = []
    parts = {"a": Supply(events=closed), "b": Supply(events=closed)}
    boards = {
        name: Board(task=reads, children={"own": parts[name], "other": Proxy(ref=f"{other}.own")})
        for name, other in (("a", "b"), ("b", "a"))
    }
    with serve(Composite(children=dict(boards))):
        closed.clear()
    assert closed == ["close", "close"]


def test_a_driver_that_is_told_to_reset_through_a_ref_is_reset() -> None:
    supply, _ = with_supply(lambda children: children["power"].reset())
    assert supply.events == ["reset", "reset", "close"]


def test_closing_a_ref_leaves_its_target_open() -> None:
    supply, _ = with_supply(lambda children: children["power"].close())
    assert supply.events == ["reset", "close"]


def test_a_ref_is_used_only_when_all_drivers_are_made() -> None:
    @dataclass(kw_only=True)
    class Early(Board):
        def __post_init__(self) -> None:
            super().__post_init__()
            self.children["power"].off()

    with pytest.raises(
        AttributeError, match=r"ref 'supply' has no 'off' yet: .* not while its parent is made"
    ):
        Early(task=reads, children={"power": Proxy(ref="supply")})


def test_a_ref_may_be_kept_by_a_driver_before_its_target_exists() -> None:
    @dataclass(kw_only=True)
    class Keeps(Board):
        def __post_init__(self) -> None:
            super().__post_init__()
            self.power = self.children["power"]

        @export
        async def run(self) -> Any:
            return self.power.limit

    board = Keeps(task=reads, children={"power": Proxy(ref="supply")})
    with serve(Composite(children={"board": board, "supply": Supply()})) as client:
        assert client.board.call("run") == 3.0


def test_an_exporter_file_gives_a_driver_its_refs() -> None:
    # A driver with children of a type of its own is any: a supply can have some, too.
    root = ExporterConfigV1Alpha1DriverInstance.from_str("""
children:
  board:
    type: jumpstarter_driver_power.driver.SyncMockPower
    children: {power: {ref: supply}}
  supply:
    type: jumpstarter_driver_power.driver.MockPower
""").instantiate()
    nodes = root.enumerate()
    assert [name for _, _, name, _ in nodes] == [None, "board", "power", "supply"]
    assert isinstance(root.children["board"].children["power"], MockPower)


def test_a_ref_to_what_it_is_in_is_refused() -> None:
    board = Board(task=reads, children={"power": Proxy(ref="board")})
    with pytest.raises(ConfigurationError, match="leads back to itself"):
        Composite(children={"board": board}).enumerate()
