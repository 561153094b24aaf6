from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverMethodNotImplemented
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export
from jumpstarter_driver_power.client import PowerClient, VirtualPowerClient
from jumpstarter_driver_power.common import PowerReading
from jumpstarter_driver_power.driver import (
    MockPower,
    PowerInterface,
    SyncMockPower,
    VirtualPowerInterface,
)

OFF = PowerReading(voltage=0.0, current=0.0)
ON = PowerReading(voltage=5.0, current=2.0)


@pytest.fixture(params=[MockPower, SyncMockPower])
def power(request: pytest.FixtureRequest) -> Iterator[PowerClient]:
    with serve(request.param()) as client:
        yield client


@dataclass(kw_only=True)
class Recorder(PowerInterface, Driver):
    """Remembers the calls."""

    calls: list[str]

    @export
    async def on(self) -> None:
        self.calls.append("on")

    @export
    async def off(self) -> None:
        self.calls.append("off")

    @export
    async def read(self) -> AsyncGenerator[PowerReading, None]:
        yield ON

    @export
    def rescue(self) -> None:
        self.calls.append("rescue")


@dataclass(kw_only=True)
class Virtual(VirtualPowerInterface, Driver):
    calls: list[tuple[str, bool]]

    @export
    def on(self) -> None:
        self.calls.append(("on", False))

    @export
    def off(self, destroy: bool = False) -> None:
        self.calls.append(("off", destroy))

    @export
    def read(self) -> Iterator[PowerReading]:
        yield ON


def run(client: PowerClient, *args: str) -> str:
    result = CliRunner().invoke(client.cli(), args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_mock_measures_the_same_whether_it_is_on_or_off(power: PowerClient) -> None:
    assert list(power.read()) == [OFF, ON]
    power.on()
    assert list(power.read()) == [OFF, ON]
    power.off()
    assert list(power.read()) == [OFF, ON]


def test_methods_of_the_mock_are_coroutines_for_drivers_that_have_it_as_a_child() -> None:
    async def use(supply: MockPower) -> list[PowerReading]:
        await supply.on()
        await supply.off()
        return [reading async for reading in supply.read()]

    assert asyncio.run(use(MockPower())) == [OFF, ON]


def test_apparent_power_is_the_product() -> None:
    assert PowerReading(voltage=5, current=2).apparent_power == 10


def test_cycle_goes_off_then_on() -> None:
    driver = Recorder(calls=[])
    with serve(driver) as client:
        client.cycle(wait=0)
        client.rescue()
    assert driver.calls == ["off", "on", "rescue"]


@pytest.mark.parametrize("wait", [-1, float("inf"), float("nan"), 1e300])
def test_cycle_leaves_the_supply_alone_for_a_wait_that_cannot_be(wait: float) -> None:
    driver = Recorder(calls=[])
    with serve(driver) as client, pytest.raises(ValueError, match=r"wait is .* s, expected 0 or more"):
        client.cycle(wait=wait)
    assert driver.calls == []


def test_a_supply_without_rescue_says_so(power: PowerClient) -> None:
    with pytest.raises(DriverMethodNotImplemented):
        power.rescue()
    result = CliRunner().invoke(power.cli(), ["rescue"])
    assert (result.exit_code, result.stderr) == (1, "Error: this power driver has no rescue mode\n")


def test_switching_commands_print_ok() -> None:
    driver = Recorder(calls=[])
    with serve(driver) as power:
        assert run(power, "on") == "ok\n"
        assert run(power, "off") == "ok\n"
        assert run(power, "cycle", "-w", "0") == "ok\n"
    assert driver.calls == ["on", "off", "off", "on"]


def test_read_prints_each_reading_of_each_round(power: PowerClient) -> None:
    power.on()
    lines = run(power, "read", "-n", "2", "-i", "0").splitlines()
    assert (
        lines
        == [
            "voltage=0.0 V current=0.0 A apparent_power=0.0 VA",
            "voltage=5.0 V current=2.0 A apparent_power=10.0 VA",
        ]
        * 2
    )


def test_read_refuses_no_rounds(power: PowerClient) -> None:
    assert CliRunner().invoke(power.cli(), ["read", "-n", "0"]).exit_code == 2


def test_help_names_the_driver_and_its_commands(power: PowerClient) -> None:
    text = run(power, "--help")
    assert "Generic power" in text
    assert {line.split()[0] for line in text.split("Commands:")[1].strip().splitlines()} == {
        "on",
        "off",
        "cycle",
        "read",
        "rescue",
    }


def test_virtual_power_destroys_on_request() -> None:
    driver = Virtual(calls=[])
    with serve(driver) as client:
        assert isinstance(client, VirtualPowerClient)
        client.off()
        client.off(destroy=True)
        assert run(client, "off", "--destroy") == "ok\n"
        assert run(client, "off") == "ok\n"
    assert driver.calls == [("off", False), ("off", True), ("off", True), ("off", False)]
