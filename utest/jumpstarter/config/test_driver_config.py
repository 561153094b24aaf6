"""The ``config`` of a driver against the annotations of its class, and how drivers are made and closed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from types import ModuleType

import pytest
from jumpstarter.common.exceptions import ConfigurationError, FileNotFoundError
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, ExporterConfigV1Alpha1DriverInstance

MODULE = '''
from __future__ import annotations
import enum
from dataclasses import dataclass, field
from pathlib import Path
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional
from uuid import UUID
from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from jumpstarter.driver import Driver
if TYPE_CHECKING:
    from nowhere import Unknown

events = []

class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"

@dataclass
class Nested:
    host: str
    port: int = 1

class Model(BaseModel):
    size: int

@dataclass(kw_only=True)
class Base(Driver):
    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

@dataclass(kw_only=True)
class Typed(Base):
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    path: Path = Path()
    mode: Mode = Mode.FAST
    kind: Literal["a", "b"] = "a"
    maybe: Optional[int] = None
    either: int | str = 0
    items: list[str] = field(default_factory=list)
    pair: tuple[int, str] = (0, "")
    table: dict[str, int] = field(default_factory=dict)
    by_number: dict[int, str] = field(default_factory=dict)
    nested: Nested | None = None
    model: Model | None = None
    limited: Annotated[int, Field(ge=1)] = 1
    wait: timedelta = timedelta()
    anything: Any = None
    unknown: Unknown = None
    _own: int = 0

    def list(self) -> None:
        """Hides the type of the same name."""

@pydantic_dataclass(kw_only=True)
class Checked(Base):
    number: int

class Free(Base):
    def __init__(self, *, first: int, **kwargs):
        super().__init__(description=kwargs.pop("description"), children=kwargs.pop("children"),
                         methods_description=kwargs.pop("methods_description"))
        self.first, self.rest = first, kwargs

@dataclass(kw_only=True)
class Recording(Base):
    label: str
    fail: bool = False
    def __post_init__(self):
        super().__post_init__()
        if self.fail:
            raise OSError("no such\\n  device")
        events.append(f"open {self.label}")
    def close(self):
        super().close()
        events.append(f"close {self.label}")
'''


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "typed_drivers.py").write_text(MODULE)
    (tmp_path / "needy_driver.py").write_text("import opendal_absent.part\n")
    (tmp_path / "faulty_driver.py").write_text("raise RuntimeError('bang')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("typed_drivers")
    for name in ("typed_drivers", "needy_driver", "faulty_driver"):
        sys.modules.pop(name, None)


def instance(config: str, cls: str = "Typed") -> ExporterConfigV1Alpha1DriverInstance:
    text = f"type: typed_drivers.{cls}\nconfig:\n{indent(config, '  ')}\n"
    return ExporterConfigV1Alpha1DriverInstance.from_str(text)


def problems(config: str, cls: str = "Typed") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        instance(config, cls)
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        ("text: abc", "text", "'abc'"),
        ("number: 0x10", "number", "16"),
        ("ratio: 3", "ratio", "3.0"),
        ("flag: yes", "flag", "True"),
        ("path: /tmp/x", "path", "PosixPath('/tmp/x')"),
        ("mode: slow", "mode", "<Mode.SLOW: 'slow'>"),
        ("mode: SLOW", "mode", "<Mode.SLOW: 'slow'>"),
        ("kind: b", "kind", "'b'"),
        ("maybe:", "maybe", "None"),
        ('either: "5"', "either", "'5'"),
        ("items: [a, b]", "items", "['a', 'b']"),
        ("pair: [1, x]", "pair", "(1, 'x')"),
        ("table: {a: 1}", "table", "{'a': 1}"),
        ("by_number: {1: one, 2: two}", "by_number", "{1: 'one', 2: 'two'}"),
        ("nested: {host: h}", "nested", "Nested(host='h', port=1)"),
        ("model: {size: 3}", "model", "Model(size=3)"),
        ("limited: 2", "limited", "2"),
        ("wait: 1m30s", "wait", "datetime.timedelta(seconds=90)"),
        ("anything: {on: [1, x]}", "anything", "{True: [1, 'x']}"),
        ("unknown: {a: 1}", "unknown", "{'a': 1}"),
        ("log_level: DEBUG", "log_level", "'DEBUG'"),
        ("labels: {a: b}", "labels", "{'a': 'b'}"),
    ],
)
def test_values_become_what_the_annotation_says(
    drivers: ModuleType, config: str, name: str, value: str
) -> None:
    driver = instance(config).instantiate()
    assert repr(getattr(driver, name)) == value


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("text: 22", 'text: found the whole number 22; expected text; quote it: "22"'),
        ("text: on", 'text: found the boolean on; expected text; quote it: "on"'),
        ("text: 2024-01-01", 'text: found the date 2024-01-01; expected text; quote it: "2024-01-01"'),
        ("text:", "text: found nothing (null); expected text"),
        ('number: "22"', "number: found text '22'; expected a whole number; write it without quotes: 22"),
        ("number: abc", "number: found text 'abc'; expected a whole number"),
        ("number: 2.5", "number: found the number 2.5; expected a whole number"),
        ("number: true", "number: found the boolean true; expected a whole number"),
        ("ratio: x", "ratio: found text 'x'; expected a number"),
        ("flag: 1", "flag: found the whole number 1; expected true or false"),
        ("path: 1", "path: found the whole number 1; expected a path"),
        ("mode: slwo", "mode: found text 'slwo'; expected one of 'fast', 'slow'; did you mean 'slow'?"),
        ("kind: c", "kind: found text 'c'; expected one of 'a', 'b'"),
        ("maybe: x", "maybe: found text 'x'; expected a whole number"),
        ("either: 1.5", 'either: found the number 1.5; expected a whole number or text; quote it: "1.5"'),
        ("items: a", "items: found text 'a'; expected a list of text"),
        ("items: [a, 1]", 'items[1]: found the whole number 1; expected text; quote it: "1"'),
        ("pair: [1]", "pair: found a list of 1; expected a list of 2"),
        ("table: {a: b}", "table.a: found text 'b'; expected a whole number"),
        ("table: {on: 1}", 'table.on: key is read by YAML as the boolean on; expected text; quote it: "on"'),
        (
            "nested: {hots: h, host: x}",
            "nested.hots: unknown key; expected one of host, port; did you mean 'host'?",
        ),
        ("nested: {}", "nested.host: missing; expected text"),
        ("model: {size: x}", "model.size: found text 'x'; expected: Input should be a valid integer"),
        (
            "limited: 0",
            "limited: found the whole number 0; expected: Input should be greater than or equal to 1",
        ),
        ("wait: soon", "wait: found text 'soon'; expected a duration"),
        ("uuid: x", "uuid: found text 'x'; expected a UUID"),
        ("_own: 1", "_own: unknown key of Typed"),
        ("children: {}", "children: 'children' does not belong in config; expected beside it, one level up"),
    ],
)
def test_a_value_that_does_not_fit_is_one_line(drivers: ModuleType, config: str, line: str) -> None:
    found = problems(config)
    assert len(found) == 1
    assert found[0].startswith(f"<string>:3: config.{line}"), found[0]


def test_pydantic_and_free_classes_are_checked_as_far_as_they_say(drivers: ModuleType) -> None:
    assert problems("number: x", "Checked") == [
        "<string>:3: config.number: found text 'x'; expected a whole number"
    ]
    assert problems("second: 1", "Free") == [
        "<string>:2: config.first: missing; Free needs it; expected a whole number"
    ]
    free = instance("first: 1\nsecond: {a: 1}", "Free").instantiate()
    assert free.rest == {"second": {"a": 1}}  # type: ignore[attr-defined]


def test_what_is_wrong_with_a_module_is_told_apart(drivers: ModuleType) -> None:
    def reason(path: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            ExporterConfigV1Alpha1DriverInstance.from_str(f"type: {path}")
        return str(caught.value)

    assert reason("needy_driver.Driver") == (
        "<string>:1: type: module 'needy_driver' needs the package 'opendal_absent', which is not installed; "
        "pip install opendal_absent"
    )
    assert reason("faulty_driver.Driver") == (
        "<string>:1: type: module 'faulty_driver' cannot be imported: RuntimeError: bang"
    )
    assert "'typed_drivers.Mode' is not a driver" in reason("typed_drivers.Mode")
    assert "has no class 'Typo'; expected a driver class; did you mean 'Typed'?" in reason(
        "typed_drivers.Typo"
    )


def test_absent_package_of_an_extra_names_the_extra(drivers: ModuleType, tmp_path: Path) -> None:
    from jumpstarter.config.driver_advice import how_to_install

    by = "typed_drivers"
    assert how_to_install("opendal", by) == "pip install 'robotframework-jumpstarter[opendal]'"
    assert how_to_install("websockets.client", by) == "pip install 'robotframework-jumpstarter[network]'"


BOARD = "board: {type: jumpstarter_driver_simulated.driver.SimulatedBoard}\n"


def write(tmp_path: Path, export: str) -> Path:
    path = tmp_path / "e.yaml"
    path.write_text("metadata: {name: e}\nexport:\n" + indent(export, "  "))
    return path


RECORDING = "{type: typed_drivers.Recording, config: {label: %s}}"


def test_children_are_made_first_and_given_to_their_parent(drivers: ModuleType, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a:\n  type: typed_drivers.Recording\n  config: {label: a}\n"
        f"  children:\n    b: {RECORDING % 'b'}\n"
        "    c: {ref: d.x}\n"
        f"d:\n  description: group\n  children:\n    x: {RECORDING % 'x'}\n",
    )
    root = ExporterConfigV1Alpha1.load_path(path).instantiate()
    assert drivers.events == ["open b", "open a", "open x"]
    assert list(root.children["a"].children) == ["b", "c"]
    assert root.children["a"].children["c"].ref == "d.x"
    assert root.children["d"].description == "group"


def test_one_failing_driver_closes_those_already_made(drivers: ModuleType, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a:\n  type: typed_drivers.Recording\n  config: {label: a}\n"
        f"  children:\n    b: {RECORDING % 'b'}\n"
        f"c: {RECORDING % 'c'}\n"
        "d:\n  type: typed_drivers.Recording\n  config: {label: d, fail: true}\n"
        f"e: {RECORDING % 'e'}\n",
    )
    config = ExporterConfigV1Alpha1.load_path(path)
    with pytest.raises(ConfigurationError) as caught:
        config.instantiate()
    assert str(caught.value) == (
        f"{path}:9: export.d: typed_drivers.Recording could not be set up: OSError: no such device"
    )
    assert isinstance(caught.value.__context__, OSError)
    assert drivers.events == ["open b", "open a", "open c", "close c", "close b", "close a"]


def test_ref_into_children_that_a_driver_makes_itself(drivers: ModuleType, tmp_path: Path) -> None:
    good = write(tmp_path, BOARD + "alias: {ref: board.power}\n")
    root = ExporterConfigV1Alpha1.load_path(good).instantiate()
    try:
        assert "power" in root.children["board"].children
    finally:
        root.close()
    bad = write(tmp_path, BOARD + "alias: {ref: board.powr}\n")
    with pytest.raises(ConfigurationError) as caught:
        ExporterConfigV1Alpha1.load_path(bad).instantiate()
    assert "export.alias: ref 'board.powr' names no driver: " in str(caught.value)
    assert str(caught.value).endswith("; did you mean 'power'?")


def test_one_instance_from_text_and_from_a_file(drivers: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "driver.yaml"
    path.write_text("type: typed_drivers.Typed\nconfig: {number: 5}\n")
    assert ExporterConfigV1Alpha1DriverInstance.from_path(path).instantiate().number == 5  # type: ignore[attr-defined]
    path.write_text("type: typed_drivers.Typed\nconfig: {number: x}\n")
    with pytest.raises(ConfigurationError, match=r"driver.yaml:2: config.number: found text 'x'"):
        ExporterConfigV1Alpha1DriverInstance.from_path(path)
    with pytest.raises(FileNotFoundError, match=r"drivr.yaml' not found: .*; did you mean 'driver.yaml'\?"):
        ExporterConfigV1Alpha1DriverInstance.from_path(tmp_path / "drivr.yaml")
    with pytest.raises(ConfigurationError, match="<string>:1: the text is empty"):
        ExporterConfigV1Alpha1DriverInstance.from_str("")
    with pytest.raises(
        ConfigurationError, match=r"<string>:3: children\.a\.ref: found 'b', which names no driver"
    ):
        ExporterConfigV1Alpha1DriverInstance.from_str("children:\n  a:\n    ref: b\n")


def test_instances_made_by_a_program_are_made_the_same_way(drivers: ModuleType) -> None:
    made = ExporterConfigV1Alpha1DriverInstance(type="typed_drivers.Typed", config={"number": 3})
    assert made.instantiate().number == 3  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match=r"typed_drivers\.Typed could not be set up: TypeError"):
        ExporterConfigV1Alpha1DriverInstance(type="typed_drivers.Typed", config={"nope": 3}).instantiate()
