"""Importing classes by dotted path, where a list of patterns allows it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from .exceptions import MissingDriverError


def import_class(class_path: str, allow: Iterable[str], unsafe: bool) -> Any:
    """The class at *class_path*, if it matches a pattern of *allow* (as fnmatch has them) or *unsafe* is true.

    Raises MissingDriverError saying whether it is not allowed, not installed, or not in its module.
    """
    module_path, _, name = class_path.rpartition(".")
    if not module_path or not all(part.isidentifier() for part in class_path.split(".")):
        raise MissingDriverError(
            f"{class_path!r} is not the path of a class: expected MODULE.CLASS", class_path
        )
    if not unsafe and not any(fnmatchcase(class_path, pattern) for pattern in allow):
        raise MissingDriverError(
            f"{class_path} is not allowed: add a pattern for it to drivers.allow of the client's configuration, "
            "or to JMP_DRIVERS_ALLOW",
            class_path,
        )
    return cached_import(module_path, name)


@cache
def cached_import(module_path: str, class_name: str) -> Any:
    """Attribute *class_name* of the module. Raises MissingDriverError when either is missing."""
    class_path = f"{module_path}.{class_name}"
    try:
        # Not sys.modules: a module that another thread is still importing is there already, without its classes.
        module = importlib.import_module(module_path)
    except ModuleNotFoundError as error:
        package = module_path.partition(".")[0]
        if error.name and not module_path.startswith(error.name):
            raise MissingDriverError(
                f"{class_path} cannot be imported: it needs the module '{error.name}'", class_path
            ) from error
        raise MissingDriverError(
            f"{class_path} is not installed: install the package that provides '{package}', in the version of the exporter's",
            class_path,
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may raise anything
        reason = " ".join(str(error).split())
        raise MissingDriverError(
            f"{class_path} cannot be imported: {type(error).__name__}: {reason}", class_path
        ) from None
    try:
        return getattr(module, class_name)
    except AttributeError:
        raise MissingDriverError(
            f"module {module_path} has no class '{class_name}': its version differs from the exporter's",
            class_path,
        ) from None
