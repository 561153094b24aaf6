"""Storage through OpenDAL: listings end, so a listing keyword returns all of it."""

from __future__ import annotations

from .base import Adapter


class OpendalAdapter(Adapter):
    """Reflection, with finite listings."""

    finite = frozenset({"list", "scan"})
