from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.api.types import Secret

from JumpstarterLibrary.reflection import Kind, keyword_methods, stream_arguments

if TYPE_CHECKING:
    from nowhere import Operator


class Base:
    def call(self) -> None: ...
    def helper(self) -> None: ...


class Client(Base):
    def on(self) -> None: ...

    def cycle(self, wait: float = 2) -> None: ...

    def flash(
        self, path: str | os.PathLike[str], *, target: str | None = None, operator: Operator | None = None
    ) -> None: ...

    def login(self, user: str, password: str = "hunter2") -> bool: ...

    def read(self) -> Generator[float, None, None]:
        yield 1.0

    def relay(self) -> Iterator[str]:
        return iter(())

    @contextmanager
    def session(self) -> Iterator[str]:
        yield ""

    async def later(self) -> None: ...

    async def items(self) -> Any:
        yield 1

    @property
    def hostname(self) -> str:
        return ""

    @property
    def password(self) -> str:
        return ""

    @property
    def tcp(self) -> Base:
        return Base()

    def write_raw(self, handle: str) -> None: ...

    def attach(self, operator: Operator) -> None: ...

    def plug(self, other: Base) -> None: ...

    def cli(self) -> None: ...

    def open(self) -> None: ...

    def quiet(self, level: int = 1, _internal: bool = True) -> None: ...

    def run(self, command: str, /, *args: str, timeout: int | None = None, **env: str) -> int:
        return 0

    def anything(self, x, y=1) -> None: ...


METHODS = keyword_methods(Client, base=Base)


def test_public_methods_and_plain_properties_are_keywords_and_plumbing_is_not():
    assert list(METHODS) == [
        "anything", "cycle", "flash", "hostname", "login", "on", "password", "quiet", "read", "relay", "run",
    ]  # fmt: skip


def test_what_the_base_has_is_left_out():
    assert "helper" in keyword_methods(Client)
    assert "cycle" not in keyword_methods(Client, base=Base, hidden={"cycle"})


def test_times_secrets_and_paths_have_robots_types():
    assert METHODS["cycle"].specification == [("wait", "2 seconds")]
    assert METHODS["cycle"].types == {"wait": timedelta}
    assert METHODS["login"].types == {"user": str, "password": Secret | str, "return": bool}
    assert "hunter2" not in str(METHODS["login"].specification)
    assert METHODS["flash"].types["path"] == str | Path


def test_what_only_python_can_give_is_not_shown():
    assert METHODS["flash"].specification == ["path", "*", ("target", None)]
    assert METHODS["quiet"].specification == [("level", 1)]


def test_all_kinds_of_arguments_are_told_to_robot():
    assert METHODS["run"].specification == ["command", "/", "*args", ("timeout", None), "**env"]
    assert METHODS["run"].types["timeout"] == timedelta | None


def test_a_default_tells_the_type_of_an_argument_without_annotation():
    assert METHODS["anything"].specification == ["x", ("y", 1)]
    assert METHODS["anything"].types == {"y": int}


def test_generators_are_streams_bounded_by_count_and_timeout():
    assert METHODS["read"].kind is METHODS["relay"].kind is Kind.STREAM
    bounded = stream_arguments(METHODS["read"], count=1)
    assert bounded.specification == ["*", ("count", 1), ("timeout", None)]
    assert bounded.types == {"count": int | None, "timeout": timedelta | None, "return": list}


def test_a_property_is_read_and_a_secret_one_is_a_secret():
    assert METHODS["hostname"].kind is Kind.PROPERTY
    assert METHODS["hostname"].types == {"return": str}
    assert METHODS["password"].types == {"return": Secret}


def test_types_are_fresh_each_time_for_robot_takes_the_result_out():
    METHODS["login"].types.pop("return")
    assert METHODS["login"].types["return"] is bool
