"""The exporter's session under its documented import name."""

from jumpstarter.session import Session

__all__ = ["Session"]
