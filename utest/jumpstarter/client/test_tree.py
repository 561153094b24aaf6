"""The tree of clients, from whatever report an exporter sends."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from time import monotonic
from typing import Any
from uuid import UUID, uuid5

import pytest
from jumpstarter.client import DriverClient
from jumpstarter.client.base import StubDriverClient
from jumpstarter.client.tree import Builder, build, root_of
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter_protocol import jumpstarter_pb2 as pb

CLIENT = "jumpstarter.client.base.DriverClient"


def identity(name: str) -> str:
    return str(uuid5(UUID(int=0), name))


def report(name: str, parent: str | None, *, node: str | None = None, client: str | None = CLIENT) -> Any:
    """The report of driver *node*, seen below *parent* as *name*."""
    labels = {"jumpstarter.dev/name": name} if parent is not None else {}
    if client is not None:
        labels["jumpstarter.dev/client"] = client
    return pb.DriverInstanceReport(
        uuid=identity(node or name), parent_uuid=None if parent is None else identity(parent), labels=labels
    )


def shape(node: Builder) -> Any:
    return {name: shape(child) for name, child in sorted(node.children.items())}


def tree(reports: list[Any]) -> Any:
    return shape(root_of([Builder(r, lambda node: node) for r in reports]))


BOARD = [
    report("root", None),
    report("power", "root"),
    report("group", "root"),
    report("serial", "group"),
    report("deep", "group"),
    report("deeper", "deep"),
]
SHAPE: Any = {"power": {}, "group": {"serial": {}, "deep": {"deeper": {}}}}


def test_a_tree_of_many_drivers_is_linked_in_no_time() -> None:
    reports = [report("root", None), *(report(f"d{i}", "root") for i in range(8000))]
    nodes = [Builder(each, lambda node: node) for each in reports]
    started = monotonic()
    assert len(root_of(nodes).children) == 8000
    # Looking for each parent among all drivers took a minute.
    assert monotonic() - started < 10


def test_parents_first_as_exporters_send_it() -> None:
    assert tree(BOARD) == SHAPE


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[::37])
def test_any_other_order(order: tuple[int, ...]) -> None:
    assert tree([BOARD[i] for i in order]) == SHAPE


def test_a_driver_reported_twice_has_its_children_both_times() -> None:
    """A proxy: the same driver, with the same uuid, in two places."""
    reports = [
        report("root", None),
        report("group", "root"),
        report("inner", "group"),
        report("alias", "root", node="group"),
        report("inner", "group"),
    ]
    assert tree(reports) == {"group": {"inner": {}}, "alias": {"inner": {}}}


@pytest.mark.parametrize(
    ("reports", "text"),
    [
        ([], "reports 0 root drivers: expected one"),
        ([report("a", None), report("b", None)], "reports 2 root drivers: expected one"),
        ([report("a", "b"), report("b", "a")], "reports 0 root drivers: expected one"),
        ([report("root", None), report("a", "nowhere")], "which it does not report"),
    ],
)
def test_a_report_that_is_no_tree_is_refused(reports: list[Any], text: str) -> None:
    with pytest.raises(ConnectionError, match=text):
        tree(reports)


def connect(reports: list[Any], allow: list[str] | None = None) -> Any:
    return build(reports, None, None, ExitStack(), allow or [], allow is None)


def test_a_client_has_what_the_report_says() -> None:
    root = report("root", None)
    root.description = "A board"
    root.methods_description["on"] = "Switch it on"
    root.labels["rack"] = "7"
    client = connect([root, report("power", "root")])
    assert isinstance(client, DriverClient)
    assert (client.uuid, client.name) == (UUID(identity("root")), "unknown")
    assert (client.description, client.methods_description) == ("A board", {"on": "Switch it on"})
    assert client.labels["rack"] == "7"
    assert (client.children["power"].name, client.children["power"].description) == ("power", None)
    assert client.children["power"] is client.children["power"]


def test_children_are_built_when_they_are_used() -> None:
    client = connect(BOARD)
    assert client.children.built() == []
    assert list(client.children) == ["power", "group"]
    assert client.children.client_path("power") == CLIENT
    power = client.children["power"]
    assert client.children.built() == [power]


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        ("nowhere.client.PowerClient", "not installed"),
        ("jumpstarter.client.base.NoSuchClient", "has no class 'NoSuchClient'"),
        ("NoModule", "expected MODULE.CLASS"),
        ("", "expected MODULE.CLASS"),
        (None, "expected MODULE.CLASS"),
    ],
)
def test_a_missing_client_says_so_when_it_is_used(client: str | None, reason: str) -> None:
    root = connect([report("root", None), report("power", "root", client=client)])
    power = root.children["power"]
    assert isinstance(power, StubDriverClient)
    assert power.name == "power"
    with pytest.raises(ImportError, match=rf"driver 'power' cannot be used: .*{reason}"):
        power.on()
    power.close()


def test_a_client_that_is_not_allowed_is_not_imported() -> None:
    reports = [report("root", None), report("power", "root", client="nowhere.PowerClient")]
    root = connect(reports, ["jumpstarter.client.*"])
    assert isinstance(root, DriverClient)
    with pytest.raises(ImportError, match="not allowed: add a pattern"):
        root.children["power"].on()


def test_nothing_is_allowed_by_an_empty_list() -> None:
    assert isinstance(connect(BOARD, []), StubDriverClient)
