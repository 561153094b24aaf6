"""Refuses to run beside a foreign `jumpstarter` package.

Stock Jumpstarter installs the same import names. With both in one environment, which files win depends on the order of
installation, so nothing that happens later could be trusted. The module imports nothing of the product.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

_FOREIGN = ("jumpstarter", "jumpstarter-protocol", "jumpstarter-cli")


def foreign_distributions(folders: Iterable[str]) -> list[str]:
    """Names of the installed distributions among *folders* that bring stock Jumpstarter's import names."""
    found: set[str] = set()
    for folder in folders:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - runs at every start: pathlib would be one more import
        except OSError:
            continue
        installed = (name.removesuffix(".dist-info") for name in names if name.endswith(".dist-info"))
        found.update(name.rsplit("-", 1)[0].replace("_", "-").lower() for name in installed)
    return sorted(found.intersection(_FOREIGN))


def check() -> None:
    """Raise ImportError when a foreign distribution is installed in this environment."""
    folders = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    if foreign := foreign_distributions(folders):
        raise ImportError(
            f"robotframework-jumpstarter cannot share an environment with the stock package(s) {', '.join(foreign)}: "
            f"both provide the import name 'jumpstarter'. Run 'pip uninstall {' '.join(foreign)}' and then "
            "'pip install --force-reinstall --no-deps robotframework-jumpstarter'; install out-of-tree drivers with "
            "'pip install --no-deps'"
        )
