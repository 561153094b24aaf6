"""Drivers that wait take no more memory than they need."""

from __future__ import annotations

import subprocess
import sys


def test_models_are_not_imported_with_the_drivers() -> None:
    code = (
        "import sys, jumpstarter_driver_opendal.driver, jumpstarter_driver_power.driver, jumpstarter_driver_simulated.driver;"
        "assert 'pydantic' not in sys.modules;"
        "from jumpstarter_driver_power.driver import PowerReading;"
        "assert PowerReading(voltage=5, current=2).apparent_power == 10"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
