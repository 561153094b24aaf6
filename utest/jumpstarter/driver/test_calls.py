"""Exported methods: finding them, and making arguments fit."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

import pytest
from jumpstarter.common.errors import MethodNotFoundError
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.driver.calls import Method, MethodTable
from jumpstarter.driver.decorators import (
    MARKER_DRIVERCALL,
    MARKER_MAGIC,
    MARKER_STREAMCALL,
    MARKER_STREAMING_DRIVERCALL,
)
from pydantic import BaseModel, validate_call

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


class Image(BaseModel):
    name: str
    size: int = 0


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Foreign:
    """A class that pydantic knows nothing of."""


@dataclasses.dataclass(kw_only=True)
class Board(Driver):
    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def number(self, value: int) -> Any:
        return value

    @export
    def real(self, value: float) -> Any:
        return value

    @export
    def text(self, value: str) -> Any:
        return value

    @export
    def truth(self, value: bool) -> Any:
        return value

    @export
    def path(self, value: Path) -> Any:
        return value

    @export
    def identity(self, value: uuid.UUID) -> Any:
        return value

    @export
    def colour(self, value: Colour) -> Any:
        return value

    @export
    def level(self, value: Level) -> Any:
        return value

    @export
    def image(self, value: Image) -> Any:
        return value

    @export
    def point(self, value: Point) -> Any:
        return value

    @export
    def duration(self, value: datetime.timedelta) -> Any:
        return value

    @export
    def data(self, value: bytes) -> Any:
        return value

    @export
    def choice(self, value: Literal["a", "b"]) -> Any:
        return value

    @export
    def maybe(self, value: int | None = None) -> Any:
        return value

    @export
    def old_maybe(self, value: Optional[Path] = None) -> Any:  # noqa: UP045
        return value

    @export
    def implicit(self, value: int = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013
        return value

    @export
    def numbers(self, value: list[int]) -> Any:
        return value

    @export
    def table(self, value: dict[str, Path]) -> Any:
        return value

    @export
    def anything(self, value: Any) -> Any:
        return value

    @export
    def bare(self, value):  # type: ignore[no-untyped-def]
        return value

    @export
    def foreign(self, value: Foreign) -> Any:
        return value

    @export
    def unresolvable(self, value: Unknown) -> Any:
        return value

    @export
    def many(self, first: int, *rest: Path) -> Any:
        return (first, *rest)

    @export
    @validate_call(validate_return=True)
    def checked(self, value: int, name: str = "x") -> str:
        return f"{name}{value}"

    @export
    def items(self, count: int) -> Any:
        yield from range(count)

    @exportstream
    def connect(self) -> Any:
        return None

    def hidden(self) -> None:
        """Not exported."""


BOARD = Board()


def method(name: str) -> Method:
    return Method(BOARD, name, getattr(BOARD, name))


_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("name", "wire", "expected"),
    [
        ("number", 3, 3),
        ("number", 3.0, 3),
        ("number", "7", 7),
        ("real", 3, 3.0),
        ("real", "2.5", 2.5),
        ("text", "x", "x"),
        ("truth", True, True),
        ("truth", 1, True),
        ("truth", 0, False),
        ("path", "/a/b", Path("/a/b")),
        ("identity", str(_ID), _ID),
        ("colour", "red", Colour.RED),
        ("level", 2, Level.HIGH),
        ("level", 2.0, Level.HIGH),
        ("image", {"name": "i", "size": 4.0}, Image(name="i", size=4)),
        ("point", {"x": 1}, Point(1)),
        ("duration", "PT1M30S", datetime.timedelta(seconds=90)),
        ("duration", 90, datetime.timedelta(seconds=90)),
        ("data", "abc", b"abc"),
        ("choice", "a", "a"),
        ("maybe", None, None),
        ("maybe", 3.0, 3),
        ("old_maybe", "x", Path("x")),
        ("implicit", None, None),
        ("implicit", 3.0, 3),
        ("numbers", [1.0, 2], [1, 2]),
        ("table", {"a": "b"}, {"a": Path("b")}),
        ("anything", {"a": [1]}, {"a": [1]}),
        ("bare", 1.5, 1.5),
        ("foreign", {"a": 1}, {"a": 1}),
        ("unresolvable", "x", "x"),
    ],
)
def test_arguments_are_made_to_fit(name: str, wire: Any, expected: Any) -> None:
    value = method(name)([wire])
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "wire", "reason"),
    [
        ("number", "x", "expected a number, not 'x'"),
        ("number", [1], r"expected a number, not \[1\]"),
        ("number", None, "expected a number, not None"),
        ("real", {}, r"expected a number, not {}"),
        ("text", 3, "expected text, not 3"),
        ("truth", "yes", "expected true or false, not 'yes'"),
        ("truth", 2, "expected true or false, not 2"),
        ("path", 3, "path"),
        ("identity", "x", "UUID"),
        ("colour", "blue", "red"),
        ("image", {"size": 1}, "name: Field required"),
        ("choice", "c", "'a' or 'b'"),
        ("numbers", ["x"], "0: .*integer"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_in_one_line(name: str, wire: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"argument 'value' of {name}: .*{reason}") as caught:
        method(name)([wire])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["client_stream", "presigned_request"])
@pytest.mark.parametrize("name", ["path", "text", "number", "image", "anything"])
def test_a_resource_handle_goes_through_as_it_is(name: str, kind: str) -> None:
    handle = {"kind": kind, "uuid": str(_ID)}
    assert method(name)([handle]) is handle


def test_every_one_of_many_arguments_is_made_to_fit() -> None:
    assert method("many")([1.0, "a", "b"]) == (1, Path("a"), Path("b"))
    with pytest.raises(ValueError, match="argument 'rest' of many"):
        method("many")([1, 2])


def test_a_method_that_checks_itself_gets_what_fits() -> None:
    assert method("checked")([3.0, "n"]) == "n3"
    assert method("checked")([3]) == "x3"


def test_too_many_and_too_few_arguments_are_refused() -> None:
    for values in ([], [1, 2]):
        with pytest.raises(TypeError, match="number"):
            method("number")(values)


def test_what_a_method_returns_is_given() -> None:
    assert list(method("items")([3.0])) == [0, 1, 2]


TABLE = MethodTable({BOARD.uuid: BOARD})


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("number", MARKER_DRIVERCALL),
        ("checked", MARKER_DRIVERCALL),
        ("items", MARKER_STREAMING_DRIVERCALL),
        ("connect", MARKER_STREAMCALL),
    ],
)
def test_an_exported_method_is_found_by_its_kind_only(name: str, marker: str) -> None:
    assert TABLE.find(str(BOARD.uuid), name, marker).name == name
    for other in {MARKER_DRIVERCALL, MARKER_STREAMCALL, MARKER_STREAMING_DRIVERCALL} - {marker}:
        with pytest.raises(MethodNotFoundError, match=f"method {name} missing marker {other}"):
            TABLE.find(str(BOARD.uuid), name, other)


@pytest.mark.parametrize("name", ["hidden", "close", "reset", "__init__", "children", "logger"])
def test_what_is_not_exported_cannot_be_called(name: str) -> None:
    with pytest.raises(MethodNotFoundError, match="missing marker"):
        TABLE.find(str(BOARD.uuid), name, MARKER_DRIVERCALL)


def test_a_missing_method_and_a_missing_driver_are_told_apart() -> None:
    with pytest.raises(MethodNotFoundError, match="method nothing not found on driver Board"):
        TABLE.find(str(BOARD.uuid), "nothing", MARKER_DRIVERCALL)
    for unknown in (str(uuid.uuid4()), "no uuid", ""):
        with pytest.raises(MethodNotFoundError, match=r"no driver .* in this session"):
            TABLE.find(unknown, "number", MARKER_DRIVERCALL)


def test_markers_are_those_of_stock_drivers() -> None:
    assert (MARKER_MAGIC, MARKER_DRIVERCALL) == ("07c9b9cc", "marker_drivercall")
    assert (MARKER_STREAMING_DRIVERCALL, MARKER_STREAMCALL) == (
        "marker_streamingdrivercall",
        "marker_streamcall",
    )


@pytest.mark.parametrize("thing", [3, "text", None, Colour])
def test_export_is_for_methods(thing: Any) -> None:
    with pytest.raises(ValueError, match="@export decorates a method"):
        export(thing)


def test_exportstream_is_for_methods() -> None:
    with pytest.raises(ValueError, match="@exportstream decorates a method"):
        exportstream(3)  # type: ignore[type-var]


def test_name_that_only_a_type_checker_knows_leaves_the_other_arguments_converted() -> None:
    def measure(channel: int) -> list[int]:
        return [channel]

    measure.__annotations__ = {"channel": "int", "return": "list[Reading]"}
    assert Method(BOARD, "measure", measure)(["3"]) == [3]
