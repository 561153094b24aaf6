from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export


@dataclass(kw_only=True)
class Tools(Driver):
    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    @staticmethod
    def add(a: int, b: int) -> int:
        return a + b

    @staticmethod
    @export
    def subtract(a: int, b: int) -> int:
        return a - b

    @export
    @classmethod
    def kind(cls) -> str:
        return cls.__name__

    @export
    @staticmethod
    def count(to: int) -> Iterator[int]:
        yield from range(to)


def test_static_and_class_methods_are_exported_whatever_the_order_of_the_decorators() -> None:
    with serve(Tools()) as client:
        assert client.call("add", 1, "2") == 3
        assert client.call("subtract", 3, 2) == 1
        assert client.call("kind") == "Tools"
        assert list(client.streamingcall("count", 3)) == [0, 1, 2]


def test_a_property_cannot_be_exported() -> None:
    with pytest.raises(ValueError, match="@export decorates a method"):
        export(property(lambda self: 1))  # type: ignore[type-var]
