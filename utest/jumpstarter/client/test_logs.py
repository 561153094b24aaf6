"""Log lines of an exporter in the client's logging."""

from __future__ import annotations

import logging

from jumpstarter.client.logs import level_number


def test_levels_have_numbers() -> None:
    assert level_number("warning") == logging.WARNING
    assert level_number("TRACE") == logging.INFO
