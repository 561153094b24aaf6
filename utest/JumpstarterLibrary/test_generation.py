"""Keywords of real drivers, served in this process."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_power.driver import MockPower

from JumpstarterLibrary.errors import NotConnectedError, StreamTimeoutError


def _load(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


keyword_list = _load("keyword_list")


def test_generated_keywords_are_those_of_the_snapshot():
    with keyword_list.generated(keyword_list.tree()) as (_, found):
        text = keyword_list.text_of(found)
    expected = keyword_list.SNAPSHOT.read_text("utf-8")
    assert text == expected, f"meant? then run {keyword_list.__file__}"


@dataclass(kw_only=True)
class Beeper(Driver):
    """Has a method that its client does not have."""

    @classmethod
    def client(cls) -> str:
        return f"{__name__}.BeeperClient"

    @export
    def many(self) -> str:
        return "beep"


@dataclass(kw_only=True)
class BeeperClient(DriverClient):
    def many(self) -> str:
        """Beep."""
        return str(self.call("many"))


@pytest.fixture(autouse=True)
def _importable():
    sys.modules.setdefault(__name__, sys.modules[BeeperClient.__module__])


def names(root: Driver) -> set[str]:
    with keyword_list.generated(root) as (_, found):
        return set(found.keywords)


def test_a_driver_at_the_root_is_named_after_its_client():
    assert {"Power On", "Power Off", "Power Read", "Read Power"} <= names(MockPower())


def test_the_only_group_at_the_root_is_left_out_of_names_and_that_is_noted():
    root = Composite(children={"board": Composite(children={"power": MockPower()})})
    with keyword_list.generated(root) as (_, found):
        assert "Power On" in found.keywords
        assert found.keywords["Power On"].method.node == ("board", "power")
        assert found.notes == (
            "'board' is the only driver at the root: keywords of its children do without its name",
        )


def test_a_second_driver_at_the_root_brings_the_groups_name_back():
    root = Composite(children={"board": Composite(children={"power": MockPower()}), "lamp": MockPower()})
    assert {"Board Power On", "Lamp On"} <= names(root)
    assert "Power On" not in names(root)


def test_names_that_robot_takes_for_equal_are_refused_with_a_warning():
    root = Composite(children={"usb_a": MockPower(), "usba": MockPower()})
    with keyword_list.generated(root) as (_, found):
        assert found.keywords == {}
        assert any("usb_a.on and usba.on" in warning for warning in found.warnings)


def test_a_keyword_of_builtin_is_not_shadowed():
    assert names(Composite(children={"log": Beeper()})) == {"Driver Log Many"}


def test_a_driver_whose_client_is_missing_brings_a_warning_and_no_failure():
    @dataclass(kw_only=True)
    class Foreign(Driver):
        @classmethod
        def client(cls) -> str:
            return "jumpstarter_driver_nowhere.client.Client"

    with keyword_list.generated(Composite(children={"power": MockPower(), "foreign": Foreign()})) as (
        _,
        found,
    ):
        assert "Power On" in found.keywords
        assert found.warnings == ("foreign: no keywords, its client is not installed or not allowed",)


def test_the_exporters_description_is_the_documentation():
    root = Composite(children={"power": MockPower(methods_description={"on": "Feed the board."})})
    with keyword_list.generated(root) as (_, found):
        assert found.keywords["Power On"].documentation.startswith("Feed the board.")


def test_a_stream_gives_a_list_bounded_by_count():
    with keyword_list.generated(MockPower()) as (_, found):
        found.keywords["Power On"]()
        readings = found.keywords["Power Read"](count=2)
        assert [reading.voltage for reading in readings] == [0, 5]
        assert len(found.keywords["Power Read"](count=None)) == 2
        with pytest.raises(ValueError, match="count is 0"):
            found.keywords["Power Read"](count=0)


def test_a_keyword_of_a_closed_connection_says_what_to_do():
    with keyword_list.generated(MockPower()) as (_, found):
        keyword = found.keywords["Power On"]
        keyword.connected = False
        with pytest.raises(
            NotConnectedError, match="Power On: no exporter is connected; use `Connect To Exporter`"
        ):
            keyword()


def test_timeouts_of_streams_are_failures_and_not_errors():
    assert issubclass(StreamTimeoutError, AssertionError)
