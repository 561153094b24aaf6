"""The nearest valid name, for error messages: ``; did you mean 'export'?``."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that *name* was most likely meant to be, or None when none is near.

    Case, ``-`` and ``_`` do not count: ``onfailure`` is near ``onFailure``.
    """
    from difflib import get_close_matches  # costs more than the rest of this module; only needed in an error

    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(_fold(candidate), candidate)
    matches = get_close_matches(_fold(name), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest of *candidates*, or '' when none is near."""
    match = nearest(name, candidates)
    return f"; did you mean '{match}'?" if match is not None else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
