"""The exporter that is there without any configuration: a simulated board."""

from __future__ import annotations

from pathlib import Path

NAME = "local"
"""The exporter's name."""


def exporter_config() -> Path:
    """Path of the exporter configuration that comes with the product."""
    return Path(__file__).with_name("builtin.yaml")
