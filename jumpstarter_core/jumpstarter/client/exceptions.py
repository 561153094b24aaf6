"""Errors of leases under their documented import name."""

from __future__ import annotations

from jumpstarter.common.exceptions import LeaseError

__all__ = ["LeaseError"]
