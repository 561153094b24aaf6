"""Bounds of what an exporter registers."""

from __future__ import annotations

from typing import Any

import pytest
from jumpstarter_controller.model import InvalidRequest, check_labels, check_registration, shortened
from jumpstarter_controller.model.registrations import MAX_DRIVERS, MAX_MESSAGE, MAX_TEXT
from jumpstarter_protocol.jumpstarter.v1.jumpstarter_pb2 import DriverInstanceReport

OWN = "jumpstarter.dev/"


def driver(**fields: Any) -> DriverInstanceReport:
    return DriverInstanceReport(**({"uuid": "u", "labels": {OWN + "name": "power"}} | fields))


def numbered(count: int, prefix: str = "k") -> dict[str, str]:
    return {f"{prefix}{number}": "v" for number in range(count)}


@pytest.mark.parametrize(
    ("labels", "reports", "message"),
    [
        (numbered(30_000, OWN), [], "30000 labels are too many, expected at most 64"),
        (numbered(30_000), [], "30000 labels are too many, expected at most 128"),
        ({OWN + "x": "a b"}, [], "label jumpstarter.dev/x='a b' is not valid"),
        ({OWN + "x" * 99: ""}, [], "label key"),
        ({}, [driver()] * (MAX_DRIVERS + 1), "1025 drivers are too many, expected at most 1024"),
        ({}, [driver(labels=numbered(33))], "33 labels of driver 'u' are too many"),
        ({}, [driver(methods_description=numbered(513))], "513 methods of driver 'power' are too many"),
        ({}, [driver(uuid="u" * 318)], "a name of driver 'power' has 318 characters"),
        ({}, [driver(labels={"x": "y" * 1025})], "a label of driver 'u' has 1025 characters"),
        (
            {},
            [driver(description="y" * (MAX_TEXT + 1))],
            "a help text of driver 'power' has 65537 characters",
        ),
        ({}, [driver(methods_description={"on": "y" * (MAX_TEXT + 1)})], "a help text of driver 'power'"),
        (
            {},
            [driver(labels={f"k{n}": "v" * 1024 for n in range(32)})] * 20,
            "characters of labels of drivers are too many",
        ),
    ],
)
def test_what_no_exporter_needs_is_refused(labels: Any, reports: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        check_registration(labels, reports)


def test_large_board_is_taken() -> None:
    texts = {f"method{number}": "x" * 2000 for number in range(100)}
    board = driver(description="x" * 10_000, methods_description=texts)
    check_registration(
        numbered(64, OWN), [board, *[driver(uuid="u" * 36, parent_uuid="p" * 36)] * (MAX_DRIVERS - 1)]
    )


def test_long_message_about_a_state_is_cut() -> None:
    assert shortened("failed") == "failed"
    assert len(shortened("x" * 9999)) == MAX_MESSAGE
    assert shortened("x" * 9999).endswith("x...")


def test_labels_of_an_administrator_have_a_bound_too() -> None:
    check_labels(numbered(64))
    with pytest.raises(InvalidRequest, match="65 labels are too many"):
        check_labels(numbered(65))
