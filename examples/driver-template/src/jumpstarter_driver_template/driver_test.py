"""Tests of the drivers with their clients, over a session in this process."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from jumpstarter.common.exceptions import ConfigurationError, DriverError
from jumpstarter.common.utils import serve

from .client import ExampleCustomClient
from .driver import ExampleCustom, ExamplePower


@pytest.fixture
def custom() -> Generator[ExampleCustomClient, None, None]:
    with serve(ExampleCustom(greeting="Hi", start=5)) as client:
        yield client


def test_power_switches_and_measures() -> None:
    with serve(ExamplePower()) as client:
        client.on()
        assert [reading.voltage for reading in client.read()] == [5.0]
        client.off()
        assert [reading.voltage for reading in client.read()] == [0.0]


def test_power_tool_that_fails_is_an_error() -> None:
    with serve(ExamplePower(tool="false")) as client, pytest.raises(DriverError, match="exit status 1"):
        client.on()


def test_call(custom: ExampleCustomClient) -> None:
    assert custom.greet("Ada") == "Hi, Ada!"


def test_coroutine(custom: ExampleCustomClient) -> None:
    assert custom.add([1, 2, 3.5]) == 6.5


def test_generator(custom: ExampleCustomClient) -> None:
    assert list(custom.count(3)) == [5, 6, 7]


def test_stream(custom: ExampleCustomClient) -> None:
    assert custom.echo("over and back") == "over and back"


def test_bad_configuration_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="start is -1"):
        ExampleCustom(start=-1)
