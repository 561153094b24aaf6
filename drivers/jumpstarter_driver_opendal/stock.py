"""Names that programs written for stock Jumpstarter import, and those that OpenDAL had at its top when they were written."""

from __future__ import annotations

import importlib.util

from .transfer import clean_filename, path_with_query

__all__ = ["clean_filename", "path_with_query"]


def _keep_moved_names() -> None:
    import opendal
    from opendal import types

    for name in vars(types).get("__all__", ()):
        if not hasattr(opendal, name):
            setattr(opendal, name, getattr(types, name))


# Flashers of others import these, then `from opendal import Metadata`; releases from 0.46 on have it in a module of its own.
if importlib.util.find_spec("opendal") is not None:
    _keep_moved_names()
