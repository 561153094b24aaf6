"""UUIDs of drivers that stay the same when their exporter is started anew, so that its clients can go on."""

from __future__ import annotations

import json
from typing import Final
from uuid import UUID, uuid5

from jumpstarter.driver import Driver

_NAMESPACE: Final = UUID("6c0b87d0-3c0d-4c52-9d3b-2a0a5f0a7a5e")


def name_drivers(root: Driver, identity: str) -> None:
    """Give the drivers below *root* UUIDs that follow from *identity*, their names from the root down, and their client classes.

    A driver of another kind in the same place is another driver: what was meant for the old one does not reach it. Raises as
    `Driver.enumerate`.
    """
    places: dict[int, list[str]] = {}
    for _, parent, name, driver in root.enumerate():
        if id(driver) not in places:  # a driver with two names has the UUID of the first
            places[id(driver)] = [*(places[id(parent)] if parent is not None else []), name or ""]
            driver.uuid = uuid5(_NAMESPACE, json.dumps([identity, driver.client(), *places[id(driver)]]))
